//! Collects ops, key writes and refusals, key by key.

use super::eligible::{Eligibility, SiteChange};
use super::key::{against_key, key_write, new_count};
use super::model::{Batch, KeyWrite, Op, PlannedKey, Refusal};
use crate::images::{ReadImage, Sealed};
use crate::key_set::SetKey;
use crate::reason::Reason;
use crate::target::World;
use crate::wish::Wish;
use jlctl_analyzer::image::RelocatedAddresses;
use jlctl_analyzer::jump_table::SiteId;
use jlctl_shim::abi::{JumpLabelType, StaticKey};
use std::collections::{BTreeMap, BTreeSet};

/// A plan under construction.
pub(super) struct Planner<'i, 'a> {
    images: &'i [ReadImage<'a>],
    judges: Vec<Option<Eligibility<'a>>>,
    /// The addresses that the relocations of each image write.
    relocated: Vec<RelocatedAddresses>,
    sealed: Vec<Sealed>,
    world: World,
    pub(super) keys: Vec<PlannedKey>,
    pub(super) ops: Vec<Op<'a>>,
    pub(super) key_writes: Vec<KeyWrite>,
    /// The last op of the key of each key write.
    last_ops: Vec<Option<usize>>,
    pub(super) refusals: Vec<Refusal>,
}

/// The reasons against a key, by image: the sites, and what was found at the first.
type Objections = BTreeMap<(usize, Reason), (Vec<SiteId>, String)>;

impl<'i, 'a> Planner<'i, 'a> {
    pub(super) fn new(images: &'i [ReadImage<'a>], world: World) -> Self {
        let judge = |read: &ReadImage<'a>| read.table.map(|table| Eligibility::new(*read, table));
        Self {
            images,
            judges: images.iter().map(judge).collect(),
            relocated: images.iter().map(|read| read.image.relocated_addresses()).collect(),
            sealed: images.iter().map(|read| Sealed::of(read.image)).collect(),
            world,
            keys: Vec::new(),
            ops: Vec::new(),
            key_writes: Vec::new(),
            last_ops: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Plans `wish` for `key`, which is number `at` of the set.
    pub(super) fn add(&mut self, at: usize, key: &SetKey, wish: Wish) {
        let old = key.home.and(key.key.enabled());
        let state = wish.state(old.map(StaticKey::is_on));
        // A key that no image defines belongs to the image that uses it.
        let user = || key.sites.first().map_or(0, |(image, _)| *image);
        let home = key.home.unwrap_or_else(user);
        let mut objections: Objections =
            against_key(self.images, &self.relocated, &self.sealed, self.world, key, old, state)
                .into_iter()
                .map(|(reason, found)| ((home, reason), (Vec::new(), found)))
                .collect();
        let mut ops = match state {
            Some(on) => self.changes(key, on, &mut objections),
            None => Vec::new(),
        };
        let is_refused = objections.keys().any(|(_, reason)| reason.is_total(self.world));
        if is_refused {
            ops.clear();
        }
        let new = if is_refused { None } else { new_count(old, state) };
        let number = self.keys.len();
        self.keys.push(PlannedKey { key: at, wish, old, new, ops: ops.len() });
        let has_ops = !ops.is_empty();
        self.ops.extend(ops.into_iter().map(|op| Op { key: number, ..op }));
        if let (Some(home), Some(old), Some(new)) = (key.home, old, new)
            && old != new
        {
            let image = self.images[home].image;
            self.key_writes.push(key_write(image, number, home, key, (old, new)));
            self.last_ops.push(self.ops.len().checked_sub(1).filter(|_| has_ops));
        }
        self.refuse_key(number, key.sites.len(), objections);
    }

    /// The ops that switch the key `on` or off.
    fn changes(&self, key: &SetKey, on: bool, objections: &mut Objections) -> Vec<Op<'a>> {
        let mut ops = Vec::new();
        for &(image, site) in &key.sites {
            let (Some(judge), Some(table)) = (&self.judges[image], self.images[image].table) else {
                continue;
            };
            let entry = table.entry(site);
            let to = JumpLabelType::wanted(on, entry.branch);
            let objection = match judge.change(site, to) {
                Ok(None) => None,
                Err(objection) => Some(objection),
                Ok(Some(SiteChange { from, old, new, offset })) => {
                    let (code, target, branch) = (entry.code, entry.target, entry.branch);
                    let key = 0;
                    ops.push(Op {
                        key,
                        image,
                        site,
                        code,
                        target,
                        branch,
                        offset,
                        from,
                        to,
                        old,
                        new,
                    });
                    judge.against_file(site, old.len(), &self.relocated[image])
                }
            };
            if let Some((reason, found)) = objection {
                let at = self.images[image].image.address_text(entry.code);
                let first = || (Vec::new(), format!("{at}: {found}"));
                objections.entry((image, reason)).or_insert_with(first).0.push(site);
            }
        }
        ops
    }

    fn refuse_key(&mut self, number: usize, sites: usize, objections: Objections) {
        let world = self.world;
        let refusal =
            |((image, reason), (refused, found)): ((usize, Reason), (Vec<SiteId>, String))| {
                let message = message(reason, &found, refused.len(), sites);
                let targets = reason.targets(world);
                Refusal { reason, image, key: Some(number), sites: refused, targets, message }
            };
        self.refusals.extend(objections.into_iter().map(refusal));
    }

    /// Refuses changes of files that the plan's images do not permit.
    pub(super) fn refuse_images(&mut self) {
        let ops = self.ops.iter().map(|op| op.image);
        let touched: BTreeSet<usize> =
            ops.chain(self.key_writes.iter().map(|write| write.image)).collect();
        for image in touched {
            let read = self.images[image];
            let container = read.file.container_name();
            let container = container.map(|name| (Reason::Container, format!("found {name}")));
            let signed = read
                .is_signed()
                .then(|| (Reason::Signed, "found a signature at the end of the file".to_owned()));
            self.refusals.extend(container.into_iter().chain(signed).map(|(reason, found)| {
                Refusal {
                    reason,
                    image,
                    key: None,
                    sites: Vec::new(),
                    targets: reason.targets(self.world),
                    message: message(reason, &found, 0, 0),
                }
            }));
        }
    }

    /// Schedules each key's word after the batch with its last op.
    pub(super) fn schedule_key_writes(&mut self, batches: &[Batch]) {
        for (write, last) in self.key_writes.iter_mut().zip(&self.last_ops) {
            write.after_batch =
                last.map(|last| batches.partition_point(|batch| batch.first + batch.ops <= last));
        }
    }
}

fn message(reason: Reason, found: &str, refused: usize, sites: usize) -> String {
    match refused {
        _ if found.is_empty() => reason.text().to_owned(),
        0 => format!("{}; {found}", reason.text()),
        1 => format!("{} (1 of {sites} sites); {found}", reason.text()),
        _ => format!("{} ({refused} of {sites} sites); first {found}", reason.text()),
    }
}
