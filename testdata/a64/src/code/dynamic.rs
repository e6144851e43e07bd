//! The parts of a library for the dynamic linker: `.dynsym`, `.hash`, `.plt` with its table,
//! relocations and `.dynamic`.

use super::asm::{LR, SP, add_imm, adrp, br, ldr, nop, stp_pre, x};
use super::insn::{Code, Insn, refer};
use super::program::Program;
use jlctl_synthetic::elf::{Content, Elf, Section, consts};
use jlctl_synthetic::link::{Pool, code, read_only, writable};
use jlctl_synthetic::spec::Relocations;

const WORD: u64 = 8;
const SYM_BYTES: u64 = 24;
const RELA_BYTES: u64 = 24;
/// Bytes before the first stub of `.plt`.
const HEADER_BYTES: u64 = 32;
/// Bytes of a stub.
const STUB_BYTES: u64 = 16;
/// Words of `.got.plt` that the dynamic linker uses itself.
const OWN_WORDS: u64 = 3;
/// Maximum number of entries of `.dynamic`.
const DYNAMIC_ENTRIES: u64 = 18;
/// Suffix of references through the PLT to a function of the same library.
const BY_PLT: &str = "@plt";
const LIBC: &str = "libc.so.6";

/// Adds `.rela.dyn` or `.relr.dyn` with room for all pointers.
pub(super) fn add_relocations(pool: &mut Pool, program: &Program, symbols: Option<&str>) {
    let count = program.pointers();
    match program.relocations {
        Relocations::Rela if count > 0 => {
            let rela = read_only(".rela.dyn", 8).typed(consts::SHT_RELA, RELA_BYTES);
            pool.add_section(match symbols {
                Some(symbols) => rela.linked_to(symbols),
                None => rela,
            });
            pool.add(".rela.dyn", RELA_BYTES * count, 8);
        }
        Relocations::Relr if count > 0 => {
            pool.add_section(read_only(".relr.dyn", 8).typed(consts::SHT_RELR, 8));
            // An address and a bitmap for each, at most.
            pool.add(".relr.dyn", 16 * count, 8);
        }
        Relocations::None | Relocations::Rela | Relocations::Relr => {}
    }
}

/// Names of the imports and exports of a library.
#[derive(Debug)]
pub(super) struct Dynamic {
    pub(super) imports: Vec<String>,
    exports: Vec<(String, usize)>,
}

impl Dynamic {
    pub(super) fn of(program: &Program) -> Self {
        let exported = program.functions.iter().enumerate().filter(|(_, f)| f.is_exported);
        let exports =
            exported.flat_map(|(number, f)| f.names().map(move |name| (name.to_owned(), number)));
        Self { imports: program.undefined(), exports: exports.collect() }
    }

    fn symbols(&self) -> u64 {
        1 + (self.imports.len() + self.exports.len()) as u64
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let exports = self.exports.iter().map(|(name, _)| name.as_str());
        self.imports.iter().map(String::as_str).chain(exports)
    }

    /// `.dynstr`, and the offset of each name, of which libc is the first.
    fn strings(&self) -> (Vec<u8>, Vec<u32>) {
        let mut bytes = vec![0];
        let add = |name: &str| {
            let at = u32::try_from(bytes.len()).expect("few names");
            bytes.extend(name.as_bytes());
            bytes.push(0);
            at
        };
        let places = [LIBC].into_iter().chain(self.names()).map(add).collect();
        (bytes, places)
    }

    /// Adds the read-only sections, before the code.
    pub(super) fn add_read_only(&self, pool: &mut Pool) {
        let imports = self.imports.len() as u64;
        let hash = read_only(".hash", 8).typed(consts::SHT_HASH, 4).linked_to(".dynsym");
        pool.add_section(hash);
        pool.add(".hash", 4 * (3 + self.symbols()), 8);
        let mut dynsym = read_only(".dynsym", 8).typed(consts::SHT_DYNSYM, SYM_BYTES);
        dynsym.info = 1;
        pool.add_section(dynsym.linked_to(".dynstr"));
        pool.add(".dynsym", SYM_BYTES * self.symbols(), 8);
        pool.add_section(read_only(".dynstr", 1).typed(consts::SHT_STRTAB, 0));
        pool.add(".dynstr", self.strings().0.len() as u64, 1);
        if imports > 0 {
            let mut rela = read_only(".rela.plt", 8).typed(consts::SHT_RELA, RELA_BYTES);
            rela.info_link = Some(".got.plt".to_owned());
            rela.flags.0 |= consts::SHF_INFO_LINK.0;
            pool.add_section(rela.linked_to(".dynsym"));
            pool.add(".rela.plt", RELA_BYTES * imports, 8);
        }
    }

    /// Adds the stubs, before `.text`.
    pub(super) fn add_stubs(&self, pool: &mut Pool) {
        if !self.imports.is_empty() {
            pool.add_section(code(".plt", jlctl_synthetic::link::PAGE));
            pool.add(".plt", HEADER_BYTES + STUB_BYTES * self.imports.len() as u64, 16);
        }
    }

    /// Adds the writable sections, after the code.
    pub(super) fn add_writable(&self, pool: &mut Pool) {
        let dynamic =
            writable(".dynamic", jlctl_synthetic::link::PAGE).typed(consts::SHT_DYNAMIC, 2 * WORD);
        pool.add_section(dynamic.linked_to(".dynstr"));
        pool.add(".dynamic", 2 * WORD * DYNAMIC_ENTRIES, 8);
        if !self.imports.is_empty() {
            pool.add_section(writable(".got.plt", 8));
            pool.add(".got.plt", WORD * (OWN_WORDS + self.imports.len() as u64), 8);
        }
    }

    /// The symbol in the slot of import `number`.
    fn symbol_in_slot(&self, number: u64) -> u64 {
        let name = usize::try_from(number).ok().and_then(|number| self.imports.get(number));
        let own = name.and_then(|name| name.strip_suffix(BY_PLT));
        let own = own.and_then(|own| self.exports.iter().position(|(name, _)| name == own));
        own.map_or(number, |own| (self.imports.len() + own) as u64) + 1
    }

    /// The address of the stub of import `number`, if `.plt` is at `plt`.
    pub(super) fn stub(plt: u64, number: usize) -> u64 {
        plt + HEADER_BYTES + STUB_BYTES * number as u64
    }

    /// Fills the sections; `addresses` are those of the program's functions, with their
    /// sections.
    pub(super) fn fill(&self, elf: &mut Elf, program: &Program, addresses: &[(String, u64)]) {
        let (strings, places) = self.strings();
        let mut symbols = vec![0; 24];
        for place in &places[1..=self.imports.len()] {
            symbols.extend(symbol(*place, 0, 0, 0));
        }
        for (place, (_, number)) in places[1 + self.imports.len()..].iter().zip(&self.exports) {
            let (section, address) = &addresses[*number];
            let index = elf.sections.iter().position(|other| other.name == *section);
            let index = u16::try_from(index.expect("it is there") + 1).expect("few sections");
            symbols.extend(symbol(*place, index, *address, program.functions[*number].size()));
        }
        put(elf, ".dynsym", &symbols);
        put(elf, ".dynstr", &strings);
        put(elf, ".hash", &hash(self.symbols()));
        if let Some(plt) = address(elf, ".plt") {
            let got = address(elf, ".got.plt").expect("stubs have a table");
            let count = self.imports.len() as u64;
            put(elf, ".plt", &stubs(plt, got, count));
            let slots = [0; 24].into_iter().chain((0..count).flat_map(|_| plt.to_le_bytes()));
            put(elf, ".got.plt", &slots.collect::<Vec<u8>>());
            let slot = |number: u64| {
                let info =
                    self.symbol_in_slot(number) << 32 | u64::from(consts::R_AARCH64_JUMP_SLOT.0);
                [got + WORD * (OWN_WORDS + number), info, 0]
            };
            put(elf, ".rela.plt", &words((0..count).flat_map(slot)));
        }
        let dynamic = dynamic(elf, program, !self.imports.is_empty(), places[0].into());
        put(elf, ".dynamic", &dynamic);
    }
}

fn words(words: impl IntoIterator<Item = u64>) -> Vec<u8> {
    words.into_iter().flat_map(u64::to_le_bytes).collect()
}

fn address(elf: &Elf, section: &str) -> Option<u64> {
    elf.section(section).map(|section| section.address)
}

/// Writes `bytes` to the beginning of a section.
pub(super) fn put(elf: &mut Elf, section: &str, bytes: &[u8]) {
    let Some(Section { content: Content::Bytes(content), .. }) = elf.section_mut(section) else {
        panic!("no section {section}");
    };
    content[..bytes.len()].copy_from_slice(bytes);
}

/// An `Elf64_Sym` of a global function.
fn symbol(name: u32, section: u16, value: u64, size: u64) -> Vec<u8> {
    let info = consts::SymbolInfo::new(consts::STB_GLOBAL, consts::STT_FUNC);
    let head = name.to_le_bytes().into_iter().chain([info.0, 0]).chain(section.to_le_bytes());
    head.chain(value.to_le_bytes()).chain(size.to_le_bytes()).collect()
}

/// One bucket, and a chain through all symbols.
fn hash(symbols: u64) -> Vec<u8> {
    let count = u32::try_from(symbols).expect("few symbols");
    let next = |number: u32| if number + 1 < count { number + 1 } else { 0 };
    let chain = (0..count).map(|number| if number == 0 { 0 } else { next(number) });
    [1, count, next(0)].into_iter().chain(chain).flat_map(u32::to_le_bytes).collect()
}

/// The stubs as linkers make them for arm64.
fn stubs(plt: u64, got: u64, count: u64) -> Vec<u8> {
    let jump = |at: u64, slot: u64| {
        let low = u32::try_from(slot & 0xfff).expect("twelve bits");
        [
            page(at, slot),
            plain(&ldr(x(17), x(16), low)),
            plain(&add_imm(x(16), x(16), low)),
            plain(&br(x(17))),
        ]
    };
    let mut all = vec![plain(&stp_pre((x(16), LR), SP, -16))];
    all.extend(jump(plt + 4, got + 2 * WORD));
    all.resize(8, plain(&nop()));
    for number in 0..count {
        let at = plt + HEADER_BYTES + STUB_BYTES * number;
        all.extend(jump(at, got + WORD * (OWN_WORDS + number)));
    }
    all.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// `adrp x16, to` at `at`.
fn page(at: u64, to: u64) -> u32 {
    match adrp(x(16), "").0.first() {
        Some(Insn::Refer { word, form, .. }) => refer(*word, *form, at, to),
        other => panic!("{other:?} is not ADRP"),
    }
}

fn plain(code: &Code) -> u32 {
    match code.0.first() {
        Some(Insn::Word(word)) => *word,
        other => panic!("{other:?} is not a plain word"),
    }
}

fn dynamic(elf: &Elf, program: &Program, has_imports: bool, libc: u64) -> Vec<u8> {
    let at = |name: &str| {
        let section = elf.section(name).unwrap_or_else(|| panic!("no section {name}"));
        (section.address, section.content.len())
    };
    let mut entries = Vec::new();
    if has_imports {
        entries.push((consts::DT_NEEDED, libc));
    }
    entries.extend([
        (consts::DT_HASH, at(".hash").0),
        (consts::DT_SYMTAB, at(".dynsym").0),
        (consts::DT_SYMENT, SYM_BYTES),
        (consts::DT_STRTAB, at(".dynstr").0),
        (consts::DT_STRSZ, at(".dynstr").1),
    ]);
    if has_imports {
        entries.extend([
            (consts::DT_PLTGOT, at(".got.plt").0),
            (consts::DT_PLTRELSZ, at(".rela.plt").1),
            (consts::DT_PLTREL, consts::DT_RELA.0.cast_unsigned()),
            (consts::DT_JMPREL, at(".rela.plt").0),
        ]);
    }
    match program.relocations {
        Relocations::Rela if program.pointers() > 0 => entries.extend([
            (consts::DT_RELA, at(".rela.dyn").0),
            (consts::DT_RELASZ, at(".rela.dyn").1),
            (consts::DT_RELAENT, RELA_BYTES),
        ]),
        Relocations::Relr if program.pointers() > 0 => entries.extend([
            (consts::DT_RELR, at(".relr.dyn").0),
            (consts::DT_RELRSZ, at(".relr.dyn").1),
            (consts::DT_RELRENT, WORD),
        ]),
        Relocations::None | Relocations::Rela | Relocations::Relr => {}
    }
    entries.push((consts::DT_NULL, 0));
    words(entries.into_iter().flat_map(|(tag, value)| [tag.0.cast_unsigned(), value]))
}
