//! Names of keys: one spelling for each, used by every report.
//!
//! A key has the name of the symbol that is or holds it, followed by the location in the
//! object: `symbol.member` or `symbol[5]` if debug information describes the type of the
//! object, `symbol+0x8` otherwise.  A mangled symbol is written as its path in Rust or C++:
//! `server::TRACE`.  Keys of a table that would share a name are distinguished by their
//! unmodified symbols, or else by the file of their local symbols:
//! `net/core/dev.c:___once_key.0`.
//!
//! If a program made by `jlctl link` has lost its symbols, the names that the link left in it
//! take their place (`link_note.rs`).

use super::key::{Key, KeyId};
use super::link_note;
use crate::debug_info::demangled;
use crate::image::{Image, SymbolId};
use foldhash::{HashMap, HashMapExt as _};
use std::borrow::Cow;

/// The names of all keys of a table.
#[derive(Debug, Default)]
pub struct KeyNames {
    names: Vec<KeyName>,
}

/// The location of a key in an object, from debug information.
#[derive(Debug, Clone, Copy)]
pub struct KeyPath<'a> {
    /// The path as C writes it after the object's name: `.key`, `[5]`.
    pub path: &'a str,
    /// The file that declares the object.
    pub file: Option<&'a str>,
}

/// The parts of one key's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    full: String,
    /// The name with the unmodified symbol, if `full` has the demangled one.
    mangled: Option<String>,
    /// Start of the name without its file, in `full`.
    unqualified: usize,
    symbol: Option<String>,
    /// The demangled `symbol`.
    path: Option<String>,
    offset: u64,
    file: Option<String>,
}

impl KeyName {
    #[cfg(test)]
    pub(super) fn new(symbol: &str, offset: u64, rest: &str, file: Option<&str>) -> Self {
        let (full, mangled) = spell(symbol, demangled(symbol).as_deref(), rest);
        Self {
            full,
            mangled,
            unqualified: 0,
            symbol: Some(symbol.to_owned()),
            path: demangled(symbol),
            offset,
            file: file.map(str::to_owned),
        }
    }

    /// The name of a key without a symbol.
    fn of_address(full: String) -> Self {
        let (symbol, path, file) = (None, None, None);
        Self { full, mangled: None, unqualified: 0, symbol, path, offset: 0, file }
    }

    /// The name that a link left: a symbol and an offset, preceded by a file if others share
    /// the rest (`KeyName::by_symbol` of the original program).
    fn of_link(left: &str) -> Self {
        let (file, rest) = match left.split_once(':') {
            Some((file, rest)) if !rest.starts_with(':') => (Some(file), rest),
            _ => (None, left),
        };
        let (symbol, location) = rest.split_at(rest.find('+').unwrap_or(rest.len()));
        let path = demangled(symbol);
        let (mut full, mangled) = spell(symbol, path.as_deref(), location);
        let unqualified = file.map_or(0, |file| {
            full.insert_str(0, &format!("{file}:"));
            file.len() + 1
        });
        let file = file.map(str::to_owned);
        Self { full, mangled, unqualified, symbol: None, path, offset: 0, file }
    }

    /// The name, preceded by the file if others share the rest.
    #[must_use]
    pub fn full(&self) -> &str {
        &self.full
    }

    /// The name without a file.
    #[must_use]
    pub fn unqualified(&self) -> &str {
        &self.full[self.unqualified..]
    }

    /// The name with the unmodified symbol, mangled or not.
    #[must_use]
    pub fn by_symbol(&self) -> &str {
        self.mangled.as_deref().unwrap_or(&self.full)
    }

    /// The symbol of the object that is or holds the key, as in the image.
    #[must_use]
    pub fn symbol(&self) -> Option<&str> {
        self.symbol.as_deref()
    }

    /// The path in Rust or C++ from which this symbol is mangled; `None` if it is not mangled.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }

    /// Bytes from the start of that object to the key.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Source file of the object: a path as far as it is known, or only its last component,
    /// which linkers keep.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

impl KeyNames {
    /// Names `keys`, all keys of one table.  `paths` has the debug information of each in the
    /// same order; it is empty if none was read.
    #[must_use]
    pub fn new(image: &Image<'_>, keys: &[Key], paths: &[Option<KeyPath<'_>>]) -> Self {
        let path = |at: usize| paths.get(at).copied().flatten();
        let root = common_directory(paths.iter().flatten().filter_map(|path| path.file));
        let left = link_note::names(image);
        let mut names: Vec<KeyName> = keys
            .iter()
            .enumerate()
            .map(|(at, key)| match left.get(&key.address) {
                Some(left) if key.symbol.is_none() => KeyName::of_link(left),
                _ => name(image, key, path(at), root),
            })
            .collect();
        // Several statics can have one path in the source: those of instances of a generic
        // function, or of two versions of a crate.
        for_each_shared(&mut names, |name| {
            if let Some(mangled) = name.mangled.take() {
                name.full = mangled;
            }
        });
        for_each_shared(&mut names, |name| {
            if let Some(file) = &name.file {
                name.full.insert_str(0, &format!("{file}:"));
                name.unqualified = file.len() + 1;
            }
        });
        Self { names }
    }

    /// The name of a key of the table.
    #[must_use]
    pub fn get(&self, id: KeyId) -> &KeyName {
        &self.names[id.index()]
    }

    /// Ids of all named keys.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> + use<> {
        (0..u32::try_from(self.names.len()).unwrap_or(u32::MAX)).map(KeyId)
    }

    /// All names, by [`KeyId::index`].
    #[must_use]
    pub fn all(&self) -> &[KeyName] {
        &self.names
    }
}

fn name(image: &Image<'_>, key: &Key, path: Option<KeyPath<'_>>, root: &str) -> KeyName {
    let Some(at) = key.symbol else {
        let full = image.address_text(key.address);
        return KeyName::of_address(full);
    };
    let symbol = image.symbols().name(at.symbol).into_owned();
    let rest = match (path, at.offset) {
        (Some(path), _) => Cow::Borrowed(path.path),
        (None, 0) => Cow::Borrowed(""),
        (None, offset) => Cow::Owned(format!("+{offset:#x}")),
    };
    let written = demangled(&symbol);
    let (full, mangled) = spell(&symbol, written.as_deref(), &rest);
    let file = path.and_then(|path| path.file);
    let file = file.map(|file| file.strip_prefix(root).unwrap_or(file));
    let file = file.map(str::to_owned).or_else(|| file_of(image, at.symbol));
    let (symbol, path) = (Some(symbol), written);
    KeyName { full, mangled, unqualified: 0, symbol, path, offset: at.offset, file }
}

/// The name of the key at `rest` in the object of `symbol`, which is mangled from `path`; and
/// the name with the unmodified symbol, if it is mangled.
fn spell(symbol: &str, path: Option<&str>, rest: &str) -> (String, Option<String>) {
    let by_symbol = format!("{symbol}{rest}");
    match path {
        Some(path) => (format!("{path}{rest}"), Some(by_symbol)),
        None => (by_symbol, None),
    }
}

/// Calls `change` with each name that several keys share.
fn for_each_shared(names: &mut [KeyName], mut change: impl FnMut(&mut KeyName)) {
    let mut bearers: HashMap<String, usize> = HashMap::new();
    for name in names.iter() {
        *bearers.entry(name.full.clone()).or_default() += 1;
    }
    let is_shared = |name: &&mut KeyName| bearers.get(&name.full).is_some_and(|count| *count > 1);
    names.iter_mut().filter(is_shared).for_each(&mut change);
}

/// The file of a local symbol; a global symbol needs none.
fn file_of(image: &Image<'_>, symbol: SymbolId) -> Option<String> {
    image.symbols().file(symbol).map(Cow::into_owned)
}

/// The common directory of all paths, including its last slash.
fn common_directory<'a>(mut paths: impl Iterator<Item = &'a str>) -> &'a str {
    let directory = |path: &'a str| path.rfind('/').map_or("", |slash| &path[..=slash]);
    let Some(first) = paths.next() else { return "" };
    paths.fold(directory(first), |root, path| {
        let common = root.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
        let slash = root.as_bytes()[..common].iter().rposition(|byte| *byte == b'/');
        slash.map_or("", |slash| &root[..=slash])
    })
}
