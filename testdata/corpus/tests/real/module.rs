//! A second reader of the jump tables of modules, written only from the description of the
//! format. It shares no code with the analyzer.
//!
//! A module is a relocatable object: its table is zero (on arm64 and amd64), and the
//! relocations determine the values that the kernel's loader writes. An entry of 16 bytes has
//! one field of 32 bits for the code, one for the target, and one of 64 bits for the key, all
//! relative to themselves.

use object::Endianness;
use object::elf::{
    EM_AARCH64, EM_RISCV, EM_X86_64, FileHeader64, R_AARCH64_PREL32, R_AARCH64_PREL64,
    R_RISCV_ADD32, R_RISCV_ADD64, R_RISCV_SUB32, R_RISCV_SUB64, R_X86_64_PC32, R_X86_64_PC64,
    RelocationType, SHT_NOBITS, SHT_RELA, SHT_SYMTAB,
};
use object::read::elf::{FileHeader as _, Rela as _, SectionHeader as _, Sym as _};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ENTRY: u64 = 16;

/// One module's table, from its relocations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// Number of entries.
    pub(crate) entries: usize,
    /// The undefined symbols that entries have as keys, with the number of
    /// entries of each: static keys of the kernel or of other modules.
    pub(crate) undefined: BTreeMap<String, usize>,
}

/// The tables of all modules below a directory.
#[derive(Debug)]
pub(crate) struct Tables {
    /// Number of modules, including those without tables.
    pub(crate) modules: usize,
    /// The tables, by the path of the module.
    pub(crate) tables: BTreeMap<PathBuf, Table>,
}

/// Modules, modules with tables, entries, entries with undefined keys, and the
/// distinct symbols of those.
pub(crate) type Totals = (usize, usize, usize, usize, usize);

impl Tables {
    /// Reads every `.ko` and `.ko.xz` below `directory`.
    pub(crate) fn of(directory: &Path) -> Self {
        let mut paths = Vec::new();
        collect(directory, &mut paths);
        assert!(!paths.is_empty(), "{} has no modules", directory.display());
        let read = |path: &PathBuf| Some((path.clone(), table(path, &bytes(path))?));
        let tables = paths.par_iter().filter_map(read).collect();
        Self { modules: paths.len(), tables }
    }

    pub(crate) fn totals(&self) -> Totals {
        let tables = self.tables.values();
        let undefined = tables.clone().flat_map(|table| &table.undefined);
        let symbols: BTreeSet<&str> = undefined.clone().map(|(name, _)| name.as_str()).collect();
        (
            self.modules,
            self.tables.len(),
            tables.map(|table| table.entries).sum(),
            undefined.map(|(_, entries)| entries).sum(),
            symbols.len(),
        )
    }
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(directory).expect("a directory of modules");
    for entry in entries {
        let path = entry.expect("an entry of a directory").path();
        let name = path.to_string_lossy();
        if path.is_dir() {
            collect(&path, paths);
        } else if name.ends_with(".ko") || name.ends_with(".ko.xz") {
            paths.push(path);
        }
    }
}

/// The module in `path`, decompressed.
pub(crate) fn bytes(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).expect("a module");
    if path.extension().is_none_or(|extension| extension != "xz") {
        return bytes;
    }
    liblzma::decode_all(bytes.as_slice())
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The sections of a module.
pub(crate) struct Module<'data> {
    header: &'data FileHeader64<Endianness>,
    endian: Endianness,
    data: &'data [u8],
}

impl<'data> Module<'data> {
    pub(crate) fn new(data: &'data [u8]) -> Self {
        let header = FileHeader64::<Endianness>::parse(data).expect("an ELF header");
        let endian = header.endian().expect("a byte order");
        Self { header, endian, data }
    }

    /// Size of the only section `name`, and its bytes if the file has any.
    pub(crate) fn section(&self, name: &str) -> Option<(u64, Option<&'data [u8]>)> {
        let sections = self.header.sections(self.endian, self.data).expect("section headers");
        let named = |section: &&_| {
            sections.section_name(self.endian, section).expect("a name") == name.as_bytes()
        };
        let mut found = sections.iter().filter(named);
        let section = found.next()?;
        assert!(found.next().is_none(), "two sections {name}");
        let in_file = section.sh_type(self.endian) != SHT_NOBITS;
        let bytes =
            in_file.then(|| section.data(self.endian, self.data).expect("bytes of a section"));
        Some((section.sh_size(self.endian), bytes))
    }

    /// Offset, type, and symbol if it is undefined, of each relocation that is
    /// applied to the section `name`.
    fn relocations(&self, name: &str) -> Vec<(u64, RelocationType, Option<Cow<'data, str>>)> {
        let (endian, data) = (self.endian, self.data);
        let sections = self.header.sections(endian, data).expect("section headers");
        let symbols = sections.symbols(endian, data, SHT_SYMTAB).expect("symbols");
        let (target, _) = sections.section_by_name(endian, name.as_bytes()).expect("the section");
        let of_target = sections.iter().filter(|section| {
            section.sh_type(endian) == SHT_RELA && section.sh_info(endian) as usize == target.0
        });
        let mut found = Vec::new();
        for section in of_target {
            let (relocations, _) =
                section.rela(endian, data).expect("relocations").expect("an SHT_RELA section");
            for relocation in relocations {
                let symbol = relocation.symbol(endian, false).expect("a relocation has a symbol");
                let symbol = symbols.symbol(symbol).expect("the symbol");
                let name = || symbol.name(endian, symbols.strings()).expect("a name");
                let undefined =
                    symbol.is_undefined(endian).then(|| String::from_utf8_lossy(name()));
                let r#type = relocation.r_type(endian, false);
                found.push((relocation.r_offset(endian), r#type, undefined));
            }
        }
        found
    }

    /// The relocation types of a relative field of 32 and of 64 bits (psABI of
    /// each architecture).
    fn relative_types(&self) -> (&'static [RelocationType], &'static [RelocationType]) {
        match self.header.e_machine(self.endian) {
            EM_AARCH64 => (&[R_AARCH64_PREL32], &[R_AARCH64_PREL64]),
            EM_X86_64 => (&[R_X86_64_PC32], &[R_X86_64_PC64]),
            EM_RISCV => (&[R_RISCV_ADD32, R_RISCV_SUB32], &[R_RISCV_ADD64, R_RISCV_SUB64]),
            other => panic!("a machine {other:?}"),
        }
    }
}

/// The table of a module; `None` if it has none.
fn table(path: &Path, data: &[u8]) -> Option<Table> {
    const NAME: &str = "__jump_table";
    let module = Module::new(data);
    let (size, _) = module.section(NAME)?;
    assert_eq!(size % ENTRY, 0, "{}: the table has whole entries", path.display());
    let mut types: BTreeMap<u64, Vec<RelocationType>> = BTreeMap::new();
    let mut undefined = BTreeMap::new();
    for (offset, r#type, symbol) in module.relocations(NAME) {
        types.entry(offset).or_default().push(r#type);
        if let Some(symbol) = symbol {
            assert_eq!(offset % ENTRY, 8, "{}: {symbol} is not in the key field", path.display());
            *undefined.entry(symbol.into_owned()).or_default() += 1;
        }
    }
    let (half, whole) = module.relative_types();
    let fields = |entry: u64| [(entry, half), (entry + 4, half), (entry + 8, whole)];
    let expected: BTreeMap<u64, Vec<RelocationType>> = (0..size)
        .step_by(16)
        .flat_map(fields)
        .map(|(offset, types)| (offset, types.to_vec()))
        .collect();
    assert_eq!(types, expected, "{}: relocations of the table", path.display());
    Some(Table { entries: usize::try_from(size / ENTRY).expect("a small table"), undefined })
}
