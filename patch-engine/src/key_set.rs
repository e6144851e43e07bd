//! The keys of several images as one list: a key that a module uses is the
//! kernel's, and has sites in both.

use crate::images::ReadImage;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::jump_table::{
    Definitions, Key, KeyDescriptions, KeyName, KeyQuery, QueryError, Resolution, SiteId, exports,
    imports,
};
use std::collections::{BTreeMap, HashSet};

/// One key of the set.
#[derive(Debug, Clone)]
pub struct SetKey {
    /// Index of the image that defines it; `None` if no image of the set does, or
    /// several do.
    pub home: Option<usize>,
    /// The key as the image that defines it has it, or else as one that uses it.
    pub key: Key,
    /// What it is called.
    pub name: KeyName,
    /// Its sites: the index of the image, and the site in its table; by image and
    /// address.
    pub sites: Vec<(usize, SiteId)>,
    /// Paths of the images that define it, if several do.
    pub rivals: Vec<String>,
}

/// All keys of a set of images: by image and address, those without an image last,
/// by symbol.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<SetKey>,
    names: Vec<KeyName>,
    addresses: Vec<Option<Svma>>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Identity {
    In(usize, Svma),
    Unresolved(String, u64),
}

impl KeySet {
    /// The keys of `images`.
    #[must_use]
    pub fn new(images: &[ReadImage<'_>]) -> Self {
        let definitions = definitions(images);
        let mut found: BTreeMap<Identity, SetKey> = BTreeMap::new();
        for (index, image) in images.iter().enumerate() {
            add_image(&mut found, images, index, image, &definitions);
        }
        add_definitions(&mut found, images);
        let mut keys: Vec<SetKey> = found.into_values().collect();
        for key in &mut keys {
            key.sites.sort_by_key(|(image, site)| {
                let code = images[*image].table.map(|table| table.entry(*site).code);
                (*image, code, *site)
            });
        }
        let names = keys.iter().map(|key| key.name.clone()).collect();
        let stated = |key: &SetKey| {
            let home = images[key.home?].image;
            (home.type_name() != Some("rel")).then_some(key.key.address)
        };
        let addresses = keys.iter().map(stated).collect();
        Self { keys, names, addresses }
    }

    /// All keys.
    #[must_use]
    pub fn keys(&self) -> &[SetKey] {
        &self.keys
    }

    /// Indexes of the keys that a query names: all that a pattern fits, and of a
    /// name exactly one.
    ///
    /// # Errors
    /// If none fits, or several fit a name.
    pub fn find(&self, query: &KeyQuery) -> Result<Vec<usize>, QueryError> {
        let address = |at: usize| self.addresses.get(at).copied().flatten();
        if query.is_pattern() {
            query.some(&self.names, address)
        } else {
            query.one(&self.names, address).map(|key| vec![key])
        }
    }
}

/// Who defines the symbols by which keys are imported.
fn definitions(images: &[ReadImage<'_>]) -> Definitions {
    let mut wanted = HashSet::new();
    for image in images {
        let imported = image.table.map(|table| imports(image.image, table)).unwrap_or_default();
        wanted.extend(imported.into_iter().map(|import| import.symbol));
    }
    let mut definitions = Definitions::default();
    if wanted.is_empty() {
        return definitions;
    }
    for (index, image) in images.iter().enumerate() {
        definitions.add(index, exports(image.image).filter(|(symbol, _)| wanted.contains(symbol)));
    }
    definitions
}

fn add_image(
    found: &mut BTreeMap<Identity, SetKey>,
    images: &[ReadImage<'_>],
    index: usize,
    image: &ReadImage<'_>,
    definitions: &Definitions,
) {
    let Some(table) = image.table else { return };
    let imported: BTreeMap<usize, _> = imports(image.image, table)
        .into_iter()
        .map(|import| (import.key.index(), import))
        .collect();
    for (at, (key, id)) in table.keys().iter().zip(table.key_ids()).enumerate() {
        let mut rivals = Vec::new();
        let identity = match imported.get(&at) {
            None => Identity::In(index, key.address),
            Some(import) => match definitions.resolve(import) {
                Resolution::Defined { image, key } => Identity::In(image, key),
                Resolution::Undefined => Identity::Unresolved(import.symbol.clone(), import.offset),
                Resolution::Several(files) => {
                    let path = |file: &usize| images[*file].file.path().display().to_string();
                    rivals = files.iter().map(path).collect();
                    Identity::Unresolved(import.symbol.clone(), import.offset)
                }
            },
        };
        let is_own = identity == Identity::In(index, key.address);
        let sites = key.sites.iter().map(|site| (index, *site));
        let entry = found.entry(identity).or_insert_with_key(|identity| SetKey {
            home: match identity {
                Identity::In(home, _) => Some(*home),
                Identity::Unresolved(..) => None,
            },
            key: key.clone(),
            name: image.keys.names().get(id).clone(),
            sites: Vec::new(),
            rivals,
        });
        if is_own {
            // The image that defines a key knows it best.
            entry.key = key.clone();
            entry.name = image.keys.names().get(id).clone();
        }
        entry.sites.extend(sites);
    }
}

/// Reads the keys that only other images use out of those that define them.
fn add_definitions(found: &mut BTreeMap<Identity, SetKey>, images: &[ReadImage<'_>]) {
    let mut missing: BTreeMap<usize, Vec<(Identity, Svma)>> = BTreeMap::new();
    for (identity, key) in &*found {
        if let Identity::In(home, address) = identity
            && key.sites.iter().all(|(image, _)| image != home)
        {
            missing.entry(*home).or_default().push((identity.clone(), *address));
        }
    }
    for (home, identities) in missing {
        let image = images[home].image;
        let keys: Vec<Key> =
            identities.iter().map(|(_, address)| Key::at(image, *address)).collect();
        let described = KeyDescriptions::of_keys(image, &keys);
        for (((identity, _), key), id) in
            identities.into_iter().zip(keys).zip(described.names().ids())
        {
            if let Some(entry) = found.get_mut(&identity) {
                entry.key = key;
                entry.name = described.names().get(id).clone();
            }
        }
    }
}
