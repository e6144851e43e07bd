//! The frames of many addresses, and their collection.

use super::dwarf::DebugFault;
use super::unit_frames::UnitFrames;
use super::units::Probe;
use crate::addr::Svma;
use std::ops::Range;

/// One frame: a function and a source position in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The function; `None` if it has no name.
    pub function: Option<StringId>,
    /// Path of the source file.
    pub file: Option<StringId>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
}

/// A frame in [`Frames::all`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameId(u32);

impl FrameId {
    /// The index into [`Frames::all`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A name or path in [`Frames::string`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StringId(u32);

impl StringId {
    /// The index into [`Frames::strings`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The frames of a list of addresses.
#[derive(Debug, Default)]
pub struct Frames {
    strings: Vec<String>,
    frames: Vec<Frame>,
    ids: Vec<FrameId>,
    chains: Vec<Range<usize>>,
    faults: Vec<DebugFault>,
}

impl Frames {
    /// The frames of the address at `index`, innermost first; empty if none are known.
    #[must_use]
    pub fn chain(&self, index: usize) -> Vec<Frame> {
        self.chain_ids(index).iter().map(|id| self.frames[id.index()]).collect()
    }

    /// As [`Self::chain`], by id: chains share most of their frames.
    #[must_use]
    pub fn chain_ids(&self, index: usize) -> &[FrameId] {
        self.chains.get(index).map_or(&[], |range| &self.ids[range.clone()])
    }

    /// All frames; [`FrameId::index`] counts them.
    #[must_use]
    pub fn all(&self) -> &[Frame] {
        &self.frames
    }

    /// A name or path.
    #[must_use]
    pub fn string(&self, id: StringId) -> &str {
        &self.strings[id.index()]
    }

    /// All names and paths, each once per unit; [`StringId::index`] counts them.
    #[must_use]
    pub fn strings(&self) -> &[String] {
        &self.strings
    }

    /// Units that could not be read completely.
    #[must_use]
    pub fn faults(&self) -> &[DebugFault] {
        &self.faults
    }
}

/// Frames during their collection from units.
pub(super) struct FrameSet {
    addresses: Vec<Svma>,
    frames: Frames,
}

impl FrameSet {
    pub(super) fn new(addresses: &[Svma]) -> Self {
        let frames = Frames { chains: vec![0..0; addresses.len()], ..Frames::default() };
        Self { addresses: addresses.to_vec(), frames }
    }

    /// The addresses that have no frames yet.
    pub(super) fn open(&self) -> Vec<Probe> {
        let is_open = |index: &usize| self.frames.chains[*index].is_empty();
        let probe = |index| Probe { address: self.addresses[index], index };
        (0..self.addresses.len()).filter(is_open).map(probe).collect()
    }

    pub(super) fn fault(&mut self, fault: DebugFault) {
        self.frames.faults.push(fault);
    }

    pub(super) fn extend(&mut self, units: Vec<UnitFrames>) {
        for unit in units {
            // Strings of different units are not compared: the comparison would cost more than
            // the copies.
            let strings = u32::try_from(self.frames.strings.len()).unwrap_or(u32::MAX);
            self.frames.strings.extend(unit.strings);
            let global = |local: Option<u32>| Some(StringId(strings.saturating_add(local?)));
            let first = u32::try_from(self.frames.frames.len()).unwrap_or(u32::MAX);
            self.frames.frames.extend(unit.frames.iter().map(|frame| Frame {
                function: global(frame.function),
                file: global(frame.file),
                line: (frame.line != 0).then_some(frame.line),
                column: (frame.line != 0 && frame.column != 0).then_some(frame.column),
            }));
            for (index, chain) in unit.chains {
                let start = self.frames.ids.len();
                let chain = &unit.ids[chain];
                self.frames.ids.extend(chain.iter().map(|id| FrameId(first.saturating_add(*id))));
                self.frames.chains[index] = start..self.frames.ids.len();
            }
            self.frames.faults.extend(unit.faults);
        }
    }

    pub(super) fn finish(self) -> Frames {
        self.frames
    }
}
