//! The sites of all images, by key.

use crate::images::{ReadImage, Sealed};
use jlctl_analyzer::addr::{AddrRange, Svma};
use jlctl_analyzer::image::{Image, RelocatedAddresses, SymbolicAddress};
use jlctl_analyzer::jump_table::{JumpTable, Key, SiteId, exports};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The identity of a key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum KeyAt {
    /// The key at an address of an image.
    Image(usize, Svma),
    /// The key at an offset from an undefined symbol.
    Symbol(String, i64),
}

/// Sites of all images.
pub(super) struct Sites {
    by_key: BTreeMap<KeyAt, Vec<(usize, SiteId)>>,
    /// Sites that share bytes with others, in each image: true for an entry of another key at the
    /// same address, false for an overlap.
    entangled: Vec<HashMap<SiteId, bool>>,
    /// The addresses that the relocations of each image write.
    relocated: Vec<RelocatedAddresses>,
    sealed: Vec<Sealed>,
}

impl Sites {
    pub(super) fn new(images: &[ReadImage<'_>]) -> Self {
        let defined = definitions(images);
        let mut by_key: BTreeMap<KeyAt, Vec<(usize, SiteId)>> = BTreeMap::new();
        for (at, read) in images.iter().enumerate() {
            let Some(table) = read.table else { continue };
            for site in table.site_ids() {
                let key = key_at(at, read.image, table.entry(site).key, &defined);
                by_key.entry(key).or_default().push((at, site));
            }
        }
        let entangled = images.iter().map(|read| read.table.map(entangled).unwrap_or_default());
        let relocated = images.iter().map(|read| read.image.relocated_addresses()).collect();
        let sealed = images.iter().map(|read| Sealed::of(read.image)).collect();
        Self { by_key, entangled: entangled.collect(), relocated, sealed }
    }

    /// The sites of a key, by image and position in the table.
    pub(super) fn of(&self, key: &KeyAt) -> &[(usize, SiteId)] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether the kernel makes a key of an image read-only once it has booted.
    pub(super) fn is_sealed(&self, home: usize, image: &Image<'_>, key: &Key) -> bool {
        self.sealed.get(home).is_some_and(|sealed| sealed.has(image, key))
    }

    /// Whether a relocation of an image writes any of `bytes`.
    pub(super) fn is_relocated(&self, image: usize, bytes: AddrRange) -> bool {
        self.relocated.get(image).is_some_and(|places| places.any_in(bytes))
    }

    /// Whether a site shares bytes: `Some(true)` with another key's entry at the same address,
    /// `Some(false)` with a site at another address.
    pub(super) fn entangled(&self, image: usize, site: SiteId) -> Option<bool> {
        self.entangled.get(image)?.get(&site).copied()
    }
}

/// The images that define the symbols of imported keys.
fn definitions(images: &[ReadImage<'_>]) -> HashMap<String, Vec<(usize, Svma)>> {
    let external = |read: &ReadImage<'_>| -> Vec<String> {
        let Some(table) = read.table else { return Vec::new() };
        table
            .site_ids()
            .filter_map(|site| match read.image.symbolic(table.entry(site).key) {
                SymbolicAddress::External { symbol, .. } => {
                    Some(read.image.symbols().name(symbol).into_owned())
                }
                _ => None,
            })
            .collect()
    };
    let wanted: HashSet<String> = images.iter().flat_map(external).collect();
    let mut defined: HashMap<String, Vec<(usize, Svma)>> = HashMap::new();
    if !wanted.is_empty() {
        for (at, read) in images.iter().enumerate() {
            for (name, address) in exports(read.image).filter(|(name, _)| wanted.contains(name)) {
                defined.entry(name).or_default().push((at, address));
            }
        }
    }
    defined
}

fn key_at(
    at: usize,
    image: &Image<'_>,
    key: Svma,
    defined: &HashMap<String, Vec<(usize, Svma)>>,
) -> KeyAt {
    let SymbolicAddress::External { symbol, offset } = image.symbolic(key) else {
        return KeyAt::Image(at, key);
    };
    let name = image.symbols().name(symbol).into_owned();
    match defined.get(&name).map(Vec::as_slice) {
        Some([(home, address)]) => KeyAt::Image(*home, address.wrapping_offset(offset)),
        _ => KeyAt::Symbol(name, offset),
    }
}

/// Sites that share bytes with others. In ascending order, a site overlaps an earlier one if it
/// begins before the highest end so far; in descending order, if it ends after the start of the
/// next.
fn entangled(table: &JumpTable<'_>) -> HashMap<SiteId, bool> {
    let code = |site: &SiteId| table.entry(*site).code.0;
    let mut sites: Vec<SiteId> = table.site_ids().collect();
    sites.sort_by_key(code);
    let end = |site: &SiteId| u128::from(code(site)) + table.site(*site).len.max(1) as u128;
    let mut found = HashMap::new();
    let mut highest = 0u128;
    for group in sites.chunk_by(|a, b| code(a) == code(b)) {
        let is_over = group.len() > 1 || u128::from(code(&group[0])) < highest;
        if is_over {
            let key = table.entry(group[0]).key;
            let is_shared = group.iter().any(|site| table.entry(*site).key != key);
            found.extend(group.iter().map(|site| (*site, is_shared)));
        }
        highest = group.iter().map(end).fold(highest, u128::max);
    }
    let mut next: Option<u64> = None;
    for group in sites.chunk_by(|a, b| code(a) == code(b)).rev() {
        for site in group {
            if next.is_some_and(|next| end(site) > u128::from(next)) {
                found.entry(*site).or_insert(false);
            }
        }
        next = Some(code(&group[0]));
    }
    found
}
