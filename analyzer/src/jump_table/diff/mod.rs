//! The difference between two jump tables.
//!
//! # A diff compares what survives a rebuild
//! Addresses cannot identify anything across two builds of a program, and neither can the
//! numbers in names that compilers and macros generate ([`stable_name`]).  Keys are matched by
//! name without numbering, repeated names and array elements by the functions of their sites
//! ([`KeyMatch`]); sites within a key are matched by function and order ([`SitesDiff`]).
//! Addresses serve only to find renamed keys of builds with the same layout, and every
//! inference (renamed, moved) states its evidence.  Both matchings are one to one and do not
//! depend on the order of the tables.

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
    /// The evidence that the two are the same key.
    pub identity: KeyMatch,
    /// The differences of the key itself.
    pub changes: KeyChanges,
    /// The differences of its sites.
    pub sites: SitesDiff,
}

impl KeyPair {
    /// Whether anything differs: name, key or sites.
    #[must_use]
    pub fn is_different(&self) -> bool {
        self.identity.is_renamed() || self.changes.any() || self.sites.is_different()
    }
}

/// The differences of a key.  A property that one table does not know is not a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyChanges {
    /// The initial state.
    pub initial: bool,
    /// `enabled` when the image starts.
    pub enabled: bool,
    /// Its section, or whether the section has bytes in the file.
    pub storage: bool,
    /// Its kind.
    pub kind: bool,
    /// Its offset in the object that holds it.
    pub position: bool,
}

impl KeyChanges {
    /// Whether anything differs.
    #[must_use]
    pub const fn any(self) -> bool {
        self.initial || self.enabled || self.storage || self.kind || self.position
    }

    fn between(a: &KeyModel<'_>, b: &KeyModel<'_>, identity: KeyMatch) -> Self {
        let position = NameParts::parse(&a.name).path != NameParts::parse(&b.name).path;
        Self {
            initial: differ(a.initial, b.initial),
            enabled: differ(a.enabled, b.enabled),
            storage: a.storage != b.storage || differ(a.section, b.section),
            kind: differ(a.kind, b.kind),
            // A renamed key is reported as such, and an address is not an offset in an object.
            position: position
                && !identity.is_renamed()
                && !NameParts::parse(&a.name).holder.is_empty(),
        }
    }
}

fn differ<T: PartialEq>(a: Option<T>, b: Option<T>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if a != b)
}

/// The difference between two tables; each key of either is in exactly one list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TableDiff {
    /// Keys of both tables, sorted by the first.
    pub pairs: Vec<KeyPair>,
    /// Keys of the first table only, by index in [`TableModel::keys`].
    pub removed: Vec<usize>,
    /// Keys of the second table only, by index.
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
