//! Line programs: the row that covers an address, and paths of files.

use super::budget::{Failure, Purse};
use super::{Slice, UnitRef};
use gimli::{LineInstruction, LineProgramHeader};

/// A place in a file of the unit; 0 is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) file: u64,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Runs a line program and keeps only the rows that cover `probes` (addresses
/// in ascending order); one for each of them, in their order.
pub(super) fn rows_of(
    header: &LineProgramHeader<Slice<'_>>,
    probes: &[u64],
    purse: &mut Purse<'_>,
) -> (Vec<Option<Row>>, Option<Failure>) {
    let mut search =
        Search { probes, next: 0, open: probes.len(), found: vec![None; probes.len()] };
    let failure = run(header, &mut search, purse).err();
    (search.found, failure)
}

/// The registers of the line-number machine that matter here (DWARF 5, 6.2.2).
#[derive(Debug, Clone, Copy)]
struct Registers {
    address: u64,
    file: u64,
    line: u64,
    column: u64,
}

const INITIAL: Registers = Registers { address: 0, file: 1, line: 1, column: 0 };

/// Runs the instructions (DWARF 5, 6.2.5), which gimli decodes.  gimli's own
/// machine keeps all registers and gives out every row; a look-up wants few.
///
/// Bundles of operations (VLIW) are not told apart: an address is as near as
/// the sites of any architecture here need.
fn run(
    header: &LineProgramHeader<Slice<'_>>,
    search: &mut Search<'_>,
    purse: &mut Purse<'_>,
) -> Result<(), Failure> {
    let mut instructions = header.instructions();
    let mut registers = INITIAL;
    // The last row of the sequence: it covers the addresses up to the next.
    let mut last: Option<Registers> = None;
    let unit = u64::from(header.minimum_instruction_length());
    let range = header.line_range().max(1);
    let base = header.opcode_base();
    while search.open > 0
        && let Some(instruction) = instructions.next_instruction(header)?
    {
        purse.spend()?;
        let is_end = match instruction {
            LineInstruction::Special(opcode) => {
                let adjusted = opcode.wrapping_sub(base);
                let line = i64::from(header.line_base()) + i64::from(adjusted % range);
                registers.line = registers.line.wrapping_add_signed(line);
                registers.advance(u64::from(adjusted / range), unit);
                false
            }
            LineInstruction::Copy => false,
            LineInstruction::EndSequence => true,
            other => {
                match other {
                    LineInstruction::AdvancePc(by) => registers.advance(by, unit),
                    LineInstruction::AdvanceLine(by) => {
                        registers.line = registers.line.wrapping_add_signed(by);
                    }
                    LineInstruction::SetFile(file) => registers.file = file,
                    LineInstruction::SetColumn(column) => registers.column = column,
                    LineInstruction::ConstAddPc => {
                        registers.advance(u64::from(255u8.wrapping_sub(base) / range), unit);
                    }
                    LineInstruction::FixedAddPc(by) => registers.advance(by.into(), 1),
                    LineInstruction::SetAddress(address) => registers.address = address,
                    _ => {}
                }
                continue;
            }
        };
        match last {
            Some(row) => search.cover(&row, registers.address),
            None => search.start(registers.address),
        }
        last = (!is_end).then_some(registers);
        if is_end {
            registers = INITIAL;
        }
    }
    Ok(())
}

impl Registers {
    fn advance(&mut self, operations: u64, bytes: u64) {
        self.address = self.address.wrapping_add(operations.wrapping_mul(bytes));
    }
}

impl From<&Registers> for Row {
    fn from(registers: &Registers) -> Self {
        let number = |value: u64| u32::try_from(value).unwrap_or(0);
        Self {
            file: registers.file,
            line: number(registers.line),
            column: number(registers.column),
        }
    }
}

/// Addresses that are looked for while rows go by.
struct Search<'a> {
    probes: &'a [u64],
    /// The first probe at or behind the last row's address.
    next: usize,
    /// Probes without a row yet.
    open: usize,
    found: Vec<Option<Row>>,
}

impl Search<'_> {
    /// A sequence starts.
    fn start(&mut self, address: u64) {
        self.next = self.probes.partition_point(|probe| *probe < address);
    }

    /// `row` covers what lies before `end`.  Rows of one address replace each
    /// other, and rows that go back cover nothing.
    fn cover(&mut self, row: &Registers, end: u64) {
        while let Some(probe) = self.probes.get(self.next).filter(|probe| **probe < end) {
            if *probe >= row.address && self.found[self.next].is_none() {
                self.found[self.next] = Some(row.into());
                self.open -= 1;
            }
            self.next += 1;
        }
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
