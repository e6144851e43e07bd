//! Line programs: the row that covers an address, and paths of files.

use super::budget::{Failure, Purse};
use super::{Slice, UnitRef};
use gimli::{ColumnType, LineProgramHeader};

/// A place in a file of the unit; 0 is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) file: u64,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// A line program that has been started.
pub(super) type Rows<'a> =
    gimli::LineRows<Slice<'a>, gimli::IncompleteLineProgram<Slice<'a>>, usize>;

/// Runs a line program and keeps only the rows that cover `probes` (addresses
/// in ascending order); one for each of them, in their order.
pub(super) fn rows_of(
    rows: &mut Rows<'_>,
    probes: &[u64],
    purse: &mut Purse<'_>,
) -> (Vec<Option<Row>>, Option<Failure>) {
    let mut found = vec![None; probes.len()];
    let failure = run(rows, probes, purse, &mut found).err();
    (found, failure)
}

fn run(
    rows: &mut Rows<'_>,
    probes: &[u64],
    purse: &mut Purse<'_>,
    found: &mut [Option<Row>],
) -> Result<(), Failure> {
    // The last row of the sequence: it covers the addresses up to the next.
    let mut last: Option<(u64, Row)> = None;
    // The first probe at or behind the last row's address.
    let mut next = 0;
    let mut open = probes.len();
    while open > 0
        && let Some((_, row)) = rows.next_row()?
    {
        purse.spend()?;
        let address = row.address();
        if let Some((start, covering)) = last {
            // Rows of one address replace each other; rows must not go back.
            if address > start && probes.get(next).is_some_and(|probe| *probe < address) {
                while let Some(probe) = probes.get(next).filter(|probe| **probe < address) {
                    if *probe >= start && found[next].is_none() {
                        found[next] = Some(covering);
                        open -= 1;
                    }
                    next += 1;
                }
            }
        } else {
            next = probes.partition_point(|probe| *probe < address);
        }
        last = (!row.end_sequence()).then(|| (address, place(row)));
    }
    Ok(())
}

fn place(row: &gimli::LineRow) -> Row {
    let number = |value: u64| u32::try_from(value).unwrap_or(0);
    Row {
        file: row.file_index(),
        line: row.line().map_or(0, |line| number(line.get())),
        column: match row.column() {
            ColumnType::LeftEdge => 0,
            ColumnType::Column(column) => number(column.get()),
        },
    }
}

/// Path of a file: the compilation directory, the file's directory and its
/// name, as far as they are relative.
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
