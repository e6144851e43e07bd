//! The keys and sites that a report is about: the filters of the command line, applied alike
//! to one image and to a set.

use super::records::SelectionRecord;
use crate::args::Inspect;
use crate::terminal::exit::{Kind, failure};
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::matches_symbol;
use jlctl_analyzer::jump_table::{KeyKind, KeyName, KeyQuery};
use jlctl_analyzer::pattern::{Pattern, PatternError};
use std::borrow::Cow;

/// The filters of the command line, compiled.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    key: Option<KeyQuery>,
    /// Kinds of keys; all if empty.
    kinds: Vec<KeyKind>,
    function: Option<(String, Pattern)>,
    section: Option<String>,
}

impl Filter {
    /// # Errors
    /// A usage error for a pattern that cannot be compiled.
    pub(crate) fn of_args(args: &Inspect) -> anyhow::Result<Self> {
        let wrong = |option: &str| {
            let option = option.to_owned();
            move |error: PatternError| failure(Kind::Usage, format!("{option} {error}"))
        };
        let function = |text: &String| Ok((text.clone(), Pattern::parse(text)?));
        Ok(Self {
            key: args.key.as_deref().map(KeyQuery::parse).transpose().map_err(wrong("--key"))?,
            function: args
                .function
                .as_ref()
                .map(function)
                .transpose()
                .map_err(wrong("--function"))?,
            kinds: args.kind.iter().map(|kind| kind.0).collect(),
            section: args.section.clone(),
        })
    }

    /// The filters as a report shows them; `None` without any.
    pub(crate) fn record(&self, keys: usize, sites: usize) -> Option<SelectionRecord> {
        (!self.is_empty()).then(|| SelectionRecord {
            key: self.key.as_ref().map(|query| query.text().to_owned()),
            kind: self.kinds.iter().map(|kind| kind.name()).collect(),
            function: self.function.as_ref().map(|(text, _)| text.clone()),
            section: self.section.clone(),
            keys,
            sites,
        })
    }

    /// Whether everything is selected.
    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_none()
            && self.kinds.is_empty()
            && self.function.is_none()
            && self.section.is_none()
    }
}

/// Keys and sites that a filter selects from: those of one image, or of a set.
pub(crate) trait Selectable {
    /// Id of a key.
    type Key: Copy;
    /// Id of a site.
    type Site: Copy;
    /// The tables, as a message calls them.
    const TABLES: &'static str;

    /// All keys.
    fn keys(&self) -> impl Iterator<Item = Self::Key>;

    /// All sites.
    fn sites(&self) -> impl Iterator<Item = Self::Site>;

    /// The names of the keys, in the order of [`Self::keys`].
    fn names(&self) -> Cow<'_, [KeyName]>;

    fn kind(&self, key: Self::Key) -> KeyKind;

    /// The address of a key, if users know it: addresses in relocatable files are made up.
    fn address(&self, key: Self::Key) -> Option<Svma>;

    /// The index of a site's key in [`Self::keys`].
    fn key_of(&self, site: Self::Site) -> usize;

    /// The name of the section that a site is in.
    fn section(&self, site: Self::Site) -> Option<&str>;

    /// The symbol of the function that a site is in.
    fn function(&self, site: Self::Site) -> Option<Cow<'_, str>>;
}

/// Selected sites and the keys that have one, both in their order.
#[derive(Debug)]
pub(crate) struct Selection<K, S> {
    pub(crate) sites: Vec<S>,
    pub(crate) keys: Vec<K>,
    /// For each key, how many of its sites are selected.
    pub(crate) sites_of: Vec<usize>,
    /// For each site, whether it is selected.
    has_site: Vec<bool>,
}

impl<K: Copy, S: Copy> Selection<K, S> {
    /// Applies `filter` to `from`.
    ///
    /// # Errors
    /// A refusal if a filter matches nothing, which most likely is a misspelling.
    pub(crate) fn new<T>(from: &T, filter: &Filter) -> anyhow::Result<Self>
    where
        T: Selectable<Key = K, Site = S>,
    {
        let keys: Vec<K> = from.keys().collect();
        let is_key_selected = selected_keys(from, &keys, filter)?;
        let mut is_section_seen = false;
        let mut is_function_seen = false;
        let mut selected = Self {
            sites: Vec::new(),
            keys: Vec::new(),
            sites_of: vec![0; keys.len()],
            has_site: Vec::new(),
        };
        for site in from.sites() {
            let in_section = is_in_section(from, site, filter);
            let in_function = is_in_function(from, site, filter);
            is_section_seen |= in_section;
            is_function_seen |= in_function;
            let key = from.key_of(site);
            let is_selected = in_section && in_function && is_key_selected[key];
            selected.has_site.push(is_selected);
            if is_selected {
                selected.sites.push(site);
                selected.sites_of[key] += 1;
            }
        }
        let nothing = |option: &str, text: &str| {
            let tables = T::TABLES;
            Err(failure(Kind::Refused, format!("{option} {text}: matches nothing in {tables}")))
        };
        if let (Some((text, _)), false) = (&filter.function, is_function_seen) {
            return nothing("--function", text);
        }
        if let (Some(text), false) = (&filter.section, is_section_seen) {
            return nothing("--section", text);
        }
        let with_sites = keys.iter().zip(&selected.sites_of).filter(|(_, sites)| **sites > 0);
        selected.keys = with_sites.map(|(key, _)| *key).collect();
        Ok(selected)
    }

    /// Whether a diagnostic about a site or key, each by its index, concerns the selection; one
    /// about neither is about a table, an image or the set, and always does.
    pub(crate) fn concerns(&self, site: Option<usize>, key: Option<usize>) -> bool {
        site.is_none_or(|site| self.has_site[site]) && key.is_none_or(|key| self.sites_of[key] > 0)
    }

    /// Whether the site at an index is selected.
    pub(crate) fn has_site(&self, site: usize) -> bool {
        self.has_site[site]
    }
}

/// Whether the key filters select each of `keys`.
fn selected_keys<T: Selectable>(
    from: &T,
    keys: &[T::Key],
    filter: &Filter,
) -> anyhow::Result<Vec<bool>> {
    let is_of_kind =
        |key: &T::Key| filter.kinds.is_empty() || filter.kinds.contains(&from.kind(*key));
    let of_kind: Vec<bool> = keys.iter().map(is_of_kind).collect();
    let Some(query) = &filter.key else { return Ok(of_kind) };
    let found = query
        .some(&from.names(), |at| from.address(*keys.get(at)?))
        .map_err(|error| failure(Kind::Refused, format!("--key {error}")))?;
    let mut is_selected = vec![false; keys.len()];
    for at in found {
        is_selected[at] = of_kind[at];
    }
    Ok(is_selected)
}

fn is_in_section<T: Selectable>(from: &T, site: T::Site, filter: &Filter) -> bool {
    filter.section.as_deref().is_none_or(|name| from.section(site) == Some(name))
}

fn is_in_function<T: Selectable>(from: &T, site: T::Site, filter: &Filter) -> bool {
    filter.function.as_ref().is_none_or(|(_, pattern)| {
        from.function(site).is_some_and(|symbol| matches_symbol(pattern, &symbol))
    })
}
