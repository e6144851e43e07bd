//! A set of files read together: a kernel and its modules, with one list of keys.

use super::document::{Head, InspectDocument};
use super::filter::{Filter, Selectable, Selection};
use super::inspection::Lists;
use super::records::SiteRecord;
use super::records::{DiagnosticRecord, FileRecord, KeyRecord, SelectionRecord, SummaryRecord};
use super::set_file::{self, FileKey, FileSite, Reading, SetFile};
use crate::args::Inspect;
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
use std::collections::BTreeSet;
use std::path::PathBuf;

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
        lists: Lists,
        progress: &Progress,
    ) -> anyhow::Result<Self> {
        let readings = progress.phase("read the files", candidates.len(), |done| {
            threads::one_by_one(threads::of_cores(), candidates, |at, candidate| {
                let reading = set_file::read(candidate, at, args, lists);
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
    pub(crate) fn select(mut self, filter: &Filter, args: &Inspect) -> anyhow::Result<Self> {
        if filter.is_empty() {
            return Ok(self);
        }
        let selection = Selection::new(&self, filter)?;
        let site_of = |found: &DiagnosticRecord| {
            let (image, site) = found.image.zip(found.site)?;
            Some(self.sites.partition_point(|of| of.record.image < image) + site)
        };
        self.diagnostics.retain(|found| selection.concerns(site_of(found)));
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
        self.narrow_line_faults(args)?;
        self.selection = filter.record(self.keys.len(), self.sites.len());
        Ok(self)
    }

    /// Leaves the faults of source lines that the selected sites meet. Which sites those are is
    /// known only after all files were read, so that the few files with such faults are read again.
    fn narrow_line_faults(&mut self, args: &Inspect) -> anyhow::Result<()> {
        let of_lines = self.diagnostics.iter().filter(|found| found.is_of_lines);
        let files: BTreeSet<usize> = of_lines.filter_map(|found| found.image).collect();
        for image in files {
            let sites: Vec<usize> = if self.lists.sites {
                let of_file = self.sites.iter().filter(|site| site.record.image == image);
                of_file.map(|site| site.record.index).collect()
            } else {
                let of_file = self.diagnostics.iter().filter(|found| found.image == Some(image));
                of_file.filter_map(|found| found.site).collect()
            };
            let path = PathBuf::from(&self.files[image].path);
            let met = set_file::line_faults(&path, &args.debug_dir, &sites)?;
            self.diagnostics.retain(|found| {
                !found.is_of_lines || found.image != Some(image) || met.contains(&found.message)
            });
        }
        Ok(())
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
        self.diagnostics.extend(file.diagnostics.into_iter().map(|mut found| {
            found.image = Some(index);
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
