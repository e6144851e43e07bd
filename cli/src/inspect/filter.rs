//! Which keys and sites a report is about.

use super::records::SelectionRecord;
use crate::args::Inspect;
use crate::terminal::exit::{Kind, failure};
use jlctl_analyzer::debug_info::demangled;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::{
    Diagnostic, JumpTable, KeyDescriptions, KeyId, KeyKind, KeyQuery, SiteId,
};
use jlctl_analyzer::pattern::{Pattern, PatternError};

/// The filters of the command line, compiled.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pub(crate) key: Option<KeyQuery>,
    /// Kinds of keys; all if empty.
    pub(crate) kinds: Vec<KeyKind>,
    pub(crate) function: Option<(String, Pattern)>,
    pub(crate) section: Option<String>,
}

impl Filter {
    /// # Errors
    /// A usage error for a pattern that is none.
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

    /// Whether keys of a kind, by its name, are selected.
    pub(crate) fn has_kind(&self, name: &str) -> bool {
        self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.name() == name)
    }

    /// What a report says of the filters; `None` without any.
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

    pub(crate) fn is_empty(&self) -> bool {
        self.key.is_none()
            && self.kinds.is_empty()
            && self.function.is_none()
            && self.section.is_none()
    }
}

/// Selected sites in table order, and their keys by address.
#[derive(Debug)]
pub(crate) struct Selection {
    pub(crate) sites: Vec<SiteId>,
    pub(crate) keys: Vec<KeyId>,
    /// For each key of the table, how many of its sites are selected.
    pub(crate) sites_of: Vec<usize>,
    is_whole: bool,
    has_site: Vec<bool>,
}

impl Selection {
    /// Applies `filter`.
    ///
    /// # Errors
    /// A refusal if a filter matches nothing, which most likely is a misspelling.
    pub(crate) fn new(
        image: &Image<'_>,
        table: &JumpTable<'_>,
        keys: &KeyDescriptions,
        filter: &Filter,
    ) -> anyhow::Result<Self> {
        let key_matches = matching_keys(table, keys, filter)?;
        let mut function_seen = false;
        let mut section_seen = false;
        let sites: Vec<SiteId> = table
            .site_ids()
            .filter(|id| {
                let in_section = in_section(image, table, filter, *id);
                section_seen |= in_section;
                let in_function = in_function(image, table, filter, *id);
                function_seen |= in_function;
                in_section && in_function && key_matches[table.key_of(*id).index()]
            })
            .collect();
        let nothing = |what: &str, text: &str| {
            Err(failure(Kind::Refused, format!("{what} {text}: matches nothing in this table")))
        };
        if let (Some((text, _)), false) = (&filter.function, function_seen) {
            return nothing("--function", text);
        }
        if let (Some(text), false) = (&filter.section, section_seen) {
            return nothing("--section", text);
        }
        Ok(Self::of_sites(table, sites, filter.is_empty()))
    }

    fn of_sites(table: &JumpTable<'_>, sites: Vec<SiteId>, is_whole: bool) -> Self {
        let mut sites_of = vec![0; table.keys().len()];
        let mut has_site = vec![false; table.len()];
        for id in &sites {
            sites_of[table.key_of(*id).index()] += 1;
            has_site[id.index()] = true;
        }
        let keys = table.key_ids().filter(|id| sites_of[id.index()] > 0).collect();
        Self { sites, keys, sites_of, is_whole, has_site }
    }

    /// Whether a diagnostic concerns the selection; what concerns the table or
    /// the image always does.
    pub(crate) fn concerns(&self, diagnostic: &Diagnostic) -> bool {
        self.is_whole || diagnostic.site.is_none_or(|site| self.has_site[site.index()])
    }
}

fn matching_keys(
    table: &JumpTable<'_>,
    keys: &KeyDescriptions,
    filter: &Filter,
) -> anyhow::Result<Vec<bool>> {
    let is_of_kind = |id| filter.has_kind(keys.kind(id).name());
    let of_kind: Vec<bool> = table.key_ids().map(is_of_kind).collect();
    let Some(query) = &filter.key else { return Ok(of_kind) };
    let address = |at: usize| table.keys().get(at).map(|key| key.address);
    let found = query
        .some(keys.names().all(), address)
        .map_err(|error| failure(Kind::Refused, format!("--key {error}")))?;
    let mut matches = vec![false; table.keys().len()];
    for at in found {
        matches[at] = of_kind[at];
    }
    Ok(matches)
}

fn in_section(image: &Image<'_>, table: &JumpTable<'_>, filter: &Filter, id: SiteId) -> bool {
    filter.section.as_ref().is_none_or(|name| {
        table.site(id).section.is_some_and(|section| image.section(section).name == name)
    })
}

fn in_function(image: &Image<'_>, table: &JumpTable<'_>, filter: &Filter, id: SiteId) -> bool {
    filter.function.as_ref().is_none_or(|(_, pattern)| {
        table
            .site(id)
            .function
            .is_some_and(|function| names_function(pattern, &image.symbols().name(function.symbol)))
    })
}

/// Whether `pattern` matches a function's symbol, or the path that it is mangled from.
pub(crate) fn names_function(pattern: &Pattern, symbol: &str) -> bool {
    pattern.matches(symbol) || demangled(symbol).is_some_and(|path| pattern.matches(&path))
}
