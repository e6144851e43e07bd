//! Whether the keys are what the plan says, and nothing of them was forgotten.

use super::finding::{Findings, element};
use super::sites::{KeyAt, Sites};
use crate::images::ReadImage;
use crate::plan_file::{KeyRecord, PlanAddress, PlanDocument};
use crate::wish::Wish;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::demangled;
use jlctl_analyzer::image::{Image, SymbolicAddress};
use jlctl_analyzer::jump_table::{JumpTable, Key, SiteId};
use std::collections::{HashMap, HashSet};

/// What the images say of a key that the plan names.
pub(super) struct TrueKey {
    /// Its sites.
    pub(super) sites: Vec<(usize, SiteId)>,
    /// The key as its image has it; `None` if no image of the plan does.
    pub(super) key: Option<Key>,
    /// Whether it is to be on; `None` if that is not known.
    pub(super) on: Option<bool>,
}

/// The key at an address, of whatever layout the image's table has.
fn key_at(read: &ReadImage<'_>, address: Svma) -> Key {
    let keys = read.table.map(JumpTable::keys).unwrap_or_default();
    match keys.binary_search_by_key(&address, |key| key.address) {
        Ok(at) => keys[at].clone(),
        Err(_) => Key::at(read.image, address),
    }
}

pub(super) fn check(
    document: &PlanDocument,
    images: &[ReadImage<'_>],
    sites: &Sites,
    findings: &mut Findings,
) -> Vec<Option<TrueKey>> {
    let addresses = Addresses::new(images);
    let mut seen = HashSet::new();
    let mut keys = Vec::new();
    for (at, claim) in document.keys.iter().enumerate() {
        let place = |field| element("keys", at, field);
        let Some(found) = addresses.find(images, claim) else {
            findings.add(
                place("address")(),
                "a key of the image's table",
                claim.address.to_string(),
            );
            keys.push(None);
            continue;
        };
        if !seen.insert(found.clone()) {
            findings.add(place("address")(), "each key once", claim.address.to_string());
        }
        keys.push(Some(check_key(images, sites, at, claim, &found, findings)));
    }
    check_ops_of_keys(document, &keys, findings);
    keys
}

fn check_key(
    images: &[ReadImage<'_>],
    sites: &Sites,
    at: usize,
    claim: &KeyRecord,
    found: &KeyAt,
    findings: &mut Findings,
) -> TrueKey {
    let place = |field| element("keys", at, field);
    let of_key = sites.of(found).to_vec();
    findings.same(place("sites"), &of_key.len(), &claim.sites);
    let key = match found {
        KeyAt::Image(home, address) => Some(key_at(&images[*home], *address)),
        KeyAt::Symbol(..) => None,
    };
    let enabled = key.as_ref().and_then(Key::enabled);
    findings.same(place("old_enabled"), &enabled, &claim.old_enabled);
    if let (Some(key), KeyAt::Image(home, _)) = (&key, found) {
        let image = images[*home].image;
        let symbol = key.symbol.map(|at| image.symbols().name(at.symbol).into_owned());
        findings.same(place("symbol"), &symbol, &claim.symbol);
        findings.same(place("offset"), &key.symbol.map(|at| at.offset), &claim.offset);
        let section = key.section.map(|id| image.section(id).name.to_owned());
        findings.same(place("section"), &section, &claim.section);
    }
    if let Some(symbol) = &claim.symbol {
        let path = demangled(symbol).unwrap_or_else(|| symbol.clone());
        if ![symbol, &path].iter().any(|part| claim.name.contains(*part)) {
            findings.add(place("name")(), format!("a name with {path} in it"), &claim.name);
        }
    }
    let on = match claim.wish.0 {
        Wish::Enable => Some(true),
        Wish::Disable => Some(false),
        Wish::Flip => enabled.map(|count| count == 0),
    };
    // A count that says so already is left alone.
    let new = match (enabled, on) {
        (_, None) | (None, _) => None,
        (Some(count), Some(on)) if (count != 0) == on => Some(count),
        (Some(_), Some(on)) => Some(i32::from(on)),
    };
    if claim.new_enabled.is_some() {
        findings.same(place("new_enabled"), &new, &claim.new_enabled);
    }
    TrueKey { sites: of_key, key, on }
}

/// Each site of a key that is not refused is either an op or as it should be.
fn check_ops_of_keys(document: &PlanDocument, keys: &[Option<TrueKey>], findings: &mut Findings) {
    let mut ops: HashMap<usize, HashSet<(usize, usize)>> = HashMap::new();
    for op in &document.ops {
        ops.entry(op.key).or_default().insert((op.image, op.site));
    }
    for (at, (claim, key)) in document.keys.iter().zip(keys).enumerate() {
        let of_key = ops.remove(&at).unwrap_or_default();
        findings.same(element("keys", at, "ops"), &of_key.len(), &claim.ops);
        let Some(key) = key else { continue };
        if claim.new_enabled.is_none() && !of_key.is_empty() {
            findings.add(
                element("keys", at, "new_enabled")(),
                "a count, since sites are patched",
                "null",
            );
        }
        let real: HashSet<(usize, usize)> =
            key.sites.iter().map(|(image, site)| (*image, site.index())).collect();
        for (image, site) in &of_key {
            if !real.contains(&(*image, *site)) {
                let found = format!("site {site} of images[{image}], which is another's");
                findings.add(element("keys", at, "ops")(), "only sites of the key", found);
            }
        }
    }
}

/// The keys of the images by their addresses in the plan.
struct Addresses {
    defined: Vec<HashMap<PlanAddress, Svma>>,
    undefined: HashMap<PlanAddress, KeyAt>,
}

impl Addresses {
    fn new(images: &[ReadImage<'_>]) -> Self {
        let mut undefined = HashMap::new();
        let mut defined = Vec::new();
        for read in images {
            let mut addresses = HashMap::new();
            for key in read.table.into_iter().flat_map(JumpTable::keys) {
                let address = PlanAddress::of(read.image, key.address);
                if let SymbolicAddress::External { symbol, offset } =
                    read.image.symbolic(key.address)
                {
                    let name = read.image.symbols().name(symbol).into_owned();
                    undefined.insert(address, KeyAt::Symbol(name, offset));
                } else {
                    addresses.insert(address, key.address);
                }
            }
            defined.push(addresses);
        }
        Self { defined, undefined }
    }

    fn find(&self, images: &[ReadImage<'_>], claim: &KeyRecord) -> Option<KeyAt> {
        let Some(home) = claim.image else { return self.undefined.get(&claim.address).cloned() };
        if let Some(address) = self.defined.get(home)?.get(&claim.address) {
            return Some(KeyAt::Image(home, *address));
        }
        // A key that only other images use is in no table of its own.
        let image = images.get(home)?.image;
        stated(image, claim).map(|address| KeyAt::Image(home, address))
    }
}

/// The address that a claim states by its symbol, if it is what it says.
fn stated(image: &Image<'_>, claim: &KeyRecord) -> Option<Svma> {
    let (symbol, offset) = (claim.symbol.as_ref()?, claim.offset?);
    image
        .symbols()
        .named(symbol)
        .map(|(_, found)| found.address.wrapping_add(offset))
        .find(|address| PlanAddress::of(image, *address) == claim.address)
}
