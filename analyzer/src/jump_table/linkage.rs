//! Keys that live in another image: which images define the symbols, and which
//! of them a key belongs to.
//!
//! A module may use a key of the kernel or of another module; its table then
//! names an undefined symbol and an offset, which a loader would look up
//! (`kernel/module/main.c`, Linux 6.12, resolve_symbol).

use super::key::{KeyId, KeyStorage};
use super::table::JumpTable;
use crate::addr::Svma;
use crate::image::{Binding, Image, SymbolKind, SymbolOffset};
use foldhash::HashMap;

/// A key that the image of its site does not define.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// The key.
    pub key: KeyId,
    /// The symbol that another image has to define.
    pub symbol: String,
    /// Bytes from the symbol to the key.
    pub offset: u64,
}

/// The keys of `table` that live elsewhere.
#[must_use]
pub fn imports(image: &Image<'_>, table: &JumpTable<'_>) -> Vec<Import> {
    table
        .key_ids()
        .filter_map(|id| {
            let key = table.key(id);
            let SymbolOffset { symbol, offset } = key.symbol?;
            let symbol = || image.symbols().name(symbol).into_owned();
            (key.storage == KeyStorage::Elsewhere).then(|| Import {
                key: id,
                symbol: symbol(),
                offset,
            })
        })
        .collect()
}

/// Data objects that `image` defines for others, with their addresses.
pub fn exports<'a>(image: &'a Image<'_>) -> impl Iterator<Item = (String, Svma)> + 'a {
    let symbols = image.symbols();
    symbols
        .iter()
        .filter(|(_, symbol)| {
            symbol.kind == SymbolKind::Object
                && symbol.binding != Binding::Local
                && symbol.section.is_some()
        })
        .map(|(id, symbol)| (symbols.name(id).into_owned(), symbol.address))
}

/// Who defines what in a set of images, which are named by their index.
#[derive(Debug, Default)]
pub struct Definitions {
    by_name: HashMap<String, Vec<(usize, Svma)>>,
}

/// Where the key of an import is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// In one image.
    Defined {
        /// Index of the image.
        image: usize,
        /// Address of the key in it.
        key: Svma,
    },
    /// In none of the set.
    Undefined,
    /// In several; a loader would refuse all but the first.
    Several(Vec<usize>),
}

impl Definitions {
    /// Notes what the image of index `image` exports.
    pub fn add(&mut self, image: usize, exports: impl IntoIterator<Item = (String, Svma)>) {
        for (name, address) in exports {
            self.by_name.entry(name).or_default().push((image, address));
        }
    }

    /// Where an import leads.
    #[must_use]
    pub fn resolve(&self, import: &Import) -> Resolution {
        match self.by_name.get(&import.symbol).map(Vec::as_slice) {
            None | Some([]) => Resolution::Undefined,
            Some([(image, address)]) => {
                Resolution::Defined { image: *image, key: address.wrapping_add(import.offset) }
            }
            Some(several) => Resolution::Several(several.iter().map(|(image, _)| *image).collect()),
        }
    }

    /// Symbols that several images define, each with those images, by name.
    #[must_use]
    pub fn repeated(&self) -> Vec<(&str, Vec<usize>)> {
        let mut repeated: Vec<_> = self
            .by_name
            .iter()
            .filter(|(_, defined)| defined.len() > 1)
            .map(|(name, defined)| {
                (name.as_str(), defined.iter().map(|(image, _)| *image).collect())
            })
            .collect();
        repeated.sort_unstable();
        repeated
    }
}
