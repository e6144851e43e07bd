//! Runs line programs (DWARF 5, 6.2.5).
//!
//! gimli's machine decodes every instruction into a value and keeps registers
//! that no look-up asks for.  Line programs are a fifth of the work of a look-up
//! in a kernel, and this takes a quarter of it.  Headers, forms and numbers are
//! read by gimli.

use super::Slice;
use super::budget::{Failure, Purse};
use gimli::{DwLne, DwLns, LineProgramHeader, Reader as _};

/// The registers of the line-number machine that matter here (DWARF 5, 6.2.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct Registers {
    pub(super) address: u64,
    pub(super) file: u64,
    pub(super) line: u64,
    pub(super) column: u64,
}

const INITIAL: Registers = Registers { address: 0, file: 1, line: 1, column: 0 };

/// What wants to see the rows.
pub(super) trait Rows {
    /// Whether no more rows are wanted.
    fn is_done(&self) -> bool;
    /// A sequence starts at `address`.
    fn start(&mut self, address: u64);
    /// `row` covers what lies before `end`.
    fn cover(&mut self, row: &Registers, end: u64);
}

/// Runs the program of `header`.
///
/// Bundles of operations (VLIW) are not told apart: an address is as near as
/// the sites of any architecture here need.
pub(super) fn run(
    header: &LineProgramHeader<Slice<'_>>,
    rows: &mut impl Rows,
    purse: &mut Purse<'_>,
) -> Result<(), Failure> {
    let mut machine = Machine::new(header);
    // Every byte is read once at most: what that costs is known before.
    purse.spend_many(machine.input.len())?;
    while !rows.is_done() {
        let opcode = match machine.input.slice() {
            [] => break,
            [opcode, rest @ ..] => {
                machine.input = Slice::new(rest, machine.input.endian());
                *opcode
            }
        };
        match machine.execute(opcode)? {
            Step::Registers => {}
            Step::Row => machine.row(rows),
            Step::End => {
                machine.row(rows);
                (machine.last, machine.registers) = (None, INITIAL);
            }
        }
    }
    Ok(())
}

/// What an instruction does beside changing registers.
enum Step {
    Registers,
    Row,
    End,
}

struct Machine<'a, 'b> {
    header: &'b LineProgramHeader<Slice<'a>>,
    input: Slice<'a>,
    registers: Registers,
    /// The last row of the sequence: it covers the addresses up to the next.
    last: Option<Registers>,
    opcode_base: u8,
    instruction_length: u64,
    /// What each special opcode adds to line and address.
    special: [(i16, u8); 256],
}

impl<'a, 'b> Machine<'a, 'b> {
    fn new(header: &'b LineProgramHeader<Slice<'a>>) -> Self {
        let (base, range) = (header.opcode_base(), header.line_range().max(1));
        let mut special = [(0, 0); 256];
        // DWARF 5, 6.2.5.1; divided here once, not for every row.
        for (adjusted, adds) in (0..=255 - base).zip(&mut special[usize::from(base)..]) {
            let line = i16::from(header.line_base()) + i16::from(adjusted % range);
            *adds = (line, adjusted / range);
        }
        Self {
            header,
            input: header.raw_program_buf(),
            registers: INITIAL,
            last: None,
            opcode_base: base,
            special,
            instruction_length: header.minimum_instruction_length().into(),
        }
    }

    #[inline]
    fn row(&mut self, rows: &mut impl Rows) {
        match &self.last {
            Some(row) => rows.cover(row, self.registers.address),
            None => rows.start(self.registers.address),
        }
        self.last = Some(self.registers);
    }

    #[inline]
    fn execute(&mut self, opcode: u8) -> Result<Step, gimli::Error> {
        if opcode >= self.opcode_base {
            let (line, operations) = self.special[usize::from(opcode)];
            self.registers.line = self.registers.line.wrapping_add_signed(line.into());
            self.advance(operations.into());
            return Ok(Step::Row);
        }
        match DwLns(opcode) {
            DwLns(0) => return self.extended(),
            gimli::DW_LNS_copy => return Ok(Step::Row),
            gimli::DW_LNS_advance_pc => {
                let operations = self.unsigned()?;
                self.advance(operations);
            }
            gimli::DW_LNS_advance_line => {
                let line = self.signed()?;
                self.registers.line = self.registers.line.wrapping_add_signed(line);
            }
            gimli::DW_LNS_set_file => self.registers.file = self.unsigned()?,
            gimli::DW_LNS_set_column => self.registers.column = self.unsigned()?,
            gimli::DW_LNS_const_add_pc => self.advance(self.special[255].1.into()),
            gimli::DW_LNS_fixed_advance_pc => {
                let bytes = u64::from(self.input.read_u16()?);
                self.registers.address = self.registers.address.wrapping_add(bytes);
            }
            gimli::DW_LNS_negate_stmt
            | gimli::DW_LNS_set_basic_block
            | gimli::DW_LNS_set_prologue_end
            | gimli::DW_LNS_set_epilogue_begin => {}
            _ => self.skip_operands(opcode)?,
        }
        Ok(Step::Registers)
    }

    /// An unsigned LEB128 number; nearly all are one byte.
    #[inline]
    fn unsigned(&mut self) -> Result<u64, gimli::Error> {
        match self.input.slice() {
            [byte @ 0..0x80, rest @ ..] => {
                self.input = Slice::new(rest, self.input.endian());
                Ok(u64::from(*byte))
            }
            _ => self.input.read_uleb128(),
        }
    }

    /// A signed LEB128 number.
    #[inline]
    fn signed(&mut self) -> Result<i64, gimli::Error> {
        match self.input.slice() {
            [byte @ 0..0x80, rest @ ..] => {
                self.input = Slice::new(rest, self.input.endian());
                // Bit 6 is the sign.
                Ok(i64::from((*byte << 1).cast_signed() >> 1))
            }
            _ => self.input.read_sleb128(),
        }
    }

    #[inline]
    fn advance(&mut self, operations: u64) {
        let bytes = operations.wrapping_mul(self.instruction_length);
        self.registers.address = self.registers.address.wrapping_add(bytes);
    }

    /// Passes over a standard instruction without a meaning here: the header
    /// says how many operands it has.
    fn skip_operands(&mut self, opcode: u8) -> Result<(), gimli::Error> {
        let mut lengths = *self.header.standard_opcode_lengths();
        lengths.skip(usize::from(opcode) - 1)?;
        for _ in 0..lengths.read_u8()? {
            self.input.skip_leb128()?;
        }
        Ok(())
    }

    fn extended(&mut self) -> Result<Step, gimli::Error> {
        let length = usize::try_from(self.input.read_uleb128()?).unwrap_or(usize::MAX);
        let mut operands = self.input.split(length)?;
        if operands.is_empty() {
            return Ok(Step::Registers);
        }
        match DwLne(operands.read_u8()?) {
            gimli::DW_LNE_end_sequence => return Ok(Step::End),
            gimli::DW_LNE_set_address => {
                self.registers.address = operands.read_address(self.header.address_size())?;
            }
            _ => {}
        }
        Ok(Step::Registers)
    }
}
