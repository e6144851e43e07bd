//! The symbols recovered from the bytes of a kernel, compared with those of nm.

use crate::Image;
use crate::real::{demand_none, mapped, path, tools};
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::kallsyms::{AddressBase, AddressEncoding, FlatImage, Kallsyms};
use object::elf;
use object::read::elf::{ElfFile64, FileHeader as _, SectionHeader as _};
use std::collections::HashSet;

/// The bytes of all allocated sections by address, as `objcopy -O binary` writes them: a raw
/// `Image`.
fn flat(file: &[u8]) -> Vec<u8> {
    let elf = ElfFile64::<object::LittleEndian>::parse(file).expect("a vmlinux");
    let endian = elf.endian();
    let sections = elf.elf_header().sections(endian, file).expect("sections");
    let loaded = sections.iter().filter(|section| {
        section.sh_flags(endian).contains(elf::SHF_ALLOC)
            && section.sh_type(endian) != elf::SHT_NOBITS
            && section.sh_size(endian) != 0
    });
    let start = loaded.clone().map(|section| section.sh_addr(endian)).min().expect("a section");
    let mut image = Vec::new();
    for section in loaded {
        let data = section.data(endian, file).expect("bytes in the file");
        let at = usize::try_from(section.sh_addr(endian) - start).expect("an offset");
        image.resize(image.len().max(at + data.len()), 0);
        image[at..at + data.len()].copy_from_slice(data);
    }
    image
}

/// Kind and name at each address, as nm prints them.
fn nm(image: Image) -> HashSet<(u64, char, String)> {
    let text = tools::run(tools::llvm("llvm-nm").arg(path(image)));
    let symbols = text.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        let kind = fields.next()?.chars().next()?;
        Some((address, kind, fields.next()?.to_owned()))
    });
    symbols.collect()
}

/// Prefixes of names that kallsyms omits (`scripts/mksysmap`, `is_ignored_symbol` of
/// `scripts/kallsyms.c`).
const DROPPED: [&str; 6] = ["$", ".L", "__efistub_", "__kvm_nvhe_$", "__pi_$", "kallsyms_"];
/// Linux 5.10 omits all names of the hypervisor.
const DROPPED_510: &str = "__kvm_nvhe_";

/// Compares all symbols except functions with the prefixes `dropped`; returns the symbols for
/// checks that differ between kernels.
fn compare(image: Image, dropped: &[&str]) -> Kallsyms {
    let file = mapped(image);
    let found = Kallsyms::find(FlatImage::raw(&flat(file.bytes()), false));
    let found = found.unwrap_or_else(|error| panic!("{error}"));
    let nm = nm(image);
    let symbols = found.symbols().iter();
    let kernel: HashSet<_> = symbols
        .map(|symbol| (symbol.address.0, char::from(symbol.kind()), found.name(symbol).to_owned()))
        .collect();
    assert!(kernel.len() > 30_000, "only {} symbols", kernel.len());
    let invented = kernel.difference(&nm).map(|symbol| format!("{symbol:x?} is unknown to nm"));
    demand_none("symbols", &invented.collect::<Vec<_>>());
    let address = |name: &str| nm.iter().find(|symbol| symbol.2 == name).expect("a symbol").0;
    let text = address("_stext")..address("_etext");
    let kept = nm.iter().filter(|(at, kind, name)| {
        text.contains(at)
            && "tTwW".contains(*kind)
            && !dropped.iter().any(|prefix| name.starts_with(prefix))
    });
    let lost = kept.filter(|symbol| !kernel.contains(*symbol));
    demand_none(
        "functions",
        &lost.map(|symbol| format!("{symbol:x?} is lost")).collect::<Vec<_>>(),
    );
    assert_eq!(found.load_address(), Some(Svma(address("_text"))));
    assert!(found.symbols().is_sorted_by_key(|symbol| symbol.address));
    assert_eq!(found.layout().encoding, AddressEncoding::Offsets);
    assert_eq!(found.layout().marker_size, 4);
    found
}

/// Code only, and a base after the load address.
#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn symbols_of_510_are_those_of_nm() {
    let found = compare(Image::Vmlinux510, &[&DROPPED[..], &[DROPPED_510]].concat());
    assert_eq!(found.base(), AddressBase::Relocation(Svma(0xffff_8000_1001_0000)));
    assert_eq!(found.load_address(), Some(Svma(0xffff_8000_1000_0000)));
    assert_eq!(found.symbols().len(), 39_962);
    assert!(!found.has_data_symbols() && !found.layout().addresses_last);
    assert_eq!(found.layout().seqs_of_names, None);
}

/// Data as well, and the order of Linux 6.4.
#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn symbols_of_612_are_those_of_nm() {
    let found = compare(Image::Vmlinux612, &DROPPED);
    let load = found.load_address().expect("the relocations determine it");
    assert_eq!(found.base(), AddressBase::Relocation(load));
    assert!(found.has_data_symbols() && found.layout().addresses_last);
    assert!(found.layout().seqs_of_names.is_some());
}
