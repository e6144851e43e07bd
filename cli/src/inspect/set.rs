//! A set of files read together: a kernel and its modules, with one list of keys.

use super::document::{Document, Head};
use super::filter::Filter;
use super::inspection::Lists;
use super::records::{
    DiagnosticRecord, FileRecord, KeyRecord, SelectionRecord, SiteRecord, SummaryRecord,
};
use super::set_file::{self, Member, MemberKey, MemberSite, Reading};
use crate::args::Inspect;
use crate::open::files::Candidate;
use crate::open::threads;
use crate::schema::FrameRecord;
use crate::terminal::exit::{Kind, failure};
use crate::terminal::progress::Progress;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::jump_table::{Defect, Definitions, KeyName, Resolution, Severity};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

/// What was read of all files.
pub(crate) struct Set {
    pub(crate) files: Vec<FileRecord>,
    /// Each key once, by file and address; those without a file last, by name.
    pub(crate) keys: Vec<SetKey>,
    /// By file, in table order, each with the index of its key in `keys`.
    pub(crate) sites: Vec<MemberSite>,
    pub(crate) diagnostics: Vec<DiagnosticRecord>,
    pub(crate) summary: SummaryRecord,
    pub(crate) selection: Option<SelectionRecord>,
    pub(crate) lists: Lists,
    /// Files in directories that are no images.
    pub(crate) passed: usize,
}

/// A key of the set.
pub(crate) struct SetKey {
    pub(crate) record: KeyRecord<'static>,
    pub(crate) name: KeyName,
    /// Address, where that is one that a person knows.
    address: Option<Svma>,
    /// How many files have sites of it.
    pub(crate) files: usize,
}

impl Set {
    /// Reads all `candidates`, which `named` stood for.
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
        let passed = readings.iter().filter(|reading| matches!(reading, Reading::Passed)).count();
        let mut merge = Merge::default();
        for reading in readings {
            match reading {
                Reading::Passed => {}
                Reading::Failed(file) => merge.failed.push(*file),
                Reading::Read(member) => merge.members.push(*member),
            }
        }
        merge.demand_something(named, passed)?;
        let mut set = progress.phase("resolve keys", 1, |_| merge.finish(args, lists))?;
        set.passed = passed;
        Ok(set)
    }

    /// Leaves what `filter` selects.
    ///
    /// # Errors
    /// A refusal if a filter matches nothing, which most likely is a misspelling.
    pub(crate) fn select(mut self, filter: &Filter) -> anyhow::Result<Self> {
        if filter.is_empty() {
            return Ok(self);
        }
        let of_kind = |key: &SetKey| filter.has_kind(key.record.kind);
        let mut is_selected: Vec<bool> = self.keys.iter().map(of_kind).collect();
        if let Some(query) = &filter.key {
            let names: Vec<KeyName> = self.keys.iter().map(|key| key.name.clone()).collect();
            let found = query
                .some(&names, |at| self.keys[at].address)
                .map_err(|error| failure(Kind::Refused, format!("--key {error}")))?;
            let mut is_found = vec![false; self.keys.len()];
            found.into_iter().for_each(|at| is_found[at] = is_selected[at]);
            is_selected = is_found;
        }
        let of_section = |site: &SiteRecord<'_>| {
            filter.section.as_deref().is_none_or(|name| site.section.as_deref() == Some(name))
        };
        let of_function = |site: &SiteRecord<'_>| {
            let Some((_, pattern)) = &filter.function else { return true };
            site.function.as_deref().is_some_and(|name| pattern.matches(name))
        };
        let nothing = |what: &str, text: &str| {
            failure(Kind::Refused, format!("{what} {text}: matches nothing in these tables"))
        };
        if !self.sites.iter().any(|site| of_function(&site.record)) {
            let text = filter.function.as_ref().map_or("", |(text, _)| text);
            return Err(nothing("--function", text));
        }
        if !self.sites.iter().any(|site| of_section(&site.record)) {
            return Err(nothing("--section", filter.section.as_deref().unwrap_or_default()));
        }
        self.sites.retain(|site| {
            is_selected[site.key] && of_section(&site.record) && of_function(&site.record)
        });
        self.keep_keys_with_sites();
        self.selection = filter.record(self.keys.len(), self.sites.len());
        Ok(self)
    }

    fn keep_keys_with_sites(&mut self) {
        let mut sites_of = vec![0; self.keys.len()];
        self.sites.iter().for_each(|site| sites_of[site.key] += 1);
        let mut place = vec![0; self.keys.len()];
        let mut kept = 0;
        let mut at = 0;
        self.keys.retain_mut(|key| {
            key.record.sites = sites_of[at];
            place[at] = kept;
            let keep = sites_of[at] > 0;
            kept += usize::from(keep);
            at += 1;
            keep
        });
        self.sites.iter_mut().for_each(|site| site.key = place[site.key]);
    }

    /// Whether anything is as wrong as to fail.
    pub(crate) fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|found| found.severity == Severity::Error.name())
    }
}

impl Document for Set {
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

    fn interest(&self, at: usize) -> Option<FrameRecord<'_>> {
        self.sites[at].interest.clone()
    }

    fn diagnostics(&self) -> Vec<DiagnosticRecord> {
        self.diagnostics.clone()
    }
}

/// Files on their way into one set.
#[derive(Default)]
struct Merge {
    members: Vec<Member>,
    failed: Vec<FileRecord>,
    diagnostics: Vec<DiagnosticRecord>,
}

impl Merge {
    fn finish(mut self, args: &Inspect, lists: Lists) -> anyhow::Result<Set> {
        let definitions = self.definitions();
        let keys = Keys::of_members(&self.members, &definitions, args)?;
        let mut set = Set {
            files: Vec::new(),
            keys: Vec::new(),
            sites: Vec::new(),
            diagnostics: Vec::new(),
            summary: SummaryRecord::default(),
            selection: None,
            lists,
            passed: 0,
        };
        set.diagnostics.append(&mut self.diagnostics);
        for (index, member) in self.members.into_iter().enumerate() {
            set.take(member, index, &keys);
        }
        for file in self.failed {
            let error = file.error.clone().unwrap_or_default();
            let defect = Defect::FileNotRead { error };
            set.diagnostics.push(DiagnosticRecord::of_file(&defect, Some(set.files.len())));
            set.files.push(file);
        }
        set.keys = keys.all;
        set.summary.keys = set.keys.len();
        for key in &set.keys {
            *set.summary.kinds.entry(key.record.kind).or_default() += 1;
        }
        Ok(set)
    }

    /// Refuses a set in which nothing could be read, or has a table.
    fn demand_something(&self, named: &[PathBuf], passed: usize) -> anyhow::Result<()> {
        let errors = || {
            let errors = self.failed.iter().filter_map(|file| file.error.as_deref());
            errors.collect::<Vec<_>>().join("; ")
        };
        if self.members.is_empty() {
            let what = match self.failed.len() {
                0 => {
                    let named: Vec<_> =
                        named.iter().map(|path| path.display().to_string()).collect();
                    format!(
                        "{}: no images found: expected kernels, modules or programs, found {passed} other file{}",
                        named.join(", "),
                        if passed == 1 { "" } else { "s" }
                    )
                }
                _ => format!("none of the files could be read: {}", errors()),
            };
            return Err(failure(Kind::Input, what));
        }
        if self.members.iter().all(|member| member.file.table.is_none()) {
            let (files, failed) = (self.members.len(), self.failed.len());
            let unread = if failed == 0 {
                String::new()
            } else {
                format!("; {failed} could not be read: {}", errors())
            };
            let kind = if failed == 0 { Kind::Refused } else { Kind::Input };
            let plural = if files == 1 { "" } else { "s" };
            let text = format!(
                "no jump table in the {files} file{plural} that {} read{unread}",
                if files == 1 { "was" } else { "were" }
            );
            return Err(failure(kind, text));
        }
        Ok(())
    }

    /// Who defines the symbols that keys are looked for by.
    fn definitions(&mut self) -> Definitions {
        let holds_key = |key: &MemberKey| key.name.symbol().map(str::to_owned);
        let wanted: HashSet<String> = self
            .members
            .iter()
            .flat_map(|member| member.keys.iter().filter_map(holds_key))
            .collect();
        let mut definitions = Definitions::default();
        for (index, member) in self.members.iter_mut().enumerate() {
            let exports = std::mem::take(&mut member.exports);
            definitions.add(index, exports.into_iter().filter(|(name, _)| wanted.contains(name)));
        }
        let repeated = definitions.repeated();
        if let [(first, files), ..] = &repeated[..] {
            let path = |index: &usize| self.members[*index].file.path.clone();
            let defect = Defect::DefinedTwice {
                symbol: (*first).to_owned(),
                files: files.iter().map(path).collect(),
                more: repeated.len() - 1,
            };
            self.diagnostics.push(DiagnosticRecord::of_file(&defect, None));
        }
        definitions
    }
}

impl Set {
    fn take(&mut self, member: Member, index: usize, keys: &Keys) {
        if let Some(summary) = &member.file.summary {
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
        for mut site in member.sites {
            site.key = keys.of_member[index][site.key];
            site.record.image = index;
            site.record.key_name = keys.all[site.key].record.name.clone();
            self.sites.push(site);
        }
        self.diagnostics.extend(member.diagnostics.into_iter().map(|mut found| {
            found.image = Some(index);
            found
        }));
        self.files.push(member.file);
    }
}

/// All keys of a set.
#[derive(Default)]
struct Keys {
    all: Vec<SetKey>,
    /// For each file and each of its keys, the index in `all`.
    of_member: Vec<Vec<usize>>,
}

/// What tells keys apart, in the order in which they are listed.
#[derive(PartialEq, Eq, Hash, PartialOrd, Ord, Clone)]
enum Identity {
    In(usize, Svma),
    Unresolved(String, u64),
}

impl Keys {
    fn of_members(
        members: &[Member],
        definitions: &Definitions,
        args: &Inspect,
    ) -> anyhow::Result<Self> {
        let mut found: BTreeMap<Identity, SetKey> = BTreeMap::new();
        let mut identities: Vec<Vec<Identity>> = Vec::new();
        let mut elsewhere: BTreeMap<usize, Vec<Svma>> = BTreeMap::new();
        for (index, member) in members.iter().enumerate() {
            let own = |key: &MemberKey| Identity::In(index, key.address);
            let mut ids: Vec<Identity> = member.keys.iter().map(own).collect();
            for import in &member.imports {
                let resolution = definitions.resolve(import);
                if let Resolution::Defined { image, key } = resolution {
                    elsewhere.entry(image).or_default().push(key);
                }
                ids[import.key.index()] = match resolution {
                    Resolution::Defined { image, key } => Identity::In(image, key),
                    _ => Identity::Unresolved(import.symbol.clone(), import.offset),
                };
                if let Some(reason) = unresolved(&resolution, members) {
                    let key = &member.keys[import.key.index()];
                    let entry = found.entry(ids[import.key.index()].clone());
                    let key = entry.or_insert_with(|| SetKey::new(key, None));
                    key.record.unresolved = Some(reason);
                }
            }
            for (id, key) in ids.iter().zip(&member.keys) {
                if *id == own(key) {
                    let address = member.states_addresses().then_some(key.address);
                    found.insert(id.clone(), SetKey::new(key, address));
                }
            }
            identities.push(ids);
        }
        add_keys_of_others(&mut found, elsewhere, members, args)?;
        Ok(Self::numbered(found, &identities, members))
    }

    fn numbered(
        mut found: BTreeMap<Identity, SetKey>,
        identities: &[Vec<Identity>],
        members: &[Member],
    ) -> Self {
        for (id, key) in &mut found {
            // Files that were passed over or failed have no place among the members.
            key.record.image = match id {
                Identity::In(image, _) => Some(*image),
                Identity::Unresolved(..) => None,
            };
        }
        let number: HashMap<Identity, usize> =
            found.keys().cloned().enumerate().map(|(at, id)| (id, at)).collect();
        let mut all: Vec<SetKey> = found.into_values().collect();
        let of_member: Vec<Vec<usize>> =
            identities.iter().map(|ids| ids.iter().map(|id| number[id]).collect()).collect();
        for (member, numbers) in members.iter().zip(&of_member) {
            for (key, at) in member.keys.iter().zip(numbers) {
                all[*at].record.sites += key.record.sites;
                all[*at].files += 1;
            }
        }
        Self { all, of_member }
    }
}

impl SetKey {
    /// Sites and files are counted later.
    fn new(key: &MemberKey, address: Option<Svma>) -> Self {
        let mut record = key.record.clone();
        record.sites = 0;
        Self { record, name: key.name.clone(), address, files: 0 }
    }
}

/// Reads the keys that only other files use out of the files that define them.
fn add_keys_of_others(
    found: &mut BTreeMap<Identity, SetKey>,
    elsewhere: BTreeMap<usize, Vec<Svma>>,
    members: &[Member],
    args: &Inspect,
) -> anyhow::Result<()> {
    for (index, mut addresses) in elsewhere {
        addresses.sort_unstable();
        addresses.dedup();
        addresses.retain(|address| !found.contains_key(&Identity::In(index, *address)));
        if addresses.is_empty() {
            continue;
        }
        let (path, stated) = (&members[index].file.path, members[index].states_addresses());
        for key in set_file::keys_at(path.as_ref(), index, &args.debug_dir, &addresses)? {
            let address = stated.then_some(key.address);
            found.insert(Identity::In(index, key.address), SetKey::new(&key, address));
        }
    }
    Ok(())
}

/// Why a key has no file, if it has none.
fn unresolved(resolution: &Resolution, members: &[Member]) -> Option<String> {
    match resolution {
        Resolution::Defined { .. } => None,
        Resolution::Undefined => Some("no file of this set defines it".to_owned()),
        Resolution::Several(files) => {
            let paths: Vec<&str> =
                files.iter().map(|index| members[*index].file.path.as_str()).collect();
            Some(format!("several files define it: {}", paths.join(", ")))
        }
    }
}
