//! Wishes: the changes that a user asks for, key by key.

use crate::key_set::{KeySet, SetKey};
use jlctl_analyzer::jump_table::{KeyQuery, QueryError};
use std::collections::BTreeMap;

/// The wanted change of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wish {
    /// Switch the key on.
    Enable,
    /// Switch the key off.
    Disable,
    /// Switch the key to its other state.
    Flip,
}

impl Wish {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Enable, Self::Disable, Self::Flip];

    /// Name in plans, and of the command-line option.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Flip => "flip",
        }
    }

    /// The wanted state of a key that is `on` now; `None` if it depends on an unknown state.
    #[must_use]
    pub fn state(self, on: Option<bool>) -> Option<bool> {
        match self {
            Self::Enable => Some(true),
            Self::Disable => Some(false),
            Self::Flip => on.map(|on| !on),
        }
    }
}

/// Why wishes cannot be resolved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// A query matches no key, or a name matches several.
    #[error("--{} {error}", .wish.name())]
    Query {
        /// The option with the query.
        wish: Wish,
        /// The error of the query.
        error: QueryError,
    },
    /// Two wishes for one key differ.
    #[error(
        "key {key}: expected one wish, found --{} {first_query} and --{} {second_query}: drop one of them",
        .first.name(), .second.name()
    )]
    Conflict {
        /// Name of the key.
        key: String,
        /// The first wish.
        first: Wish,
        /// The first query, as it was given.
        first_query: String,
        /// The other wish.
        second: Wish,
        /// The other query, as it was given.
        second_query: String,
    },
}

/// Resolves wishes to keys, by index in the set.
///
/// # Errors
/// All errors in `wishes`, not only the first.
pub fn resolve(
    set: &KeySet,
    wishes: &[(Wish, KeyQuery)],
) -> Result<BTreeMap<usize, Wish>, Vec<WishError>> {
    let mut wanted: BTreeMap<usize, (Wish, &KeyQuery)> = BTreeMap::new();
    let mut errors = Vec::new();
    for (wish, query) in wishes {
        let found = match set.find(query) {
            Ok(found) => found,
            Err(error) => {
                errors.push(WishError::Query { wish: *wish, error });
                continue;
            }
        };
        for key in found {
            let (first, first_query) = *wanted.entry(key).or_insert((*wish, query));
            if first != *wish {
                errors.push(WishError::Conflict {
                    key: set.keys().get(key).map(name).unwrap_or_default(),
                    first,
                    first_query: first_query.text().to_owned(),
                    second: *wish,
                    second_query: query.text().to_owned(),
                });
            }
        }
    }
    if errors.is_empty() {
        Ok(wanted.into_iter().map(|(key, (wish, _))| (key, wish)).collect())
    } else {
        Err(errors)
    }
}

fn name(key: &SetKey) -> String {
    key.name.full().to_owned()
}
