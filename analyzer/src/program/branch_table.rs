//! Targets of the BRs of a program: the tables that compilers make of a `switch` or of computed
//! jumps, and constants.
//!
//! # A BR goes where its table says
//! A table is a base address and entries that are added to it. [`super::trace`] follows the BR's
//! register back to both. The number of entries comes from the comparison that the index has
//! passed, from the width of the index, or from the size of the data object that is the table.
//! Where none of these bounds the table, entries are read as long as they lead into the function.
//! Where there is no table, the BR may lead to every block without another predecessor
//! ([`super::cfg`]). Both are guesses: the confidence of a finding shows them, and the coverage
//! counts them.
//!
//! The bounds of functions do not depend on branch tables. A table that is found adds edges to
//! the control flow, so the other BRs of its function are resolved again.

use super::cfg::Cfg;
use super::function::FuncId;
use super::reaching::{Flow, Instructions, PathValue};
use super::read_only::is_constant;
use super::recovered::{BranchTable, RecoveredProgram, tables_in};
use super::symbolic_value::{BaseAddress, SymbolicValue, TableEntry};
use super::trace::Trace;
use crate::addr::{AddrRange, Svma};
use crate::image::Image;
use crate::semantics::{INSN_BYTES, Register};
use rayon::prelude::*;

/// Largest number of entries of a table.
const MAX_ENTRIES: u64 = 4096;
/// The number of values of a byte. No comparison precedes a table that is indexed by a byte,
/// because the table has an entry for every value.
const BYTES: u64 = 1 << 8;
/// Rounds of resolving a function, each with the edges of the tables found so far.
const ROUNDS: usize = 4;
/// BTI J and BTI JC (C6.2, BTI): the targets of a BR in guarded text.
const BTI_J: [u32; 2] = [0xd503_249f, 0xd503_24df];

/// A table as the code uses it.
#[derive(Debug, Clone, Copy)]
struct TableShape {
    /// Address of the BR.
    at: Svma,
    /// Address of the first entry.
    table: Svma,
    /// The address that is added to an entry.
    base: u64,
    entry: TableEntry,
    /// The number of entries, if known.
    count: Option<u64>,
    /// Whether a guarded target must be BTI J or BTI JC. A BR of x16 or x17 may also lead to BTI
    /// C.
    wants_bti_j: bool,
}

/// The resolved BRs of one function.
#[derive(Debug, Default)]
struct Resolved {
    tables: Vec<BranchTable>,
    unbounded: Vec<(FuncId, TableShape)>,
    /// Whether the analysis ran out of work, so that BRs may be left that a table determines.
    is_incomplete: bool,
}

/// Resolves the BRs of `program`, sorted by address. The second result is the number of functions
/// that were not analysed to the end.
pub(super) fn resolve(
    program: &RecoveredProgram<'_>,
    image: &Image<'_>,
) -> (Vec<BranchTable>, usize) {
    let mut functions: Vec<FuncId> =
        program.jumps().filter_map(|at| program.function_at(at)).collect();
    functions.dedup();
    let found: Vec<Resolved> =
        functions.par_iter().map(|id| resolve_in(program, image, *id)).collect();
    let mut tables = Vec::new();
    let mut unbounded = Vec::new();
    let incomplete = found.iter().filter(|resolved| resolved.is_incomplete).count();
    for resolved in found {
        tables.extend(resolved.tables);
        unbounded.extend(resolved.unbounded);
    }
    if !unbounded.is_empty() {
        let starts = starts(image, &tables, &unbounded);
        tables.extend(unbounded.iter().filter_map(|(function, shape)| {
            let capacity = capacity(&starts, shape);
            read(program, image, *function, shape, EntryCount::AtMost(capacity))
        }));
    }
    tables.sort_unstable_by_key(|table| table.at);
    (tables, incomplete)
}

/// Start addresses of tables and data objects, sorted.
fn starts(
    image: &Image<'_>,
    tables: &[BranchTable],
    unbounded: &[(FuncId, TableShape)],
) -> Vec<Svma> {
    let symbols = image.symbols();
    let objects = symbols.iter().map(|(_, symbol)| symbol);
    let objects = objects.filter(|symbol| symbol.kind == crate::image::SymbolKind::Object);
    let mut starts: Vec<Svma> = objects.map(|symbol| symbol.address).collect();
    starts.extend(tables.iter().filter_map(|table| table.entries).map(AddrRange::start));
    starts.extend(unbounded.iter().map(|(_, shape)| shape.table));
    starts.sort_unstable();
    starts
}

/// The number of entries that fit before the next table or object begins.
fn capacity(starts: &[Svma], shape: &TableShape) -> u64 {
    let next = starts.partition_point(|start| *start <= shape.table);
    let bytes = starts.get(next).map_or(u64::MAX, |next| next.0 - shape.table.0);
    (bytes / u64::from(shape.entry.bytes)).min(shape.count.unwrap_or(MAX_ENTRIES))
}

/// Resolves the BRs of a function. A table adds edges to the control flow, and a value that is
/// known along one path may be unknown where two paths meet: so the function is resolved again
/// until the tables no longer change.
fn resolve_in(program: &RecoveredProgram<'_>, image: &Image<'_>, function: FuncId) -> Resolved {
    let mut resolved = Resolved::default();
    let instructions = Instructions::new(program, program.function(function).range);
    for _ in 0..ROUNDS {
        let next = round(program, image, (function, &instructions), &resolved.tables);
        let is_same = next.tables == resolved.tables;
        resolved = next;
        if is_same {
            break;
        }
    }
    resolved.is_incomplete = !instructions.is_complete();
    resolved
}

fn round(
    program: &RecoveredProgram<'_>,
    image: &Image<'_>,
    (function, instructions): (FuncId, &Instructions),
    tables: &[BranchTable],
) -> Resolved {
    let cfg = Cfg::with_tables(program, function, tables);
    let jumps: Vec<(usize, Svma, Register)> = cfg.jumps(program).collect();
    let is_open = |(_, at, _): &&(usize, Svma, Register)| tables_in(tables, *at).is_none();
    let open: Vec<usize> = jumps.iter().filter(is_open).map(|(block, ..)| *block).collect();
    let flow = Flow::new(instructions, image, &cfg, &open);
    let mut resolved = Resolved::default();
    for (block, at, register) in jumps {
        match jump(image, &flow, (block, at, register)) {
            Some(Jump::To(to)) if is_jump_target(program, function, to) => {
                let targets = vec![to];
                resolved.tables.push(BranchTable { at, targets, entries: None, is_guess: false });
            }
            Some(Jump::Table(shape)) => match shape.count {
                Some(count) => {
                    let table = read(program, image, function, &shape, EntryCount::Exactly(count));
                    if table.is_none() && count == BYTES {
                        resolved.unbounded.push((function, shape));
                    }
                    resolved.tables.extend(table);
                }
                None => resolved.unbounded.push((function, shape)),
            },
            // Keep the result of an earlier round: with the edges known now, the BR is
            // unreachable.
            Some(Jump::Unreached) => resolved.tables.extend(tables_in(tables, at).cloned()),
            Some(Jump::To(_)) | None => {}
        }
    }
    resolved
}

/// Target of a BR.
enum Jump {
    To(Svma),
    Table(TableShape),
    /// No path leads to the BR: it is patched in, or follows a call that does not return.
    Unreached,
}

fn jump(
    image: &Image<'_>,
    flow: &Flow<'_, '_>,
    (block, at, register): (usize, Svma, Register),
) -> Option<Jump> {
    let path = flow.path_to(block);
    let first = *path.first()?;
    let trace = flow.along(&path)?;
    let constant = |id| match trace.known(id).origin {
        Some(origin) => flow.constant(first, origin),
        None => PathValue::Unknown,
    };
    let address = |base: BaseAddress| match base {
        BaseAddress::At(at) => PathValue::Number(at),
        BaseAddress::Value(id) => constant(id),
    };
    let (base, entry) = match trace.value(register) {
        SymbolicValue::Constant(to) => return Some(Jump::To(Svma(to))),
        SymbolicValue::Target(base, entry) => (address(base), entry),
        SymbolicValue::Entry(entry) if entry.bytes == 8 => (PathValue::Number(0), entry),
        SymbolicValue::Plain(id, 0) => {
            return match constant(id) {
                PathValue::Number(to) => Some(Jump::To(Svma(to))),
                PathValue::Unreachable => Some(Jump::Unreached),
                PathValue::Unknown => None,
            };
        }
        _ => return None,
    };
    let (base, table) = match (base, address(entry.table)) {
        (PathValue::Number(base), PathValue::Number(table)) => (base, Svma(table)),
        (PathValue::Unknown, _) | (_, PathValue::Unknown) => return None,
        _ => return Some(Jump::Unreached),
    };
    let count = count(image, flow, first, &trace, entry, table);
    let wants_bti_j = !matches!(register.number(), 16 | 17);
    Some(Jump::Table(TableShape { at, table, base, entry, count, wants_bti_j }))
}

/// The number of entries of a table, from the bound of the index and the size of the data object.
fn count(
    image: &Image<'_>,
    flow: &Flow<'_, '_>,
    first: usize,
    trace: &Trace<'_, '_>,
    entry: TableEntry,
    table: Svma,
) -> Option<u64> {
    let index = trace.known(entry.index);
    let before = || match flow.bound(first, index.origin.filter(|(_, add)| *add == 0)?.0) {
        PathValue::Number(bound) => Some(bound),
        PathValue::Unknown | PathValue::Unreachable => None,
    };
    let by_index = index.bound.or_else(before).and_then(|bound| bound.checked_add(1));
    let object = image.symbols().object_at(table).and_then(|found| {
        let size = image.symbols().get(found.symbol).size;
        size.checked_sub(found.offset).map(|left| left / u64::from(entry.bytes))
    });
    let known = by_index.into_iter().chain(object).filter(|count| *count > 0);
    known.min().filter(|count| *count <= MAX_ENTRIES)
}

/// The number of entries to read.
#[derive(Debug, Clone, Copy)]
enum EntryCount {
    /// All of them; otherwise it is not a table.
    Exactly(u64),
    /// Up to this number, as long as the targets are inside the function.
    AtMost(u64),
}

fn read(
    program: &RecoveredProgram<'_>,
    image: &Image<'_>,
    function: FuncId,
    shape: &TableShape,
    count: EntryCount,
) -> Option<BranchTable> {
    let (EntryCount::Exactly(wanted) | EntryCount::AtMost(wanted)) = count;
    let is_guess = matches!(count, EntryCount::AtMost(_));
    let bytes = u64::from(shape.entry.bytes);
    // A table of distances between code addresses comes from a compiler. A table of pointers may
    // be any writable data.
    let section = image.section(image.section_at(shape.table)?);
    if bytes == 8 && !is_constant(section) {
        return None;
    }
    let relocated =
        image.read_relocated(AddrRange::sized(shape.table, wanted.checked_mul(bytes)?)).ok()?;
    let entries = relocated.bytes.chunks_exact(usize::from(shape.entry.bytes));
    let targets = entries.map_while(|entry| target(shape, entry, image));
    let mut is_guarded = false;
    let mut targets: Vec<Svma> = targets
        .enumerate()
        .take_while(|(number, target)| {
            let is_bti = || program.word(*target).is_some_and(|word| BTI_J.contains(&word));
            is_guarded |= *number == 0 && shape.wants_bti_j && is_bti();
            let is_inside = program.function(function).range.contains(*target);
            let is_there =
                if is_guess { is_inside } else { is_jump_target(program, function, *target) };
            is_there && target.is_aligned(INSN_BYTES) && (!is_guarded || is_bti())
        })
        .map(|(_, target)| target)
        .collect();
    let found = targets.len() as u64;
    if found == 0 || !is_guess && found < wanted {
        return None;
    }
    let entries = Some(AddrRange::sized(shape.table, found * bytes));
    targets.sort_unstable();
    targets.dedup();
    Some(BranchTable { at: shape.at, targets, entries, is_guess })
}

/// Whether a jump may lead to `to`: an address in the function, or the start of another one.
fn is_jump_target(program: &RecoveredProgram<'_>, function: FuncId, to: Svma) -> bool {
    to.is_aligned(INSN_BYTES)
        && (program.function(function).range.contains(to) || program.starting_at(to).is_some())
}

fn target(shape: &TableShape, bytes: &[u8], image: &Image<'_>) -> Option<Svma> {
    let value = match bytes {
        [byte] => u64::from(*byte),
        [_, _] => u64::from(image.u16_from(bytes)?),
        [_, _, _, _] => u64::from(image.u32_from(bytes)?),
        _ => image.u64_from(bytes)?,
    };
    let above = 64 - 8 * u32::from(shape.entry.bytes);
    let value = if shape.entry.is_signed() {
        (value << above).cast_signed() >> above
    } else {
        value.cast_signed()
    };
    let value = value.checked_shl(shape.entry.shift)?.cast_unsigned();
    Some(Svma(shape.base.wrapping_add(value)))
}
