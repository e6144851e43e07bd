//! The regions of a raw image: from the kernel's own boundary symbols, or else from the PE
//! header, or else a single region of unknown content.
//!
//! Regions have the names of the corresponding sections of the vmlinux
//! (`arch/arm64/kernel/vmlinux.lds.S`, `arch/riscv/kernel/vmlinux.lds.S`,
//! `include/asm-generic/vmlinux.lds.h`, Linux 5.10 to 6.12).

use super::pe::PeSection;

/// The content of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegionContent {
    /// Instructions.
    Code,
    /// Data.
    Data,
    /// Code and data, without known boundaries.
    Mixed,
    /// Zeros that are not in the file.
    Zeros,
}

/// A part of the image, by offsets from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region<'data> {
    pub(super) name: &'data str,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) content: RegionContent,
}

/// The sources of the boundaries.
pub(super) struct RegionEvidence<'a, 'data> {
    /// Offset of the symbol with a name.
    pub(super) symbol: &'a dyn Fn(&str) -> Option<u64>,
    /// Sections of the PE header; empty without one.
    pub(super) pe: &'a [PeSection<'data>],
    /// End of the bytes of the file; memory after it is zero.
    pub(super) file_end: u64,
    /// End of the kernel in memory.
    pub(super) end: u64,
}

/// Name of a region of unknown content.
const UNKNOWN: &str = "image";

/// The start of a region: its offset, name and content.
type Mark<'data> = (u64, &'data str, RegionContent);

/// The regions, ascending, from offset 0 to the end.
pub(super) fn regions<'data>(evidence: &RegionEvidence<'_, 'data>) -> Vec<Region<'data>> {
    let mut marks = by_symbols(evidence).unwrap_or_else(|| by_pe(evidence));
    let zeros = (evidence.symbol)("__bss_start").unwrap_or(evidence.file_end);
    marks.retain(|(at, ..)| *at < zeros);
    marks.push((zeros.min(evidence.file_end), ".bss", RegionContent::Zeros));
    // The sort is stable: of the marks at one offset the last counts.
    marks.sort_by_key(|(at, ..)| *at);
    let stop = (evidence.symbol)("__bss_stop").filter(|stop| *stop >= zeros);
    let end = stop.unwrap_or(evidence.end);
    let ends = marks.iter().skip(1).map(|(at, ..)| *at).chain([end]);
    let mut regions: Vec<Region<'data>> = Vec::new();
    for ((start, name, content), end) in marks.iter().copied().zip(ends) {
        match regions.last_mut() {
            Some(last) if last.name == name && last.content == content && last.end == start => {
                last.end = end.max(start);
            }
            _ if start < end => regions.push(Region { name, start, end, content }),
            _ => {}
        }
    }
    regions
}

/// The boundaries from symbols; `None` if the symbols do not bound the text.  Without
/// CONFIG_KALLSYMS_ALL (Linux 5.10) there are only symbols of code, and the PE header states
/// the start of the writable data.
fn by_symbols<'data>(evidence: &RegionEvidence<'_, 'data>) -> Option<Vec<Mark<'data>>> {
    use RegionContent::{Code, Data, Mixed};
    let first = |names: &[&str]| names.iter().find_map(|name| (evidence.symbol)(name));
    let (text, text_end) = (first(&["_stext"])?, first(&["_etext"])?);
    let init_data = first(&["__initdata_begin", "__init_data_begin"]);
    let writable = match init_data {
        Some(_) => None,
        None => evidence.pe.iter().find(|section| !section.exec).map(|section| section.start),
    };
    let exit_text_end = first(&["__exittext_end"]);
    let init_text_end = first(&["_einittext"]);
    let after_init_text = match exit_text_end.or(init_data).or(writable) {
        // If the init text ends earlier, the few data after it count as text.
        Some(_) => (init_text_end, ".exit.text", Code),
        None => (init_text_end, UNKNOWN, Mixed),
    };
    // Linux 5.10 keeps the code for the identity mapping in .text.
    let is_after_text = |at: &u64| *at > text_end;
    let marks = [
        (Some(0), ".head.text", Code),
        (Some(text), ".text", Code),
        (Some(text_end), ".rodata", Data),
        (first(&["__start_rodata"]), ".rodata", Data),
        (first(&["__idmap_text_start"]).filter(is_after_text), ".rodata.text", Code),
        (first(&["__idmap_text_end"]).filter(is_after_text), ".rodata", Data),
        (first(&["_sinittext"]), ".init.text", Code),
        after_init_text,
        (exit_text_end, ".init.data", Data),
        (init_data, ".init.data", Data),
        (writable, ".data", Data),
        // riscv64 has read-only data between the two.
        (first(&["_data", "_sdata"]), ".data", Data),
    ];
    let present = marks.into_iter();
    Some(present.filter_map(|(at, name, content)| Some((at?, name, content))).collect())
}

/// The boundaries from the PE header, whose executable section also holds the read-only data.
fn by_pe<'data>(evidence: &RegionEvidence<'_, 'data>) -> Vec<Mark<'data>> {
    if evidence.pe.is_empty() {
        return vec![(0, UNKNOWN, RegionContent::Mixed)];
    }
    let of_section = |section: &PeSection<'data>| {
        let content = if section.exec { RegionContent::Mixed } else { RegionContent::Data };
        (section.start, section.name, content)
    };
    let head = (0, ".head.text", RegionContent::Code);
    [head].into_iter().chain(evidence.pe.iter().map(of_section)).collect()
}
