//! The path from an object to the static key in it, through the type of the object.

use super::budget::UnitFailure;
use super::entries::{DebugEntry, Entries, EntryId, is_qualifier};
use foldhash::HashMap;
use gimli::DwTag;
use std::fmt::Write as _;

/// Names of the types of keys (Linux 6.12 `include/linux/jump_label.h`), each with the initial
/// state that it implies.
const KEY_TYPES: [(&str, Option<bool>); 3] =
    [("static_key", None), ("static_key_true", Some(true)), ("static_key_false", Some(false))];
/// Most levels of nested members; real keys are three or four deep.
const DEPTH: usize = 16;
/// Most types visited on the path to one key; real paths visit a dozen.
const STEPS: usize = 1 << 10;
/// Most dimensions of an array; real arrays have two.
const DIMENSIONS: usize = 8;
/// Length of the longest path in bytes: names of members can have any length.
const PATH: usize = 1 << 10;

/// A key in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MemberPath {
    /// As C writes it after the object's name: `.key`, `[5]`.
    pub(super) path: String,
    /// Name of the type at the end of the path.
    pub(super) key_type: String,
}

/// Paths through the types of one unit, each computed once.
#[derive(Default)]
pub(super) struct MemberPaths {
    known: HashMap<(EntryId, u64, Option<bool>), Option<MemberPath>>,
    descriptions: HashMap<EntryId, Option<String>>,
}

/// A type on the path, and the rest of the offset in it.
struct MemberStep<'a> {
    r#type: DebugEntry<'a>,
    offset: u64,
    path: String,
    depth: usize,
}

impl MemberPaths {
    /// The key at `offset` bytes in an object of `object_type`.  If several members of a union
    /// lie there, the one whose type implies the key's initial state.
    pub(super) fn key_at<'a>(
        &mut self,
        entries: &mut Entries<'a, '_, '_>,
        object_type: DebugEntry<'a>,
        offset: u64,
        initially_true: Option<bool>,
    ) -> Result<Option<MemberPath>, UnitFailure> {
        let query = (object_type.id, offset, initially_true);
        if let Some(known) = self.known.get(&query) {
            return Ok(known.clone());
        }
        let found = search(entries, object_type, offset, initially_true)?;
        self.known.insert(query, found.clone());
        Ok(found)
    }

    /// A type as C would write it: `struct tracepoint`, `struct static_key[13][5]`.
    pub(super) fn describe<'a>(
        &mut self,
        entries: &mut Entries<'a, '_, '_>,
        r#type: DebugEntry<'a>,
    ) -> Result<Option<String>, UnitFailure> {
        if let Some(known) = self.descriptions.get(&r#type.id) {
            return Ok(known.clone());
        }
        let description = describe(entries, r#type)?;
        self.descriptions.insert(r#type.id, description.clone());
        Ok(description)
    }
}

fn search<'a>(
    entries: &mut Entries<'a, '_, '_>,
    object_type: DebugEntry<'a>,
    offset: u64,
    initially_true: Option<bool>,
) -> Result<Option<MemberPath>, UnitFailure> {
    let mut open = vec![MemberStep { r#type: object_type, offset, path: String::new(), depth: 0 }];
    let mut best: Option<MemberPath> = None;
    for _ in 0..STEPS {
        let Some(step) = open.pop() else { break };
        entries.spend()?;
        let Some(r#type) = entries.peel(step.r#type)? else { continue };
        if step.offset == 0
            && let Some((name, state)) = key_type(&r#type)
        {
            let member = MemberPath { path: step.path, key_type: name.to_owned() };
            if state.is_none() || initially_true.is_none() || state == initially_true {
                return Ok(Some(member));
            }
            best.get_or_insert(member);
            continue;
        }
        if step.depth < DEPTH && step.path.len() < PATH {
            open.extend(next_steps(entries, &step, r#type)?);
        }
    }
    Ok(best)
}

/// The name of the type and the initial state that it implies, if it is the type of a key.
fn key_type(r#type: &DebugEntry<'_>) -> Option<(&'static str, Option<bool>)> {
    let name = r#type.name.filter(|_| is_record(r#type.tag))?;
    KEY_TYPES.into_iter().find(|(known, _)| name.slice() == known.as_bytes())
}

/// The members or elements of `step` that cover the offset; the first of them is last in the
/// list.
fn next_steps<'a>(
    entries: &mut Entries<'a, '_, '_>,
    step: &MemberStep<'a>,
    r#type: DebugEntry<'a>,
) -> Result<Vec<MemberStep<'a>>, UnitFailure> {
    if r#type.tag == gimli::DW_TAG_array_type {
        return Ok(element(entries, step, r#type)?.into_iter().collect());
    }
    if !is_record(r#type.tag) {
        return Ok(Vec::new());
    }
    let r#type = if r#type.is_declaration { entries.definition(r#type)? } else { r#type };
    let members = entries.children(&r#type, &[gimli::DW_TAG_member, gimli::DW_TAG_inheritance])?;
    // Members are in order, and those of a union share an offset: only the last ones that begin
    // at or before the key can hold it.
    let nearest = members.iter().map(|member| member.offset).filter(|at| *at <= step.offset).max();
    let mut steps = Vec::new();
    for member in members.iter().rev().filter(|member| Some(member.offset) == nearest) {
        let Some(of_member) = entries.type_of(member)? else { continue };
        let path = match member.name {
            None => step.path.clone(),
            Some(name) => format!("{}.{}", step.path, name.to_string_lossy()),
        };
        let offset = step.offset - member.offset;
        steps.push(MemberStep { r#type: of_member, offset, path, depth: step.depth + 1 });
    }
    Ok(steps)
}

/// The element of an array that covers the offset.
fn element<'a>(
    entries: &mut Entries<'a, '_, '_>,
    step: &MemberStep<'a>,
    array: DebugEntry<'a>,
) -> Result<Option<MemberStep<'a>>, UnitFailure> {
    let Some(element_type) = entries.type_of(&array)? else { return Ok(None) };
    let Some(size) = size_of(entries, element_type)?.filter(|size| *size > 0) else {
        return Ok(None);
    };
    let dimensions = dimensions(entries, &array)?;
    let mut path = step.path.clone();
    let (mut index, offset) = (step.offset / size, step.offset % size);
    // The last dimension varies fastest.
    for at in 0..dimensions.len() {
        let inner = dimensions[at + 1..]
            .iter()
            .try_fold(1u64, |product, count| count.and_then(|count| product.checked_mul(count)));
        let Some(inner) = inner.filter(|inner| *inner > 0) else { return Ok(None) };
        if dimensions[at].is_some_and(|count| index / inner >= count) {
            return Ok(None);
        }
        // Writing to a String cannot fail.
        let _ = write!(path, "[{}]", index / inner);
        index %= inner;
    }
    Ok(Some(MemberStep { r#type: element_type, offset, path, depth: step.depth + 1 }))
}

/// Number of elements in each dimension of an array.  An array without this information has one
/// dimension of unknown length.
fn dimensions<'a>(
    entries: &mut Entries<'a, '_, '_>,
    array: &DebugEntry<'a>,
) -> Result<Vec<Option<u64>>, UnitFailure> {
    let ranges = entries.children(array, &[gimli::DW_TAG_subrange_type])?;
    let mut counts: Vec<_> = ranges.iter().take(DIMENSIONS).map(|range| range.count).collect();
    if counts.is_empty() {
        counts.push(None);
    }
    Ok(counts)
}

/// Size of a type in bytes, if it is known.
fn size_of<'a>(
    entries: &mut Entries<'a, '_, '_>,
    r#type: DebugEntry<'a>,
) -> Result<Option<u64>, UnitFailure> {
    let (mut r#type, mut factor) = (r#type, 1u64);
    for _ in 0..DEPTH {
        let Some(peeled) = entries.peel(r#type)? else { return Ok(None) };
        let peeled = if peeled.is_declaration { entries.definition(peeled)? } else { peeled };
        if let Some(size) = peeled.byte_size {
            return Ok(size.checked_mul(factor));
        }
        if peeled.tag != gimli::DW_TAG_array_type {
            return Ok(None);
        }
        for count in dimensions(entries, &peeled)? {
            let product = count.and_then(|count| factor.checked_mul(count));
            let Some(product) = product else { return Ok(None) };
            factor = product;
        }
        let Some(element) = entries.type_of(&peeled)? else { return Ok(None) };
        r#type = element;
    }
    Ok(None)
}

fn describe<'a>(
    entries: &mut Entries<'a, '_, '_>,
    r#type: DebugEntry<'a>,
) -> Result<Option<String>, UnitFailure> {
    let (mut r#type, mut lengths) = (r#type, String::new());
    for _ in 0..DEPTH {
        let prefix = match r#type.tag {
            gimli::DW_TAG_structure_type => "struct ",
            gimli::DW_TAG_union_type => "union ",
            gimli::DW_TAG_enumeration_type => "enum ",
            _ => "",
        };
        if let Some(name) = r#type.name {
            return Ok(Some(format!("{prefix}{}{lengths}", name.to_string_lossy())));
        }
        if r#type.tag == gimli::DW_TAG_array_type {
            for count in dimensions(entries, &r#type)? {
                let count = count.map(|count| count.to_string()).unwrap_or_default();
                // Writing to a String cannot fail.
                let _ = write!(lengths, "[{count}]");
            }
        } else if !is_qualifier(r#type.tag) {
            // An unnamed type or a pointer: it does not contain a key.
            return Ok(None);
        }
        let Some(next) = entries.type_of(&r#type)? else { return Ok(None) };
        r#type = next;
    }
    Ok(None)
}

/// Whether a type has members.
fn is_record(tag: DwTag) -> bool {
    matches!(
        tag,
        gimli::DW_TAG_structure_type | gimli::DW_TAG_union_type | gimli::DW_TAG_class_type
    )
}
