//! Text for people: the changes of the table as a whole, then of keys, the
//! most important first, in 80 columns.

use super::comparison::{Comparison, Side};
use super::family::families;
use super::head;
use super::page::{Page, arrow, counted, named};
use super::site_changes::{ByFunction, Move, SiteChanges, by_function, function, state};
use crate::schema::branch_name;
use crate::terminal::output::Sink;
use crate::terminal::style::{count, grouped, printable};
use jlctl_analyzer::jump_table::diff::{KeyMatch, KeyModel, KeyPair, NameParts, TableModel};
use std::collections::BTreeMap;

/// Lines for the changes of one key's sites, without --all.
const SITE_LINES: usize = 3;

pub(super) fn write(comparison: &Comparison<'_>, sink: &mut Sink<'_>) -> anyhow::Result<()> {
    let (report, page) = (Report { comparison }, &mut Page::new(sink, comparison.all));
    head::write(comparison, page)?;
    if comparison.summary {
        return Ok(());
    }
    report.states(page)?;
    report.kinds(page)?;
    report.renamed(page)?;
    report.alone(page, "removed", &comparison.a, &comparison.diff.removed)?;
    report.alone(page, "added", &comparison.b, &comparison.diff.added)?;
    report.functions(page)?;
    report.sites(page)?;
    report.places(page)?;
    report.storage(page)
}

struct Report<'a> {
    comparison: &'a Comparison<'a>,
}

impl<'a> Report<'a> {
    /// Keys of both tables whose default state or state at start differs.
    fn states(&self, page: &mut Page<'_>) -> anyhow::Result<()> {
        let defaults = self.pairs(|pair| pair.changes.initial);
        let other: Vec<&KeyPair> = self.pairs(|pair| pair.changes.enabled && !pair.changes.initial);
        for (what, pairs, of) in [
            ("Default state changed", defaults, (|key| key.initial) as fn(&KeyModel<'_>) -> _),
            ("State at start changed, default unchanged", other, |key| {
                key.enabled.map(|enabled| enabled != 0)
            }),
        ] {
            page.list(what, &pairs, |pair| {
                let (a, b) = self.keys(pair);
                let states = match (of(a), of(b)) {
                    // Counts, where "on" and "off" are the same.
                    (x, y) if x == y => {
                        let number = |key: &KeyModel<'_>| key.enabled.unwrap_or(0).to_string();
                        format!("{} → {}", number(a), number(b))
                    }
                    (x, y) => format!("{} → {}", state(x), state(y)),
                };
                format!("{states:<9}  {}", self.name(pair))
            })?;
        }
        Ok(())
    }

    fn kinds(&self, page: &mut Page<'_>) -> anyhow::Result<()> {
        let pairs = self.pairs(|pair| pair.changes.kind);
        page.list("Kind changed", &pairs, |pair| {
            let (a, b) = self.keys(pair);
            let kinds = [a.kind, b.kind].map(|kind| printable(kind.unwrap_or("?")));
            format!("{}: {} → {}", self.name(pair), kinds[0], kinds[1])
        })
    }

    fn renamed(&self, page: &mut Page<'_>) -> anyhow::Result<()> {
        let pairs = self.pairs(|pair| pair.identity.is_renamed());
        page.list("Renamed", &pairs, |pair| {
            let by = match pair.identity {
                KeyMatch::RenamedByAddress => "same address",
                _ => "by sites",
            };
            format!("{by}  {}", self.name(pair))
        })
    }

    /// Keys of only one table.
    fn alone(
        &self,
        page: &mut Page<'_>,
        what: &str,
        side: &Side<'a>,
        keys: &[usize],
    ) -> anyhow::Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let model = side.model;
        let mut sites: BTreeMap<usize, Vec<usize>> = keys.iter().map(|k| (*k, vec![])).collect();
        for (index, site) in model.sites.iter().enumerate() {
            if let Some(sites) = sites.get_mut(&site.key) {
                sites.push(index);
            }
        }
        let families = if self.comparison.all {
            let single = |key: &usize| (model.keys[*key].name.to_string(), vec![*key]);
            keys.iter().map(single).collect()
        } else {
            families(model, keys).into_iter().map(|f| (f.name, f.keys)).collect::<Vec<_>>()
        };
        let mut rows: Vec<(String, Vec<usize>, Vec<usize>)> = families
            .into_iter()
            .map(|(name, keys)| {
                let sites = keys.iter().filter_map(|key| sites.get(key)).flatten().copied();
                let sites = sites.collect();
                (name, keys, sites)
            })
            .collect();
        rows.sort_by_key(|(name, _, sites)| (std::cmp::Reverse(sites.len()), name.clone()));
        page.heading(&format!("Keys {what}: {}", grouped(keys.len())))?;
        let faint = page.palette.faint;
        page.styled(faint, &format!("{:>7}{:>7}{:>6}  key", "sites", "keys", "on"))?;
        let shown = page.shown(rows.len());
        for (name, keys, sites) in &rows[..shown] {
            let on = keys.iter().filter(|key| model.keys[**key].enabled.unwrap_or(0) != 0).count();
            let style = if on > 0 { page.palette.on } else { anstyle::Style::new() };
            let (sites_text, keys_text) = (grouped(sites.len()), grouped(keys.len()));
            let line =
                format!("{sites_text:>7}{keys_text:>7}{:>6}  {}", grouped(on), printable(name));
            page.styled(style, &line)?;
            if self.comparison.all {
                let functions = by_function(model, sites.iter().copied());
                page.wrapped(22, &counted("", &functions), usize::MAX)?;
            }
        }
        let rest = &rows[shown..];
        if rest.is_empty() {
            return Ok(());
        }
        let (keys, sites) = rest
            .iter()
            .fold((0, 0), |sum, (_, keys, sites)| (sum.0 + keys.len(), sum.1 + sites.len()));
        page.more(&format!("{} with {}", count(keys, "key"), count(sites, "site")))
    }

    /// Pairs of functions between which sites of several keys moved.
    fn functions(&self, page: &mut Page<'_>) -> anyhow::Result<()> {
        let mut moves: BTreeMap<Move<'_>, (usize, usize)> = BTreeMap::new();
        for pair in self.pairs(|pair| pair.sites.is_different()) {
            for (places, sites) in SiteChanges::new(self.comparison, pair).moved {
                let (keys, all) = moves.entry(places).or_default();
                (*keys, *all) = (*keys + 1, *all + sites);
            }
        }
        let mut moves: Vec<_> = moves.into_iter().filter(|(_, (keys, _))| *keys > 1).collect();
        moves.sort_by_key(|(places, counts)| (std::cmp::Reverse(*counts), *places));
        page.list("Functions whose sites moved to another", &moves, |(places, counts)| {
            let (keys, sites) = *counts;
            let counts = format!("{} of {}", count(sites, "site"), count(keys, "key"));
            format!("{counts:<20}  {}", arrow(*places))
        })
    }

    /// Changes of the sites of keys in both tables.
    fn sites(&self, page: &mut Page<'_>) -> anyhow::Result<()> {
        let mut pairs = self.pairs(|pair| {
            let sites = &pair.sites;
            let moved = sites.pairs.iter().any(|site| site.is_moved || site.is_turned);
            moved || !sites.removed.is_empty() || !sites.added.is_empty()
        });
        if pairs.is_empty() {
            return Ok(());
        }
        let weight = |pair: &KeyPair| {
            let moved = pair.sites.pairs.iter().filter(|site| site.is_moved || site.is_turned);
            pair.sites.removed.len() + pair.sites.added.len() + moved.count()
        };
        pairs.sort_by_cached_key(|pair| std::cmp::Reverse(weight(pair)));
        page.heading(&format!("Sites of keys in both, changed for {}", count(pairs.len(), "key")))?;
        let shown = page.shown(pairs.len());
        for pair in &pairs[..shown] {
            let same = pair.sites.pairs.len();
            let (in_a, in_b) = (same + pair.sites.removed.len(), same + pair.sites.added.len());
            let counts = format!("{} → {}", grouped(in_a), grouped(in_b));
            page.plain(&format!("{counts:>13}  {}", self.name(pair)))?;
            let SiteChanges { moved, turned, removed, added } =
                SiteChanges::new(self.comparison, pair);
            let times = |sites: usize| match sites {
                1 => String::new(),
                sites => format!(" ({})", grouped(sites)),
            };
            let turned = turned.iter().map(|((function, likely), sites)| {
                let now = branch_name(*likely);
                (*sites, format!("{} is {now} now{}", named(*function), times(*sites)))
            });
            let moved = moved
                .iter()
                .map(|(places, sites)| (*sites, format!("{}{}", arrow(*places), times(*sites))));
            let came = |sign, sites: &ByFunction<'_>| {
                let counts: Vec<usize> = sites.iter().map(|(_, sites)| *sites).collect();
                counts.into_iter().zip(counted(sign, sites)).collect::<Vec<_>>()
            };
            let mut items: Vec<(usize, String)> = turned.chain(moved).collect();
            items.extend(came("-", &removed));
            items.extend(came("+", &added));
            items.sort_by_key(|(sites, _)| std::cmp::Reverse(*sites));
            let items: Vec<String> = items.into_iter().map(|(_, text)| text).collect();
            let limit = if self.comparison.all { usize::MAX } else { SITE_LINES };
            page.wrapped(15, &items, limit)?;
        }
        if shown < pairs.len() {
            let sites: usize = pairs[shown..].iter().map(|pair| weight(pair)).sum();
            let keys = count(pairs.len() - shown, "key");
            page.more(&format!("{keys} with {}", count(sites, "changed site")))?;
        }
        Ok(())
    }

    /// Elements of arrays with another index, and members with another offset.
    fn places(&self, page: &mut Page<'_>) -> anyhow::Result<()> {
        let pairs = self.pairs(|pair| pair.changes.position);
        page.list("At another offset in their object", &pairs, |pair| self.name(pair))
    }

    fn storage(&self, page: &mut Page<'_>) -> anyhow::Result<()> {
        let pairs = self.pairs(|pair| pair.changes.storage);
        let mut by_change: BTreeMap<(&str, &str), Vec<&KeyPair>> = BTreeMap::new();
        for pair in pairs {
            let (a, b) = self.keys(pair);
            let section = |key: &KeyModel<'a>| key.section.unwrap_or("?");
            by_change.entry((section(a), section(b))).or_default().push(pair);
        }
        let mut changes: Vec<_> = by_change.into_iter().collect();
        changes.sort_by_key(|(_, pairs)| std::cmp::Reverse(pairs.len()));
        for ((a, b), pairs) in changes {
            let what = format!("In another section, {} → {}", printable(a), printable(b));
            page.list(&what, &pairs, |pair| self.name(pair))?;
        }
        Ok(())
    }

    fn pairs(&self, is: impl Fn(&KeyPair) -> bool) -> Vec<&'a KeyPair> {
        self.comparison.diff.pairs.iter().filter(|pair| is(pair)).collect()
    }

    fn keys(&self, pair: &KeyPair) -> (&'a KeyModel<'a>, &'a KeyModel<'a>) {
        let key = |model: &'a TableModel<'a>, key: usize| &model.keys[key];
        (key(self.comparison.a.model, pair.a), key(self.comparison.b.model, pair.b))
    }

    /// The name in both tables; names that differ only in numbering are the same.
    fn name(&self, pair: &KeyPair) -> String {
        let (a, b) = self.keys(pair);
        let place = match pair.identity {
            // Matched by position alone: the two may be different keys.
            KeyMatch::Position => " (by position alone)",
            _ => "",
        };
        let (of_a, of_b) = (NameParts::parse(&a.name), NameParts::parse(&b.name));
        if pair.identity.is_renamed() {
            return format!("{} → {}", printable(&a.name), printable(&b.name));
        }
        if pair.changes.position && of_a.holder == of_b.holder {
            return format!("{} → {}", printable(&a.name), printable(of_b.path));
        }
        // The number identifies nothing; the function does.
        let site = pair.sites.pairs.first().map(|site| site.b);
        let function = site.and_then(|site| function(self.comparison.b.model, site));
        let within = match function {
            Some(name) if of_b.is_numbered => format!(" in {}", printable(name)),
            _ => String::new(),
        };
        format!("{}{within}{place}", printable(&b.name))
    }
}
