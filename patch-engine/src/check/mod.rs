//! Checks plans independently of the planner.
//!
//! A plan may come from anywhere, so that the checker trusts no claim: it never calls the planner,
//! decodes what the planner encodes, and reads from the images what the plan claims of them. The
//! checker and the planner share only definitions: the truth table of a site, which is part of the
//! shim's ABI, and the reasons of refusals ([`crate::reason`]). `jlctl plan` checks its own plans,
//! `jlctl apply` every plan, and tests plan and check random images.
//!
//! The checker verifies the identity of the images; that each op is at a site of the table, with
//! the key, branch and target that it claims; old bytes, and, by decoding, that old and new bytes
//! are the two states of the site, in the direction that the key's new state demands; that no write
//! overlaps another; the words of keys; that no site of a wanted key is missing; order, bounds and
//! coverage of batches; deferrals; that the refusals are exactly those that the images demand; and
//! the cost. Texts for readers are not verified: source lines, messages, and names beyond their
//! symbols.

mod cost;
mod finding;
mod keys;
mod ops;
mod refusals;
mod sites;

pub use finding::{Finding, PlanField};

use crate::digest::Digests;
use crate::images::ReadImage;
use crate::plan_file::{Hex, PlanDocument};
use crate::target::World;
use finding::{Findings, element};
use sites::Sites;

/// All findings about `document`, list by list. `images` are those of the plan, in its order, and
/// `sums` are the checksums of their files.
#[must_use]
pub fn check(document: &PlanDocument, images: &[ReadImage<'_>], sums: &[Digests]) -> Vec<Finding> {
    let mut findings = Findings::default();
    if images.len() != document.images.len() || sums.len() != images.len() {
        let (expected, found) = (document.images.len(), images.len());
        findings.add(PlanField::Plan("images"), format!("{expected} images"), format!("{found}"));
        return findings.0;
    }
    check_images(document, images, sums, &mut findings);
    let sites = Sites::new(images);
    let keys = keys::check(document, images, &sites, &mut findings);
    ops::check(document, images, &keys, &mut findings);
    cost::check_batches(document, &mut findings);
    refusals::check(document, images, &keys, &sites, &mut findings);
    cost::check_cost(document, images, &mut findings);
    findings.0
}

/// Checks that the images are those that the plan is for.
fn check_images(
    document: &PlanDocument,
    images: &[ReadImage<'_>],
    sums: &[Digests],
    findings: &mut Findings,
) {
    for (at, ((claim, read), sum)) in document.images.iter().zip(images).zip(sums).enumerate() {
        let path = |field| element("images", at, field);
        let image = read.image;
        let size = read.file.file_bytes().len() as u64;
        findings.same(path("size"), &size, &claim.size);
        findings.same(path("sha256"), &sum.sha256[..], &claim.sha256.0[..]);
        findings.same(path("xxh3"), &sum.xxh3[..], &claim.xxh3.0[..]);
        let build_id = image.build_id().map(|id| Hex(id.to_vec()).to_string());
        findings.same(path("build_id"), &build_id, &claim.build_id.as_ref().map(Hex::to_string));
        findings.same(path("release"), &image.release().map(str::to_owned), &claim.release);
        findings.same(path("format"), image.format().name(), claim.format.as_str());
        findings.same(path("type"), &image.type_name().map(str::to_owned), &claim.r#type);
        findings.same(path("container"), &read.file.container_name(), &claim.container);
        findings.same(path("signed"), &read.is_signed(), &claim.signed);
        findings.same(|| PlanField::Plan("arch"), image.arch().name(), document.arch.as_str());
        let is_kernel = matches!(document.world.0, World::Kernel);
        if is_kernel != image.is_kernel() {
            let world = if image.is_kernel() { "kernel" } else { "user" };
            findings.add(PlanField::Plan("world"), world, document.world.0.name());
        }
    }
}
