//! Names and kinds of the keys of a table.
//!
//! The types of the objects that hold keys come from debug information, if it is read.
//!
//! # One tracepoint stands for all
//! All tracepoints of a kernel have one type, and so have all descriptors of dynamic debug. Of
//! the keys of these two kinds that agree in size of the object, offset in it and initial
//! state, only one is looked up in the debug information, and its path serves for the others.
//! All other keys inside larger objects are looked up one by one.  The kind of a key follows
//! from the type of its object, or else from section, boundary symbols and name (`kind.rs`).

use super::dynamic_debug::DdebugSite;
use super::key::{Key, KeyId};
use super::kind::{Classifier, Holder, KeyKind};
use super::name::{KeyNames, KeyPath};
use super::table::JumpTable;
use crate::addr::Svma;
use crate::debug_info::{DebugFault, DebugInfo, ObjectPath, ObjectQuery};
use crate::image::{Image, SymbolOffset};
use foldhash::{HashMap, HashMapExt as _};
use jlctl_shim::abi::StaticKey;
use std::path::Path;

/// Names and kinds of keys.
#[derive(Debug, Default)]
pub struct KeyDescriptions {
    names: KeyNames,
    kinds: Vec<KeyKind>,
    types: Vec<Option<String>>,
    faults: Vec<DebugFault>,
}

impl KeyDescriptions {
    /// Describes all keys of `table`.  `debug` is the image's debug information and the path of
    /// its file.
    #[must_use]
    pub fn of_table(
        image: &Image<'_>,
        table: &JumpTable<'_>,
        debug: Option<(&DebugInfo<'_>, &Path)>,
    ) -> Self {
        let sites = |key: &Key| key.sites.iter().map(|id| table.entry(*id).code).collect();
        Self::new(image, table.keys(), sites, debug)
    }

    /// Describes keys that may have no entries.
    #[must_use]
    pub fn of_keys(image: &Image<'_>, keys: &[Key]) -> Self {
        Self::new(image, keys, |_| Vec::new(), None)
    }

    fn new(
        image: &Image<'_>,
        keys: &[Key],
        sites: impl Fn(&Key) -> Vec<Svma>,
        debug: Option<(&DebugInfo<'_>, &Path)>,
    ) -> Self {
        let classifier = Classifier::new(image);
        let kinds: Vec<KeyKind> =
            keys.iter().map(|key| kind(&classifier, image, key, None)).collect();
        let mut described = Self { kinds, ..Self::default() };
        let objects = match debug {
            Some(debug) => described.look_up_objects(image, keys, sites, debug),
            None => vec![None; keys.len()],
        };
        described.types = objects
            .iter()
            .map(|object| object.as_ref().and_then(|object| object.object_type.clone()))
            .collect();
        for (at, key) in keys.iter().enumerate() {
            if let Some(object_type) = described.types[at].as_deref() {
                described.kinds[at] = kind(&classifier, image, key, Some(object_type));
            }
        }
        let paths: Vec<_> =
            objects.iter().map(|object| object.as_ref().map(KeyObject::path)).collect();
        described.names = KeyNames::new(image, keys, &paths);
        described
    }

    /// The object of each key, if it is needed and known.
    fn look_up_objects(
        &mut self,
        image: &Image<'_>,
        keys: &[Key],
        sites: impl Fn(&Key) -> Vec<Svma>,
        (debug_info, path): (&DebugInfo<'_>, &Path),
    ) -> Vec<Option<KeyObject>> {
        let groups = groups(image, keys, &self.kinds);
        let names: Vec<_> = groups.iter().map(|group| name_of(image, &keys[group[0]])).collect();
        let code: Vec<Vec<Svma>> = groups.iter().map(|group| sites(&keys[group[0]])).collect();
        let query = |((group, name), code): ((&Vec<usize>, _), _)| -> ObjectQuery<'_> {
            let key = &keys[group[0]];
            let offset = key.symbol.map_or(0, |at| at.offset);
            ObjectQuery {
                name,
                address: Svma(key.address.0.wrapping_sub(offset)),
                offset,
                sites: code,
                initially_true: key.initially_true(),
            }
        };
        let code = code.iter().map(Vec::as_slice);
        let queries: Vec<_> =
            groups.iter().zip(names.iter().map(|name| &**name)).zip(code).map(query).collect();
        let found = debug_info.object_paths(&queries, path);
        self.faults = found.faults;
        let mut objects = vec![None; keys.len()];
        for (group, path) in groups.iter().zip(found.paths) {
            for (rank, at) in group.iter().enumerate() {
                objects[*at] = path.as_ref().map(|path| KeyObject::new(path, rank == 0));
            }
        }
        objects
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &KeyNames {
        &self.names
    }

    /// The kind of a key.
    #[must_use]
    pub fn kind(&self, id: KeyId) -> KeyKind {
        self.kinds[id.index()]
    }

    /// The type of the object that is or holds a key, as C writes it.
    #[must_use]
    pub fn object_type(&self, id: KeyId) -> Option<&str> {
        self.types[id.index()].as_deref()
    }

    /// The message of a dynamic-debug key, from its descriptor; `None` for other keys.
    #[must_use]
    pub fn dynamic_debug<'data>(
        &self,
        image: &Image<'data>,
        id: KeyId,
        key: &Key,
    ) -> Option<DdebugSite<'data>> {
        (self.kind(id) == KeyKind::DynamicDebug).then(|| DdebugSite::of_key(image, key.address))?
    }

    /// Units of debug information that could not be read completely.
    #[must_use]
    pub fn faults(&self) -> &[DebugFault] {
        &self.faults
    }
}

/// The part of a lookup's result that is kept.
#[derive(Debug, Clone)]
struct KeyObject {
    path: String,
    object_type: Option<String>,
    file: Option<String>,
}

impl KeyObject {
    /// Only the object that was looked up itself has a known file.
    fn new(path: &ObjectPath, is_itself: bool) -> Self {
        let declared = path.declared.as_ref().filter(|_| is_itself);
        Self {
            path: path.path.clone(),
            object_type: path.object_type.clone(),
            file: declared.map(|declared| declared.file.clone()),
        }
    }

    fn path(&self) -> KeyPath<'_> {
        KeyPath { path: &self.path, file: self.file.as_deref() }
    }
}

fn name_of<'image>(image: &'image Image<'_>, key: &Key) -> std::borrow::Cow<'image, str> {
    key.symbol.map(|at| image.symbols().name(at.symbol)).unwrap_or_default()
}

fn kind(
    classifier: &Classifier,
    image: &Image<'_>,
    key: &Key,
    object_type: Option<&str>,
) -> KeyKind {
    let symbol = name_of(image, key);
    classifier.kind(&Holder {
        symbol: Some(&*symbol).filter(|name| !name.is_empty()),
        section: key.section.map(|id| image.section(id).name),
        object_type,
        address: Some(key.address),
    })
}

/// The keys to look up, each followed by the keys that it stands for.
fn groups(image: &Image<'_>, keys: &[Key], kinds: &[KeyKind]) -> Vec<Vec<usize>> {
    let mut group_of: HashMap<(KeyKind, u64, u64, Option<bool>), usize> = HashMap::new();
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, key) in keys.iter().enumerate() {
        let Some(SymbolOffset { symbol, offset }) = key.symbol else { continue };
        let size = image.symbols().get(symbol).size;
        // An object of the size of a key is the key itself.
        if offset == 0 && size <= StaticKey::SIZE as u64 {
            continue;
        }
        let has_one_type = matches!(kinds[at], KeyKind::Tracepoint | KeyKind::DynamicDebug);
        if !has_one_type {
            groups.push(vec![at]);
            continue;
        }
        let number =
            *group_of.entry((kinds[at], size, offset, key.initially_true())).or_insert_with(|| {
                groups.push(Vec::new());
                groups.len() - 1
            });
        groups[number].push(at);
    }
    groups
}
