//! What a person wants of which keys.

use crate::key_set::{KeySet, SetKey};
use jlctl_analyzer::jump_table::{KeyQuery, QueryError};
use std::collections::BTreeMap;

/// What is wanted of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Wish {
    /// On, whatever it is now.
    Enable,
    /// Off, whatever it is now.
    Disable,
    /// The other state than it has now.
    Flip,
}

impl Wish {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Enable, Self::Disable, Self::Flip];

    /// Name in plans, and of the option.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
            Self::Flip => "flip",
        }
    }

    /// The state that a key should get that is now `on`; `None` if that takes a
    /// state which is not known.
    #[must_use]
    pub fn state(self, on: Option<bool>) -> Option<bool> {
        match self {
            Self::Enable => Some(true),
            Self::Disable => Some(false),
            Self::Flip => on.map(|on| !on),
        }
    }
}

/// Why wishes cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    /// A query names no key, or a name several.
    #[error("--{} {error}", .wish.name())]
    Query {
        /// The option it stood at.
        wish: Wish,
        /// What is wrong with it.
        error: QueryError,
    },
    /// One key is wanted in two ways.
    #[error(
        "key {key}: expected one wish, found --{} {first_query} and --{} {second_query}: drop one of them",
        .first.name(), .second.name()
    )]
    Conflict {
        /// Name of the key.
        key: String,
        /// The wish that came first.
        first: Wish,
        /// What it was written as.
        first_query: String,
        /// The other wish.
        second: Wish,
        /// What it was written as.
        second_query: String,
    },
}

/// Keys of a set with what is wanted of each, by index in the set.
///
/// # Errors
/// All that is wrong with `wishes`, not the first.
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
