//! Checks the claims about keys, and that no site of a key is missing.

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

/// A key of the plan, as the images have it.
pub(super) struct TrueKey {
    /// The key's sites.
    pub(super) sites: Vec<(usize, SiteId)>,
    /// The key in the image that defines it; `None` if no image of the plan does.
    pub(super) key: Option<Key>,
    /// Whether the key is to be on; `None` if that is unknown.
    pub(super) on: Option<bool>,
}

/// The key at an address, in the layout of the image's table.
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
        let path = |field| element("keys", at, field);
        let Some(found) = addresses.find(images, claim) else {
            findings.add(
                path("address")(),
                "a key of the image's table",
                claim.address.to_string(),
            );
            keys.push(None);
            continue;
        };
        if !seen.insert(found.clone()) {
            findings.add(path("address")(), "each key once", claim.address.to_string());
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
    let path = |field| element("keys", at, field);
    let of_key = sites.of(found).to_vec();
    findings.same(path("sites"), &of_key.len(), &claim.sites);
    let key = match found {
        KeyAt::Image(home, address) => Some(key_at(&images[*home], *address)),
        KeyAt::Symbol(..) => None,
    };
    let enabled = key.as_ref().and_then(Key::enabled);
    findings.same(path("old_enabled"), &enabled, &claim.old_enabled);
    if let (Some(key), KeyAt::Image(home, _)) = (&key, found) {
        let image = images[*home].image;
        let symbol = key.symbol.map(|at| image.symbols().name(at.symbol).into_owned());
        findings.same(path("symbol"), &symbol, &claim.symbol);
        findings.same(path("offset"), &key.symbol.map(|at| at.offset), &claim.offset);
        let section = key.section.map(|id| image.section(id).name.to_owned());
        findings.same(path("section"), &section, &claim.section);
    }
    if let Some(symbol) = &claim.symbol {
        let demangled = demangled(symbol).unwrap_or_else(|| symbol.clone());
        if ![symbol, &demangled].iter().any(|part| claim.name.contains(*part)) {
            findings.add(path("name")(), format!("a name with {demangled} in it"), &claim.name);
        }
    }
    let on = match claim.wish.0 {
        Wish::Enable => Some(true),
        Wish::Disable => Some(false),
        Wish::Flip => enabled.map(|count| count == 0),
    };
    // A count that has the wanted state is kept.
    let new = match (enabled, on) {
        (_, None) | (None, _) => None,
        (Some(count), Some(on)) if (count != 0) == on => Some(count),
        (Some(_), Some(on)) => Some(i32::from(on)),
    };
    if claim.new_enabled.is_some() {
        findings.same(path("new_enabled"), &new, &claim.new_enabled);
    }
    TrueKey { sites: of_key, key, on }
}

/// Checks that ops patch only sites of their key.
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
                let found = format!("site {site} of images[{image}], which belongs to another key");
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
        // A key that only other images use is in no table of the image that defines it.
        let image = images.get(home)?.image;
        stated(image, claim).map(|address| KeyAt::Image(home, address))
    }
}

/// The address of the symbol and offset that a claim states, if it is the address that the claim
/// states.
fn stated(image: &Image<'_>, claim: &KeyRecord) -> Option<Svma> {
    let (symbol, offset) = (claim.symbol.as_ref()?, claim.offset?);
    image
        .symbols()
        .named(symbol)
        .map(|(_, found)| found.address.wrapping_add(offset))
        .find(|address| PlanAddress::of(image, *address) == claim.address)
}
