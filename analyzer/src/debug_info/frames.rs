//! Frames of many addresses, and how they are collected.

use super::error::DebugFault;
use super::look_up::{Probe, UnitFrames};
use crate::addr::Svma;
use foldhash::{HashMap, HashMapExt as _};
use std::ops::Range;

/// One frame: a function, and the place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// The function; `None` if nothing names it.
    pub function: Option<StringId>,
    /// Path of the source file.
    pub file: Option<StringId>,
    /// Line, from 1.
    pub line: Option<u32>,
    /// Column, from 1.
    pub column: Option<u32>,
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
    chains: Vec<Range<usize>>,
    faults: Vec<DebugFault>,
}

impl Frames {
    /// The frames of the address at `index`, innermost first; empty if nothing
    /// is known of it.
    #[must_use]
    pub fn chain(&self, index: usize) -> &[Frame] {
        self.chains.get(index).map_or(&[], |range| &self.frames[range.clone()])
    }

    /// A name or path.
    #[must_use]
    pub fn string(&self, id: StringId) -> &str {
        &self.strings[id.index()]
    }

    /// All names and paths, each once; [`StringId::index`] counts them.
    #[must_use]
    pub fn strings(&self) -> &[String] {
        &self.strings
    }

    /// Units that could not be read whole.
    #[must_use]
    pub fn faults(&self) -> &[DebugFault] {
        &self.faults
    }
}

/// Frames while they are collected from units.
pub(super) struct FrameSet {
    addresses: Vec<Svma>,
    known: HashMap<String, StringId>,
    frames: Frames,
}

impl FrameSet {
    pub(super) fn new(addresses: &[Svma]) -> Self {
        let frames = Frames { chains: vec![0..0; addresses.len()], ..Frames::default() };
        Self { addresses: addresses.to_vec(), known: HashMap::new(), frames }
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
            let ids: Vec<StringId> =
                unit.strings.into_iter().map(|text| self.intern(text)).collect();
            let global = |local: Option<u32>| local.map(|local| ids[local as usize]);
            for (index, chain) in unit.chains {
                let start = self.frames.frames.len();
                self.frames.frames.extend(unit.frames[chain].iter().map(|frame| Frame {
                    function: global(frame.function),
                    file: global(frame.file),
                    line: (frame.line != 0).then_some(frame.line),
                    column: (frame.line != 0 && frame.column != 0).then_some(frame.column),
                }));
                self.frames.chains[index] = start..self.frames.frames.len();
            }
            self.frames.faults.extend(unit.faults);
        }
    }

    pub(super) fn finish(self) -> Frames {
        self.frames
    }

    fn intern(&mut self, text: String) -> StringId {
        let strings = &mut self.frames.strings;
        *self.known.entry(text).or_insert_with_key(|text| {
            let id = StringId(u32::try_from(strings.len()).unwrap_or(u32::MAX));
            strings.push(text.clone());
            id
        })
    }
}
