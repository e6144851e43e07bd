//! Raw boot images: a header, followed by the bytes of a kernel as in memory.
//!
//! Raw images have no sections and no symbols.  This module makes both: the symbols from the
//! kernel's own kallsyms, and the sections from those symbols that mark boundaries.

mod build_id;
mod header;
mod pe;
mod regions;

pub(super) use header::Header;

use super::error::ImageFault;
use super::format::{ImageFormat, ImageKind};
use super::identity::ImageIdentity;
use super::kallsyms::{self, AddressEncoding, FlatImage, Kallsyms};
use super::kallsyms_symbols;
use super::model::Image;
use super::relocation_sections::Relocations;
use super::section::{Section, SectionFlags, SectionIndex};
use super::symbol::Symbols;
use crate::addr::{AddrRange, FileOffset, Svma};
use crate::arch::{self, Architecture};
use goblin::container::{Container, Ctx, Endian};
use regions::{Region, RegionContent, RegionEvidence};
use std::ops::Range;

/// ELF machine number (`e_machine`) of the architecture of a format.
const fn elf_machine(format: ImageFormat) -> u16 {
    match format {
        ImageFormat::Riscv64Image => goblin::elf::header::EM_RISCV,
        ImageFormat::Elf | ImageFormat::Arm64Image => goblin::elf::header::EM_AARCH64,
    }
}

/// The architecture of a raw image.
pub(super) fn architecture(header: &Header) -> Option<&'static dyn Architecture> {
    arch::of_elf_machine(elf_machine(header.format))
}

/// The identity of a raw image.
pub(super) fn identity<'data>(data: &'data [u8], header: &Header) -> ImageIdentity<'data> {
    ImageIdentity::of_bytes(data, build_id::build_id(data, header.big_endian))
}

/// Makes an image of `data`, which starts with `header`.
pub(super) fn parse<'data>(
    data: &'data [u8],
    header: &Header,
    arch: &'static dyn Architecture,
) -> Image<'data> {
    let mut faults = header.faults(data.len() as u64);
    let pe = header.pe_offset.map(|offset| (offset, pe::sections(data, offset)));
    if let Some((offset, None)) = pe {
        faults.push(ImageFault::PeHeader { offset: FileOffset(offset.into()) });
    }
    let pe = pe.and_then(|(_, sections)| sections).unwrap_or_default();
    let (kallsyms, load) = placed_kallsyms(data, header.big_endian, &mut faults);
    let offset_of = |name: &str| {
        let kallsyms = kallsyms.as_ref()?;
        let found = kallsyms.symbols().iter().find(|symbol| kallsyms.name(symbol) == name)?;
        found.address.0.checked_sub(load.0).filter(|offset| *offset <= header::LARGEST)
    };
    let file_end = file_end(data, &pe, &offset_of, &mut faults);
    let end = file_end.max(header.image_size().or_else(|| offset_of("_end")).unwrap_or(0));
    let regions = regions::regions(&RegionEvidence { symbol: &offset_of, pe: &pe, file_end, end });
    let sections: Vec<Section<'data>> =
        regions.iter().map(|region| section(data, load, region)).collect();
    let index = SectionIndex::new(&sections);
    let symbols = match &kallsyms {
        Some(kallsyms) => kallsyms_symbols::symbols(kallsyms, &sections, &index, arch),
        None => Symbols::default(),
    };
    Image {
        data,
        format: header.format,
        kind: ImageKind::Dyn,
        big_endian: header.big_endian,
        arch,
        identity: identity(data, header).with_release(&sections, &symbols),
        sections,
        index,
        has_recovered_symbols: kallsyms.is_some(),
        symbols,
        relocations: relocations(data, header.big_endian, &mut faults),
        imports: std::sync::OnceLock::new(),
        faults,
    }
}

/// The symbols, and the address of the first byte.  If the address is not known, it is 0, a
/// fault gives the reason, and symbols relative to an unknown base are omitted.
fn placed_kallsyms(
    data: &[u8],
    big_endian: bool,
    faults: &mut Vec<ImageFault>,
) -> (Option<Kallsyms>, Svma) {
    let kallsyms = Kallsyms::find(FlatImage::raw(data, big_endian));
    let fits = |load: &Svma| load.0.checked_add(header::LARGEST + data.len() as u64).is_some();
    let (kallsyms, reason) = match kallsyms {
        Ok(kallsyms) => match kallsyms.load_address().filter(fits) {
            Some(load) => return (Some(kallsyms), load),
            None => {
                let symbols = kallsyms.symbols().len();
                let is_from_places = kallsyms.layout().encoding == AddressEncoding::PlaceRelative;
                let reason = format!("kallsyms: {symbols} symbols relative to an unknown base");
                (Some(kallsyms).filter(|_| is_from_places), reason)
            }
        },
        Err(error) => (None, error.to_string()),
    };
    faults.push(ImageFault::NoLoadAddress { reason });
    (kallsyms, Svma(0))
}

/// The kernel's relocations of itself, which fill words that hold addresses; up to Linux 4.19
/// arm64's entries consist of such words.
fn relocations<'data>(
    data: &'data [u8],
    big_endian: bool,
    faults: &mut Vec<ImageFault>,
) -> Relocations<'data> {
    let section = |records: Range<usize>| Section {
        name: ".rela.dyn",
        range: AddrRange::sized(Svma(0), 0),
        offset: FileOffset(records.start as u64),
        data: data.get(records).unwrap_or_default(),
        flags: SectionFlags { alloc: true, ..SectionFlags::default() },
        kind: goblin::elf::section_header::SHT_RELA,
        link: 0,
        info: 0,
    };
    let runs = kallsyms::relative_relocations(data, big_endian).into_iter();
    let sections: Vec<_> = runs.map(section).collect();
    let endian = if big_endian { Endian::Big } else { Endian::Little };
    let ctx = Ctx::new(Container::Big, endian);
    Relocations::new(&sections, ctx, ImageKind::Dyn, faults)
}

/// The end of the bytes that the file should have.
fn file_end(
    data: &[u8],
    pe: &[pe::PeSection<'_>],
    offset_of: &dyn Fn(&str) -> Option<u64>,
    faults: &mut Vec<ImageFault>,
) -> u64 {
    let found = data.len() as u64;
    let stated = pe.iter().map(|section| section.start + section.file_size).max();
    let expected = stated.or_else(|| offset_of("_edata")).unwrap_or(0);
    if expected > found {
        faults.push(ImageFault::RawImageCut { expected, found });
    }
    expected.max(found)
}

fn section<'data>(data: &'data [u8], load: Svma, region: &Region<'data>) -> Section<'data> {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(data.len());
    let is_zero = region.content == RegionContent::Zeros;
    let exec = matches!(region.content, RegionContent::Code | RegionContent::Mixed);
    Section {
        name: region.name,
        range: AddrRange::sized(load.wrapping_add(region.start), region.end - region.start),
        offset: FileOffset(region.start),
        data: if is_zero { &[] } else { &data[at(region.start)..at(region.end)] },
        flags: SectionFlags {
            alloc: true,
            exec,
            write: region.content != RegionContent::Code,
            no_bits: is_zero,
            mixed: region.content == RegionContent::Mixed,
            ..SectionFlags::default()
        },
        kind: match is_zero {
            true => goblin::elf::section_header::SHT_NOBITS,
            false => goblin::elf::section_header::SHT_PROGBITS,
        },
        link: 0,
        info: 0,
    }
}
