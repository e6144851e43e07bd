//! The keys of several images as one list: which keys of a kernel and its modules are the
//! same key.
//!
//! A key is identified by the image that defines it and its address there. A module that
//! uses a key of the kernel names an undefined symbol and an offset ([`Import`]); the symbol
//! leads to the defining image as it does in a loader (`kernel/module/main.c`, Linux 6.12,
//! resolve_symbol). Where no image of the set defines the symbol, or several do, the symbol
//! and the offset are the identity.

use super::key::{Key, KeyId, KeyStorage};
use super::table::JumpTable;
use crate::addr::Svma;
use crate::image::{Binding, Image, SymbolKind, SymbolOffset};
use foldhash::{HashMap, HashSet};
use std::collections::BTreeMap;

/// Dense index of an image in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId(u32);

impl ImageId {
    /// The image at `index` in the set.
    #[must_use]
    pub fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The index in the set.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Dense index of a key in a set: by image and address, keys without an image last, by
/// symbol and offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetKeyId(u32);

impl SetKeyId {
    fn new(index: usize) -> Self {
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    /// The index in the set.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A key that the image of its site does not define.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Import {
    key: KeyId,
    /// The symbol that another image has to define.
    symbol: String,
    /// Bytes from the symbol to the key.
    offset: u64,
}

/// The keys of `table` that another image defines.
fn imports(image: &Image<'_>, table: &JumpTable<'_>) -> Vec<Import> {
    let import = |id| {
        let key = table.key(id);
        let SymbolOffset { symbol, offset } = key.symbol?;
        let symbol = || image.symbols().name(symbol).into_owned();
        let is_elsewhere = key.storage == KeyStorage::Elsewhere;
        is_elsewhere.then(|| Import { key: id, symbol: symbol(), offset })
    };
    table.key_ids().filter_map(import).collect()
}

/// The data objects that `image` defines for others, with their addresses.
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

/// The definitions of each symbol in a set of images.
type Definitions = HashMap<String, Vec<(ImageId, Svma)>>;

/// The part of an image that the identity of its keys depends on.
#[derive(Debug, Clone, Default)]
pub struct ImageKeys {
    /// By [`KeyId::index`]: the address of the key, and the symbol of its object.
    keys: Vec<(Svma, Option<String>)>,
    /// Keys that another image defines.
    imports: Vec<Import>,
}

impl ImageKeys {
    /// The keys of `table`.
    #[must_use]
    pub fn of_table(image: &Image<'_>, table: &JumpTable<'_>) -> Self {
        let symbol = |key: &Key| Some(image.symbols().name(key.symbol?.symbol).into_owned());
        let keys = table.keys().iter().map(|key| (key.address, symbol(key))).collect();
        Self { keys, imports: imports(image, table) }
    }
}

/// The image that defines a key of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// One image defines it.
    In {
        /// The image.
        image: ImageId,
        /// Address of the key in that image.
        address: Svma,
    },
    /// No image of the set defines its symbol.
    Missing,
    /// Several images define its symbol; a loader would refuse all but the first.
    Several(Vec<ImageId>),
}

/// One key of a set.
#[derive(Debug, Clone)]
struct IdentifiedKey {
    definition: Definition,
    /// The key in the table of the image that defines it; `None` if only other images have
    /// sites of it.
    own: Option<KeyId>,
    /// The first image that has sites of it, and the key there.
    first_use: (ImageId, KeyId),
}

/// The keys of a set of images, each once.
#[derive(Debug, Default)]
pub struct SetKeys {
    keys: Vec<IdentifiedKey>,
    of_image: Vec<Vec<SetKeyId>>,
    repeated: Vec<(String, Vec<ImageId>)>,
}

/// What tells two keys apart, in the order of [`SetKeyId`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Identity {
    Defined(ImageId, Svma),
    Undefined(String, u64),
}

impl SetKeys {
    /// Identifies the keys of `images`. `exports` gives the objects that an image defines for
    /// others, with their addresses ([`super::exports`]); it is called at most once for each
    /// image, and not for an image that stands alone and imports nothing.
    #[must_use]
    pub fn identify<E: IntoIterator<Item = (String, Svma)>>(
        images: &[ImageKeys],
        exports: impl FnMut(ImageId) -> E,
    ) -> Self {
        let definitions = definitions(images, exports);
        let mut found: BTreeMap<Identity, IdentifiedKey> = BTreeMap::new();
        let mut identities = Vec::with_capacity(images.len());
        for (index, image) in images.iter().enumerate() {
            let id = ImageId::new(index);
            let of_image = resolved(id, image, &definitions);
            for (at, (identity, definition)) in of_image.iter().enumerate() {
                let key = KeyId(u32::try_from(at).unwrap_or(u32::MAX));
                let is_own = *identity == Identity::Defined(id, image.keys[at].0);
                let known = found.entry(identity.clone()).or_insert_with(|| IdentifiedKey {
                    definition: definition.clone(),
                    own: None,
                    first_use: (id, key),
                });
                if is_own {
                    known.own = Some(key);
                }
            }
            identities.push(of_image);
        }
        let number: HashMap<&Identity, SetKeyId> =
            found.keys().enumerate().map(|(at, identity)| (identity, SetKeyId::new(at))).collect();
        let of_image = identities
            .iter()
            .map(|of_image| of_image.iter().map(|(identity, _)| number[identity]).collect())
            .collect();
        let mut repeated: Vec<(String, Vec<ImageId>)> = definitions
            .into_iter()
            .filter(|(_, defined)| defined.len() > 1)
            .map(|(symbol, defined)| (symbol, ids(&defined)))
            .collect();
        repeated.sort_unstable();
        Self { keys: found.into_values().collect(), of_image, repeated }
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the set has no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// All keys, in order.
    pub fn ids(&self) -> impl Iterator<Item = SetKeyId> + use<> {
        (0..self.keys.len()).map(SetKeyId::new)
    }

    /// The image that defines a key.
    #[must_use]
    pub fn definition(&self, key: SetKeyId) -> &Definition {
        &self.keys[key.index()].definition
    }

    /// The key in the table of the image that defines it; `None` if that image has no site
    /// of it, or no single image defines it.
    #[must_use]
    pub fn own(&self, key: SetKeyId) -> Option<KeyId> {
        self.keys[key.index()].own
    }

    /// The first image that has sites of a key, and the key in the table of that image.
    #[must_use]
    pub fn first_use(&self, key: SetKeyId) -> (ImageId, KeyId) {
        self.keys[key.index()].first_use
    }

    /// The keys of an image in the set, by [`KeyId::index`].
    #[must_use]
    pub fn of_image(&self, image: ImageId) -> &[SetKeyId] {
        &self.of_image[image.index()]
    }

    /// For each image the keys that it defines and has no site of, with their addresses in
    /// it: only other images use them, so that its table does not have them.
    #[must_use]
    pub fn without_site_at_home(&self) -> BTreeMap<ImageId, Vec<(SetKeyId, Svma)>> {
        let mut keys: BTreeMap<ImageId, Vec<(SetKeyId, Svma)>> = BTreeMap::new();
        for id in self.ids() {
            if let (Definition::In { image, address }, None) = (self.definition(id), self.own(id)) {
                keys.entry(*image).or_default().push((id, *address));
            }
        }
        keys
    }

    /// Symbols of keys that several images define, each with those images, by name.
    #[must_use]
    pub fn repeated(&self) -> &[(String, Vec<ImageId>)] {
        &self.repeated
    }
}

/// The images that define the symbols of keys.
fn definitions<E: IntoIterator<Item = (String, Svma)>>(
    images: &[ImageKeys],
    mut exports: impl FnMut(ImageId) -> E,
) -> Definitions {
    let mut definitions = Definitions::default();
    if images.len() < 2 && images.iter().all(|image| image.imports.is_empty()) {
        return definitions;
    }
    let symbols = images.iter().flat_map(|image| {
        let objects = image.keys.iter().filter_map(|(_, symbol)| symbol.as_deref());
        objects.chain(image.imports.iter().map(|import| import.symbol.as_str()))
    });
    let wanted: HashSet<&str> = symbols.collect();
    for index in 0..images.len() {
        let id = ImageId::new(index);
        for (symbol, address) in exports(id) {
            if wanted.contains(symbol.as_str()) {
                definitions.entry(symbol).or_default().push((id, address));
            }
        }
    }
    definitions
}

/// Identity and definition of each key of an image, by [`KeyId::index`].
fn resolved(
    id: ImageId,
    image: &ImageKeys,
    definitions: &Definitions,
) -> Vec<(Identity, Definition)> {
    let own = |(address, _): &(Svma, Option<String>)| {
        let definition = Definition::In { image: id, address: *address };
        (Identity::Defined(id, *address), definition)
    };
    let mut of_image: Vec<(Identity, Definition)> = image.keys.iter().map(own).collect();
    for import in &image.imports {
        let undefined = || Identity::Undefined(import.symbol.clone(), import.offset);
        let defined = definitions.get(&import.symbol).map_or(&[][..], Vec::as_slice);
        of_image[import.key.index()] = match defined {
            [] => (undefined(), Definition::Missing),
            [(image, address)] => {
                let (image, address) = (*image, address.wrapping_add(import.offset));
                (Identity::Defined(image, address), Definition::In { image, address })
            }
            several => (undefined(), Definition::Several(ids(several))),
        };
    }
    of_image
}

fn ids(defined: &[(ImageId, Svma)]) -> Vec<ImageId> {
    defined.iter().map(|(image, _)| *image).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(keys: &[(u64, &str)], imports: &[(u32, &str, u64)]) -> ImageKeys {
        let key = |(address, symbol): &(u64, &str)| (Svma(*address), Some((*symbol).to_owned()));
        let import = |(key, symbol, offset): &(u32, &str, u64)| Import {
            key: KeyId(*key),
            symbol: (*symbol).to_owned(),
            offset: *offset,
        };
        ImageKeys {
            keys: keys.iter().map(key).collect(),
            imports: imports.iter().map(import).collect(),
        }
    }

    fn exported(objects: &[(&str, u64)]) -> Vec<(String, Svma)> {
        objects.iter().map(|(name, address)| ((*name).to_owned(), Svma(*address))).collect()
    }

    #[test]
    fn a_key_that_a_module_imports_is_the_key_of_the_kernel() {
        let kernel = image(&[(0x10, "a"), (0x20, "b")], &[]);
        let module = image(
            &[(0x10, "own"), (0, "a"), (1, "quiet"), (2, "nowhere"), (3, "b")],
            &[(1, "a", 0), (2, "quiet", 8), (3, "nowhere", 4), (4, "b", 0)],
        );
        let exports =
            [exported(&[("a", 0x10), ("b", 0x20), ("quiet", 0x30)]), exported(&[("own", 0x10)])];
        let set = SetKeys::identify(&[kernel, module], |id| exports[id.index()].clone());
        let (first, second) = (ImageId::new(0), ImageId::new(1));
        let index = |id: &SetKeyId| id.index();
        assert_eq!(set.of_image(first).iter().map(index).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(set.of_image(second).iter().map(index).collect::<Vec<_>>(), [3, 0, 2, 4, 1]);
        let of = |at: usize| (set.definition(SetKeyId::new(at)), set.own(SetKeyId::new(at)));
        let defined = |image, address| Definition::In { image, address: Svma(address) };
        assert_eq!(of(0), (&defined(first, 0x10), Some(KeyId(0))));
        assert_eq!(of(2), (&defined(first, 0x38), None), "the symbol and the offset");
        assert_eq!(of(3), (&defined(second, 0x10), Some(KeyId(0))), "the same address, its own");
        assert_eq!(of(4), (&Definition::Missing, None));
        assert_eq!(set.first_use(SetKeyId::new(0)), (first, KeyId(0)));
        assert_eq!(set.first_use(SetKeyId::new(4)), (second, KeyId(3)));
        let quiet = (SetKeyId::new(2), Svma(0x38));
        assert_eq!(set.without_site_at_home(), BTreeMap::from([(first, vec![quiet])]));
        assert_eq!((set.len(), set.repeated()), (5, &[][..]));
    }

    #[test]
    fn a_symbol_that_two_images_define_has_no_single_definition() {
        let user = image(&[(0, "a")], &[(0, "a", 0)]);
        let images = [image(&[(0x10, "a")], &[]), image(&[(0x20, "a")], &[]), user];
        let exports = [
            exported(&[("a", 0x10), ("other", 0)]),
            exported(&[("a", 0x20), ("other", 0)]),
            vec![],
        ];
        let set = SetKeys::identify(&images, |id| exports[id.index()].clone());
        let both = vec![ImageId::new(0), ImageId::new(1)];
        let used = set.of_image(ImageId::new(2))[0];
        assert_eq!(set.definition(used), &Definition::Several(both.clone()));
        assert_eq!(set.len(), 3, "the definitions are keys of their own");
        assert_eq!(set.repeated(), [("a".to_owned(), both)], "no other symbol matters");
    }

    #[test]
    fn exports_of_a_lone_image_without_imports_are_not_read() {
        let exports = |_| -> Vec<(String, Svma)> { panic!("nothing depends on them") };
        let set = SetKeys::identify(&[image(&[(0x10, "a")], &[])], exports);
        assert_eq!((set.len(), set.is_empty()), (1, false));
        assert!(SetKeys::identify(&[], exports).is_empty());
    }
}
