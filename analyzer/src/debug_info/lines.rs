//! The row of a line program that covers an address, and paths of source files.

use super::budget::{Purse, UnitFailure};
use super::dwarf::{Slice, UnitRef};
use super::line_program::{self, LineRegisters, Rows};
use gimli::LineProgramHeader;

/// A position in a file of the unit; 0 is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineRow {
    pub(super) file: u64,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Runs a line program and returns, for each of `probes` (addresses in ascending order), the
/// row that covers it.
pub(super) fn rows_of(
    header: &LineProgramHeader<Slice<'_>>,
    probes: &[u64],
    purse: &mut Purse<'_>,
) -> (Vec<Option<LineRow>>, Option<UnitFailure>) {
    let mut search =
        RowSearch { probes, next: 0, open: probes.len(), found: vec![None; probes.len()] };
    let failure = line_program::run(header, &mut search, purse).err();
    (search.found, failure)
}

impl From<&LineRegisters> for LineRow {
    fn from(registers: &LineRegisters) -> Self {
        let number = |value: u64| u32::try_from(value).unwrap_or(0);
        Self {
            file: registers.file,
            line: number(registers.line),
            column: number(registers.column),
        }
    }
}

/// The probes that are searched while rows pass by.
struct RowSearch<'a> {
    probes: &'a [u64],
    /// The first probe at or after the last row's address.
    next: usize,
    /// Number of probes without a row yet.
    open: usize,
    found: Vec<Option<LineRow>>,
}

impl Rows for RowSearch<'_> {
    fn is_done(&self) -> bool {
        self.open == 0
    }

    fn start(&mut self, address: u64) {
        self.next = self.probes.partition_point(|probe| *probe < address);
    }

    /// `row` covers the addresses below `end`.  Of several rows at one address the last counts,
    /// and a row that goes backwards covers nothing.
    fn cover(&mut self, row: &LineRegisters, end: u64) {
        while let Some(probe) = self.probes.get(self.next).filter(|probe| **probe < end) {
            if *probe >= row.address && self.found[self.next].is_none() {
                self.found[self.next] = Some(row.into());
                self.open -= 1;
            }
            self.next += 1;
        }
    }
}

/// Path of a file: the compilation directory, the file's directory and its name, as far as each
/// is relative.
pub(super) fn path_of<'a>(
    unit: UnitRef<'_, 'a>,
    header: &LineProgramHeader<Slice<'a>>,
    file: u64,
) -> Option<String> {
    let entry = header.file(file)?;
    let mut path =
        unit.comp_dir.map(|directory| directory.to_string_lossy().into_owned()).unwrap_or_default();
    // Directory 0 is the compilation directory.
    if entry.directory_index() != 0
        && let Some(directory) = entry.directory(header)
    {
        push(&mut path, &unit.attr_string(directory).ok()?.to_string_lossy());
    }
    push(&mut path, &unit.attr_string(entry.path_name()).ok()?.to_string_lossy());
    Some(path)
}

fn push(path: &mut String, part: &str) {
    if part.starts_with('/') {
        path.clear();
    } else if !path.is_empty() && !path.ends_with('/') {
        path.push('/');
    }
    path.push_str(part);
}
