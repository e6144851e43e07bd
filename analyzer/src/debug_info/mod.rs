//! From addresses to source lines: for each address the complete chain of inlined calls, read
//! from DWARF 2 to 5 with gimli.
//!
//! Nothing is read before it is needed.  [`DebugInfo`] only finds the sections.  A lookup reads
//! the units that cover its addresses and, if the compiler emitted sibling references
//! (DW_AT_sibling), skips every function that covers none of them.
//!
//! # Our own walk over DWARF entries
//! addr2line's `Context` reads every attribute of every entry of a unit, and the roots of all
//! units, before the first answer.  Its walk over inlined calls recurses as deep as the file
//! demands, and it loses calls below an inlined call with empty ranges.  The walk here has a
//! budget and no recursion, and takes half the time on one core (testdata/BENCH.md).  On two
//! real kernels its frames of all sites are those of llvm-symbolizer.  Line programs are run
//! here as well (`line_program.rs`): a lookup needs four registers and a handful of rows.
//! addr2line remains the demangler, and the oracle of the tests on synthetic images.

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

pub use demangle::{demangled, matches_symbol, with_paths};
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
    /// Finds the debug sections, inflates those that are compressed and, in a relocatable file,
    /// relocates them to the addresses of its sections: those of its [`crate::image::Image`],
    /// or of another file's ([`DebugSections::placed_as`]).
    ///
    /// # Errors
    /// If there is no `.debug_info`, or a section cannot be inflated.
    pub fn new(elf: &DebugSections<'data>) -> Result<Self, DebugInfoError> {
        Ok(Self { sections: DwarfSections::load(elf)? })
    }

    /// The frames of each of `addresses`, in their order.
    ///
    /// `image` is the path of the file: split debug information (`.dwo`, `.dwp`) is searched
    /// for next to it.  `progress` is called, from any thread, with the number of addresses
    /// done since its last call.
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
        let resolve_all = |work: &[(UnitStart, Vec<Probe>)]| -> Vec<UnitFrames> {
            // The cost of units varies widely: they are scheduled one by one to balance the
            // cores.
            work.par_iter()
                .with_max_len(1)
                .map(|(start, probes)| {
                    let found = unit_frames::resolve(&shared, *start, probes);
                    progress(probes.len());
                    found
                })
                .collect()
        };
        // The nearest unit is nearly always the right one.  Addresses that it does not know go
        // to the next unit that covers them.
        for candidate in 0..units::CANDIDATES {
            let work = index.assign(&frames.open(), candidate);
            if work.is_empty() {
                break;
            }
            frames.extend(resolve_all(&work));
        }
        // Units that are missing from .debug_aranges are found by their roots.
        if !frames.open().is_empty() {
            let (roots, faults) = units::UnitIndex::from_roots(&dwarf, &index, &budget);
            faults.into_iter().for_each(|fault| frames.fault(fault));
            for candidate in 0..units::CANDIDATES {
                let work = roots.assign(&frames.open(), candidate);
                if work.is_empty() {
                    break;
                }
                frames.extend(resolve_all(&work));
            }
        }
        frames.finish()
    }

    /// For each of `queries` the path from the object to the static key in it, and the types of
    /// both; see [`ObjectQuery`].  A query has no answer if no unit of the key's sites
    /// describes the object.
    ///
    /// `image` is the path of the file: split debug information is searched for next to it.
    #[must_use]
    pub fn object_paths(&self, queries: &[ObjectQuery<'_>], image: &Path) -> ObjectPaths {
        objects::find_paths(&self.sections.dwarf(), queries, image)
    }
}
