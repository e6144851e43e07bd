//! The symbols of an image while it is linked: resolution of [`AddressExpr`]s, and
//! the order in which an ELF symbol table lists them.

use crate::elf::{self, Section, Symbol, consts};
use crate::spec::{AddressExpr, Scope};

/// A symbol with its scope.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub(super) scope: Scope,
    pub(super) symbol: Symbol,
}

/// All symbols of an image.
#[derive(Debug, Default)]
pub struct Definitions {
    list: Vec<Definition>,
}

impl Definitions {
    /// Defines a symbol in the section `section`.
    pub fn define(
        &mut self,
        (name, scope): (&str, Scope),
        kind: consts::SymbolType,
        section: &str,
        (value, size): (u64, u64),
    ) {
        let bind = match scope {
            Scope::Global => consts::STB_GLOBAL,
            Scope::Local(_) => consts::STB_LOCAL,
        };
        let section = elf::SymbolSection::In(section.to_owned());
        let symbol = Symbol { name: name.to_owned(), value, size, bind, kind, section };
        self.list.push(Definition { scope, symbol });
    }

    /// Defines a global symbol without type or size, as a linker script does.
    pub fn mark(&mut self, name: &str, section: &str, value: u64) {
        self.define((name, Scope::Global), consts::STT_NOTYPE, section, (value, 0));
    }

    /// Defines a mapping symbol of `file`, unless the file has one of this name
    /// in `section` already.
    pub fn map(&mut self, name: &str, file: &str, section: &str, value: u64) {
        let scope = Scope::Local(file.to_owned());
        let in_section = elf::SymbolSection::In(section.to_owned());
        let known = self.list.iter().any(|Definition { scope: other, symbol }| {
            *other == scope && symbol.name == name && symbol.section == in_section
        });
        if !known {
            self.define((name, scope), consts::STT_NOTYPE, section, (value, 0));
        }
    }

    /// A symbol of another image, as if it lay at `value`.
    pub fn undefined(&mut self, name: &str, value: u64) {
        let symbol = Symbol {
            name: name.to_owned(),
            value,
            size: 0,
            bind: consts::STB_GLOBAL,
            kind: consts::STT_NOTYPE,
            section: elf::SymbolSection::Undefined,
        };
        self.list.push(Definition { scope: Scope::Global, symbol });
    }

    /// The address that `expr` evaluates to.
    pub(super) fn resolve(&self, expr: &AddressExpr) -> u64 {
        let (file, name, offset) = match expr {
            AddressExpr::Address(address) => return *address,
            AddressExpr::Symbol { file, name, offset } => (file, name, *offset),
        };
        let mut found = self.list.iter().filter(|definition| {
            definition.symbol.name == *name
                && file.as_ref().is_none_or(|file| is_local_to(&definition.scope, file))
        });
        let first = found.next().unwrap_or_else(|| panic!("no symbol {expr}"));
        assert!(found.next().is_none(), "symbol {expr} is ambiguous: name its file");
        first.symbol.value.wrapping_add_signed(offset)
    }

    /// The symbols as an ELF symbol table lists them: sections, then each file
    /// with its locals and the mapping symbols of its code, then globals.
    pub fn symbols(&self, sections: &[Section]) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> =
            sections.iter().filter(|section| section.is_loaded()).map(section_symbol).collect();
        for file in self.files() {
            symbols.push(file_symbol(&file));
            let local = self.list.iter().filter(|d| d.scope == Scope::Local(file.clone()));
            symbols.extend(local.map(|definition| definition.symbol.clone()));
        }
        let global = self.list.iter().filter(|d| d.scope == Scope::Global);
        symbols.extend(global.map(|definition| definition.symbol.clone()));
        symbols
    }

    /// Files with local symbols, in order of first mention.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        for definition in &self.list {
            if let Scope::Local(file) = &definition.scope
                && !files.contains(file)
            {
                files.push(file.clone());
            }
        }
        files
    }
}

fn is_local_to(scope: &Scope, file: &str) -> bool {
    matches!(scope, Scope::Local(path) if path == file || base_name(path) == file)
}

/// The last component of a source path, which `STT_FILE` holds.
fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

pub(super) fn section_symbol(section: &Section) -> Symbol {
    Symbol {
        name: String::new(),
        value: section.address,
        size: 0,
        bind: consts::STB_LOCAL,
        kind: consts::STT_SECTION,
        section: elf::SymbolSection::In(section.name.clone()),
    }
}

fn file_symbol(path: &str) -> Symbol {
    Symbol {
        name: base_name(path).to_owned(),
        value: 0,
        size: 0,
        bind: consts::STB_LOCAL,
        kind: consts::STT_FILE,
        section: elf::SymbolSection::Absolute,
    }
}
