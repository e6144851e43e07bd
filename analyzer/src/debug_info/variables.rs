//! Finds variables of a unit, at the top level and in functions.
//!
//! The entry of a static variable in a function is as deep as the variable's block, and most
//! entries of a unit are in functions.  But the address of the variable occurs in its location
//! as plain bytes, which a search of the unit finds quickly.  The walk enters only the subtrees
//! that contain such bytes.

use super::budget::{Purse, UnitFailure};
use super::cursor::{Cursor, EntryShape};
use super::dwarf::{Slice, UnitRef};
use foldhash::{HashMap, HashMapExt as _};
use gimli::{AttributeValue, Operation, Reader as _, UnitOffset};
use std::ops::Range;

/// A variable to find.
#[derive(Debug, Clone, Copy)]
pub(super) struct WantedVariable<'q> {
    /// Its symbol.
    pub(super) symbol: &'q str,
    pub(super) address: u64,
}

/// The entries that match a variable.
#[derive(Debug, Clone, Copy, Default)]
struct VariableEntries {
    /// The entry whose location is the address.
    by_location: Option<UnitOffset<usize>>,
    /// The entry that has the name, and no location.
    by_name: Option<UnitOffset<usize>>,
    /// Whether the address occurs in the unit as part of a possible location.
    is_located: bool,
}

/// For each of `wanted` the entry of the variable in `unit`.  After a failure the result holds
/// what was found before it.
///
/// An entry with a location matches only by its address.  An entry without one (a declaration)
/// matches by its name.
pub(super) fn find<'a>(
    unit: UnitRef<'a, 'a>,
    wanted: &[WantedVariable<'_>],
    purse: &mut Purse<'_>,
) -> (Vec<Option<UnitOffset<usize>>>, Option<UnitFailure>) {
    let mut finder = VariableSearch::new(unit, wanted, purse);
    let mut result = finder.walk(WalkDepth::Located);
    // For locations that are indexes (DW_OP_addrx) and declarations in functions.
    if result.is_ok() && finder.open > 0 {
        result = finder.walk(WalkDepth::Functions);
    }
    let entries = finder.found.iter().map(|found| found.by_location.or(found.by_name));
    (entries.collect(), result.err())
}

/// How much of a unit the walk visits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WalkDepth {
    /// The top level, and subtrees that contain a wanted address.
    Located,
    /// Functions as well.
    Functions,
}

struct VariableSearch<'a, 'q, 'b, 'c> {
    unit: UnitRef<'a, 'a>,
    purse: &'b mut Purse<'c>,
    by_address: HashMap<u64, Vec<usize>>,
    by_name: HashMap<&'q [u8], Vec<usize>>,
    /// Offsets of the wanted locations, ascending.
    locations: Vec<usize>,
    found: Vec<VariableEntries>,
    /// Number of variables not found yet.
    open: usize,
}

/// The attributes of a variable's entry.
#[derive(Default)]
struct Variable<'a> {
    name: Option<Slice<'a>>,
    location: Option<VariableLocation>,
}

/// The location of a variable.
enum VariableLocation {
    Address(u64),
    /// A register, thread-local storage, or a list.
    Elsewhere,
}

impl<'a, 'q, 'b, 'c> VariableSearch<'a, 'q, 'b, 'c> {
    fn new(unit: UnitRef<'a, 'a>, wanted: &[WantedVariable<'q>], purse: &'b mut Purse<'c>) -> Self {
        let mut by_address: HashMap<u64, Vec<usize>> = HashMap::new();
        let mut by_name: HashMap<&[u8], Vec<usize>> = HashMap::new();
        for (index, variable) in wanted.iter().enumerate() {
            by_address.entry(variable.address).or_default().push(index);
            for name in names(variable.symbol) {
                by_name.entry(name.as_bytes()).or_default().push(index);
            }
        }
        let mut found = vec![VariableEntries::default(); wanted.len()];
        let locations = locations(unit, |address| {
            let wanted = by_address.get(&address);
            wanted.into_iter().flatten().for_each(|index| found[*index].is_located = true);
            wanted.is_some()
        });
        let open = found.len();
        Self { unit, purse, by_address, by_name, locations, found, open }
    }

    fn walk(&mut self, depth: WalkDepth) -> Result<(), UnitFailure> {
        let mut cursor = Cursor::new(self.unit.unit, None, 0)?;
        // The walk only moves forward, and so does the next location.
        let (locations, mut next) = (std::mem::take(&mut self.locations), 0);
        let mut enters = |shape: &EntryShape<'_>, range: Range<usize>| {
            next +=
                locations[next..].iter().take_while(|location| **location < range.start).count();
            let is_located = locations.get(next).is_some_and(|location| *location < range.end);
            is_located
                || match depth {
                    WalkDepth::Located => {
                        shape.holds_code && shape.tag != gimli::DW_TAG_lexical_block
                    }
                    WalkDepth::Functions => shape.holds_code || shape.is_call,
                }
        };
        while self.open > 0
            && let Some((at, shape)) =
                cursor.next_tagged(gimli::DW_TAG_variable, &mut enters, self.purse)?
        {
            self.variable(&mut cursor, at, shape)?;
        }
        self.locations = locations;
        Ok(())
    }

    fn variable(
        &mut self,
        cursor: &mut Cursor<'a>,
        at: UnitOffset<usize>,
        shape: EntryShape<'a>,
    ) -> Result<(), UnitFailure> {
        let mut variable = Variable::default();
        let unit = self.unit;
        let end = cursor.attributes(shape).read(
            |name| matches!(name, gimli::DW_AT_name | gimli::DW_AT_location),
            |attribute| {
                match attribute.name() {
                    gimli::DW_AT_name => {
                        variable.name = unit.attr_string(attribute.value()).ok();
                    }
                    _ => variable.location = Some(location(unit, attribute.value())),
                }
                Ok(())
            },
        )?;
        cursor.go_to(end)?;
        self.take(at, &variable);
        Ok(())
    }

    fn take(&mut self, at: UnitOffset<usize>, variable: &Variable<'_>) {
        let matches = match (&variable.location, variable.name) {
            (Some(VariableLocation::Address(address)), _) => self.by_address.get(address),
            (None, Some(name)) => self.by_name.get(name.slice()),
            (Some(VariableLocation::Elsewhere), _) | (None, None) => None,
        };
        for index in matches.into_iter().flatten() {
            let found = &mut self.found[*index];
            let was_open = found.is_open();
            let location = match variable.location {
                Some(_) => &mut found.by_location,
                None => &mut found.by_name,
            };
            location.get_or_insert(at);
            self.open -= usize::from(was_open && !found.is_open());
        }
    }
}

impl VariableEntries {
    /// Whether a better match is still possible.
    fn is_open(&self) -> bool {
        self.by_location.is_none() && (self.is_located || self.by_name.is_none())
    }
}

/// The names that DWARF can have for the variable of a symbol: the symbol itself, and the
/// symbol without the parts that compilers add to distinguish static variables (`name.12` of
/// GCC, `function.name` of Clang).
fn names(symbol: &str) -> impl Iterator<Item = &str> {
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mut parts = symbol.split('.');
    let first = parts.next().filter(|first| !first.is_empty() && *first != symbol);
    let second = parts.next().filter(|second| !is_number(second));
    [Some(symbol), first, second].into_iter().flatten()
}

fn location(unit: UnitRef<'_, '_>, value: AttributeValue<Slice<'_>>) -> VariableLocation {
    let expression = match value {
        AttributeValue::Exprloc(expression) => expression,
        // DWARF before version 4 has no separate class for expressions.
        AttributeValue::Block(bytes) => gimli::Expression(bytes),
        _ => return VariableLocation::Elsewhere,
    };
    let mut operations = expression.operations(unit.encoding());
    let address = match operations.next() {
        Ok(Some(Operation::Address { address })) => Some(address),
        Ok(Some(Operation::AddressIndex { index })) => unit.address(index).ok(),
        _ => None,
    };
    match (address, operations.next()) {
        (Some(address), Ok(None)) => VariableLocation::Address(address),
        _ => VariableLocation::Elsewhere,
    }
}

/// DW_OP_addr, as encoded in the file.
const DW_OP_ADDR: u8 = 0x03;

/// Offsets in a unit at which a wanted address is the only operation of an expression,
/// ascending.
fn locations(unit: UnitRef<'_, '_>, mut is_wanted: impl FnMut(u64) -> bool) -> Vec<usize> {
    let root = unit.header.root_offset();
    let Ok(entries) = unit.header.range_from(root..) else { return Vec::new() };
    let address_size = unit.encoding().address_size;
    // The length of the expression, then the operation.
    let needle = [address_size.wrapping_add(1), DW_OP_ADDR];
    let locations = memchr::memmem::find_iter(entries.slice(), &needle).filter(|at| {
        let mut operand = entries;
        operand.skip(at + needle.len()).is_ok()
            && operand.read_address(address_size).is_ok_and(&mut is_wanted)
    });
    locations.map(|at| root.0 + at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_symbols() {
        let names = |symbol| names(symbol).collect::<Vec<_>>();
        assert_eq!(names("netstamp_needed_key"), ["netstamp_needed_key"]);
        assert_eq!(names("descriptor.12"), ["descriptor.12", "descriptor"]);
        assert_eq!(names("key.3.lto_priv.0"), ["key.3.lto_priv.0", "key"]);
        let of_clang = "probe.__UNIQUE_ID_ddebug7.5";
        assert_eq!(names(of_clang), [of_clang, "probe", "__UNIQUE_ID_ddebug7"]);
        assert_eq!(names(".hidden"), [".hidden", "hidden"]);
        assert_eq!(names(""), [""]);
    }
}
