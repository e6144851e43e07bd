//! Modules whose tables or relocations are wrong.  All but the last two hold
//! the same module: `broken_fn` of 16 instructions, `broken_key`, the undefined
//! `elsewhere_key`, and two sites.

use super::base::Named;
use crate::elf::{Content, Relocation, Section, SymbolRef, consts};
use crate::link::Linked;
use crate::raw::{Raw, SectionField};
use crate::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};
use crate::wrap;

const TABLE: &str = "__jump_table";
const RELA: &str = ".rela__jump_table";
const FILE: &str = "drivers/broken.c";
/// A number that AArch64 assigns to no relocation.
pub const UNKNOWN: u32 = 0x3fff;
/// A symbol number that no test image reaches.
pub const NO_SYMBOL: u32 = 0x00ff_ffff;

/// The sound module that the variants damage.
#[must_use]
pub fn base() -> ImageSpec {
    named("broken")
}

fn named(name: &str) -> ImageSpec {
    ImageSpec::module(name)
        .undefined("elsewhere_key")
        .key(KeySpec::new("broken_key"))
        .function(FunctionSpec::new("broken_fn", FILE, 16))
        .site(SiteSpec::new("broken_fn+8", "broken_fn+0x20", "broken_key"))
        .site(SiteSpec::new("broken_fn+16", "broken_fn+0x20", "elsewhere_key+8"))
}

fn rela(linked: &mut Linked) -> &mut Section {
    linked.elf.section_mut(RELA).expect("the module has relocations")
}

/// The module with its table's relocations edited.
fn relocated(edit: impl Fn(&mut Vec<Relocation>)) -> Vec<u8> {
    let mut linked = base().link();
    let Content::Relocations(list) = &mut rela(&mut linked).content else {
        panic!("the section holds relocations")
    };
    edit(list);
    linked.bytes()
}

fn edited(edit: impl Fn(&mut Raw)) -> Vec<u8> {
    let mut raw = Raw::new(base().build());
    edit(&mut raw);
    raw.into_bytes()
}

/// A table of zeros without relocations.
#[must_use]
pub fn no_relocations() -> Vec<u8> {
    let mut linked = base().link();
    linked.elf.sections.retain(|section| section.name != RELA);
    linked.bytes()
}

/// The first entry's key has no relocation; the others are sound.
#[must_use]
pub fn relocation_missing() -> Vec<u8> {
    relocated(|list| {
        list.remove(2);
    })
}

/// Two relocations for the first entry's code field.
#[must_use]
pub fn relocation_twice() -> Vec<u8> {
    relocated(|list| {
        let again = Relocation { addend: list[0].addend + 4, ..list[0] };
        list.insert(1, again);
    })
}

/// The first entry's target by a relocation of no known type.
#[must_use]
pub fn relocation_unknown() -> Vec<u8> {
    relocated(|list| list[1].kind = UNKNOWN)
}

/// The first entry's key by a relocation for instructions.
#[must_use]
pub fn relocation_of_code() -> Vec<u8> {
    relocated(|list| list[2].kind = consts::R_AARCH64_JUMP26.0)
}

/// The first entry's key by four bytes only.
#[must_use]
pub fn relocation_too_narrow() -> Vec<u8> {
    relocated(|list| list[2].kind = consts::R_AARCH64_PREL32.0)
}

/// One relocation past the section, one that begins in its last bytes, and one
/// at the top of the address space.
#[must_use]
pub fn relocation_past_section() -> Vec<u8> {
    relocated(|list| {
        let last = list[2];
        list.push(Relocation { offset: 0x1000, ..last });
        list.push(Relocation { offset: 0x1c, ..last });
        list.push(Relocation { offset: u64::MAX - 3, ..last });
    })
}

/// A relocation between two fields.
#[must_use]
pub fn relocation_misaligned() -> Vec<u8> {
    relocated(|list| list[0].offset = 2)
}

/// The first entry's key by a symbol that does not exist.
#[must_use]
pub fn symbol_out_of_range() -> Vec<u8> {
    relocated(|list| list[2].symbol = SymbolRef::Number(NO_SYMBOL))
}

/// The first entry's code by no symbol at all.
#[must_use]
pub fn symbol_zero() -> Vec<u8> {
    relocated(|list| list[0].symbol = SymbolRef::Number(0))
}

/// A code field at the end of the address space, by its addend.
#[must_use]
pub fn addend_overflows() -> Vec<u8> {
    relocated(|list| {
        list[0].addend = i64::MIN;
        list[2].addend = i64::MAX;
    })
}

/// `SHT_REL`, whose addends would be in the table, which is zero.
#[must_use]
pub fn rel_instead_of_rela() -> Vec<u8> {
    let mut linked = base().link();
    let section = rela(&mut linked);
    section.name = ".rel__jump_table".to_owned();
    section.sh_type = consts::SHT_REL;
    section.entry_size = crate::elf::REL_BYTES;
    linked.bytes()
}

/// `sh_info` of the relocations beyond the section headers.
#[must_use]
pub fn info_out_of_range() -> Vec<u8> {
    edited(|raw| raw.set_section_info(RELA, 0xffff))
}

/// `sh_info` of the relocations names `.text`.
#[must_use]
pub fn info_elsewhere() -> Vec<u8> {
    let mut linked = base().link();
    rela(&mut linked).info_link = Some(".text".to_owned());
    linked.bytes()
}

/// `sh_link` of the relocations beyond the section headers.
#[must_use]
pub fn link_out_of_range() -> Vec<u8> {
    edited(|raw| raw.set_section_link(RELA, 0xffff))
}

/// `sh_link` of the relocations names `.text` instead of a symbol table.
#[must_use]
pub fn link_elsewhere() -> Vec<u8> {
    let mut linked = base().link();
    rela(&mut linked).link = Some(".text".to_owned());
    linked.bytes()
}

/// `sh_entsize` of the relocations is zero.
#[must_use]
pub fn entry_size_zero() -> Vec<u8> {
    edited(|raw| raw.set_section(RELA, SectionField::EntrySize, 0))
}

/// The relocations beyond the file.
#[must_use]
pub fn relocations_outside_file() -> Vec<u8> {
    edited(|raw| raw.set_section(RELA, SectionField::Offset, 1 << 40))
}

/// The relocations claim 2^59 bytes.
#[must_use]
pub fn relocations_claim_too_much() -> Vec<u8> {
    edited(|raw| raw.set_section(RELA, SectionField::Size, 24 << 54))
}

/// A table of eight bytes more than whole entries.
#[must_use]
pub fn size_not_multiple() -> Vec<u8> {
    let mut linked = base().link();
    let table = linked.elf.section_mut(TABLE).expect("the module has a table");
    table.content = Content::Bytes(vec![0; 40]);
    linked.bytes()
}

/// A symbol of the table's keys in a section that does not exist.
#[must_use]
pub fn symbol_section_out_of_range() -> Vec<u8> {
    edited(|raw| {
        let index = raw.symbol_index("broken_key");
        raw.set_symbol(index, 1, 0xfe00);
    })
}

/// A signature whose trailer claims more bytes than the file has.
#[must_use]
pub fn signature_claims_too_much() -> Vec<u8> {
    wrap::with_trailer(&base().build(), &[0x5a; 64], wrap::PKCS7, u32::MAX)
}

/// A signature whose kind is not PKCS#7.
#[must_use]
pub fn signature_of_another_kind() -> Vec<u8> {
    wrap::with_trailer(&base().build(), &[0x5a; 64], 0, 64)
}

/// The magic string of a signature, without a module before it.
#[must_use]
pub fn signature_alone() -> Vec<u8> {
    wrap::MAGIC.to_vec()
}

/// Two sound modules that define one global key, `broken_key`.
#[must_use]
pub fn one_key_twice() -> [Vec<u8>; 2] {
    [named("first").build(), named("second").build()]
}

/// Every variant of this module, including both that define the same key.
#[must_use]
pub fn all() -> Vec<Named> {
    let [first, second] = one_key_twice();
    vec![
        ("module_no_relocations", no_relocations()),
        ("module_relocation_missing", relocation_missing()),
        ("module_relocation_twice", relocation_twice()),
        ("module_relocation_unknown", relocation_unknown()),
        ("module_relocation_of_code", relocation_of_code()),
        ("module_relocation_too_narrow", relocation_too_narrow()),
        ("module_relocation_past_section", relocation_past_section()),
        ("module_relocation_misaligned", relocation_misaligned()),
        ("module_symbol_out_of_range", symbol_out_of_range()),
        ("module_symbol_zero", symbol_zero()),
        ("module_addend_overflows", addend_overflows()),
        ("module_rel_instead_of_rela", rel_instead_of_rela()),
        ("module_info_out_of_range", info_out_of_range()),
        ("module_info_elsewhere", info_elsewhere()),
        ("module_link_out_of_range", link_out_of_range()),
        ("module_link_elsewhere", link_elsewhere()),
        ("module_entry_size_zero", entry_size_zero()),
        ("module_relocations_outside_file", relocations_outside_file()),
        ("module_relocations_claim_too_much", relocations_claim_too_much()),
        ("module_size_not_multiple", size_not_multiple()),
        ("module_symbol_section_out_of_range", symbol_section_out_of_range()),
        ("module_signature_claims_too_much", signature_claims_too_much()),
        ("module_signature_of_another_kind", signature_of_another_kind()),
        ("module_signature_alone", signature_alone()),
        ("module_first_of_two", first),
        ("module_second_of_two", second),
    ]
}
