//! Address ranges of an entry: low and high pc, or a list.

use super::budget::{Purse, UnitFailure};
use super::dwarf::{Slice, UnitRef};
use gimli::{AttributeValue, RangeListsOffset};

/// The range attributes of one entry, as read.
#[derive(Debug, Default)]
pub(super) struct RangeAttributes {
    low: Option<u64>,
    high: Option<High>,
    list: Option<RangeListsOffset<usize>>,
}

#[derive(Debug, Clone, Copy)]
enum High {
    Address(u64),
    Size(u64),
}

impl RangeAttributes {
    /// Takes an attribute if it is one of these.
    pub(super) fn take<'a>(
        &mut self,
        unit: UnitRef<'_, 'a>,
        name: gimli::DwAt,
        value: AttributeValue<Slice<'a>>,
    ) -> Result<(), gimli::Error> {
        match (name, value) {
            (gimli::DW_AT_low_pc, value) => self.low = unit.attr_address(value)?,
            (gimli::DW_AT_high_pc, AttributeValue::Udata(size)) => {
                self.high = Some(High::Size(size));
            }
            (gimli::DW_AT_high_pc, value) => {
                self.high = unit.attr_address(value)?.map(High::Address);
            }
            (gimli::DW_AT_ranges, value) => self.list = unit.attr_ranges_offset(value)?,
            _ => {}
        }
        Ok(())
    }

    /// Calls `found` with the begin and the end of each non-empty range.
    pub(super) fn for_each(
        &self,
        unit: UnitRef<'_, '_>,
        purse: &mut Purse<'_>,
        mut found: impl FnMut(u64, u64),
    ) -> Result<(), UnitFailure> {
        let mut add = |begin: u64, end: u64| {
            if begin < end {
                found(begin, end);
            }
        };
        if let Some(list) = self.list {
            let mut ranges = unit.ranges(list)?;
            while let Some(range) = ranges.next()? {
                purse.spend()?;
                add(range.begin, range.end);
            }
            return Ok(());
        }
        match (self.low, self.high) {
            (Some(low), Some(High::Address(high))) => add(low, high),
            // A tombstone (−1) wraps, so its range is empty.
            (Some(low), Some(High::Size(size))) => add(low, low.wrapping_add(size)),
            _ => {}
        }
        Ok(())
    }
}
