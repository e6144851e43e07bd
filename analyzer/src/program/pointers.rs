//! Functions whose address is in data, relocations applied.
//!
//! A kernel's raw image has no sections: its RELA records lie in it as data, and on arm64
//! their addends are all there is of a pointer, as linkers leave the slots 0.  The slot says
//! what a pointer is for.

use super::function::FuncId;
use super::read_only::words;
use super::recovered::RecoveredProgram;
use crate::addr::{AddrRange, Svma};
use crate::image::{Image, Section};
use rayon::prelude::*;

/// R_AARCH64_RELATIVE, with no symbol: the second word of a RELA record whose third is an
/// address (AAELF64, "Dynamic relocations").
const RELATIVE: u64 = 0x403;

/// ELF section types of what linkers read: relocations with and without addends, packed
/// ones, and dynamic symbols.  Addresses in them are no pointers of the program.
const LINKING: [u32; 4] = [4, 9, 19, 11];

/// Tables of a kernel that list places in code to be patched or left alone (`include/
/// asm-generic/vmlinux.lds.h`, Linux 6.12), by the symbols that bound them.
const LISTS: [(&str, &str); 3] = [
    ("__start_mcount_loc", "__stop_mcount_loc"),
    ("__start_kprobe_blacklist", "__stop_kprobe_blacklist"),
    ("__start_error_injection_whitelist", "__stop_error_injection_whitelist"),
];

/// The same in modules, by their sections.
const LIST_SECTIONS: [&str; 4] = [
    "__mcount_loc",
    "__patchable_function_entries",
    "_kprobe_blacklist",
    "_error_injection_whitelist",
];

fn places_in_code(image: &Image<'_>) -> Vec<AddrRange> {
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

/// The data of a kernel that are gone after boot, where nothing bounds the lists, which are
/// in them (INIT_DATA in `include/asm-generic/vmlinux.lds.h`).
///
/// With symbols of code alone a raw image is divided by its PE header, whose writable section
/// begins with them (`arch/arm64/kernel/efi-header.S`); RELA records end them
/// (`arch/arm64/kernel/vmlinux.lds.S`, Linux 5.10 to 6.12).
fn init_data(image: &Image<'_>) -> Option<AddrRange> {
    let named = |name| image.sections().iter().find(|section| section.name == name);
    if let Some(section) = named(".init.data") {
        return Some(section.range);
    }
    let data = named(".data")?;
    let records = first_records(&words(image, data)?)?;
    AddrRange::new(data.range.start(), data.range.start().wrapping_add(records as u64 * 8))
}

/// Index of the first of two RELA records that follow each other.
fn first_records(words: &[u64]) -> Option<usize> {
    words.windows(6).position(|window| window[1] == RELATIVE && window[4] == RELATIVE)
}

/// The functions that pointers in data lead to; lists of places in code are no pointers that
/// anyone calls.
pub(super) fn in_data(program: &RecoveredProgram<'_>, image: &Image<'_>) -> Vec<FuncId> {
    let lists = places_in_code(image);
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

/// Each word with the address that it is at, or for an addend of a RELA record the one that
/// it is for.
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
    fn records_follow_each_other() {
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
