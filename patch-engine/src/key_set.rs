//! The keys of several images as one list. A key that a module imports from the
//! kernel is one key with sites in both.

use crate::images::ReadImage;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::jump_table::{
    Definition, ImageId, ImageKeys, Key, KeyDescriptions, KeyName, KeyQuery, QueryError, SetKeyId,
    SetKeys, SiteId, exports,
};

/// One key of the set.
#[derive(Debug, Clone)]
pub struct SetKey {
    /// Index of the image that defines it; `None` if no image of the set does, or
    /// several do.
    pub home: Option<usize>,
    /// The key in the image that defines it, or else in the first image that uses it.
    pub key: Key,
    /// Its name.
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

impl KeySet {
    /// The keys of `images`.
    #[must_use]
    pub fn new(images: &[ReadImage<'_>]) -> Self {
        let of_image = |image: &ReadImage<'_>| {
            image.table.map(|table| ImageKeys::of_table(image.image, table)).unwrap_or_default()
        };
        let tables: Vec<ImageKeys> = images.iter().map(of_image).collect();
        let set = SetKeys::identify(&tables, |id| exports(images[id.index()].image));
        let mut keys: Vec<SetKey> = set.ids().filter_map(|id| set_key(images, &set, id)).collect();
        add_sites(&mut keys, images, &set);
        describe_unused_at_home(&mut keys, images, &set);
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

    /// Indexes of the keys that a query matches: all matches of a pattern, but exactly
    /// one match of a name.
    ///
    /// # Errors
    /// If no key matches, or several keys match a name.
    pub fn find(&self, query: &KeyQuery) -> Result<Vec<usize>, QueryError> {
        let address = |at: usize| self.addresses.get(at).copied().flatten();
        if query.is_pattern() {
            query.some(&self.names, address)
        } else {
            query.one(&self.names, address).map(|key| vec![key])
        }
    }
}

/// The key `id`, still without sites: from the image that defines it, or else from the
/// first that uses it.
fn set_key(images: &[ReadImage<'_>], set: &SetKeys, id: SetKeyId) -> Option<SetKey> {
    let (home, rivals) = match set.definition(id) {
        Definition::In { image, .. } => (Some(*image), Vec::new()),
        Definition::Missing => (None, Vec::new()),
        Definition::Several(rivals) => {
            let path = |rival: &ImageId| images[rival.index()].file.path().display().to_string();
            (None, rivals.iter().map(path).collect())
        }
    };
    let (image, key) = home.zip(set.own(id)).unwrap_or(set.first_use(id));
    let image = images.get(image.index())?;
    Some(SetKey {
        home: home.map(ImageId::index),
        key: image.table?.key(key).clone(),
        name: image.keys.names().get(key).clone(),
        sites: Vec::new(),
        rivals,
    })
}

/// Adds the sites that each image has of the keys.
fn add_sites(keys: &mut [SetKey], images: &[ReadImage<'_>], set: &SetKeys) {
    for (index, image) in images.iter().enumerate() {
        let Some(table) = image.table else { continue };
        for (key, id) in table.keys().iter().zip(set.of_image(ImageId::new(index))) {
            let mut sites = key.sites.clone();
            sites.sort_by_key(|site| (table.entry(*site).code, *site));
            keys[id.index()].sites.extend(sites.into_iter().map(|site| (index, site)));
        }
    }
}

/// Reads the keys that only other images use out of the image that defines them.
fn describe_unused_at_home(keys: &mut [SetKey], images: &[ReadImage<'_>], set: &SetKeys) {
    for (home, missing) in set.without_site_at_home() {
        let image = images[home.index()].image;
        let read: Vec<Key> = missing.iter().map(|(_, address)| Key::at(image, *address)).collect();
        let described = KeyDescriptions::of_keys(image, &read);
        for (((id, _), key), name) in missing.iter().zip(read).zip(described.names().all()) {
            let known = &mut keys[id.index()];
            (known.key, known.name) = (key, name.clone());
        }
    }
}
