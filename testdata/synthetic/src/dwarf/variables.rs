//! The variables of one unit: objects that hold keys.

use super::recorder::{DebugSection, Fixup, FixupTarget};
use super::types::Types;
use crate::elf::{Endian, Section};
use crate::spec::{Holder, ImageSpec, Scope, VariableSpec};
use gimli::constants as dw;
use gimli::write::{Address, AttributeValue, Expression, FileId, UnitEntryId};
use gimli::{DebugMacroOffset, Encoding, SectionId};
use object::endian::Endian as _;
use std::collections::BTreeMap;

/// Bytes of the header of `.debug_addr`: where the units' base is.
const ADDR_HEADER_BYTES: usize = 8;

/// An object as units describe it.
#[derive(Debug, Clone)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) spec: VariableSpec,
    external: bool,
    count: u64,
    address: u64,
    /// Its index in `.debug_addr`, if addresses are named by index.
    index: Option<u64>,
}

impl Variable {
    /// The function that the object is a static variable of.
    fn function(&self) -> Option<&str> {
        match &self.spec.holder {
            Holder::DynamicDebug(descriptor) => Some(&descriptor.function),
            _ => None,
        }
    }

    fn location(&self) -> AttributeValue {
        let mut expression = Expression::new();
        match self.index {
            None => expression
                .op_addr(Address::Symbol { symbol: 0, addend: self.address.cast_signed() }),
            Some(index) => {
                let mut bytes = vec![dw::DW_OP_addrx.0];
                gimli::leb128::write::unsigned(&mut bytes, index)
                    .expect("writing to memory cannot fail");
                expression = Expression::raw(bytes);
            }
        }
        AttributeValue::Exprloc(expression)
    }
}

/// The typed objects of `spec`.
pub(super) fn of(spec: &ImageSpec, version: u16, objects: &[(String, u64)]) -> Vec<Variable> {
    let typed = spec
        .keys
        .iter()
        .zip(objects)
        .filter_map(|(key, (_, address))| Some((key, key.variable.clone()?, *address)));
    (0..)
        .zip(typed)
        .map(|(index, (key, variable, address))| Variable {
            name: key.name.clone(),
            spec: variable,
            external: key.scope == Scope::Global,
            count: key.count,
            address,
            index: (spec.addrx && version >= 5).then_some(index),
        })
        .collect()
}

/// The part of a unit that exists when its variables are added.
pub(super) struct Context<'a> {
    pub(super) file: &'a str,
    pub(super) own: FileId,
    pub(super) functions: &'a BTreeMap<String, UnitEntryId>,
}

/// Adds those of `variables` that the unit defines or declares.
pub(super) fn add(types: &mut Types<'_>, context: &Context<'_>, variables: &[Variable]) {
    let Context { file, .. } = *context;
    for variable in variables.iter().filter(|variable| variable.spec.file == file) {
        define(types, context, variable);
    }
    let declares = |variable: &&Variable| variable.spec.declared_in.iter().any(|f| f == file);
    for variable in variables.iter().filter(declares) {
        let r#type = types.incomplete(&variable.spec.holder, variable.count);
        declare(types, context, variable, r#type);
    }
    let indexed = |variable: &Variable| variable.index.is_some() && variable.spec.file == file;
    if variables.iter().any(indexed) {
        // Of the attributes that `gimli::write` has, this one is written as a plain
        // DW_FORM_sec_offset, which DW_AT_addr_base requires.
        let base = AttributeValue::DebugMacroRef(DebugMacroOffset(ADDR_HEADER_BYTES));
        let root = types.unit.root();
        types.unit.get_mut(root).set(dw::DW_AT_addr_base, base);
    }
}

fn define(types: &mut Types<'_>, context: &Context<'_>, variable: &Variable) {
    let r#type = types.of_object(&variable.spec.holder, variable.count);
    let entry = if variable.spec.by_specification {
        let declaration = declare(types, context, variable, r#type);
        let entry = types.unit.add(types.unit.root(), dw::DW_TAG_variable);
        let declaration = AttributeValue::UnitRef(declaration);
        types.unit.get_mut(entry).set(dw::DW_AT_specification, declaration);
        place(types, context, variable, entry);
        entry
    } else {
        let function = variable.function().and_then(|name| context.functions.get(name));
        let parent = match function {
            Some(function) => types.unit.add(*function, dw::DW_TAG_lexical_block),
            None => types.unit.root(),
        };
        describe(types, context, variable, (parent, r#type))
    };
    types.unit.get_mut(entry).set(dw::DW_AT_location, variable.location());
}

fn declare(
    types: &mut Types<'_>,
    context: &Context<'_>,
    variable: &Variable,
    r#type: UnitEntryId,
) -> UnitEntryId {
    let entry = describe(types, context, variable, (types.unit.root(), r#type));
    types.unit.get_mut(entry).set(dw::DW_AT_declaration, AttributeValue::FlagPresent);
    entry
}

fn describe(
    types: &mut Types<'_>,
    context: &Context<'_>,
    variable: &Variable,
    (parent, r#type): (UnitEntryId, UnitEntryId),
) -> UnitEntryId {
    let entry = types.unit.add(parent, dw::DW_TAG_variable);
    let name = types.strings.add(variable.name.as_str());
    let die = types.unit.get_mut(entry);
    die.set(dw::DW_AT_name, AttributeValue::StringRef(name));
    die.set(dw::DW_AT_type, AttributeValue::UnitRef(r#type));
    if variable.external {
        die.set(dw::DW_AT_external, AttributeValue::FlagPresent);
    }
    place(types, context, variable, entry);
    entry
}

fn place(types: &mut Types<'_>, context: &Context<'_>, variable: &Variable, entry: UnitEntryId) {
    let die = types.unit.get_mut(entry);
    die.set(dw::DW_AT_decl_file, AttributeValue::FileIndex(Some(context.own)));
    die.set(dw::DW_AT_decl_line, AttributeValue::Udata(variable.spec.line.into()));
}

/// `.debug_addr` for the variables that are named by index.
pub(super) fn addresses(
    endian: Endian,
    encoding: Encoding,
    variables: &[Variable],
) -> Option<DebugSection> {
    let indexed = variables.iter().filter(|variable| variable.index.is_some());
    let values: Vec<u64> = indexed.map(|variable| variable.address).collect();
    if values.is_empty() {
        return None;
    }
    let length = ADDR_HEADER_BYTES - 4 + values.len() * 8;
    let mut bytes = endian.write_u32(u32::try_from(length).expect("few variables")).to_vec();
    bytes.extend(endian.write_u16(encoding.version));
    bytes.extend([encoding.address_size, 0]);
    let offsets = (ADDR_HEADER_BYTES as u64..).step_by(8);
    bytes.resize(length + 4, 0);
    let fixup = |(offset, value)| Fixup { offset, size: 8, target: FixupTarget::Address, value };
    let section = Section::new(SectionId::DebugAddr.name(), bytes);
    Some(DebugSection { section, fixups: offsets.zip(values).map(fixup).collect() })
}
