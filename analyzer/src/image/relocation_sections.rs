//! Relocation sections: the relocations of each range of bytes.
//!
//! Relocations of a linked image (`.rela.dyn`, RELR) state addresses.  Relocations of a
//! relocatable file belong to one section each and state offsets into it.

use super::error::ImageFault;
use super::format::ImageKind;
use super::relocate::{self, Rela, Relocated};
use super::section::Section;
use super::symbol::{SYM, SymbolId, Symbols};
use crate::addr::{AddrRange, Svma};
use crate::arch::Architecture;
use goblin::container::Ctx;
use goblin::elf::reloc::{Reloc, RelocSection};
use goblin::elf::section_header;
use goblin::elf::sym::Symtab;
use rayon::prelude::*;
use std::sync::OnceLock;

/// Size of an ELF64 RELA relocation, in bytes.
pub(super) const RELA: usize = 24;
/// Size in bytes above which a range is large: a jump table, not an object.
const LARGE: u64 = 1 << 12;
/// SHT_RELR (gABI 2022); goblin does not define it.
const SHT_RELR: u32 = 19;

/// The addresses at which the relocations of an image write, for many queries.
#[derive(Debug)]
pub struct RelocatedAddresses {
    /// First bytes, ascending.
    addresses: Vec<Svma>,
}

impl RelocatedAddresses {
    /// Whether a relocation begins in `range`.
    #[must_use]
    pub fn any_in(&self, range: AddrRange) -> bool {
        let first = self.addresses.partition_point(|address| *address < range.start());
        self.addresses.get(first).is_some_and(|address| range.contains(*address))
    }
}

/// All relocations of an image in allocated sections.
#[derive(Debug, Default)]
pub(super) struct Relocations<'data> {
    big_endian: bool,
    is_relocatable: bool,
    rela: Vec<RelaTable<'data>>,
    /// Words of RELR sections.
    relr: Vec<&'data [u8]>,
}

/// One RELA section.
#[derive(Debug)]
struct RelaTable<'data> {
    records: RelocSection<'data>,
    /// The bytes of the records.
    bytes: &'data [u8],
    big_endian: bool,
    /// Indexes of the records by offset, if they are not sorted; computed on first use.
    order: OnceLock<Option<Vec<u32>>>,
    /// The base of the offsets, and the addresses that they may lead to.
    target: AddrRange,
    values: SymbolValues<'data>,
}

/// The source of the symbol values of a RELA section.
#[derive(Debug)]
enum SymbolValues<'data> {
    /// A dynamic symbol table; without one every value is 0.
    Dynamic(Option<Symtab<'data>>),
    /// The symbols of the image.
    OfImage,
}

impl<'data> Relocations<'data> {
    pub(super) fn new(
        sections: &[Section<'data>],
        ctx: Ctx,
        kind: ImageKind,
        faults: &mut Vec<ImageFault>,
    ) -> Self {
        let is_relocatable = kind == ImageKind::Rel;
        let mut all =
            Self { big_endian: !ctx.is_little_endian(), is_relocatable, ..Self::default() };
        for section in sections {
            match section.kind {
                section_header::SHT_RELA if is_relocatable => {
                    all.rela.extend(table_of_section(sections, section, ctx, faults));
                }
                section_header::SHT_REL if is_relocatable => {
                    no_addends(sections, section, faults);
                }
                section_header::SHT_RELA if section.flags.alloc => {
                    all.rela.extend(dynamic_table(sections, section, ctx, faults));
                }
                SHT_RELR if section.flags.alloc => {
                    all.relr.push(whole_records(section, 8, faults));
                }
                _ => {}
            }
        }
        all
    }

    /// The bytes of `range` with the relocations in it applied.
    pub(super) fn apply(
        &self,
        range: AddrRange,
        bytes: &'data [u8],
        arch: &dyn Architecture,
        symbols: &Symbols<'_>,
    ) -> Relocated<'data> {
        let rela = self.rela.iter().flat_map(|table| table.inside(range, symbols));
        let mut relocated =
            relocate::apply(range, bytes, self.big_endian, self.is_relocatable, arch, rela);
        relocated.words += self.relr_addresses().filter(|at| range.contains_bytes(*at, 8)).count();
        relocated
    }

    /// The addresses at which relocations write.
    pub(super) fn addresses(&self) -> RelocatedAddresses {
        let of_table = |table: &RelaTable<'_>| {
            let base = table.target.start();
            table.offsets().map(move |offset| base.wrapping_add(offset)).collect::<Vec<_>>()
        };
        let mut addresses: Vec<Svma> = self.rela.iter().flat_map(of_table).collect();
        addresses.extend(self.relr_addresses());
        if !addresses.is_sorted() {
            addresses.par_sort_unstable();
        }
        RelocatedAddresses { addresses }
    }

    fn relr_addresses(&self) -> impl Iterator<Item = Svma> {
        let words = self.relr.iter().flat_map(|section| section.as_chunks().0).map(|word| {
            if self.big_endian { u64::from_be_bytes(*word) } else { u64::from_le_bytes(*word) }
        });
        relocate::relr_addresses(words)
    }
}

fn whole_records<'data>(
    section: &Section<'data>,
    record: usize,
    faults: &mut Vec<ImageFault>,
) -> &'data [u8] {
    let whole = section.data.len() - section.data.len() % record;
    if whole != section.data.len() {
        faults.push(ImageFault::RelocationSection {
            name: section.name.to_owned(),
            expected: "whole records",
            found: format!("{} bytes in records of {record}", section.data.len()),
        });
    }
    &section.data[..whole]
}

fn dynamic_table<'data>(
    sections: &[Section<'data>],
    section: &Section<'data>,
    ctx: Ctx,
    faults: &mut Vec<ImageFault>,
) -> Option<RelaTable<'data>> {
    let bytes = whole_records(section, RELA, faults);
    let records = RelocSection::parse(section.data, 0, bytes.len(), true, ctx).ok()?;
    let symbols = sections
        .get(section.link as usize)
        .filter(|table| table.kind == section_header::SHT_DYNSYM)
        .and_then(|table| Symtab::parse(table.data, 0, table.data.len() / SYM, ctx).ok());
    let target = AddrRange::sized(Svma(0), u64::MAX);
    Some(RelaTable::new((records, bytes), ctx, target, SymbolValues::Dynamic(symbols)))
}

/// The relocations of one section of a relocatable file (`sh_info`).
fn table_of_section<'data>(
    sections: &[Section<'data>],
    section: &Section<'data>,
    ctx: Ctx,
    faults: &mut Vec<ImageFault>,
) -> Option<RelaTable<'data>> {
    let mut fault = |expected, found| {
        let name = section.name.to_owned();
        faults.push(ImageFault::RelocationSection { name, expected, found });
    };
    let Some(target) = sections.get(section.info as usize).filter(|_| section.info != 0) else {
        fault(
            "sh_info to name the relocated section",
            format!("section {} of {}", section.info, sections.len()),
        );
        return None;
    };
    if !target.flags.alloc {
        return None;
    }
    let is_symtab = |link: u32| {
        sections.get(link as usize).is_some_and(|link| link.kind == section_header::SHT_SYMTAB)
    };
    if !is_symtab(section.link) {
        fault("sh_link to name the symbol table", format!("section {}", section.link));
        return None;
    }
    let bytes = whole_records(section, RELA, faults);
    let records = RelocSection::parse(section.data, 0, bytes.len(), true, ctx).ok()?;
    let size = target.range.size();
    let table = RelaTable::new((records, bytes), ctx, target.range, SymbolValues::OfImage);
    let outside = table.offsets().filter(|offset| *offset >= size).count();
    if outside > 0 {
        faults.push(ImageFault::RelocationSection {
            name: section.name.to_owned(),
            expected: "offsets inside the relocated section",
            found: format!("{outside} beyond the {size:#x} bytes of {}", target.name),
        });
    }
    Some(table)
}

/// Reports relocations without addends: no supported psABI has them.
fn no_addends(sections: &[Section<'_>], section: &Section<'_>, faults: &mut Vec<ImageFault>) {
    if sections.get(section.info as usize).is_some_and(|target| target.flags.alloc) {
        faults.push(ImageFault::RelocationSection {
            name: section.name.to_owned(),
            expected: "relocations with addends (SHT_RELA)",
            found: "relocations without (SHT_REL)".to_owned(),
        });
    }
}

impl<'data> RelaTable<'data> {
    fn new(
        (records, bytes): (RelocSection<'data>, &'data [u8]),
        ctx: Ctx,
        target: AddrRange,
        values: SymbolValues<'data>,
    ) -> Self {
        let (big_endian, order) = (!ctx.is_little_endian(), OnceLock::new());
        Self { records, bytes, big_endian, order, target, values }
    }

    /// The offsets of the records, by number.
    fn offsets(&self) -> impl Iterator<Item = u64> {
        self.bytes.as_chunks::<RELA>().0.iter().map(|record| {
            let offset = *record.first_chunk().unwrap_or(&[0; 8]);
            if self.big_endian { u64::from_be_bytes(offset) } else { u64::from_le_bytes(offset) }
        })
    }

    fn record(&self, at: usize) -> Option<Reloc> {
        // Assemblers write records in order of offset; linkers sort them by type first.
        let order = self.order.get_or_init(|| {
            (!self.offsets().is_sorted()).then(|| {
                let mut order: Vec<(u64, u32)> = self.offsets().zip(0u32..).collect();
                order.sort_unstable();
                order.into_iter().map(|(_, index)| index).collect()
            })
        });
        let index = match order {
            Some(order) => *order.get(at)? as usize,
            None => at,
        };
        self.records.get(index)
    }

    /// The relocations whose first byte lies in `range`, by offset.
    fn inside<'a>(
        &'a self,
        range: AddrRange,
        symbols: &'a Symbols<'_>,
    ) -> impl Iterator<Item = Rela> + 'a {
        let base = self.target.start();
        // For a large range, which is read once, checking every offset is cheaper than sorting;
        // small ranges are many.
        let is_large = range.size() > LARGE && self.order.get().is_none();
        let all = is_large.then(|| {
            let is_inside =
                move |(offset, _): &(u64, usize)| range.contains(base.wrapping_add(*offset));
            self.offsets().zip(0..).filter(is_inside).map(|(_, index)| index)
        });
        let start = range.start().0.checked_sub(base.0).filter(|_| !is_large);
        let first = start.map_or(usize::MAX, |start| self.first_from(start));
        let by_order = (first..self.records.len()).map_while(move |at| self.record(at));
        let all = all.into_iter().flatten().filter_map(|index| self.records.get(index));
        all.chain(by_order)
            .map(move |record| {
                let (symbol, index) = (self.value(&record, symbols), record.r_sym);
                Rela {
                    at: base.wrapping_add(record.r_offset),
                    kind: record.r_type,
                    symbol: symbol.ok_or(index),
                    addend: record.r_addend.unwrap_or(0),
                }
            })
            .take_while(move |rela| range.contains(rela.at))
    }

    /// The first record at or after `offset`.
    fn first_from(&self, offset: u64) -> usize {
        let (mut low, mut high) = (0, self.records.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.record(middle).is_some_and(|record| record.r_offset < offset) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    fn value(&self, record: &Reloc, symbols: &Symbols<'_>) -> Option<u64> {
        if record.r_sym == 0 {
            return Some(0);
        }
        match &self.values {
            SymbolValues::Dynamic(None) => Some(0),
            SymbolValues::Dynamic(Some(table)) => Some(table.get(record.r_sym)?.st_value),
            SymbolValues::OfImage => {
                let id = SymbolId(u32::try_from(record.r_sym).ok()?);
                Some(symbols.try_get(id)?.address.0)
            }
        }
    }
}
