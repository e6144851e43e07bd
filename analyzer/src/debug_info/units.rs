//! Finds the unit that covers an address, by `.debug_aranges` or else by the roots of the
//! units.

use super::budget::{Budget, UnitFailure};
use super::dwarf::{DebugFault, Dwarf, Slice, Unit, UnitRef, UnitStart};
use super::ranges::RangeAttributes;
use crate::addr::Svma;
use foldhash::HashSet;
use gimli::AttributeValue;
use rayon::prelude::*;
use std::path::Path;
use std::sync::OnceLock;

/// Most references that are followed from one entry; real chains have two or three.
pub(super) const REFERENCES: usize = 16;
/// Most units that are asked about one address.
pub(super) const CANDIDATES: usize = 8;

/// An address of a lookup.
#[derive(Debug, Clone, Copy)]
pub(super) struct Probe {
    pub(super) address: Svma,
    /// Its index in the caller's list.
    pub(super) index: usize,
}

/// The context that all units of a lookup share.
pub(super) struct Lookup<'a> {
    pub(super) dwarf: &'a Dwarf<'a>,
    pub(super) starts: &'a UnitStarts,
    pub(super) budget: &'a Budget,
    /// The path of the image; split debug information is searched for next to it.
    pub(super) image: &'a Path,
}

/// Offsets of all units, listed on first use.
#[derive(Debug, Default)]
pub(super) struct UnitStarts(OnceLock<Vec<UnitStart>>);

impl UnitStarts {
    /// The start of the unit that contains an offset in `.debug_info`.
    pub(super) fn unit_of(&self, dwarf: &Dwarf<'_>, reference: UnitStart) -> Option<UnitStart> {
        let starts = self.0.get_or_init(|| {
            let mut headers = dwarf.units();
            // The list ends at a damaged header: the units after it cannot be found.
            std::iter::from_fn(|| headers.next().ok().flatten())
                .filter_map(|header| header.debug_info_offset())
                .collect()
        });
        let after = starts.partition_point(|start| start.0 <= reference.0);
        starts[..after].last().copied()
    }
}

/// The target of a reference: in the same unit, or anywhere in `.debug_info`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Reference {
    Here(usize),
    Anywhere(usize),
}

impl Reference {
    /// The target that an attribute states; `None` if its form is not a reference.
    pub(super) fn of(value: &AttributeValue<Slice<'_>>) -> Option<Self> {
        match value {
            AttributeValue::UnitRef(at) => Some(Self::Here(at.0)),
            AttributeValue::DebugInfoRef(at) => Some(Self::Anywhere(at.0)),
            _ => None,
        }
    }
}

/// Address ranges of units.
#[derive(Debug, Default)]
pub(super) struct UnitIndex {
    /// Sorted by begin.
    ranges: Vec<UnitRange>,
    /// Units that occur in `ranges`.
    units: HashSet<usize>,
}

#[derive(Debug, Clone, Copy)]
struct UnitRange {
    begin: u64,
    end: u64,
    highest_end: u64,
    unit: UnitStart,
}

impl UnitIndex {
    pub(super) fn from_aranges(dwarf: &Dwarf<'_>) -> Result<Self, gimli::Error> {
        let mut ranges = Vec::new();
        let mut headers = dwarf.debug_aranges.headers();
        while let Some(header) = headers.next()? {
            let unit = header.debug_info_offset();
            let mut entries = header.entries();
            // An error concerns a single entry (an end beyond the address space); after any
            // other error the iterator ends by itself.
            while let Some(entry) = entries.next().transpose() {
                let Ok(entry) = entry else { continue };
                let range = entry.range();
                ranges.push((range.begin, range.end, unit));
            }
        }
        Ok(Self::new(ranges))
    }

    /// The ranges in the roots of all units that `listed` does not contain.
    pub(super) fn from_roots(
        dwarf: &Dwarf<'_>,
        listed: &Self,
        budget: &Budget,
    ) -> (Self, Vec<DebugFault>) {
        let mut headers = Vec::new();
        let mut faults = Vec::new();
        let mut units = dwarf.units();
        loop {
            match units.next() {
                Ok(Some(header)) => headers.push(header),
                Ok(None) => break,
                Err(error) => {
                    faults.push(DebugFault { unit: None, error: error.to_string() });
                    break;
                }
            }
        }
        let roots = headers.into_par_iter().filter_map(|header| {
            let start = header.debug_info_offset()?;
            if listed.units.contains(&start.0) {
                return None;
            }
            let ranges = dwarf.unit(header).map_err(UnitFailure::from).and_then(|unit| {
                let mut purse = budget.purse();
                let mut found = Vec::new();
                let ranges = root_ranges(&unit, UnitRef::new(dwarf, &unit))?;
                ranges.for_each(UnitRef::new(dwarf, &unit), &mut purse, |begin, end| {
                    found.push((begin, end, start));
                })?;
                Ok(found)
            });
            Some(ranges.map_err(|error| DebugFault {
                unit: Some(start.0 as u64),
                error: error.to_string(),
            }))
        });
        let mut ranges = Vec::new();
        for root in roots.collect::<Vec<_>>() {
            match root {
                Ok(found) => ranges.extend(found),
                Err(fault) => faults.push(fault),
            }
        }
        (Self::new(ranges), faults)
    }

    fn new(mut ranges: Vec<(u64, u64, UnitStart)>) -> Self {
        ranges.retain(|(begin, end, _)| begin < end);
        ranges.sort_unstable_by_key(|(begin, end, unit)| (*begin, *end, unit.0));
        let mut highest_end = 0;
        let ranges: Vec<UnitRange> = ranges
            .into_iter()
            .map(|(begin, end, unit)| {
                highest_end = highest_end.max(end);
                UnitRange { begin, end, highest_end, unit }
            })
            .collect();
        let units = ranges.iter().map(|range| range.unit.0).collect();
        Self { ranges, units }
    }

    /// Groups the probes by the unit that is their candidate number `candidate`, in order of
    /// distance.
    pub(super) fn assign(
        &self,
        probes: &[Probe],
        candidate: usize,
    ) -> Vec<(UnitStart, Vec<Probe>)> {
        let mut pairs: Vec<(usize, Probe)> = probes
            .iter()
            .filter_map(|probe| Some((self.covering(probe.address.0).nth(candidate)?.0, *probe)))
            .collect();
        pairs.sort_unstable_by_key(|(unit, probe)| (*unit, probe.address, probe.index));
        pairs
            .chunk_by(|(a, _), (b, _)| a == b)
            .map(|group| {
                let start = gimli::DebugInfoOffset(group[0].0);
                (start, group.iter().map(|(_, probe)| *probe).collect())
            })
            .collect()
    }

    /// Units that cover an address, in order of distance of their begin.
    pub(super) fn covering(&self, address: u64) -> impl Iterator<Item = UnitStart> {
        let after = self.ranges.partition_point(|range| range.begin <= address);
        let mut last = None;
        self.ranges[..after]
            .iter()
            .rev()
            .take(4 * CANDIDATES)
            .take_while(move |range| range.highest_end > address)
            .filter(move |range| {
                address < range.end && last.replace(range.unit) != Some(range.unit)
            })
            .map(|range| range.unit)
    }
}

/// The ranges of a unit's root.  gimli's `unit_ranges` adds low pc and size without a check,
/// which overflows for a tombstone (-1).
fn root_ranges<'a>(
    unit: &Unit<'a>,
    of_unit: UnitRef<'_, 'a>,
) -> Result<RangeAttributes, gimli::Error> {
    let mut ranges = RangeAttributes::default();
    let mut entries = unit.entries_raw(None)?;
    if let Some(abbreviation) = entries.read_abbreviation()? {
        for spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            ranges.take(of_unit, attribute.name(), attribute.value())?;
        }
    }
    Ok(ranges)
}
