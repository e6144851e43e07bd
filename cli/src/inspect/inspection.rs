//! One image as `jlctl inspect` reports it.

use super::filter::{Filter, Selectable, Selection};
use crate::args::{Inspect, InspectFormat};
use crate::schema::SiteFrames;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::{Image, ImageFile, ImageKind, SectionId, SymbolOffset};
use jlctl_analyzer::jump_table::{
    Diagnostic, JumpTable, KeyDescriptions, KeyId, KeyKind, KeyName, SiteId, Special,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// The input of every report on one image.
pub(crate) struct Inspection<'a> {
    pub(crate) file: &'a ImageFile,
    pub(crate) image: &'a Image<'a>,
    pub(crate) table: &'a JumpTable<'a>,
    pub(crate) keys: &'a KeyDescriptions,
    pub(crate) selection: &'a ImageSelection,
    pub(crate) filter: &'a Filter,
    pub(crate) diagnostics: &'a [Diagnostic],
    /// `None` if no debug information was read.
    pub(crate) frames: Option<&'a SiteFrames>,
    pub(crate) has_debug_info: bool,
    /// The separate file that the debug information is in.
    pub(crate) debug_file: Option<&'a Path>,
    pub(crate) lists: Lists,
}

/// Selected keys and sites of one image.
pub(crate) type ImageSelection = Selection<KeyId, SiteId>;

/// The keys and sites of one image.
pub(crate) struct ImageTable<'a> {
    pub(crate) image: &'a Image<'a>,
    pub(crate) table: &'a JumpTable<'a>,
    pub(crate) keys: &'a KeyDescriptions,
}

impl Selectable for ImageTable<'_> {
    type Key = KeyId;
    type Site = SiteId;
    const TABLES: &'static str = "this table";

    fn keys(&self) -> impl Iterator<Item = KeyId> {
        self.table.key_ids()
    }

    fn sites(&self) -> impl Iterator<Item = SiteId> {
        self.table.site_ids()
    }

    fn names(&self) -> Cow<'_, [KeyName]> {
        Cow::Borrowed(self.keys.names().all())
    }

    fn kind(&self, key: KeyId) -> KeyKind {
        self.keys.kind(key)
    }

    fn address(&self, key: KeyId) -> Option<Svma> {
        (self.image.kind() != ImageKind::Rel).then(|| self.table.key(key).address)
    }

    fn key_of(&self, site: SiteId) -> usize {
        self.table.key_of(site).index()
    }

    fn section(&self, site: SiteId) -> Option<&str> {
        section_name(self.image, self.table.site(site).section?)
    }

    fn function(&self, site: SiteId) -> Option<Cow<'_, str>> {
        let function = self.table.site(site).function?;
        Some(self.image.symbols().name(function.symbol))
    }
}

/// The lists that a report contains.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lists {
    pub(crate) keys: bool,
    pub(crate) sites: bool,
}

/// The sites whose source lines a report shows: the sites that it lists, or else the sites with a
/// diagnostic.
pub(crate) fn wanted_sites(
    args: &Inspect,
    lists: Lists,
    selection: &ImageSelection,
    diagnostics: &[Diagnostic],
) -> Vec<SiteId> {
    if args.no_source {
        return Vec::new();
    }
    if lists.sites {
        return selection.sites.clone();
    }
    if args.format != InspectFormat::Text {
        return Vec::new();
    }
    let mut sites: Vec<SiteId> = diagnostics.iter().filter_map(|found| found.site).collect();
    sites.dedup();
    sites
}

impl<'a> Inspection<'a> {
    /// Number of sites in each section, selected or not, by name; sites outside every section count
    /// under the empty name.
    pub(super) fn sites_by_section(&self) -> BTreeMap<&'a str, usize> {
        let mut by_id: BTreeMap<Option<SectionId>, usize> = BTreeMap::new();
        for id in self.table.site_ids() {
            *by_id.entry(self.table.site(id).section).or_default() += 1;
        }
        let mut by_name = BTreeMap::new();
        for (id, sites) in by_id {
            let name = id.map_or("", |id| self.image.section(id).name);
            *by_name.entry(name).or_default() += sites;
        }
        by_name
    }

    /// Number of special sites, by kind.
    pub(super) fn special_sites(&self) -> BTreeMap<&'static str, usize> {
        let mut special = BTreeMap::new();
        for id in self.table.site_ids() {
            let site = self.table.site(id);
            let function = self.function_name(site.function);
            let section = site.section.and_then(|id| section_name(self.image, id));
            if let Some(kind) = section.and_then(|name| Special::of(name, function.as_deref())) {
                *special.entry(kind.name()).or_default() += 1;
            }
        }
        special
    }

    /// Number of keys of each kind.
    pub(super) fn kinds(&self) -> BTreeMap<&'static str, usize> {
        let mut kinds = BTreeMap::new();
        for id in self.table.key_ids() {
            *kinds.entry(self.keys.kind(id).name()).or_default() += 1;
        }
        kinds
    }

    pub(super) fn function_name(&self, function: Option<SymbolOffset>) -> Option<Cow<'a, str>> {
        function.map(|at| self.image.symbols().name(at.symbol))
    }
}

/// Name of a section; `None` if the file's table of names lacks it.
pub(super) fn section_name<'a>(image: &'a Image<'_>, id: SectionId) -> Option<&'a str> {
    Some(image.section(id).name).filter(|name| !name.is_empty())
}
