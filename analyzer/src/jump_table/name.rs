//! Names of keys: one spelling for each, the same in every report.
//!
//! A key is called by the symbol of the object that it is or lies in, and by its
//! place there: `symbol`, `symbol.member` or `symbol[5]` where debug information
//! has the type of the object, `symbol+0x8` where it has not.  Names that several
//! keys of a table share are told apart by the file of their local symbols:
//! `net/core/dev.c:___once_key.0`.

use super::key::{Key, KeyId};
use crate::image::{Image, SymbolId};
use foldhash::{HashMap, HashMapExt as _};

/// The names of all keys of a table.
#[derive(Debug, Default)]
pub struct KeyNames {
    names: Vec<KeyName>,
}

/// What debug information says of a key's place in an object.
#[derive(Debug, Clone, Copy)]
pub struct KeyPath<'a> {
    /// The path as C would write it behind the object's name: `.key`, `[5]`.
    pub path: &'a str,
    /// The file that the object is declared in.
    pub file: Option<&'a str>,
}

/// The parts of one key's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyName {
    full: String,
    /// Where in `full` the name without its file starts.
    unqualified: usize,
    symbol: Option<String>,
    offset: u64,
    file: Option<String>,
}

impl KeyName {
    #[cfg(test)]
    pub(super) fn new(symbol: &str, offset: u64, rest: &str, file: Option<&str>) -> Self {
        Self {
            full: format!("{symbol}{rest}"),
            unqualified: 0,
            symbol: Some(symbol.to_owned()),
            offset,
            file: file.map(str::to_owned),
        }
    }

    /// The name, with the file in front where others share the rest.
    #[must_use]
    pub fn full(&self) -> &str {
        &self.full
    }

    /// The name without a file.
    #[must_use]
    pub fn unqualified(&self) -> &str {
        &self.full[self.unqualified..]
    }

    /// The symbol of the object that the key is or lies in.
    #[must_use]
    pub fn symbol(&self) -> Option<&str> {
        self.symbol.as_deref()
    }

    /// Bytes from the start of that object to the key.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Source file of the object: a path as far as it is known, or only its last
    /// part, as linkers keep it.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }
}

impl KeyNames {
    /// Names `keys`, all of one table.  `paths` has what debug information says
    /// of each, in their order; nothing if it was not read.
    #[must_use]
    pub fn new(image: &Image<'_>, keys: &[Key], paths: &[Option<KeyPath<'_>>]) -> Self {
        let path = |at: usize| paths.get(at).copied().flatten();
        let root = common_directory(paths.iter().flatten().filter_map(|path| path.file));
        let mut names: Vec<KeyName> =
            keys.iter().enumerate().map(|(at, key)| name(image, key, path(at), root)).collect();
        let mut bearers: HashMap<String, usize> = HashMap::new();
        for name in &names {
            *bearers.entry(name.full.clone()).or_default() += 1;
        }
        for name in &mut names {
            let is_shared = bearers.get(&name.full).is_some_and(|bearers| *bearers > 1);
            if let (true, Some(file)) = (is_shared, &name.file) {
                name.full.insert_str(0, &format!("{file}:"));
                name.unqualified = file.len() + 1;
            }
        }
        Self { names }
    }

    /// The name of a key of the table.
    #[must_use]
    pub fn get(&self, id: KeyId) -> &KeyName {
        &self.names[id.index()]
    }

    /// Ids of all keys that are named here.
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
        return KeyName { full, unqualified: 0, symbol: None, offset: 0, file: None };
    };
    let symbol = image.symbols().name(at.symbol).into_owned();
    let full = match (path, at.offset) {
        (Some(path), _) => format!("{symbol}{}", path.path),
        (None, 0) => symbol.clone(),
        (None, offset) => format!("{symbol}+{offset:#x}"),
    };
    let file = path.and_then(|path| path.file);
    let file = file.map(|file| file.strip_prefix(root).unwrap_or(file));
    let file = file.map(str::to_owned).or_else(|| file_of(image, at.symbol));
    KeyName { full, unqualified: 0, symbol: Some(symbol), offset: at.offset, file }
}

/// The file of a local symbol; a global one needs none.
fn file_of(image: &Image<'_>, symbol: SymbolId) -> Option<String> {
    image.symbols().file(symbol).map(std::borrow::Cow::into_owned)
}

/// The directory that all paths lie in, with its last slash.
fn common_directory<'a>(mut paths: impl Iterator<Item = &'a str>) -> &'a str {
    let directory = |path: &'a str| path.rfind('/').map_or("", |slash| &path[..=slash]);
    let Some(first) = paths.next() else { return "" };
    paths.fold(directory(first), |root, path| {
        let common = root.bytes().zip(path.bytes()).take_while(|(a, b)| a == b).count();
        let slash = root.as_bytes()[..common].iter().rposition(|byte| *byte == b'/');
        slash.map_or("", |slash| &root[..=slash])
    })
}
