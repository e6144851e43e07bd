//! A bound on the work that a file can cause.
//!
//! Sound debug information is read once: every entry, range and line row costs
//! one unit of work, and their number is bounded by the size of the sections.
//! Damaged or hostile information can make units overlap and lists be shared,
//! so that the work grows with the square of the size; the budget ends that.

use super::dwarf::Dwarf;
use gimli::Section as _;
use std::sync::atomic::{AtomicI64, Ordering};

/// Work left for one look-up, shared by its threads.
#[derive(Debug)]
pub(super) struct Budget {
    left: AtomicI64,
}

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spent;

/// Each byte of the sections may be read this often.
const READS: usize = 4;
/// Work that any file may cause, however small.
const LEAST: usize = 1 << 20;
/// What a [`Purse`] takes out at once, so that threads seldom meet here.
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
    /// Takes as many units of work at once.
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

/// Why a unit could not be read to its end.
#[derive(Debug, Clone, Copy)]
pub(super) enum UnitFailure {
    /// DWARF that gimli refuses.
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
                "reading it takes more steps than sound debug information of this size can need",
            ),
        }
    }
}
