//! A set of files read together: a kernel and its modules, with one list of keys.

use super::document::{Head, InspectDocument};
use super::filter::{Filter, Selectable, Selection};
use super::inspection::Lists;
use super::records::SiteRecord;
use super::records::{DiagnosticRecord, FileRecord, KeyRecord, SelectionRecord, SummaryRecord};
use super::set_file::{self, FileKey, FileOptions, FileSite, LineSites, Reading, SetFile};
use crate::args::{Inspect, InspectFormat};
use crate::open::files::Candidate;
use crate::open::threads;
use crate::schema::FrameRecord;
use crate::terminal::exit::{Kind, failure};
use crate::terminal::progress::Progress;
use crate::terminal::style::count;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::jump_table::{
    Defect, Definition, ImageId, ImageKeys, KeyKind, KeyName, SetKeyId, SetKeys, Severity,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The content of all files.
pub(crate) struct Set {
    pub(crate) files: Vec<FileRecord>,
    /// Each key once, by file and address; those without a file last, by name.
    pub(crate) keys: Vec<SetKey>,
    /// By file, in table order, each with the index of its key in `keys`.
    pub(crate) sites: Vec<FileSite>,
    pub(crate) diagnostics: Vec<DiagnosticRecord>,
    pub(crate) summary: SummaryRecord,
    pub(crate) selection: Option<SelectionRecord>,
    pub(crate) lists: Lists,
    /// Number of files in directories that are not images.
    pub(crate) passed: usize,
}

/// A key of the set.
pub(crate) struct SetKey {
    pub(crate) record: KeyRecord<'static>,
    name: KeyName,
    kind: KeyKind,
    /// Address, if users know it.
    address: Option<Svma>,
    /// Number of files that have sites of it.
    pub(crate) files: usize,
}

impl Set {
    /// Reads all `candidates`, found for the paths `named`.
    ///
    /// # Errors
    /// If none of them can be read, or none has a jump table.
    pub(crate) fn read(
        named: &[PathBuf],
        candidates: &[Candidate],
        args: &Inspect,
        filter: &Filter,
        lists: Lists,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        // A selection looks up the source lines of its sites.
        let lines = if filter.is_empty() { LineSites::Shown } else { LineSites::These(&[]) };
        let options = FileOptions { args, lists, lines };
        let readings = progress.phase("read the files", candidates.len(), |done| {
            threads::one_by_one(threads::of_cores(), candidates, |at, candidate| {
                let reading = set_file::read(candidate, at, options);
                done(1);
                reading
            })
        });
        let mut merge = Merge::default();
        for reading in readings {
            match reading {
                Reading::NoImage => merge.passed += 1,
                Reading::Failed(file) => merge.failed.push(*file),
                Reading::Read(file) => merge.files.push(*file),
            }
        }
        merge.demand_something(named)?;
        progress.phase("resolve keys", 1, |_| merge.finish(args, lists))
    }

    /// Leaves the keys, sites and diagnostics that `filter` selects.
    ///
    /// # Errors
    /// A refusal if a filter matches nothing, which most likely is a misspelling.
    pub(crate) fn select(
        mut self,
        filter: &Filter,
        args: &Inspect,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        if filter.is_empty() {
            return Ok(self);
        }
        let selection = Selection::new(&self, filter)?;
        let site_of = |found: &DiagnosticRecord| {
            let (image, site) = found.image.zip(found.site)?;
            Some(self.sites.partition_point(|of| of.record.image < image) + site)
        };
        self.diagnostics.retain(|found| selection.concerns(site_of(found), found.key));
        let mut at = 0;
        self.sites.retain(|_| {
            at += 1;
            selection.has_site(at - 1)
        });
        let mut new_index = vec![0; self.keys.len()];
        for (index, key) in selection.keys.iter().enumerate() {
            new_index[*key] = index;
        }
        let mut at = 0;
        self.keys.retain(|_| {
            at += 1;
            selection.sites_of[at - 1] > 0
        });
        self.sites.iter_mut().for_each(|site| site.key = new_index[site.key]);
        self.count_sites();
        self.look_up_lines(args, progress)?;
        self.selection = filter.record(self.keys.len(), self.sites.len());
        Ok(self)
    }

    /// Looks up the source lines of the selected sites. Which sites those are is known only after
    /// all files were read, so that the files that have some are read again.
    fn look_up_lines(&mut self, args: &Inspect, progress: &Progress) -> anyhow::Result<()> {
        let again = self.line_sites(args);
        let read = progress.phase("look up source lines", again.len(), |done| {
            threads::one_by_one(threads::of_cores(), &again, |_, (image, sites)| {
                let path = Path::new(&self.files[*image].path);
                let lines = LineSites::These(sites);
                let options = FileOptions { args, lists: self.lists, lines };
                let file = set_file::try_read(path, *image, options);
                done(1);
                file
            })
        });
        for ((image, sites), file) in again.iter().zip(read) {
            self.take_lines(*image, sites, file?);
        }
        Ok(())
    }

    /// The sites whose source lines the report shows, by file: those that it lists, or in text
    /// those of diagnostics.
    fn line_sites(&self, args: &Inspect) -> Vec<(usize, Vec<usize>)> {
        let mut sites: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut add = |image, site| sites.entry(image).or_default().insert(site);
        if self.lists.sites && !args.no_source {
            for site in &self.sites {
                add(site.record.image, site.record.index);
            }
        } else if args.format == InspectFormat::Text && !args.no_source {
            for (image, site) in self.diagnostics.iter().filter_map(|of| of.image.zip(of.site)) {
                add(image, site);
            }
        }
        sites.into_iter().map(|(image, sites)| (image, sites.into_iter().collect())).collect()
    }

    /// Takes the source lines of some sites of a file, and the faults of their lookup, from a
    /// second reading.
    fn take_lines(&mut self, image: usize, sites: &[usize], mut file: SetFile) {
        let of_file = self.sites.iter_mut().filter(|site| site.record.image == image);
        for site in of_file.filter(|site| sites.binary_search(&site.record.index).is_ok()) {
            let again = &mut file.sites[site.record.index];
            site.record.source = again.record.source.take();
            site.record.used_at = again.record.used_at.take();
            site.used_at = again.used_at.take();
        }
        let after = self.diagnostics.partition_point(|found| found.image <= Some(image));
        self.diagnostics.splice(after..after, file.line_faults);
    }

    /// Counts the sites of each key, and the files that have some.
    fn count_sites(&mut self) {
        let mut last_file = vec![None; self.keys.len()];
        for key in &mut self.keys {
            (key.record.sites, key.files) = (0, 0);
        }
        for site in &self.sites {
            let key = &mut self.keys[site.key];
            key.record.sites += 1;
            let is_new = last_file[site.key].replace(site.record.image) != Some(site.record.image);
            key.files += usize::from(is_new);
        }
    }

    /// Whether a diagnostic is an error.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error.name())
    }
}

impl InspectDocument for Set {
    fn head(&self) -> Head {
        Head {
            image: None,
            table: None,
            images: self.files.clone(),
            summary: self.summary.clone(),
            selection: self.selection.clone(),
        }
    }

    fn keys(&self) -> Option<usize> {
        self.lists.keys.then_some(self.keys.len())
    }

    fn key(&self, at: usize) -> Cow<'_, KeyRecord<'_>> {
        Cow::Borrowed(&self.keys[at].record)
    }

    fn sites(&self) -> Option<usize> {
        self.lists.sites.then_some(self.sites.len())
    }

    fn site(&self, at: usize) -> Cow<'_, SiteRecord<'_>> {
        Cow::Borrowed(&self.sites[at].record)
    }

    fn used_at(&self, at: usize) -> Option<FrameRecord<'_>> {
        self.sites[at].used_at.clone()
    }

    fn diagnostics(&self) -> Vec<DiagnosticRecord> {
        self.diagnostics.clone()
    }
}

impl Selectable for Set {
    type Key = usize;
    type Site = usize;
    const TABLES: &'static str = "these tables";

    fn keys(&self) -> impl Iterator<Item = usize> {
        0..self.keys.len()
    }

    fn sites(&self) -> impl Iterator<Item = usize> {
        0..self.sites.len()
    }

    fn names(&self) -> Cow<'_, [KeyName]> {
        self.keys.iter().map(|key| key.name.clone()).collect()
    }

    fn kind(&self, key: usize) -> KeyKind {
        self.keys[key].kind
    }

    fn address(&self, key: usize) -> Option<Svma> {
        self.keys[key].address
    }

    fn key_of(&self, site: usize) -> usize {
        self.sites[site].key
    }

    fn section(&self, site: usize) -> Option<&str> {
        self.sites[site].record.section.as_deref()
    }

    fn function(&self, site: usize) -> Option<Cow<'_, str>> {
        self.sites[site].record.function.as_deref().map(Cow::Borrowed)
    }
}

/// Files before they are one set.
#[derive(Default)]
struct Merge {
    files: Vec<SetFile>,
    failed: Vec<FileRecord>,
    passed: usize,
}

impl Merge {
    fn finish(mut self, args: &Inspect, lists: Lists) -> anyhow::Result<Set> {
        let tables: Vec<ImageKeys> =
            self.files.iter_mut().map(|file| std::mem::take(&mut file.identity)).collect();
        let identified =
            SetKeys::identify(&tables, |id| std::mem::take(&mut self.files[id.index()].exports));
        let mut set = Set {
            files: Vec::new(),
            keys: keys(&self.files, &identified, args)?,
            sites: Vec::new(),
            diagnostics: defined_twice(&self.files, &identified).into_iter().collect(),
            summary: SummaryRecord::default(),
            selection: None,
            lists,
            passed: self.passed,
        };
        for (index, file) in self.files.into_iter().enumerate() {
            set.take(file, index, identified.of_image(ImageId::new(index)));
        }
        set.count_sites();
        for file in self.failed {
            let error = file.error.clone().unwrap_or_default();
            let defect = Defect::FileNotRead { error };
            set.diagnostics.push(DiagnosticRecord::of_file(&defect, Some(set.files.len())));
            set.files.push(file);
        }
        set.summary.keys = set.keys.len();
        for key in &set.keys {
            *set.summary.kinds.entry(key.record.kind).or_default() += 1;
        }
        Ok(set)
    }

    /// Refuses a set of which no file could be read, or none has a jump table.
    fn demand_something(&self, named: &[PathBuf]) -> anyhow::Result<()> {
        let errors = || {
            let errors = self.failed.iter().filter_map(|file| file.error.as_deref());
            errors.collect::<Vec<_>>().join("; ")
        };
        if self.files.is_empty() {
            let what = match self.failed.len() {
                0 => {
                    let named: Vec<_> =
                        named.iter().map(|path| path.display().to_string()).collect();
                    format!(
                        "{}: no images found: expected kernels, modules or programs, found {}",
                        named.join(", "),
                        count(self.passed, "other file")
                    )
                }
                _ => format!("none of the files could be read: {}", errors()),
            };
            return Err(failure(Kind::Input, what));
        }
        if self.files.iter().all(|file| file.record.table.is_none()) {
            let (files, failed) = (self.files.len(), self.failed.len());
            let (kind, unread) = match failed {
                0 => (Kind::Refused, String::new()),
                _ => (Kind::Input, format!("; {failed} could not be read: {}", errors())),
            };
            let text = format!(
                "no jump table in the {} that {} read{unread}",
                count(files, "file"),
                if files == 1 { "was" } else { "were" }
            );
            return Err(failure(kind, text));
        }
        Ok(())
    }
}

impl Set {
    fn take(&mut self, file: SetFile, index: usize, keys: &[SetKeyId]) {
        if let Some(summary) = &file.record.summary {
            self.summary.entries += summary.entries;
            self.summary.nop += summary.nop;
            self.summary.jmp += summary.jmp;
            self.summary.other += summary.other;
            self.summary.flipped += summary.flipped;
            for (name, sites) in &summary.sections {
                *self.summary.sections.entry(name.clone()).or_default() += sites;
            }
            for (name, sites) in &summary.special {
                *self.summary.special.entry(name).or_default() += sites;
            }
        }
        for mut site in file.sites {
            site.key = keys[site.key].index();
            site.record.image = index;
            site.record.key_name = self.keys[site.key].record.name.clone();
            self.sites.push(site);
        }
        let found = file.diagnostics.into_iter().chain(file.line_faults);
        self.diagnostics.extend(found.map(|mut found| {
            found.image = Some(index);
            found.key = found.key.map(|key| keys[key].index());
            found
        }));
        self.files.push(file.record);
    }
}

impl SetKey {
    /// The key as a file has it; its sites and files are counted later.
    fn new(key: &FileKey, is_address_stated: bool) -> Self {
        Self {
            record: key.record.clone(),
            name: key.name.clone(),
            kind: key.kind,
            address: is_address_stated.then_some(key.address),
            files: 0,
        }
    }
}

/// The keys of the set, each as the file that defines it has it, or else as the first file
/// that uses it.
fn keys(files: &[SetFile], set: &SetKeys, args: &Inspect) -> anyhow::Result<Vec<SetKey>> {
    let key_of_set = |id| {
        let definition = set.definition(id);
        let home = match definition {
            Definition::In { image, .. } => Some(*image),
            Definition::Missing | Definition::Several(_) => None,
        };
        let (file, key) = home.zip(set.own(id)).unwrap_or(set.first_use(id));
        let file = &files[file.index()];
        let is_address_stated = home.is_some() && file.states_addresses();
        let mut key = SetKey::new(&file.keys[key.index()], is_address_stated);
        // The index among the files that were read, not among the candidates.
        key.record.image = home.map(ImageId::index);
        key.record.unresolved = unresolved(definition, files);
        key
    };
    let mut keys: Vec<SetKey> = set.ids().map(key_of_set).collect();
    for (home, missing) in set.without_site_at_home() {
        let file = &files[home.index()];
        let addresses: Vec<Svma> = missing.iter().map(|(_, address)| *address).collect();
        let path = file.record.path.as_ref();
        let read = set_file::keys_at(path, home.index(), &args.debug_dir, &addresses)?;
        for ((id, _), key) in missing.iter().zip(&read) {
            keys[id.index()] = SetKey::new(key, file.states_addresses());
        }
    }
    Ok(keys)
}

/// The first symbol of a key that several files define, as a diagnostic.
fn defined_twice(files: &[SetFile], set: &SetKeys) -> Option<DiagnosticRecord> {
    let (symbol, images) = set.repeated().first()?;
    let defect = Defect::DefinedTwice {
        symbol: symbol.clone(),
        files: images.iter().map(|image| files[image.index()].record.path.clone()).collect(),
        more: set.repeated().len() - 1,
    };
    Some(DiagnosticRecord::of_file(&defect, None))
}

/// Why a key has no file, if it has none.
fn unresolved(definition: &Definition, files: &[SetFile]) -> Option<String> {
    match definition {
        Definition::In { .. } => None,
        Definition::Missing => Some("no file of this set defines it".to_owned()),
        Definition::Several(images) => {
            let paths: Vec<&str> =
                images.iter().map(|image| files[image.index()].record.path.as_str()).collect();
            Some(format!("several files define it: {}", paths.join(", ")))
        }
    }
}
