//! A bound on the work that a file can cause.
//!
//! Valid debug information is read once: every entry, range and line row costs one unit of
//! work, and their number is bounded by the size of the sections. In damaged or hostile debug
//! information units overlap and lists are shared, so that the work would grow with the square
//! of the size.  The budget stops that.

use super::dwarf::Dwarf;
use gimli::Section as _;
use std::sync::atomic::{AtomicI64, Ordering};

/// Work left for one lookup, shared by its threads.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicI64,
}

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

/// How often each byte of the sections may be read.
const READS: usize = 4;
/// Work that every file may cause, however small.
const LEAST: usize = 1 << 20;
/// Units that a [`Purse`] draws at once, so that threads rarely contend for the counter.
const DRAWN: i64 = 1 << 14;

impl Budget {
    pub(super) fn new(dwarf: &Dwarf<'_>) -> Self {
        let ranges = dwarf.ranges.debug_ranges().reader().len();
        let size = dwarf.debug_info.reader().len() + dwarf.debug_line.reader().len() + ranges;
        let left = size.saturating_mul(READS).saturating_add(LEAST);
        Self { left: AtomicI64::new(i64::try_from(left).unwrap_or(i64::MAX)) }
    }

    pub(super) fn purse(&self) -> Purse<'_> {
        Purse { budget: self, left: 0 }
    }
}

/// One thread's share of a [`Budget`].
#[derive(Debug)]
pub(super) struct Purse<'a> {
    budget: &'a Budget,
    left: i64,
}

impl Purse<'_> {
    /// Takes `units` units of work.
    pub(super) fn spend_many(&mut self, units: usize) -> Result<(), Spent> {
        let units = i64::try_from(units).unwrap_or(i64::MAX);
        if self.left < units {
            let drawn = units.saturating_add(DRAWN);
            let left = self.budget.left.fetch_sub(drawn, Ordering::Relaxed);
            if left < drawn {
                self.budget.left.fetch_add(drawn, Ordering::Relaxed);
                return Err(Spent);
            }
            self.left = self.left.saturating_add(drawn);
        }
        self.left -= units;
        Ok(())
    }

    /// Takes one unit of work.
    pub(super) fn spend(&mut self) -> Result<(), Spent> {
        if self.left == 0 {
            // Relaxed: nothing else is published through the counter.
            if self.budget.left.fetch_sub(DRAWN, Ordering::Relaxed) < DRAWN {
                return Err(Spent);
            }
            self.left = DRAWN;
        }
        self.left -= 1;
        Ok(())
    }
}

impl Drop for Purse<'_> {
    fn drop(&mut self) {
        self.budget.left.fetch_add(self.left, Ordering::Relaxed);
    }
}

/// Why a unit could not be read to the end.
#[derive(Debug, Clone, Copy)]
pub(super) enum UnitFailure {
    /// gimli rejects the DWARF.
    Dwarf(gimli::Error),
    /// The budget is spent.
    Spent,
}

impl From<gimli::Error> for UnitFailure {
    fn from(error: gimli::Error) -> Self {
        Self::Dwarf(error)
    }
}

impl From<Spent> for UnitFailure {
    fn from(Spent: Spent) -> Self {
        Self::Spent
    }
}

impl std::fmt::Display for UnitFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dwarf(error) => write!(f, "{error}"),
            Self::Spent => f.write_str(
                "reading it takes more steps than valid debug information of this size needs",
            ),
        }
    }
}
