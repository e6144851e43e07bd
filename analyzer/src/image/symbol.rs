//! The symbol table: names, scopes by file, and lookup by address.

use super::module_layout;
use super::section::{Section, SectionId};
use crate::addr::{AddrRange, Svma};
use crate::arch::Architecture;
use memchr::memmem;
use std::borrow::Cow;

/// Size of an ELF64 symbol in the file, in bytes.
pub(super) const SYM: usize = 24;

/// Dense index of a symbol in its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SymbolId(pub(crate) u32);

/// The kind of a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolKind {
    /// Code (STT_FUNC, STT_GNU_IFUNC).
    Function,
    /// Data (STT_OBJECT).
    Object,
    /// Not stated (STT_NOTYPE): assembly labels, marks of the linker.
    Untyped,
    /// A source file (STT_FILE).
    File,
    /// Sections, thread-local storage and others.
    Other,
}

/// The visibility of a symbol; the order is that of preference among aliases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Binding {
    /// The whole program.
    Global,
    /// The whole program; another definition may replace it.
    Weak,
    /// Its own file.
    Local,
}

/// One symbol.
#[derive(Debug, Clone, Copy)]
pub struct Symbol {
    /// Its address; in a relocatable file the one that the reader assigned.
    pub address: Svma,
    /// Size in bytes; 0 if the assembler did not state one, and in kallsyms.
    pub size: u64,
    /// Section that defines it; `None` if it is undefined, absolute or common.
    pub section: Option<SectionId>,
    /// Its kind.
    pub kind: SymbolKind,
    /// Its visibility.
    pub binding: Binding,
    /// The STT_FILE symbol that scopes a local symbol.
    pub file: Option<SymbolId>,
    /// Whether another file defines it (SHN_UNDEF, SHN_COMMON).
    pub is_undefined: bool,
    pub(super) name: u32,
}

/// A symbol and an offset from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SymbolOffset {
    /// The symbol.
    pub symbol: SymbolId,
    /// Bytes from its start.
    pub offset: u64,
}

/// All symbols of an image.
#[derive(Debug, Default)]
pub struct Symbols<'data> {
    /// NUL-terminated names.
    strings: Cow<'data, [u8]>,
    symbols: Vec<Symbol>,
    /// Offsets of the names of all symbols: a lookup by name reads only these.
    names: Vec<u32>,
    /// Address range of each section.
    ranges: Vec<AddrRange>,
    functions: AddressIndex,
    objects: AddressIndex,
    /// Undefined symbols of a relocatable file, in the order of their addresses.
    externals: Vec<SymbolId>,
}

impl<'data> Symbols<'data> {
    /// `sections` has all sections of the image, each with whether it holds code.
    pub(super) fn new(
        strings: impl Into<Cow<'data, [u8]>>,
        symbols: Vec<Symbol>,
        sections: &[(bool, AddrRange)],
        arch: &dyn Architecture,
    ) -> Self {
        let ranges = sections.iter().map(|(_, range)| *range).collect();
        let names = symbols.iter().map(|symbol| symbol.name).collect();
        let mut table = Self { strings: strings.into(), symbols, names, ranges, ..Self::default() };
        let in_code = |symbol: &Symbol| {
            symbol.section.is_some_and(|id| sections.get(id.index()).is_some_and(|(code, _)| *code))
        };
        let is_function = |symbol: &Symbol| match symbol.kind {
            SymbolKind::Function => symbol.section.is_some(),
            SymbolKind::Untyped => {
                in_code(symbol) && !arch.is_marker_symbol(table.name_bytes(symbol))
            }
            _ => false,
        };
        let is_object =
            |symbol: &Symbol| symbol.kind == SymbolKind::Object && symbol.section.is_some();
        let (functions, objects) = rayon::join(
            || AddressIndex::new(&table, is_function),
            || AddressIndex::new(&table, is_object),
        );
        table.functions = functions;
        table.objects = objects;
        table
    }

    pub(super) fn with_externals(self, externals: Vec<SymbolId>) -> Self {
        Self { externals, ..self }
    }

    /// Translates the sections of symbols by `ids`, for an image with other section indexes.
    pub(super) fn with_section_ids(
        mut self,
        ids: &[Option<SectionId>],
        sections: &[Section<'_>],
    ) -> Self {
        for symbol in &mut self.symbols {
            symbol.section = symbol.section.and_then(|id| *ids.get(id.index())?);
        }
        self.ranges = sections.iter().map(|section| section.range).collect();
        self
    }

    /// The undefined symbol of a relocatable file that an address stands for, and the offset
    /// from it in bytes.
    #[must_use]
    pub fn external_at(&self, address: Svma) -> Option<(SymbolId, i64)> {
        let (index, offset) = module_layout::external_at(address, self.externals.len())?;
        Some((*self.externals.get(index)?, offset))
    }

    /// The undefined symbols of a relocatable file, each with the address that stands for it.
    pub fn externals(&self) -> impl Iterator<Item = (Svma, SymbolId)> {
        (0..).map(module_layout::external_address).zip(self.externals.iter().copied())
    }

    /// The symbol with an id from a file; `None` if it does not exist.
    pub(super) fn try_get(&self, id: SymbolId) -> Option<&Symbol> {
        self.symbols.get(id.0 as usize)
    }

    /// Number of symbols, including the null symbol.
    #[must_use]
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// Whether the image has no symbols.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// The symbol with an id of this table.
    #[must_use]
    pub fn get(&self, id: SymbolId) -> &Symbol {
        &self.symbols[id.0 as usize]
    }

    /// Name of a symbol; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn name(&self, id: SymbolId) -> Cow<'_, str> {
        String::from_utf8_lossy(self.name_bytes(self.get(id)))
    }

    /// The source file that scopes a local symbol, from STT_FILE: often only the last component
    /// of the path.
    #[must_use]
    pub fn file(&self, id: SymbolId) -> Option<Cow<'_, str>> {
        self.get(id).file.map(|file| self.name(file))
    }

    /// All symbols with their ids, in table order.
    pub fn iter(&self) -> impl Iterator<Item = (SymbolId, &Symbol)> {
        (0u32..).map(SymbolId).zip(&self.symbols)
    }

    /// The defined symbols with a name, in table order.
    pub fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (SymbolId, &'a Symbol)> {
        // Offsets of the name in the string table.  Linkers share a name with the end of a
        // longer one. The loop then compares numbers, not strings.
        let (bytes, strings) = (name.as_bytes(), &*self.strings);
        let is_whole = move |at: &usize| matches!(strings.get(at + bytes.len()), None | Some(0));
        let offsets: Vec<u32> = memmem::find_iter(strings, bytes)
            .filter(is_whole)
            .filter_map(|at| u32::try_from(at).ok())
            .collect();
        let names = if offsets.is_empty() { &[][..] } else { &self.names };
        let is_one = move |(_, name): &(SymbolId, &u32)| offsets.contains(name);
        (0u32..)
            .map(SymbolId)
            .zip(names)
            .filter(is_one)
            .map(|(id, _)| (id, self.get(id)))
            .filter(|(_, symbol)| symbol.section.is_some())
    }

    /// The function that covers `address`.
    #[must_use]
    pub fn function_at(&self, address: Svma) -> Option<SymbolOffset> {
        self.functions.covering(self, address)
    }

    /// The data object that covers `address`.
    #[must_use]
    pub fn object_at(&self, address: Svma) -> Option<SymbolOffset> {
        self.objects.covering(self, address)
    }

    /// The starts of functions, by address, each with its best symbol.
    pub fn function_starts(&self) -> impl Iterator<Item = (Svma, SymbolId)> {
        self.functions.by_start.iter().map(|(start, _, symbol)| (*start, *symbol))
    }

    fn name_bytes(&self, symbol: &Symbol) -> &[u8] {
        let name = self.strings.get(symbol.name as usize..).unwrap_or_default();
        &name[..memchr::memchr(0, name).unwrap_or(name.len())]
    }

    /// Whether the section that defines `symbol` covers `address`.
    fn shares_section(&self, symbol: SymbolId, address: Svma) -> bool {
        let range = self.get(symbol).section.and_then(|id| self.ranges.get(id.index()));
        range.is_some_and(|range| range.contains(address))
    }
}

/// Symbols by address, one for each start: the best among aliases.
#[derive(Debug, Default)]
struct AddressIndex {
    /// (start, highest end of this symbol and all before it, symbol), by start.
    by_start: Vec<(Svma, Svma, SymbolId)>,
}

/// Most starts before an address that are checked for a symbol that covers it.  In practice
/// symbols nest two or three deep; the bound keeps lookups fast when a damaged table states
/// wild sizes.
const NESTING: usize = 16;

impl AddressIndex {
    fn new(table: &Symbols<'_>, wanted: impl Fn(&Symbol) -> bool) -> Self {
        // Sorting by address alone takes a third of the time; few symbols share an address.
        let mut all: Vec<(Svma, SymbolId)> = Vec::with_capacity(table.len());
        let wanted = table.iter().filter(|(_, symbol)| wanted(symbol));
        all.extend(wanted.map(|(id, symbol)| (symbol.address, id)));
        all.sort_unstable();
        let rank = |id: SymbolId| {
            let symbol = table.get(id);
            (is_of_compiler(table.name_bytes(symbol)), preference(symbol), id)
        };
        let best = |aliases: &[(Svma, SymbolId)]| match *aliases {
            [only] => Some(only),
            _ => aliases.iter().copied().min_by_key(|(_, id)| rank(*id)),
        };
        let ranked = all.chunk_by(|a, b| a.0 == b.0).filter_map(best);
        let mut highest = Svma(0);
        let mut by_start = Vec::with_capacity(all.len());
        by_start.extend(ranked.map(|(start, id)| {
            highest = highest.max(Svma(start.0.saturating_add(table.get(id).size)));
            (start, highest, id)
        }));
        Self { by_start }
    }

    /// The innermost symbol with a size around `address`, or else the nearest symbol without a
    /// size before it in the same section.
    fn covering(&self, table: &Symbols<'_>, address: Svma) -> Option<SymbolOffset> {
        let after = self.by_start.partition_point(|(start, ..)| *start <= address);
        let mut nearest_unsized = None;
        for (start, highest_end, symbol) in self.by_start[..after].iter().rev().take(NESTING) {
            let (size, offset) = (table.get(*symbol).size, address.0 - start.0);
            let found = SymbolOffset { symbol: *symbol, offset };
            if offset < size {
                return Some(found);
            }
            let covers_rest = size == 0 && table.shares_section(*symbol, address);
            if covers_rest && nearest_unsized.is_none() {
                nearest_unsized = Some(found);
            }
            if *highest_end <= address {
                break;
            }
        }
        nearest_unsized
    }
}

/// Whether a compiler generated the symbol.  LLVM merges variables into one object, which is
/// larger than the variable at its start and would hide it (`GlobalMerge`, LLVM 22).
fn is_of_compiler(name: &[u8]) -> bool {
    name.starts_with(b".L") || name.starts_with(b"_MergedGlobals")
}

/// Lower is better: sized and typed first, then by visibility, then by size.
fn preference(symbol: &Symbol) -> (bool, bool, Binding, std::cmp::Reverse<u64>) {
    let untyped = symbol.kind == SymbolKind::Untyped;
    (symbol.size == 0, untyped, symbol.binding, std::cmp::Reverse(symbol.size))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Option<SectionId> = Some(SectionId(1));

    fn table(rows: &[(&str, u64, u64, SymbolKind, Binding)]) -> Symbols<'static> {
        let mut strings = vec![0];
        let mut symbols = Vec::new();
        let mut file = None;
        for (name, address, size, kind, binding) in rows {
            let offset = u32::try_from(strings.len()).unwrap();
            strings.extend_from_slice(name.as_bytes());
            strings.push(0);
            let id = SymbolId(u32::try_from(symbols.len()).unwrap());
            if *kind == SymbolKind::File {
                file = Some(id);
            }
            symbols.push(Symbol {
                address: Svma(*address),
                size: *size,
                section: TEXT,
                kind: *kind,
                binding: *binding,
                file,
                is_undefined: false,
                name: offset,
            });
        }
        let none = AddrRange::sized(Svma(0), 0);
        let text = AddrRange::sized(Svma(0), 0x1000);
        let arch = crate::arch::of_elf_machine(183).unwrap();
        Symbols::new(strings, symbols, &[(false, none), (true, text)], arch)
    }

    fn function(table: &Symbols<'_>, address: u64) -> Option<(String, u64)> {
        let found = table.function_at(Svma(address))?;
        Some((table.name(found.symbol).into_owned(), found.offset))
    }

    #[test]
    fn covering_symbols() {
        use Binding::{Global, Local, Weak};
        use SymbolKind::{Function, Untyped};
        let table = table(&[
            ("$x", 0x100, 0, Untyped, Local),
            ("local_alias", 0x100, 0x40, Function, Local),
            ("entry", 0x100, 0x40, Function, Global),
            ("weak_alias", 0x100, 0x40, Function, Weak),
            ("inner_label", 0x110, 0, Untyped, Local),
            ("asm_label", 0x180, 0, Untyped, Local),
            ("wild", u64::MAX - 1, 0x40, Function, Local),
        ]);
        let named = |name: &str, offset| Some((name.to_owned(), offset));
        assert_eq!(function(&table, 0xff), None);
        assert_eq!(function(&table, 0x100), named("entry", 0));
        assert_eq!(
            function(&table, 0x13f),
            named("entry", 0x3f),
            "a sized symbol beats a label in it"
        );
        assert_eq!(function(&table, 0x140), named("inner_label", 0x30));
        assert_eq!(function(&table, 0x1ff), named("asm_label", 0x7f));
        assert_eq!(function(&table, 0x1000), None, "a label does not reach beyond its section");
        assert_eq!(function(&table, u64::MAX), named("wild", 1));
    }

    #[test]
    fn nested_symbols_are_found_innermost_first() {
        use SymbolKind::Function;
        let table = table(&[
            ("outer", 0x100, 0x100, Function, Binding::Local),
            ("inner", 0x140, 0x20, Function, Binding::Local),
        ]);
        assert_eq!(function(&table, 0x150), Some(("inner".into(), 0x10)));
        assert_eq!(function(&table, 0x170), Some(("outer".into(), 0x70)));
    }

    #[test]
    fn a_variable_is_preferred_to_a_merged_object() {
        use SymbolKind::Object;
        let table = table(&[
            (".L_MergedGlobals", 0x100, 0x60, Object, Binding::Local),
            ("key", 0x100, 0x10, Object, Binding::Local),
            ("other", 0x120, 0x10, Object, Binding::Local),
        ]);
        let object = |address: u64| {
            let found = table.object_at(Svma(address))?;
            Some((table.name(found.symbol).into_owned(), found.offset))
        };
        assert_eq!(object(0x100), Some(("key".into(), 0)));
        assert_eq!(object(0x128), Some(("other".into(), 8)));
    }
}
