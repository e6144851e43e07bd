//! Addresses to source lines: for each address the whole chain of inlined
//! calls, read from DWARF 2 to 5 with gimli.
//!
//! Nothing is read before it is asked for: [`DebugInfo`] only finds the
//! sections, and a look-up reads the units that cover its addresses and, where
//! the compiler left sibling references (DW_AT_sibling), jumps over every
//! function that holds none of them.
//!
//! # Why not addr2line's `Context`
//! It reads every attribute of every entry of a unit and the roots of all units
//! before the first answer, its walk over inlined calls recurses as deep as the
//! file says, and it loses calls below an inlined call whose ranges are empty.
//! Here the walk has a budget and no recursion, and takes half the time on one
//! core (testdata/BENCH.md).  addr2line remains the demangler, and the oracle of
//! the tests on synthetic images.

mod budget;
mod cursor;
mod demangle;
mod dwarf;
mod entries;
mod frames;
mod functions;
mod key_path;
mod line_program;
mod lines;
mod names;
mod objects;
mod ranges;
mod separate;
mod split;
mod unit_frames;
mod units;
mod unwind;
mod variables;

pub use demangle::{demangled, with_paths};
pub use dwarf::{DebugFault, DebugInfoError};
pub use frames::{Frame, FrameId, Frames, StringId};
pub use objects::{Declaration, ObjectPath, ObjectPaths, ObjectQuery};
pub use separate::{DebugFile, find_debug_file};
pub use unwind::unwind_ranges;

use crate::addr::Svma;
use crate::image::DebugSections;
use budget::Budget;
use dwarf::{DwarfSections, UnitStart};
use frames::FrameSet;
use rayon::prelude::*;
use std::path::Path;
use unit_frames::UnitFrames;
use units::{Lookup, Probe, UnitStarts};

/// The debug sections of one ELF file.
#[derive(Debug)]
pub struct DebugInfo<'data> {
    sections: DwarfSections<'data>,
}

impl<'data> DebugInfo<'data> {
    /// Finds the debug sections, inflates those that are compressed and, in a
    /// relocatable file, relocates them to the addresses that its sections have:
    /// those of its [`crate::image::Image`], or of another file's
    /// ([`DebugSections::placed_as`]).
    ///
    /// # Errors
    /// If there is no `.debug_info`, or a section cannot be inflated.
    pub fn new(elf: &DebugSections<'data>) -> Result<Self, DebugInfoError> {
        Ok(Self { sections: DwarfSections::load(elf)? })
    }

    /// The frames of each of `addresses`, in their order.
    ///
    /// `image` is where the file lies, for split debug information (`.dwo`,
    /// `.dwp`) beside it.  `progress` is called with the number of addresses
    /// done since its last call, from any thread.
    #[must_use]
    pub fn frames(
        &self,
        addresses: &[Svma],
        image: &Path,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Frames {
        let dwarf = self.sections.dwarf();
        let budget = Budget::new(&dwarf);
        let mut frames = FrameSet::new(addresses);
        self.sections.faults().iter().for_each(|fault| frames.fault(fault.clone()));
        let index = match units::UnitIndex::from_aranges(&dwarf) {
            Ok(index) => index,
            Err(error) => {
                frames.fault(DebugFault { unit: None, error: error.to_string() });
                units::UnitIndex::default()
            }
        };
        let starts = UnitStarts::default();
        let shared = Lookup { dwarf: &dwarf, starts: &starts, budget: &budget, image };
        let look_up = |work: &[(UnitStart, Vec<Probe>)]| -> Vec<UnitFrames> {
            // Units cost very different times: one by one, no core is left with many.
            work.par_iter()
                .with_max_len(1)
                .map(|(start, probes)| {
                    let found = unit_frames::resolve(&shared, *start, probes);
                    progress(probes.len());
                    found
                })
                .collect()
        };
        // The nearest unit is nearly always the right one; what it does not
        // know is asked of the next that covers the address.
        for candidate in 0..units::CANDIDATES {
            let work = index.assign(&frames.open(), candidate);
            if work.is_empty() {
                break;
            }
            frames.extend(look_up(&work));
        }
        // Units that no .debug_aranges lists are known only by their roots.
        if !frames.open().is_empty() {
            let (roots, faults) = units::UnitIndex::from_roots(&dwarf, &index, &budget);
            faults.into_iter().for_each(|fault| frames.fault(fault));
            for candidate in 0..units::CANDIDATES {
                let work = roots.assign(&frames.open(), candidate);
                if work.is_empty() {
                    break;
                }
                frames.extend(look_up(&work));
            }
        }
        frames.finish()
    }

    /// For each of `queries` the path from the object to the static key in it,
    /// and their types; see [`ObjectQuery`].  What no unit of the key's sites
    /// knows has none.
    ///
    /// `image` is where the file lies, for split debug information beside it.
    #[must_use]
    pub fn object_paths(&self, queries: &[ObjectQuery<'_>], image: &Path) -> ObjectPaths {
        objects::look_up(&self.sections.dwarf(), queries, image)
    }
}
