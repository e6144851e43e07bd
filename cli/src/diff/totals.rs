//! The number of keys and sites that differ, by kind of difference.

use super::comparison::{Comparison, Side};
use jlctl_analyzer::jump_table::diff::{KeyPair, SiteState, TableModel};
use jlctl_analyzer::jump_table::{Key, Severity};
use serde::Serialize;

/// Totals of one whole table.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct TableTotals {
    pub(super) keys: usize,
    pub(super) on: usize,
    pub(super) sites: usize,
    pub(super) nop: usize,
    pub(super) jmp: usize,
    pub(super) other: usize,
    pub(super) errors: usize,
}

impl TableTotals {
    pub(super) fn new(side: &Side<'_>) -> Self {
        let insn = |wanted| side.model.sites.iter().filter(|site| site.insn == wanted).count();
        let is_on = |key: &&Key| key.is_on() == Some(true);
        let found = side.table.diagnostics().iter();
        Self {
            keys: side.model.keys.len(),
            on: side.table.keys().iter().filter(is_on).count(),
            sites: side.model.sites.len(),
            nop: insn(SiteState::Nop),
            jmp: insn(SiteState::Jmp),
            other: insn(SiteState::Other),
            errors: found.filter(|found| found.defect.severity() >= Severity::Error).count(),
        }
    }
}

/// Numbers of keys; a key in both tables may count under several changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct KeyTotals {
    pub(super) same: usize,
    pub(super) different: usize,
    pub(super) removed: usize,
    pub(super) added: usize,
    pub(super) renamed: usize,
    pub(super) initial: usize,
    pub(super) enabled: usize,
    /// Keys with another state at start and the same default.
    #[serde(skip)]
    pub(super) enabled_alone: usize,
    pub(super) kind: usize,
    pub(super) storage: usize,
    #[serde(rename = "place")]
    pub(super) position: usize,
    pub(super) sites: usize,
}

/// Numbers of sites; a site in both tables may count under several changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct SiteTotals {
    pub(super) same: usize,
    pub(super) moved: usize,
    pub(super) turned: usize,
    pub(super) rewritten: usize,
    /// Of keys of both tables.
    pub(super) removed: usize,
    /// Of keys of both tables.
    pub(super) added: usize,
    pub(super) of_removed_keys: usize,
    pub(super) of_added_keys: usize,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Totals {
    pub(super) different: bool,
    pub(super) keys: KeyTotals,
    pub(super) sites: SiteTotals,
}

impl Totals {
    pub(super) fn new(comparison: &Comparison<'_>) -> Self {
        let diff = comparison.diff;
        let mut totals = Self { different: diff.is_different(), ..Self::default() };
        diff.pairs.iter().for_each(|pair| totals.add(pair));
        totals.keys.removed = diff.removed.len();
        totals.keys.added = diff.added.len();
        let of = |model: &TableModel<'_>, keys: &[usize]| {
            let is_of = |key: usize| keys.binary_search(&key).is_ok();
            model.sites.iter().filter(|site| is_of(site.key)).count()
        };
        totals.sites.of_removed_keys = of(comparison.a.model, &diff.removed);
        totals.sites.of_added_keys = of(comparison.b.model, &diff.added);
        totals
    }

    fn add(&mut self, pair: &KeyPair) {
        let Self { keys, sites, .. } = self;
        let changes = pair.changes;
        for (is, count) in [
            (!pair.is_different(), &mut keys.same),
            (pair.is_different(), &mut keys.different),
            (pair.identity.is_renamed(), &mut keys.renamed),
            (changes.initial, &mut keys.initial),
            (changes.enabled, &mut keys.enabled),
            (changes.enabled && !changes.initial, &mut keys.enabled_alone),
            (changes.kind, &mut keys.kind),
            (changes.storage, &mut keys.storage),
            (changes.position, &mut keys.position),
            (pair.sites.is_different(), &mut keys.sites),
        ] {
            *count += usize::from(is);
        }
        for site in &pair.sites.pairs {
            let is_same = !site.is_moved && !site.is_turned && !site.is_rewritten;
            sites.same += usize::from(is_same);
            sites.moved += usize::from(site.is_moved);
            sites.turned += usize::from(site.is_turned);
            sites.rewritten += usize::from(site.is_rewritten);
        }
        sites.removed += pair.sites.removed.len();
        sites.added += pair.sites.added.len();
    }
}
