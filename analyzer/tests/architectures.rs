//! Sites of x86_64 and riscv64 and their diagnostics, on hand-made images.  (`layouts.rs` and
//! `diagnostics.rs` cover arm64.)

use crate::invariants::image::check;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::arch::{InitBitOnDisk, SiteInsn};
use jlctl_analyzer::image::{Image, ImageFault};
use jlctl_analyzer::jump_table::{Defect, EntryLayout, JumpTable, KeyStorage, SiteId};
use jlctl_synthetic::elf::{Content, Elf, Endian, Section, Symbol, SymbolSection, consts};
use proptest::collection::vec;
use proptest::prelude::*;

const TEXT: u64 = 0xffff_ffff_8100_0000;
const KEYS: u64 = 0xffff_ffff_8300_0000;
const BSS: u64 = 0xffff_ffff_8400_0000;
const TABLE: u64 = 0xffff_ffff_8500_0000;
const RELA: u64 = 0xffff_ffff_8600_0000;

/// The addresses of a key that is off, one that is on, and one in `.bss`.
const OFF: u64 = KEYS;
const ON: u64 = KEYS + 16;
const ZERO: u64 = BSS + 8;

const UNLIKELY: u64 = 0;
const LIKELY: u64 = 1;
const INIT: u64 = 2;

/// An entry: code and target from the start of `.text`, key, flags.
type Entry = (u64, u64, u64, u64);

fn image(machine: consts::Machine, text: Vec<u8>, table: Vec<u8>) -> Elf {
    let mut keys = vec![0; 32];
    keys[16] = 1;
    keys[24] = 1;
    let writable = consts::SHF_WRITE;
    let mut bss = Section::new(".bss", Vec::new()).loaded(BSS, writable, 8);
    bss.sh_type = consts::SHT_NOBITS;
    bss.content = Content::NoBits(64);
    Elf {
        endian: Endian::Little,
        is_64: true,
        machine,
        e_type: consts::ET_DYN,
        entry: TEXT,
        sections: vec![
            Section::new(".text", text).loaded(TEXT, consts::SHF_EXECINSTR, 16),
            Section::new(".data", keys).loaded(KEYS, writable, 8),
            bss,
            Section::new("__jump_table", table).loaded(TABLE, writable, 8),
        ],
        symbols: Vec::new(),
        segments: Vec::new(),
    }
}

fn symbol(name: &str, offset: u64, size: u64, kind: consts::SymbolType) -> Symbol {
    let section = SymbolSection::In(".text".to_owned());
    let (name, bind) = (name.to_owned(), consts::STB_LOCAL);
    Symbol { name, value: TEXT + offset, size, bind, kind, section }
}

/// Self-relative entries at [`TABLE`].
fn relative(entries: &[Entry]) -> Vec<u8> {
    let mut table = Vec::new();
    for (at, (code, target, key, flags)) in (TABLE..).step_by(16).zip(entries) {
        let half = |to: u64, field: u64| to.wrapping_sub(at + field).to_le_bytes();
        table.extend_from_slice(&half(TEXT + code, 0)[..4]);
        table.extend_from_slice(&half(TEXT + target, 4)[..4]);
        table.extend_from_slice(&half(key | flags, 8));
    }
    table
}

/// `.text` of `size` bytes with pieces of code at offsets.
fn text(size: usize, pieces: &[(usize, &[u8])]) -> Vec<u8> {
    let mut text = vec![0; size];
    for (at, piece) in pieces {
        text[*at..at + piece.len()].copy_from_slice(piece);
    }
    text
}

fn with_table<T>(elf: &Elf, read: impl FnOnce(&Image<'_>, &JumpTable<'_>) -> T) -> T {
    let bytes = elf.write();
    check(&bytes);
    let image = Image::parse(&bytes).expect("the image can be read");
    let table = JumpTable::read(&image).expect("there is a table");
    read(&image, &table)
}

/// The site and the code of all diagnostics.
fn defects(elf: &Elf) -> Vec<(usize, &'static str)> {
    with_table(elf, |_, table| {
        let found = table.diagnostics().iter();
        found
            .map(|diagnostic| {
                let site = diagnostic.site.expect("all concern sites");
                (site.index(), diagnostic.defect.code())
            })
            .collect()
    })
}

/// The bytes and the disassembly of all sites, and whether each jumps to its entry's target.
fn sites(elf: &Elf) -> Vec<(Vec<u8>, String, bool)> {
    with_table(elf, |image, table| {
        let row = |id| {
            let (entry, site) = (table.entry(id), table.site(id));
            assert_eq!(site.bytes.map(<[u8]>::len), Some(site.len));
            let listing = site.disassembly(image, entry.code).expect("the site has an instruction");
            let jumps = site.insn == SiteInsn::Jmp { to: entry.target };
            assert!(jumps || site.insn == SiteInsn::Nop);
            (site.bytes.unwrap_or_default().to_vec(), listing, jumps)
        };
        assert_eq!(table.diagnostics(), []);
        table.site_ids().map(row).collect()
    })
}

const NOP2: &[u8] = &[0x66, 0x90];
const NOP5: &[u8] = &[0x0f, 0x1f, 0x44, 0, 0];

/// Bytes from `llvm-mc -triple=x86_64`.
fn x86_64() -> Elf {
    let code = text(
        0x203,
        &[
            (0x01, NOP2),
            (0x03, NOP5),
            (0x08, &[0xeb, 0x10]),
            (0x0a, &[0xe9, 0xf1, 0x01, 0, 0]),
            // The last two bytes of the section.
            (0x201, NOP2),
        ],
    );
    let table = relative(&[
        (0x01, 0x40, OFF, UNLIKELY | INIT),
        (0x03, 0x200, ON, LIKELY | INIT),
        (0x08, 0x1a, ON, UNLIKELY),
        (0x0a, 0x200, OFF, LIKELY),
        (0x201, 0x1f0, ZERO, UNLIKELY | INIT),
    ]);
    image(consts::EM_X86_64, code, table)
}

#[test]
fn x86_64_sites_have_two_or_five_bytes() {
    let elf = x86_64();
    let listed = |bytes: &[u8], listing: &str, jumps| (bytes.to_vec(), listing.to_owned(), jumps);
    let wanted = [
        listed(NOP2, "nop", false),
        listed(NOP5, "nop dword [rax + rax * 1]", false),
        listed(&[0xeb, 0x10], "jmp 0xffffffff8100001a", true),
        listed(&[0xe9, 0xf1, 0x01, 0, 0], "jmp 0xffffffff81000200", true),
        listed(NOP2, "nop", false),
    ];
    assert_eq!(sites(&elf), wanted);
    with_table(&elf, |image, table| {
        assert_eq!(image.arch().init_bit_on_disk(), InitBitOnDisk::NopByObjtool);
        // objtool marks exactly the NOPs of an image as built.
        for id in table.site_ids() {
            assert_eq!(table.entry(id).init, table.site(id).insn == SiteInsn::Nop);
        }
        let storages: Vec<KeyStorage> = table.keys().iter().map(|key| key.storage).collect();
        let file = |enabled| KeyStorage::File { enabled, initially_true: enabled == 1 };
        assert_eq!(storages, [file(0), file(1), KeyStorage::ZeroFilled]);
    });
}

/// A site with each kind of defect, and its diagnostics.
#[test]
fn wrong_x86_64_sites_are_reported() {
    let code = text(
        0x400,
        &[
            // A NOP that no kernel patches.
            (0x00, &[0x0f, 0x1f, 0x40, 0x00]),
            // A breakpoint over the first byte of NOP5.
            (0x10, &[0xcc, 0x1f, 0x44, 0, 0]),
            // Ten bytes: movabs rax, 0.
            (0x20, &[0x48, 0xb8]),
            // A jump to another address than the target.
            (0x30, &[0xeb, 0x00]),
            // Too short for its target.
            (0x40, NOP2),
            // Long enough for its target.
            (0x50, NOP5),
            // JMP where the key demands a NOP.
            (0x60, &[0xeb, 0x0e]),
            // Cut off by the end of the section.
            (0x3fe, &[0xe9, 0x00]),
        ],
    );
    let table = relative(&[
        (0x00, 0x70, OFF, UNLIKELY),
        (0x10, 0x70, OFF, UNLIKELY),
        (0x20, 0x70, OFF, UNLIKELY),
        (0x30, 0x70, ON, UNLIKELY),
        (0x40, 0x300, OFF, UNLIKELY),
        (0x50, 0x300, OFF, UNLIKELY),
        (0x60, 0x70, OFF, UNLIKELY),
        (0x3fe, 0x380, OFF, UNLIKELY),
    ]);
    let elf = image(consts::EM_X86_64, code, table);
    let wanted = [
        (0, "JT002"),
        (1, "JT002"),
        (2, "JT002"),
        (3, "JT003"),
        (4, "JT006"),
        (6, "JT004"),
        (7, "JT002"),
    ];
    assert_eq!(defects(&elf), wanted);
    let messages = with_table(&elf, |_, table| {
        let of_site = |site| {
            let mut all = table.diagnostics().iter();
            let found = all.find(|diagnostic| diagnostic.site.map(SiteId::index) == Some(site));
            found.expect("the site has a diagnostic").defect.to_string()
        };
        [0, 2, 4, 7].map(of_site)
    });
    let at = |site: u64| format!("site {}: ", Svma(TEXT + site));
    let other = "expected a NOP or a branch to";
    assert_eq!(
        messages,
        [
            format!("{}{other} {}, found bytes 0f1f4000", at(0), Svma(TEXT + 0x70)),
            format!("{}{other} {}, found bytes 48b80000000000000000", at(0x20), Svma(TEXT + 0x70)),
            format!(
                "{}a branch at {} cannot reach {}: the displacement 704 is outside -126..=129 bytes",
                at(0x40),
                Svma(TEXT + 0x40),
                Svma(TEXT + 0x300)
            ),
            format!("{}{other} {}, found bytes e900", at(0x3fe), Svma(TEXT + 0x380)),
        ]
    );
}

/// Whether sites overlap depends on the lengths of their instructions.
#[test]
fn x86_64_sites_overlap_within_their_length() {
    let code = text(
        0x40,
        &[(0x00, NOP2), (0x02, NOP5), (0x04, &[0x44, 0, 0]), (0x07, NOP2), (0x10, &[0x06])],
    );
    let table = relative(&[
        (0x00, 0x20, OFF, UNLIKELY),
        (0x02, 0x20, OFF, UNLIKELY),
        // Both overlaps within the five bytes are reported.
        (0x04, 0x20, OFF, UNLIKELY),
        (0x06, 0x20, OFF, UNLIKELY),
        (0x07, 0x20, OFF, UNLIKELY),
        // No instruction, twice.
        (0x10, 0x20, OFF, UNLIKELY),
        (0x10, 0x20, OFF, UNLIKELY),
        (0x11, 0x20, OFF, UNLIKELY),
    ]);
    let elf = image(consts::EM_X86_64, code, table);
    let overlaps = with_table(&elf, |_, table| {
        let found = table.diagnostics().iter();
        let overlap = |(site, defect): (Option<usize>, &Defect)| match defect {
            Defect::Overlap { other, .. } => Some((site?, *other)),
            _ => None,
        };
        found
            .filter_map(|found| overlap((found.site.map(SiteId::index), &found.defect)))
            .collect::<Vec<_>>()
    });
    // The byte 0x00 at 6 and that at 7 make `add byte [rsi - 0x70], ah`.
    assert_eq!(overlaps, [(2, 1), (3, 1), (4, 3), (6, 5)]);
}

const RV_NOP: [u8; 4] = 0x0000_0013u32.to_le_bytes();

/// Words from `llvm-mc -triple=riscv64 -show-encoding`.
fn riscv64() -> Elf {
    let jal = 0x0120_006fu32.to_le_bytes();
    let back = 0xffdf_f06fu32.to_le_bytes();
    let code = text(0x80, &[(0x00, &RV_NOP), (0x10, &jal), (0x20, &back), (0x7c, &RV_NOP)]);
    let table = relative(&[
        (0x00, 0x42, OFF, UNLIKELY),
        (0x10, 0x22, OFF, LIKELY),
        (0x20, 0x1c, ON, UNLIKELY),
        (0x7c, 0x02, ZERO, UNLIKELY),
    ]);
    image(consts::EM_RISCV, code, table)
}

#[test]
fn riscv64_sites_are_words_and_targets_halfwords() {
    let mut elf = riscv64();
    let untyped = consts::STT_NOTYPE;
    elf.symbols = vec![
        symbol("$xrv64i2p1_m2p0_a2p1_c2p0", 0x00, 0, untyped),
        symbol("main", 0x00, 0, untyped),
        symbol(".L0 ", 0x10, 0, untyped),
        symbol("$x", 0x20, 0, untyped),
        symbol("tail", 0x70, 0, untyped),
    ];
    let listed =
        |word: u32, listing: &str, jumps| (word.to_le_bytes().to_vec(), listing.to_owned(), jumps);
    // The target of the last site lies in another function.
    let found = with_table(&elf, |_, table| {
        table.diagnostics().iter().map(|found| found.defect.code()).collect::<Vec<_>>()
    });
    assert_eq!(found, ["JT005"]);
    let names = with_table(&elf, |image, table| {
        let name = |id| {
            let function = table.site(id).function.expect("every site has one");
            format!("{}+{:#x}", image.symbols().name(function.symbol), function.offset)
        };
        table.site_ids().map(name).collect::<Vec<_>>()
    });
    assert_eq!(names, ["main+0x0", "main+0x10", "main+0x20", "tail+0xc"]);
    elf.symbols.clear();
    let wanted = [
        listed(0x0000_0013, "nop", false),
        listed(0x0120_006f, "j 0xffffffff81000022", true),
        listed(0xffdf_f06f, "j 0xffffffff8100001c", true),
        listed(0x0000_0013, "nop", false),
    ];
    assert_eq!(sites(&elf), wanted);
}

#[test]
fn wrong_riscv64_sites_are_reported() {
    let far = 1 << 19;
    let code = text(
        far + 0x100,
        &[
            // c.nop twice, c.j; a call.
            (0x00, &[0x01, 0x00, 0x01, 0x00]),
            (0x04, &[0x09, 0xa0, 0x01, 0x00]),
            (0x08, &0x0040_00efu32.to_le_bytes()),
            // Patchable, but never atomically.
            (0x12, &RV_NOP),
            // A target that JAL reaches and the kernel refuses.
            (0x20, &RV_NOP),
            (0x24, &RV_NOP),
            (0x28, &RV_NOP),
        ],
    );
    let far = far as u64;
    let table = relative(&[
        (0x00, 0x40, OFF, UNLIKELY),
        (0x04, 0x40, OFF, UNLIKELY),
        (0x08, 0x0c, ON, UNLIKELY),
        (0x12, 0x40, OFF, UNLIKELY),
        (0x20, 0x20 + far, OFF, UNLIKELY),
        (0x24, 0x22 + far, OFF, UNLIKELY),
        (0x28, 0x41, OFF, UNLIKELY),
    ]);
    let elf = image(consts::EM_RISCV, code, table);
    let wanted =
        [(0, "JT002"), (1, "JT002"), (2, "JT002"), (3, "JT007"), (4, "JT006"), (6, "JT007")];
    assert_eq!(defects(&elf), wanted);
}

/// The same image with absolute entries, zero until relocated.
fn absolute(mut elf: Elf, entries: &[Entry], relative: u64, odd: u64) -> Elf {
    let words = entries
        .iter()
        .flat_map(|(code, target, key, flags)| [TEXT + code, TEXT + target, key | flags]);
    let rela: Vec<u8> = (TABLE..)
        .step_by(8)
        .zip(words)
        .flat_map(|(at, word)| [at, relative, word])
        .chain([TABLE, odd, 0])
        .flat_map(u64::to_le_bytes)
        .collect();
    let table = elf.section_mut("__jump_table").expect("the file is there");
    table.content = Content::Bytes(vec![0; 24 * entries.len()]);
    let rela = Section::new(".rela.dyn", rela).loaded(RELA, consts::SectionFlags(0), 8);
    elf.sections.push(rela.typed(consts::SHT_RELA, 24));
    elf
}

#[test]
fn absolute_entries_are_relocated_by_the_types_of_each() {
    // (image, its R_*_RELATIVE, a type that no table has and its name)
    for (elf, relative, odd, name) in
        [(x86_64(), 8, 9, "R_X86_64_GOTPCREL"), (riscv64(), 3, 24, "R_RISCV_PCREL_LO12_I")]
    {
        let entry = |image: &Image<'_>, table: &JumpTable<'_>| {
            let entries = table.site_ids().map(|id| *table.entry(id)).collect::<Vec<_>>();
            (image.arch().name(), entries)
        };
        let (arch, wanted) = with_table(&elf, entry);
        let entries: Vec<Entry> = wanted
            .iter()
            .map(|entry| {
                let flags = u64::from(entry.branch) | u64::from(entry.init) << 1;
                (entry.code.0 - TEXT, entry.target.0 - TEXT, entry.key.0, flags)
            })
            .collect();
        let elf = absolute(elf, &entries, relative, odd);
        with_table(&elf, |_, table| {
            assert_eq!(table.layout(), EntryLayout::Absolute);
            let found: Vec<_> = table.site_ids().map(|id| *table.entry(id)).collect();
            assert_eq!(found, wanted, "{arch}");
            let [fault] = table.diagnostics() else { panic!("{:?}", table.diagnostics()) };
            let Defect::Image(ImageFault::Relocation { name: Some(found), .. }) = fault.defect
            else {
                panic!("{fault:?}")
            };
            assert_eq!(found, name);
        });
    }
}

proptest! {
    /// Damage is survived, above all in code and table.
    #[test]
    fn damage_is_survived(edits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        for elf in [x86_64(), riscv64()] {
            let mut bytes = elf.write();
            for (at, value) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            check(&bytes);
        }
    }

    /// Any bytes for code.
    #[test]
    fn any_code_is_read(code in vec(any::<u8>(), 0x203), at in 0usize..0x200) {
        for mut elf in [x86_64(), riscv64()] {
            let size = elf.section(".text").expect("the file is there").content.len();
            let mut code = code.clone();
            // NOPs and jumps are not found by chance.
            code[at..at + 2].copy_from_slice(NOP2);
            code.truncate(usize::try_from(size).expect("the file is small"));
            assert!(elf.poke(TEXT, &code));
            check(&elf.write());
        }
    }
}
