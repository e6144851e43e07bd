//! The load address, from the relocations that a raw image contains.
//!
//! A relocatable arm64 or riscv64 kernel is linked like a shared object, and applies its own
//! `.rela.dyn` when it starts.  Until then words that hold addresses may be 0
//! (`--no-apply-dynamic-relocs`).  A flat image has no section headers, but thousands of
//! consecutive RELA records: address, type and value (gABI, "Relocation"; AAELF64:
//! R_AARCH64_RELATIVE; RISC-V psABI: R_RISCV_RELATIVE).  `arch/*/kernel/vmlinux.lds.S` keeps
//! them in the image between `__rela_start` and `__rela_end`, or `__rela_dyn_start` and its
//! end.

use super::bytes::Bytes;
use memchr::memmem;
use std::ops::Range;

/// R_AARCH64_RELATIVE and R_RISCV_RELATIVE.
const RELATIVE: [u64; 2] = [1027, 3];
/// Size of an Elf64_Rela, in bytes.
const RECORD: usize = 24;
/// Fewest consecutive records; a kernel has tens of thousands.
const FEWEST: usize = 64;
/// Load addresses are multiples of this on every 64-bit architecture.
const PAGE: u64 = 4096;
/// Number of records whose values are compared with the symbols.
const SAMPLES: usize = 256;
/// Most load addresses that are tried.
const MOST_CANDIDATES: usize = 1024;
/// A load address is accepted if one in this many sampled values is a symbol; values are
/// functions, objects and strings.
const ONE_IN: usize = 8;

/// The ranges in `data` of long runs of RELA records that fill words with addresses.
pub(in crate::image) fn relative_relocations(data: &[u8], big_endian: bool) -> Vec<Range<usize>> {
    let found = RelativeRelocations::find(Bytes::new(data, big_endian));
    found.iter().flat_map(RelativeRelocations::ranges).collect()
}

/// A possible location of the image in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placement {
    /// Address of the first searched byte.
    pub(super) load: u64,
    /// The address that symbols are relative to.
    pub(super) base: u64,
}

/// The evidence that a placement must agree with.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlacementEvidence<'a> {
    /// Symbols, relative to the base, ascending.
    pub(super) symbols: &'a [u64],
    /// Symbols, relative to the base, that may mark the first byte of an image.
    pub(super) heads: &'a [u64],
}

/// The records that fill a word with load bias plus addend.
#[derive(Debug)]
pub(super) struct RelativeRelocations<'data> {
    bytes: Bytes<'data>,
    /// Offset and number of records of each run.
    runs: Vec<(usize, usize)>,
    lowest: u64,
    highest: u64,
}

impl<'data> RelativeRelocations<'data> {
    /// All long runs of records.
    pub(super) fn find(bytes: Bytes<'data>) -> Option<Self> {
        let runs = RELATIVE.into_iter().map(|kind| runs(bytes, kind));
        let runs = runs.into_iter().find(|runs| !runs.is_empty())?;
        let mut all = Self { bytes, runs, lowest: u64::MAX, highest: 0 };
        let (lowest, highest) =
            all.records().fold((u64::MAX, 0), |(low, high), (at, _)| (low.min(at), high.max(at)));
        (all.lowest, all.highest) = (lowest, highest);
        Some(all)
    }

    /// The ranges of the records in the bytes.
    pub(super) fn ranges(&self) -> impl Iterator<Item = Range<usize>> {
        self.runs.iter().map(|(start, count)| *start..start + count * RECORD)
    }

    /// Number of records.
    pub(super) fn count(&self) -> usize {
        self.runs.iter().map(|(_, count)| count).sum()
    }

    /// The placement in which one record fills the word at `base_at` with the base, and the
    /// values of the others are symbols.
    pub(super) fn place(
        &self,
        base_at: usize,
        evidence: PlacementEvidence<'_>,
    ) -> Option<Placement> {
        let placements = self.records().filter_map(|(at, base)| {
            let load = at.checked_sub(base_at as u64)?;
            let inside = base.checked_sub(load).is_some_and(|offset| self.covers(offset));
            (inside && self.is_possible(load)).then_some(Placement { load, base })
        });
        self.best(placements, evidence)
    }

    /// The placement in which the symbols, relative to the first searched byte, are the values
    /// of most records.
    pub(super) fn place_by_values(&self, evidence: PlacementEvidence<'_>) -> Option<Placement> {
        /// Kernels start at multiples of 64 KiB: SEGMENT_ALIGN of arm64.
        const STEP: u64 = 1 << 16;
        let lowest = self.highest.saturating_sub(self.bytes.len() as u64);
        let loads = (lowest.checked_next_multiple_of(STEP)?..=self.lowest).step_by(1 << 16);
        let placements = loads.map(|load| Placement { load, base: load });
        self.best(placements.filter(|place| self.is_possible(place.load)), evidence)
    }

    fn covers(&self, offset: u64) -> bool {
        offset < self.bytes.len() as u64
    }

    /// Whether all records fill words of an image loaded at `load`.
    fn is_possible(&self, load: u64) -> bool {
        let last = self.highest.checked_sub(load).and_then(|last| last.checked_add(7));
        load.is_multiple_of(PAGE) && load <= self.lowest && last.is_some_and(|at| self.covers(at))
    }

    /// The placement with the best rating, unless another has the same rating.
    fn best(
        &self,
        placements: impl Iterator<Item = Placement>,
        evidence: PlacementEvidence<'_>,
    ) -> Option<Placement> {
        let samples = self.samples();
        let mut rated: Vec<_> = placements
            .take(MOST_CANDIDATES)
            .map(|place| (rate(place, evidence, &samples), place))
            .filter(|((is_head, values), _)| *is_head || *values * ONE_IN >= samples.len())
            .collect();
        rated.sort_unstable_by_key(|(rating, _)| *rating);
        let (rating, place) = rated.pop()?;
        let rival = rated
            .iter()
            .any(|(other, other_placement)| *other == rating && *other_placement != place);
        (!rival).then_some(place)
    }

    /// Values of a sample of the records.
    fn samples(&self) -> Vec<u64> {
        let step = (self.count() / SAMPLES).max(1);
        self.records().step_by(step).map(|(_, addend)| addend).collect()
    }

    /// Address and value of each record.
    fn records(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().flat_map(|(start, count)| {
            let words = self.bytes.u64s(*start, count * 3);
            let mut words = words.into_iter().flatten();
            std::iter::from_fn(move || {
                let at = words.next()?;
                let addend = words.nth(1)?;
                Some((at, addend))
            })
        })
    }
}

/// Whether a symbol that marks the start of an image lies at its first byte, and the number of
/// sampled values that are symbols.
fn rate(place: Placement, evidence: PlacementEvidence<'_>, samples: &[u64]) -> (bool, usize) {
    let is_head = evidence.heads.iter().any(|head| place.base.wrapping_add(*head) == place.load);
    let is_symbol = |value: &&u64| {
        let offset = value.wrapping_sub(place.base);
        evidence.symbols.binary_search(&offset).is_ok()
    };
    (is_head, samples.iter().filter(is_symbol).count())
}

/// Offset and length of each long run of records of type `kind`.
fn runs(bytes: Bytes<'_>, kind: u64) -> Vec<(usize, usize)> {
    let pattern = if bytes.is_big_endian() { kind.to_be_bytes() } else { kind.to_le_bytes() };
    let mut runs = Vec::new();
    let mut after = 0;
    for place in memmem::find_iter(bytes.all(), &pattern) {
        let Some(start) = place.checked_sub(8) else { continue };
        if start < after || !start.is_multiple_of(8) {
            continue;
        }
        let more = (start + RECORD..).step_by(RECORD);
        let count = 1 + more.take_while(|at| bytes.u64(at + 8) == Some(kind)).count();
        // The addend of the last record may be truncated.
        let count = if bytes.u64(start + count * RECORD - 8).is_some() { count } else { count - 1 };
        if count >= FEWEST {
            runs.push((start, count));
            after = start + count * RECORD;
        }
    }
    runs
}
