//! Functions whose address is in data, relocations applied.
//!
//! The raw image of a kernel has no sections: its RELA records are data in it. On arm64 the
//! addend of a record is the only copy of a pointer, because linkers leave the slot 0. The slot
//! tells which table the pointer belongs to.

use super::function::FuncId;
use super::read_only::words;
use super::recovered::RecoveredProgram;
use crate::addr::{AddrRange, Svma};
use crate::image::{Image, Section};
use rayon::prelude::*;

/// R_AARCH64_RELATIVE without a symbol: the second word of a RELA record. The third word is an
/// address (AAELF64, "Dynamic relocations").
const RELATIVE: u64 = 0x403;

/// ELF section types that only the linker reads: relocations with and without addends, packed
/// relocations, and dynamic symbols. Addresses in such sections are not pointers of the program.
const LINKING: [u32; 4] = [4, 9, 19, 11];

/// Tables of a kernel that list code locations to be patched or left alone, each with its
/// boundary symbols (`include/asm-generic/vmlinux.lds.h`, Linux 6.12).
const LISTS: [(&str, &str); 3] = [
    ("__start_mcount_loc", "__stop_mcount_loc"),
    ("__start_kprobe_blacklist", "__stop_kprobe_blacklist"),
    ("__start_error_injection_whitelist", "__stop_error_injection_whitelist"),
];

/// The same tables in modules, by section name.
const LIST_SECTIONS: [&str; 4] = [
    "__mcount_loc",
    "__patchable_function_entries",
    "_kprobe_blacklist",
    "_error_injection_whitelist",
];

fn code_location_lists(image: &Image<'_>) -> Vec<AddrRange> {
    let symbol = |name| image.symbols().named(name).next().map(|(_, found)| found.address);
    let bounded: Vec<AddrRange> = LISTS
        .iter()
        .filter_map(|(start, stop)| AddrRange::new(symbol(start)?, symbol(stop)?))
        .collect();
    let is_unbounded = bounded.is_empty() && symbol("_einittext").is_some();
    let init_data = is_unbounded.then(|| init_data(image)).flatten();
    let sections = image.sections().iter();
    let sections = sections.filter(|section| LIST_SECTIONS.contains(&section.name));
    bounded.into_iter().chain(init_data).chain(sections.map(|section| section.range)).collect()
}

/// The data that a kernel frees after boot, for a kernel without the boundary symbols: the tables
/// are in these data (INIT_DATA in `include/asm-generic/vmlinux.lds.h`).
///
/// A raw image whose symbols cover code only is divided by its PE header. The writable section of
/// the header begins with these data (`arch/arm64/kernel/efi-header.S`), and RELA records follow
/// them (`arch/arm64/kernel/vmlinux.lds.S`, Linux 5.10 to 6.12).
fn init_data(image: &Image<'_>) -> Option<AddrRange> {
    let named = |name| image.sections().iter().find(|section| section.name == name);
    if let Some(section) = named(".init.data") {
        return Some(section.range);
    }
    let data = named(".data")?;
    let records = first_records(&words(image, data)?)?;
    AddrRange::new(data.range.start(), data.range.start().wrapping_add(records as u64 * 8))
}

/// Index of the first of two consecutive RELA records.
fn first_records(words: &[u64]) -> Option<usize> {
    words.windows(6).position(|window| window[1] == RELATIVE && window[4] == RELATIVE)
}

/// The functions that pointers in data lead to. Entries of tables that list code locations do not
/// count: no code calls through them.
pub(super) fn in_data(program: &RecoveredProgram<'_>, image: &Image<'_>) -> Vec<FuncId> {
    let lists = code_location_lists(image);
    let data: Vec<&Section<'_>> = image
        .sections()
        .iter()
        .filter(|section| section.is_data() && !section.data.is_empty())
        .filter(|section| !LINKING.contains(&section.kind))
        .collect();
    let found: Vec<Vec<FuncId>> =
        data.par_iter().filter_map(|section| in_section(program, image, section, &lists)).collect();
    found.into_iter().flatten().collect()
}

fn in_section(
    program: &RecoveredProgram<'_>,
    image: &Image<'_>,
    section: &Section<'_>,
    lists: &[AddrRange],
) -> Option<Vec<FuncId>> {
    let is_listed = |at: Svma| lists.iter().any(|list| list.contains(at));
    let words = words(image, section)?;
    let pointers = slots(section.range.start(), &words).filter(|(slot, _)| !is_listed(*slot));
    Some(pointers.filter_map(|(_, word)| program.starting_at(Svma(word))).collect())
}

/// Each word with its address. For the addend of a RELA record, the address is that of the
/// record's slot.
fn slots(start: Svma, words: &[u64]) -> impl Iterator<Item = (Svma, u64)> {
    (0u64..).zip(words).map(move |(index, word)| {
        let before = |back: u64| words.get(usize::try_from(index.checked_sub(back)?).ok()?);
        let slot = match (before(2), before(1)) {
            (Some(slot), Some(&RELATIVE)) => Svma(*slot),
            _ => start.wrapping_add(index * 8),
        };
        (slot, *word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_consecutive_records_are_found() {
        let record = [0x1000, RELATIVE, 0x2000];
        let lone = [&[1, RELATIVE, 2, 3, 4, 5][..], &record[..], &record[..]].concat();
        assert_eq!(first_records(&lone), Some(6));
        assert_eq!(first_records(&lone[..9]), None);
    }

    #[test]
    fn an_addend_stands_for_its_slot() {
        let words = [0xffff_8000_0945_3898, RELATIVE, 0x1234, 7, RELATIVE];
        let found: Vec<(u64, u64)> =
            slots(Svma(0x100), &words).map(|(slot, word)| (slot.0, word)).collect();
        let own = |index: usize| (0x100 + index as u64 * 8, words[index]);
        assert_eq!(found, [own(0), own(1), (0xffff_8000_0945_3898, 0x1234), own(3), own(4)]);
        assert_eq!(slots(Svma(0), &[RELATIVE, 5]).nth(1), Some((Svma(8), 5)), "no slot before it");
    }
}
