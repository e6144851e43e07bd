//! What differs between two jump tables.
//!
//! Addresses say nothing about two builds of a program, and neither do the
//! numbers in names that compilers and macros make up ([`stable_name`]).  Keys are
//! matched by what survives a rebuild ([`KeyMatch`]), sites within a key by
//! function and order ([`SitesDiff`]).  Both matchings are one to one, and do not
//! depend on which table is the first.

mod key_match;
mod matching;
mod model;
mod prepared;
mod site_match;
pub mod stable_name;

pub use key_match::KeyMatch;
pub use model::{KeyModel, SiteModel, SiteState, StorageKind, TableModel};
pub use site_match::{SitePair, SitesDiff};
pub use stable_name::NameParts;

use prepared::{FunctionNames, Prepared};

/// A key that both tables have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// Index in [`TableModel::keys`] of the first table.
    pub a: usize,
    /// Index in those of the second table.
    pub b: usize,
    /// What makes them one.
    pub identity: KeyMatch,
    /// What of the key itself differs.
    pub changes: KeyChanges,
    /// What became of its sites.
    pub sites: SitesDiff,
}

impl KeyPair {
    /// Whether anything differs: name, key or sites.
    #[must_use]
    pub fn is_different(&self) -> bool {
        self.identity.is_renamed() || self.changes.any() || self.sites.is_different()
    }
}

/// What of a key differs.  What one table does not know is no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyChanges {
    /// The state that it was defined with.
    pub initial: bool,
    /// `enabled` when the image starts.
    pub enabled: bool,
    /// Its section, or whether that has bytes in the file.
    pub storage: bool,
    /// Its kind.
    pub kind: bool,
    /// Its place in the object that holds it.
    pub place: bool,
}

impl KeyChanges {
    /// Whether there is any.
    #[must_use]
    pub const fn any(self) -> bool {
        self.initial || self.enabled || self.storage || self.kind || self.place
    }

    fn between(a: &KeyModel<'_>, b: &KeyModel<'_>, identity: KeyMatch) -> Self {
        let place = NameParts::parse(&a.name).path != NameParts::parse(&b.name).path;
        Self {
            initial: differ(a.initial, b.initial),
            enabled: differ(a.enabled, b.enabled),
            storage: a.storage != b.storage || differ(a.section, b.section),
            kind: differ(a.kind, b.kind),
            // Another name says it all, and an address is no place.
            place: place && !identity.is_renamed() && !NameParts::parse(&a.name).holder.is_empty(),
        }
    }
}

fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

/// What differs between two tables; a key of either is in exactly one list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableDiff {
    /// Keys of both tables, by the first.
    pub pairs: Vec<KeyPair>,
    /// Keys of the first table alone, by index in [`TableModel::keys`].
    pub removed: Vec<usize>,
    /// Keys of the second table alone, by index.
    pub added: Vec<usize>,
}

impl TableDiff {
    /// Compares `a` with `b`.
    #[must_use]
    pub fn new(a: &TableModel<'_>, b: &TableModel<'_>) -> Self {
        let mut functions = FunctionNames::default();
        let side_a = Prepared::new(a, 0, &mut functions);
        let side_b = Prepared::new(b, 1, &mut functions);
        let found = key_match::key_pairs(&side_a, &side_b);
        let pair = |&(key_a, key_b, identity): &(usize, usize, KeyMatch)| KeyPair {
            a: key_a,
            b: key_b,
            identity,
            changes: KeyChanges::between(&a.keys[key_a], &b.keys[key_b], identity),
            sites: site_match::site_pairs((&side_a, key_a), (&side_b, key_b), &functions),
        };
        Self {
            pairs: found.iter().map(pair).collect(),
            removed: key_match::alone(a.keys.len(), found.iter().map(|pair| pair.0)),
            added: key_match::alone(b.keys.len(), found.iter().map(|pair| pair.1)),
        }
    }

    /// Whether anything differs.
    #[must_use]
    pub fn is_different(&self) -> bool {
        let alone = !self.removed.is_empty() || !self.added.is_empty();
        alone || self.pairs.iter().any(KeyPair::is_different)
    }
}
