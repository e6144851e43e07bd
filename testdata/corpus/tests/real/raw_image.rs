//! Kernels without symbol tables, compared with the same kernels with them: raw boot images,
//! and stripped ELF files.

use crate as corpus;
use crate::real::{demand_none, mapped};
use jlctl_analyzer::addr::{AddrRange, Svma};
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::{Image, ImageFault, ImageFormat, SymbolOffset};
use jlctl_analyzer::jump_table::{Defect, Diagnostic, JumpEntry, JumpTable, LocatedBy, SiteId};
use object::elf;
use object::read::elf::{ElfFile64, FileHeader as _};

/// Numbers of functions whose names differ legitimately, by the reason.
#[derive(Debug, Default, PartialEq, Eq)]
struct Differences {
    /// Names that kallsyms omits.
    dropped: usize,
    /// Code after the end of a function, which kallsyms does not record.
    behind_end: usize,
    /// Another name of the same code.
    aliases: usize,
}

impl Differences {
    /// The known 6.12 kernels have one such site, on riscv64.
    fn demand_few(&self) {
        let few = 0..10;
        let is_few = few.contains(&self.behind_end) && few.contains(&self.aliases);
        assert!(self.dropped == 0 && is_few, "{self:?}");
    }
}

/// One kernel, read with and without its symbol table.
struct Pair<'a> {
    /// With the symbol table.
    full: &'a Image<'a>,
    full_table: JumpTable<'a>,
    /// Without.
    bare: &'a Image<'a>,
    bare_table: JumpTable<'a>,
    /// Distance from the addresses of the second to those of the first: 0 if the second states
    /// its address.
    bias: u64,
}

impl<'a> Pair<'a> {
    fn new(full: &'a Image<'a>, bare: &'a Image<'a>) -> Self {
        let table = |image: &Image<'a>| JumpTable::read(image).expect("a table");
        let (full_table, bare_table) = (table(full), table(bare));
        let start = |table: &JumpTable<'a>| table.location().range.start().0;
        let bias = match bare.faults() {
            [ImageFault::NoLoadAddress { .. }] => start(&full_table) - start(&bare_table),
            _ => 0,
        };
        Self { full, full_table, bare, bare_table, bias }
    }

    /// Requires equal tables; returns the legitimate differences of names.
    fn compare(&self) -> Differences {
        let (full, bare) = (&self.full_table, &self.bare_table);
        let range = bare.location().range;
        let range = AddrRange::sized(range.start().wrapping_add(self.bias), range.size());
        assert_eq!(range, full.location().range);
        assert_eq!((bare.layout(), bare.len()), (full.layout(), full.len()));
        assert_eq!(self.bare.release(), self.full.release());
        assert_eq!(self.bare.build_id(), self.full.build_id());
        let image = |found: &&Diagnostic| matches!(found.defect, Defect::Image(_));
        assert_eq!(bare.diagnostics().iter().find(|found| !image(found)), None);
        assert_eq!(full.diagnostics(), []);
        let confidence = bare.location().confidence.expect("the structure was looked at");
        assert_eq!(confidence.entries, full.len());
        assert!(confidence.next_longest < 8, "{confidence:?}");
        let sites = bare.site_ids().filter(|id| !self.is_same_site(*id));
        let sites = sites.map(|id| format!("{:x?} and {:x?}", full.entry(id), bare.entry(id)));
        demand_none("sites", &sites.collect::<Vec<_>>());
        let keys = full.keys().iter().zip(bare.keys()).filter(|(full, bare)| {
            let section =
                |image: &Image<'a>, id| Option::map(id, |id| image.section(id).name.to_owned());
            full.storage != bare.storage
                || full.sites != bare.sites
                || section(self.full, full.section) != section(self.bare, bare.section)
        });
        demand_none("keys", &keys.map(|pair| format!("{pair:x?}")).collect::<Vec<_>>());
        let mut differences = Differences::default();
        bare.site_ids().for_each(|id| self.compare_functions(id, &mut differences));
        differences
    }

    fn is_same_site(&self, id: SiteId) -> bool {
        let (full, bare) = (self.full_table.site(id), self.bare_table.site(id));
        let section =
            |image: &Image<'a>, id: Option<_>| id.map(|id| image.section(id).name.to_owned());
        let there = |address: Svma| address.wrapping_add(self.bias);
        let entry = *self.bare_table.entry(id);
        let (code, target, key) = (there(entry.code), there(entry.target), there(entry.key));
        let insn = match bare.insn {
            SiteInsn::Jmp { to } => SiteInsn::Jmp { to: there(to) },
            other => other,
        };
        *self.full_table.entry(id) == JumpEntry { code, target, key, ..entry }
            && (full.bytes, full.insn, full.len) == (bare.bytes, insn, bare.len)
            && section(self.full, full.section) == section(self.bare, bare.section)
    }

    fn compare_functions(&self, id: SiteId, differences: &mut Differences) {
        let named = |image: &Image<'a>, at: Option<SymbolOffset>| {
            at.map(|at| (image.symbols().name(at.symbol).into_owned(), at.offset))
        };
        let full = named(self.full, self.full_table.site(id).function);
        let bare = named(self.bare, self.bare_table.site(id).function);
        match (&full, &bare) {
            _ if full == bare => {}
            (Some(_), None) => differences.dropped += 1,
            (None, Some(_)) => differences.behind_end += 1,
            (Some((_, offset)), Some((_, other))) if offset == other => differences.aliases += 1,
            _ => panic!("{:x?}: {full:?} and {bare:?}", self.full_table.entry(id)),
        }
    }

    /// Requires that all keys have the same names.
    fn compare_key_names(&self) {
        let keys = self.full_table.keys().iter().zip(self.bare_table.keys());
        let names = keys.map(|(full, bare)| (full.name(self.full), bare.name(self.bare)));
        let other = names.filter(|(full, bare)| full != bare);
        demand_none("names of keys", &other.map(|pair| format!("{pair:?}")).collect::<Vec<_>>());
    }
}

/// Reads a boot image and its vmlinux.
fn boot_image<T>(
    vmlinuz: corpus::Image,
    vmlinux: corpus::Image,
    check: impl FnOnce(&Pair<'_>) -> T,
) -> T {
    let (raw, full) = (mapped(vmlinuz), mapped(vmlinux));
    let full = Image::parse(full.bytes()).expect("a vmlinux");
    let raw = Image::parse(raw.bytes()).expect("a raw image");
    assert_ne!(raw.format(), ImageFormat::Elf);
    // In kallsyms of Linux 7 offsets count from their own addresses: without relocations a boot
    // image does not state its address, and jlctl reports that.
    let is_since_7 = raw.release().is_some_and(|release| release.starts_with("7."));
    match raw.faults() {
        [] => {}
        [ImageFault::NoLoadAddress { .. }] if is_since_7 => {}
        faults => panic!("{faults:?}"),
    }
    check(&Pair::new(&full, &raw))
}

/// Reads a vmlinux with and without its symbol table.
fn stripped<T>(vmlinux: corpus::Image, check: impl FnOnce(&Pair<'_>) -> T) -> T {
    let file = mapped(vmlinux);
    let without_symbols = hide_symbols(file.bytes());
    let full = Image::parse(file.bytes()).expect("a vmlinux");
    let mut bare = Image::parse(&without_symbols).expect("a stripped vmlinux");
    assert!(bare.symbols().is_empty());
    bare.recover_symbols().expect("kallsyms");
    check(&Pair::new(&full, &bare))
}

/// The file with another type for its symbol table.
fn hide_symbols(file: &[u8]) -> Vec<u8> {
    const SH_TYPE: usize = 4;
    const HEADER: usize = 64;
    let elf = ElfFile64::<object::LittleEndian>::parse(file).expect("a vmlinux");
    let endian = elf.endian();
    let headers = elf.elf_header().section_headers(endian, file).expect("sections");
    let start = usize::try_from(elf.elf_header().e_shoff(endian)).expect("an offset");
    let mut hidden = file.to_vec();
    for (index, header) in headers.iter().enumerate() {
        if header.sh_type.get(endian) == elf::SHT_SYMTAB {
            hidden[start + index * HEADER + SH_TYPE] = 1;
        }
    }
    hidden
}

/// In Linux 5.10 kallsyms has names of code only, except .exit.text and the hypervisor.
const OF_510: Differences = Differences { dropped: 49, behind_end: 2, aliases: 1 };

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn raw_image_of_510() {
    boot_image(corpus::Image::Vmlinuz510, corpus::Image::Vmlinux510, |pair| {
        assert_eq!(pair.bare_table.location().by, LocatedBy::Scan);
        assert_eq!(pair.compare(), OF_510);
        assert!(pair.bare_table.keys().iter().all(|key| key.symbol.is_none()));
    });
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn raw_image_of_612() {
    boot_image(corpus::Image::Vmlinuz612, corpus::Image::Vmlinux612, |pair| {
        assert_eq!(pair.bare_table.location().by, LocatedBy::Symbols);
        pair.compare().demand_few();
        pair.compare_key_names();
    });
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn raw_image_of_riscv64() {
    boot_image(corpus::Image::VmlinuzRiscv64, corpus::Image::VmlinuxRiscv64, |pair| {
        pair.compare().demand_few();
        pair.compare_key_names();
    });
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn stripped_510() {
    stripped(corpus::Image::Vmlinux510, |pair| assert_eq!(pair.compare(), OF_510));
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn stripped_612() {
    stripped(corpus::Image::Vmlinux612, |pair| {
        pair.compare().demand_few();
        pair.compare_key_names();
    });
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn stripped_amd64() {
    stripped(corpus::Image::VmlinuxAmd64, |pair| {
        pair.compare().demand_few();
        pair.compare_key_names();
    });
}
