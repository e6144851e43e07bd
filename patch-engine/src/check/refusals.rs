//! Checks that the plan refuses exactly what the images do not permit, and defers the ops that a
//! running kernel does not apply.

use super::PlanField;
use super::finding::{Findings, element, listed};
use super::keys::TrueKey;
use super::sites::Sites;
use crate::images::ReadImage;
use crate::plan_file::{KeyRecord, PlanDocument};
use crate::reason::Reason;
use crate::target::{Target, World};
use jlctl_analyzer::addr::AddrRange;
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::ImageKind;
use jlctl_analyzer::jump_table::{SiteId, Special};
use jlctl_shim::abi::JumpLabelType;
use std::collections::{BTreeMap, BTreeSet};

/// Refusals by image, key and reason, with the sites that they concern.
type Refused = BTreeMap<(usize, Option<usize>, Reason), BTreeSet<usize>>;

pub(super) fn check(
    document: &PlanDocument,
    images: &[ReadImage<'_>],
    keys: &[Option<TrueKey>],
    sites: &Sites,
    findings: &mut Findings,
) {
    let world = document.world.0;
    let mut demanded = Refused::new();
    let mut patched: BTreeMap<usize, BTreeSet<(usize, usize)>> = BTreeMap::new();
    for op in &document.ops {
        patched.entry(op.key).or_default().insert((op.image, op.site));
    }
    for (at, (claim, key)) in document.keys.iter().zip(keys).enumerate() {
        if let Some(key) = key {
            of_key(images, sites, world, at, claim, key, &mut demanded);
            // A key that is refused for every target has no ops.
            let patched = claim.new_enabled.map(|_| patched.remove(&at).unwrap_or_default());
            of_sites(images, at, key, sites, patched.as_ref(), &mut demanded, findings);
        }
    }
    of_images(document, images, &mut demanded);
    compare(document, demanded, findings);
    deferrals(document, images, findings);
}

fn of_key(
    images: &[ReadImage<'_>],
    sites: &Sites,
    world: World,
    at: usize,
    claim: &KeyRecord,
    key: &TrueKey,
    demanded: &mut Refused,
) {
    let user = key.sites.first().map_or(0, |(image, _)| *image);
    let home = claim.image.unwrap_or(user);
    let mut refuse = |reason| {
        demanded.entry((home, Some(at), reason)).or_default();
    };
    let Some(true_key) = &key.key else { return refuse(Reason::Elsewhere) };
    let Some(count) = true_key.enabled() else { return refuse(Reason::KeyUnreadable) };
    let changes = key.on.is_some_and(|on| on != (count != 0));
    if count < 0 || count > 1 && changes {
        refuse(Reason::Count);
    }
    if !changes {
        return;
    }
    let image = images[home].image;
    let section = true_key.section.map(|id| image.section(id));
    if section.is_some_and(|section| section.flags.no_bits) {
        refuse(Reason::ZeroFilled);
    }
    match world {
        World::Kernel if sites.is_sealed(home, image, true_key) => {
            refuse(Reason::ReadOnlyAfterInit);
        }
        World::User
            if section
                .is_none_or(|section| !section.flags.write || section.name == ".data.rel.ro") =>
        {
            refuse(Reason::ReadOnly);
        }
        World::Kernel | World::User => {}
    }
    let word = AddrRange::sized(true_key.address, 4);
    if sites.is_relocated(home, word) {
        refuse(Reason::KeyRelocated);
    }
}

fn of_sites(
    images: &[ReadImage<'_>],
    at: usize,
    key: &TrueKey,
    sites: &Sites,
    patched: Option<&BTreeSet<(usize, usize)>>,
    demanded: &mut Refused,
    findings: &mut Findings,
) {
    let Some(on) = key.on else { return };
    for &(image, site) in &key.sites {
        let read = &images[image];
        match judge(read, image, site, on, sites) {
            SiteVerdict::AsWanted => {}
            SiteVerdict::Refused(reason) => {
                demanded.entry((image, Some(at), reason)).or_default().insert(site.index());
            }
            SiteVerdict::ToPatch(in_file) => {
                if let Some(reason) = in_file {
                    demanded.entry((image, Some(at), reason)).or_default().insert(site.index());
                }
                if patched.is_some_and(|patched| !patched.contains(&(image, site.index()))) {
                    let code = read.table.map(|table| table.entry(site).code);
                    let code = code.map(|code| read.image.address_text(code)).unwrap_or_default();
                    let expected = format!("an op for site {} at {code}", site.index());
                    findings.add(element("keys", at, "ops")(), expected, "no such op");
                }
            }
        }
    }
}

enum SiteVerdict {
    AsWanted,
    Refused(Reason),
    /// The site has to be patched; with the reason against it in the file, if there is one.
    ToPatch(Option<Reason>),
}

fn judge(read: &ReadImage<'_>, at: usize, id: SiteId, on: bool, sites: &Sites) -> SiteVerdict {
    let Some(table) = read.table else { return SiteVerdict::AsWanted };
    let (entry, site, image) = (table.entry(id), table.site(id), read.image);
    if !image.section_at(entry.code).is_some_and(|id| image.section(id).is_executable()) {
        return SiteVerdict::Refused(Reason::NotExecutable);
    }
    if site.bytes.is_none() || image.file_offset(entry.code).is_none() {
        return SiteVerdict::Refused(Reason::NoBytes);
    }
    let is_jump = match site.insn {
        SiteInsn::Nop => false,
        SiteInsn::Jmp { to } if to == entry.target => true,
        SiteInsn::Jmp { .. } | SiteInsn::Other => {
            return SiteVerdict::Refused(Reason::UnexpectedBytes);
        }
    };
    let wants_jump = on != entry.branch;
    if is_jump == wants_jump {
        return SiteVerdict::AsWanted;
    }
    match sites.entangled(at, id) {
        Some(true) => return SiteVerdict::Refused(Reason::SharedSite),
        Some(false) => return SiteVerdict::Refused(Reason::Overlap),
        None => {}
    }
    let insn = if wants_jump { JumpLabelType::Jmp } else { JumpLabelType::Nop };
    if image.arch().encode(insn, entry.code, entry.target, site.len).is_err() {
        return SiteVerdict::Refused(Reason::Unencodable);
    }
    let bytes = AddrRange::sized(entry.code, site.len as u64);
    if sites.is_relocated(at, bytes) {
        return SiteVerdict::ToPatch(Some(Reason::SiteRelocated));
    }
    if image.kind() != ImageKind::Rel {
        return SiteVerdict::ToPatch(None);
    }
    if image.section_at(entry.code) != image.section_at(entry.target) {
        return SiteVerdict::ToPatch(Some(Reason::OtherSection));
    }
    let verifies = image.arch().name() == "x86_64" && image.is_kernel();
    SiteVerdict::ToPatch(verifies.then_some(Reason::LoaderVerifies))
}

fn of_images(document: &PlanDocument, images: &[ReadImage<'_>], demanded: &mut Refused) {
    for (at, read) in images.iter().enumerate() {
        let is_changed = document.ops.iter().any(|op| op.image == at)
            || document.key_writes.iter().any(|write| write.image == at);
        if is_changed && !read.is_bare() {
            demanded.entry((at, None, Reason::Container)).or_default();
        }
        if is_changed && read.is_signed() {
            demanded.entry((at, None, Reason::Signed)).or_default();
        }
    }
}

/// Compares the refusals of the plan with those that the images demand.
fn compare(document: &PlanDocument, mut demanded: Refused, findings: &mut Findings) {
    for (at, claim) in document.refusals.iter().enumerate() {
        let path = |field| element("refusals", at, field);
        let code = claim.code.0;
        let Some(sites) = demanded.remove(&(claim.image, claim.key, code)) else {
            findings.add(path("code")(), "a refusal that the images demand", code.code());
            continue;
        };
        let claimed: BTreeSet<usize> = claim.sites.iter().copied().collect();
        if claimed != sites {
            findings.add(path("sites")(), listed(&sites), listed(&claim.sites));
        }
        let targets: Vec<Target> = claim.targets.iter().map(|target| target.0).collect();
        if targets != code.targets(document.world.0) {
            let names: Vec<&str> =
                code.targets(document.world.0).into_iter().map(Target::name).collect();
            let found: Vec<&str> = targets.into_iter().map(Target::name).collect();
            findings.add(path("targets")(), names.join(", "), found.join(", "));
        }
    }
    for ((image, key, reason), sites) in demanded {
        let about = key.map_or_else(|| format!("images[{image}]"), |key| format!("keys[{key}]"));
        let sites =
            if sites.is_empty() { String::new() } else { format!(", sites {}", listed(&sites)) };
        let expected = format!("the refusal {} of {about}{sites}", reason.code());
        findings.add(PlanField::Plan("refusals"), expected, "none");
    }
    for (at, claim) in document.keys.iter().enumerate() {
        let is_total = document
            .refusals
            .iter()
            .any(|refusal| refusal.key == Some(at) && refusal.code.0.is_total(document.world.0));
        if is_total != claim.new_enabled.is_none() {
            let expected = if is_total { "null, since the key is refused" } else { "a count" };
            let found = claim.new_enabled.map_or("null".to_owned(), |count| count.to_string());
            findings.add(element("keys", at, "new_enabled")(), expected, found);
        }
    }
}

/// Checks that exactly the ops in init text, in exit text and at EL2 are deferred.
fn deferrals(document: &PlanDocument, images: &[ReadImage<'_>], findings: &mut Findings) {
    let special = |at: usize| {
        let op = document.ops.get(at)?;
        let (read, section) = (images.get(op.image)?, op.section.as_deref()?);
        let table = read.table?;
        let function = table.site(table.site_id(op.site)?).function;
        let name = function.map(|at| read.image.symbols().name(at.symbol).into_owned());
        let special = Special::of(section, name.as_deref())?;
        (special != Special::UnusualSection).then_some(special)
    };
    let mut claimed = BTreeMap::new();
    for (at, deferral) in document.deferrals.iter().enumerate() {
        let path = |field| element("deferrals", at, field);
        if claimed.insert(deferral.op, at).is_some() {
            findings.add(path("op")(), "each op once", deferral.op.to_string());
        }
        if special(deferral.op) != Some(deferral.reason.0) {
            let expected = special(deferral.op).map_or("nothing to defer", Special::name);
            findings.add(path("reason")(), expected, deferral.reason.0.name());
        }
        if deferral.targets.iter().map(|target| target.0).ne([Target::RunningKernel]) {
            let names: Vec<&str> = deferral.targets.iter().map(|target| target.0.name()).collect();
            findings.add(path("targets")(), Target::RunningKernel.name(), names.join(", "));
        }
    }
    for at in 0..document.ops.len() {
        if let (Some(special), None) = (special(at), claimed.get(&at)) {
            let expected = format!("ops[{at}] deferred for {}", special.name());
            findings.add(PlanField::Plan("deferrals"), expected, "none");
        }
    }
}
