//! JSON: schema `jlctl.diff/1`, one object, its lists with one element a line.
//!
//! Keys are in the order of their addresses; an unknown value is null.

use super::comparison::{Comparison, Side};
use super::site_changes::{SiteChanges, by_function, identity_name, storage_name};
use super::totals::{TableTotals, Totals};
use crate::schema::{Hex, branch_name};
use crate::terminal::listing::{field, list};
use jlctl_analyzer::jump_table::diff::{KeyPair, TableModel};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;

/// Name and version of the schema.
const SCHEMA: &str = "jlctl.diff/1";

#[derive(Serialize)]
struct SideRecord<'a> {
    path: String,
    arch: &'static str,
    format: &'static str,
    r#type: Option<&'static str>,
    build_id: Option<Hex<'a>>,
    release: Option<&'a str>,
    #[serde(flatten)]
    totals: TableTotals,
}

#[derive(Serialize)]
struct KeyRecord<'a> {
    name: &'a str,
    kind: Option<&'a str>,
    address: &'a str,
    section: Option<&'a str>,
    storage: &'static str,
    enabled: Option<i32>,
    initial: Option<&'static str>,
    sites: usize,
}

#[derive(Serialize)]
struct PairRecord<'a> {
    identity: &'static str,
    changes: Vec<&'static str>,
    a: KeyRecord<'a>,
    b: KeyRecord<'a>,
    sites: SitesRecord,
}

#[derive(Serialize)]
struct SitesRecord {
    same: usize,
    rewritten: usize,
    moved: Vec<Value>,
    turned: Vec<Value>,
    removed: Vec<Value>,
    added: Vec<Value>,
}

#[derive(Serialize)]
struct AloneRecord<'a> {
    #[serde(flatten)]
    key: KeyRecord<'a>,
    functions: Vec<Value>,
}

pub(super) fn write(
    comparison: &Comparison<'_>,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<()> {
    let (a, b, diff) = (&comparison.a, &comparison.b, comparison.diff);
    write!(out, "{{\"schema\":\"{SCHEMA}\"")?;
    field(out, "a", &side(a))?;
    field(out, "b", &side(b))?;
    field(out, "summary", &Totals::new(comparison))?;
    field(out, "selection", &comparison.key.map(|key| json!({ "key": key })))?;
    if comparison.summary {
        for name in ["keys", "removed", "added"] {
            field(out, name, &Value::Null)?;
        }
    } else {
        let sites_of = (sites_of_keys(a.model), sites_of_keys(b.model));
        let different = diff.pairs.iter().filter(|pair| pair.is_different());
        list(out, "keys", different.map(|found| pair(comparison, found, &sites_of)))?;
        list(out, "removed", diff.removed.iter().map(|key| alone(a.model, *key, &sites_of.0)))?;
        list(out, "added", diff.added.iter().map(|key| alone(b.model, *key, &sites_of.1)))?;
    }
    Ok(writeln!(out, "\n}}")?)
}

fn side<'a>(side: &Side<'a>) -> SideRecord<'a> {
    SideRecord {
        path: side.path.to_string_lossy().into_owned(),
        arch: side.image.arch().name(),
        format: side.image.format().name(),
        r#type: side.image.type_name(),
        build_id: side.image.build_id().map(|id| Hex(id.into())),
        release: side.image.release(),
        totals: TableTotals::new(side),
    }
}

/// The sites of each key.
fn sites_of_keys(model: &TableModel<'_>) -> Vec<Vec<usize>> {
    let mut sites = vec![Vec::new(); model.keys.len()];
    for (index, site) in model.sites.iter().enumerate() {
        sites[site.key].push(index);
    }
    sites
}

fn key<'a>(model: &'a TableModel<'_>, key: usize, sites: usize) -> KeyRecord<'a> {
    let key = &model.keys[key];
    KeyRecord {
        name: &key.name,
        kind: key.kind,
        address: &key.address,
        section: key.section.filter(|name| !name.is_empty()),
        storage: storage_name(key.storage),
        enabled: key.enabled,
        initial: key.initial.map(|on| if on { "true" } else { "false" }),
        sites,
    }
}

fn alone<'a>(model: &'a TableModel<'_>, index: usize, sites: &[Vec<usize>]) -> AloneRecord<'a> {
    let sites = &sites[index];
    let functions = by_function(model, sites.iter().copied());
    AloneRecord { key: key(model, index, sites.len()), functions: functions_json(functions) }
}

fn functions_json(functions: Vec<(Option<&str>, usize)>) -> Vec<Value> {
    let value = |(function, sites)| json!({ "function": function, "sites": sites });
    functions.into_iter().map(value).collect()
}

fn pair<'a>(
    comparison: &Comparison<'a>,
    pair: &KeyPair,
    sites_of: &(Vec<Vec<usize>>, Vec<Vec<usize>>),
) -> PairRecord<'a> {
    let changes = pair.changes;
    let names = [
        (pair.identity.is_renamed(), "name"),
        (changes.initial, "initial"),
        (changes.enabled, "enabled"),
        (changes.kind, "kind"),
        (changes.storage, "storage"),
        (changes.position, "place"),
        (pair.sites.is_different(), "sites"),
    ];
    let SiteChanges { moved, turned, removed, added } = SiteChanges::new(comparison, pair);
    let moved = moved.into_iter();
    let turned = turned.into_iter();
    let is_same = |site: &&jlctl_analyzer::jump_table::diff::SitePair| {
        !site.is_moved && !site.is_turned && !site.is_rewritten
    };
    PairRecord {
        identity: identity_name(pair.identity),
        changes: names.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect(),
        a: key(comparison.a.model, pair.a, sites_of.0[pair.a].len()),
        b: key(comparison.b.model, pair.b, sites_of.1[pair.b].len()),
        sites: SitesRecord {
            same: pair.sites.pairs.iter().filter(is_same).count(),
            rewritten: pair.sites.pairs.iter().filter(|site| site.is_rewritten).count(),
            moved: moved
                .map(|((from, to), sites)| json!({ "from": from, "to": to, "sites": sites }))
                .collect(),
            turned: turned
                .map(|((function, likely), sites)| {
                    let now = branch_name(likely);
                    json!({ "function": function, "branch": now, "sites": sites })
                })
                .collect(),
            removed: functions_json(removed),
            added: functions_json(added),
        },
    }
}
