//! The table of a finished program as the analyzer reads it, compared with its source.

use jlctl_analyzer::image::{Image, MappedFile};
use jlctl_analyzer::jump_table::{JumpTable, KeyDescriptions, LocateError, Severity};
use jlctl_shim::abi::{JumpLabelType, RelativeEntry};
use object::read::elf::ElfFile64;
use object::{Architecture, Endianness, Object, ObjectSection};
use std::collections::BTreeSet;
use std::path::Path;

/// One site of a source: function, key, initial state of the key, branch sense, and
/// instruction.
pub(crate) type Expected<'a> = (&'a str, &'a str, State, Sense, JumpLabelType);

pub(crate) use JumpLabelType::{Jmp, Nop};
pub(crate) use Sense::{Likely, Unlikely};
pub(crate) use State::{Off, On};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Off,
    On,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sense {
    Unlikely,
    Likely,
}

/// A site of a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) function: String,
    pub(crate) key: String,
    pub(crate) state: State,
    pub(crate) sense: Sense,
    pub(crate) insn: JumpLabelType,
    pub(crate) code: u64,
    pub(crate) target: u64,
    pub(crate) len: usize,
}

/// The sites of the program at `path`, by function and key; the table must have no diagnostic
/// above a note.
pub(crate) fn of_program(path: &Path) -> Vec<Found> {
    let file = MappedFile::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let found = read(file.bytes()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(found.len(), entries(file.bytes()), "{}: entries are lost", path.display());
    let codes: BTreeSet<u64> = found.iter().map(|site| site.code).collect();
    assert_eq!(codes.len(), found.len(), "{}: two sites are one: {found:#x?}", path.display());
    found
}

/// Whether the program at `path` has no entries.
pub(crate) fn has_none(path: &Path) -> bool {
    let file = MappedFile::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match read(file.bytes()) {
        Ok(found) => found.is_empty(),
        Err(_) => entries(file.bytes()) == 0,
    }
}

fn read(bytes: &[u8]) -> Result<Vec<Found>, LocateError> {
    let image = Image::parse(bytes).unwrap_or_else(|error| panic!("{error}"));
    let table = JumpTable::read(&image)?;
    let wrong: Vec<String> = table
        .diagnostics()
        .iter()
        .filter(|found| found.defect.severity() != Severity::Note)
        .map(|found| format!("{found:?}"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let names = KeyDescriptions::of_table(&image, &table, None);
    let mut found: Vec<Found> = table
        .site_ids()
        .map(|id| {
            let (entry, site) = (table.entry(id), table.site(id));
            let key = table.key(table.key_of(id));
            assert_eq!(key.enabled(), key.initially_true().map(i32::from), "{key:?}");
            let function = site.function.map(|at| image.symbols().name(at.symbol).into_owned());
            let name = names.names().get(table.key_of(id));
            assert!(name.symbol().is_some() && name.offset() == 0, "{name:?} has a name");
            Found {
                function: readable(&function.expect("every site lies in a function")),
                key: readable(name.symbol().unwrap_or_default()),
                state: if key.initially_true() == Some(true) { State::On } else { State::Off },
                sense: if entry.branch { Sense::Likely } else { Sense::Unlikely },
                insn: site.insn.kind().expect("every site holds a NOP or a branch"),
                code: entry.code.0,
                target: entry.target.0,
                len: site.len,
            }
        })
        .collect();
    found.sort();
    found.iter().for_each(|site| check_alignment(site, object_architecture(bytes)));
    Ok(found)
}

/// Checks that one store can change the site, as the header promises.
fn check_alignment(site: &Found, architecture: Architecture) {
    match architecture {
        Architecture::X86_64 => {
            assert_eq!(site.len, 5, "{site:#x?}");
            assert!(site.code % 8 + 5 <= 8, "crosses eight bytes: {site:#x?}");
        }
        _ => {
            assert_eq!(site.len, 4, "{site:#x?}");
            assert!(site.code.is_multiple_of(4), "not aligned: {site:#x?}");
        }
    }
}

fn object_architecture(bytes: &[u8]) -> Architecture {
    ElfFile64::<Endianness>::parse(bytes).expect("an ELF file").architecture()
}

/// Entries by the size of the section, read without the analyzer.
fn entries(bytes: &[u8]) -> usize {
    let file = ElfFile64::<Endianness>::parse(bytes).expect("an ELF file");
    let size = file.section_by_name("__jump_table").map_or(0, |section| section.size());
    usize::try_from(size).expect("a size of memory") / RelativeEntry::SIZE
}

/// A symbol's name in its source: demangled, without the suffixes that compilers add to copies
/// and to objects within functions.
fn readable(symbol: &str) -> String {
    /// Suffixes that compilers add to names.
    const ADDED: [&str; 7] = ["lto_priv", "constprop", "isra", "part", "cold", "llvm", "__uniq"];
    let is_mangled = symbol.starts_with("_Z") || symbol.starts_with("_R");
    let mut parts = symbol.split('.').filter(|part| {
        !ADDED.contains(part) && !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit())
    });
    let name = if is_mangled { parts.next() } else { parts.next_back() };
    addr2line::demangle_auto(name.unwrap_or(symbol).into(), None).into_owned()
}

/// Checks that the program at `path` has exactly the sites of `expected`, comparing names after
/// `rename`.
pub(crate) fn check(path: &Path, expected: &[Expected<'_>], rename: fn(&str) -> String) {
    let mut expected: Vec<Expected<'_>> = expected.to_vec();
    expected.sort_by_key(|(function, key, ..)| (*function, *key));
    let found: Vec<_> = of_program(path)
        .into_iter()
        .map(|site| (rename(&site.function), rename(&site.key), site.state, site.sense, site.insn))
        .collect();
    let mut found: Vec<Expected<'_>> = found
        .iter()
        .map(|(function, key, state, sense, insn)| (&**function, &**key, *state, *sense, *insn))
        .collect();
    found.sort_by_key(|(function, key, ..)| (*function, *key));
    assert_eq!(found, expected, "{}", path.display());
}

/// The last part of a name, without arguments: what C and C++ have in common.
pub(crate) fn last_part(name: &str) -> String {
    let name = name.split('(').next().unwrap_or(name);
    name.rsplit("::").next().unwrap_or(name).to_owned()
}
