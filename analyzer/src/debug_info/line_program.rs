//! Runs line programs (DWARF 5, 6.2.5).
//!
//! gimli's machine decodes every instruction into a value and maintains registers that no
//! lookup uses.  In a kernel line programs are a fifth of the work of a lookup; this machine
//! takes a quarter of gimli's time for them.  gimli reads headers, forms and numbers.

use super::budget::{Purse, UnitFailure};
use super::dwarf::Slice;
use gimli::{DwLne, DwLns, LineProgramHeader, Reader as _};

/// The registers of the line-number machine that a lookup uses (DWARF 5, 6.2.2).
#[derive(Debug, Clone, Copy)]
pub(super) struct LineRegisters {
    pub(super) address: u64,
    pub(super) file: u64,
    pub(super) line: u64,
    pub(super) column: u64,
}

const INITIAL: LineRegisters = LineRegisters { address: 0, file: 1, line: 1, column: 0 };

/// A consumer of rows.
pub(super) trait Rows {
    /// Whether the consumer needs no more rows.
    fn is_done(&self) -> bool;
    /// A sequence starts at `address`.
    fn start(&mut self, address: u64);
    /// `row` covers the addresses below `end`.
    fn cover(&mut self, row: &LineRegisters, end: u64);
}

/// Runs the program of `header`.
///
/// Operations of one bundle (VLIW) are not distinguished: no architecture here has bundles.
pub(super) fn run(
    header: &LineProgramHeader<Slice<'_>>,
    rows: &mut impl Rows,
    purse: &mut Purse<'_>,
) -> Result<(), UnitFailure> {
    let mut machine = LineMachine::new(header);
    // Each byte is read at most once, so the cost is known in advance.
    purse.spend_many(machine.bytes.len())?;
    while !rows.is_done() {
        let Some((&opcode, rest)) = machine.bytes.split_first() else { break };
        machine.bytes = rest;
        if opcode >= machine.opcode_base {
            let (line, bytes) = machine.special[usize::from(opcode)];
            let registers = &mut machine.registers;
            registers.line = registers.line.wrapping_add_signed(line.into());
            registers.address = registers.address.wrapping_add(bytes.into());
            machine.row(rows);
            continue;
        }
        match (DwLns(opcode), rest) {
            // Nearly all operands are one byte.
            (gimli::DW_LNS_set_column, [column @ 0..0x80, rest @ ..]) => {
                machine.registers.column = u64::from(*column);
                machine.bytes = rest;
            }
            (gimli::DW_LNS_advance_line, [line @ 0..0x80, rest @ ..]) => {
                // Bit 6 is the sign of a SLEB128 number of one byte.
                let line = i64::from((*line << 1).cast_signed() >> 1);
                machine.registers.line = machine.registers.line.wrapping_add_signed(line);
                machine.bytes = rest;
            }
            (gimli::DW_LNS_negate_stmt, _) => {}
            (gimli::DW_LNS_copy, _) => machine.row(rows),
            _ => {
                if machine.execute(opcode)? == SequenceStep::End {
                    machine.row(rows);
                    (machine.last, machine.registers) = (None, INITIAL);
                }
            }
        }
    }
    Ok(())
}

/// The effect of a less frequent instruction apart from changing registers.
#[derive(PartialEq, Eq)]
enum SequenceStep {
    Nothing,
    /// Ends the sequence.
    End,
}

struct LineMachine<'a, 'b> {
    header: &'b LineProgramHeader<Slice<'a>>,
    bytes: &'a [u8],
    registers: LineRegisters,
    /// The last row of the sequence; it covers the addresses up to the next row.
    last: Option<LineRegisters>,
    opcode_base: u8,
    instruction_length: u64,
    /// The values that each special opcode adds to line and address (in bytes).
    special: [(i16, u16); 256],
}

impl<'a, 'b> LineMachine<'a, 'b> {
    fn new(header: &'b LineProgramHeader<Slice<'a>>) -> Self {
        let (base, range) = (header.opcode_base(), header.line_range().max(1));
        let length = header.minimum_instruction_length();
        let mut special = [(0, 0); 256];
        // DWARF 5, 6.2.5.1; the division is done once, not for every row.
        for (adjusted, adds) in (0..=255 - base).zip(&mut special[usize::from(base)..]) {
            let line = i16::from(header.line_base()) + i16::from(adjusted % range);
            *adds = (line, u16::from(adjusted / range) * u16::from(length));
        }
        Self {
            header,
            bytes: header.raw_program_buf().slice(),
            registers: INITIAL,
            last: None,
            opcode_base: base,
            special,
            instruction_length: length.into(),
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

    /// Executes a standard or extended instruction; its opcode has been read.
    fn execute(&mut self, opcode: u8) -> Result<SequenceStep, gimli::Error> {
        let mut input = Slice::new(self.bytes, self.header.raw_program_buf().endian());
        let mut step = SequenceStep::Nothing;
        match DwLns(opcode) {
            DwLns(0) => step = self.extended(&mut input)?,
            gimli::DW_LNS_advance_pc => {
                let operations = input.read_uleb128()?;
                self.advance(operations);
            }
            gimli::DW_LNS_advance_line => {
                let line = input.read_sleb128()?;
                self.registers.line = self.registers.line.wrapping_add_signed(line);
            }
            gimli::DW_LNS_set_file => self.registers.file = input.read_uleb128()?,
            gimli::DW_LNS_set_column => self.registers.column = input.read_uleb128()?,
            gimli::DW_LNS_const_add_pc => {
                let bytes = u64::from(self.special[255].1);
                self.registers.address = self.registers.address.wrapping_add(bytes);
            }
            gimli::DW_LNS_fixed_advance_pc => {
                let bytes = u64::from(input.read_u16()?);
                self.registers.address = self.registers.address.wrapping_add(bytes);
            }
            gimli::DW_LNS_set_basic_block
            | gimli::DW_LNS_set_prologue_end
            | gimli::DW_LNS_set_epilogue_begin => {}
            _ => self.skip_operands(opcode, &mut input)?,
        }
        self.bytes = input.slice();
        Ok(step)
    }

    fn advance(&mut self, operations: u64) {
        let bytes = operations.wrapping_mul(self.instruction_length);
        self.registers.address = self.registers.address.wrapping_add(bytes);
    }

    /// Skips a standard instruction that is not known here; the header states its number of
    /// operands.
    fn skip_operands(&self, opcode: u8, input: &mut Slice<'a>) -> Result<(), gimli::Error> {
        let mut lengths = *self.header.standard_opcode_lengths();
        lengths.skip(usize::from(opcode) - 1)?;
        for _ in 0..lengths.read_u8()? {
            input.skip_leb128()?;
        }
        Ok(())
    }

    fn extended(&mut self, input: &mut Slice<'a>) -> Result<SequenceStep, gimli::Error> {
        let length = usize::try_from(input.read_uleb128()?).unwrap_or(usize::MAX);
        let mut operands = input.split(length)?;
        if operands.is_empty() {
            return Ok(SequenceStep::Nothing);
        }
        match DwLne(operands.read_u8()?) {
            gimli::DW_LNE_end_sequence => return Ok(SequenceStep::End),
            gimli::DW_LNE_set_address => {
                self.registers.address = operands.read_address(self.header.address_size())?;
            }
            _ => {}
        }
        Ok(SequenceStep::Nothing)
    }
}
