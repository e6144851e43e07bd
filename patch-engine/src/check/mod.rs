//! A checker of plans that trusts nobody: it never calls the planner, decodes what
//! the plan says is encoded, and reads from the images what the plan claims of
//! them.
//!
//! What it verifies: identity of the images; that each op is at a site of the
//! table with the key, branch and target that it claims; old bytes, and by decoding
//! that old and new bytes are the two states of that site, in the right direction
//! for what becomes of the key; that no write lies over another; key words; that no
//! site of a wanted key is forgotten; order, bounds and cover of batches;
//! deferrals; that refusals are exactly those that the images demand; and the cost.
//! Texts are for readers and not verified: source lines, messages, names beyond
//! their symbols.

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

/// Everything that is wrong with `document`, by list.  `images` are those that it
/// is about, in its order, and `sums` those of their files.
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

/// Whether the images are those that the plan is for.
fn check_images(
    document: &PlanDocument,
    images: &[ReadImage<'_>],
    sums: &[Digests],
    findings: &mut Findings,
) {
    for (at, ((claim, read), sum)) in document.images.iter().zip(images).zip(sums).enumerate() {
        let place = |field| element("images", at, field);
        let image = read.image;
        let size = read.file.file_bytes().len() as u64;
        findings.same(place("size"), &size, &claim.size);
        findings.same(place("sha256"), &sum.sha256[..], &claim.sha256.0[..]);
        findings.same(place("xxh3"), &sum.xxh3[..], &claim.xxh3.0[..]);
        let build_id = image.build_id().map(|id| Hex(id.to_vec()).to_string());
        findings.same(place("build_id"), &build_id, &claim.build_id.as_ref().map(Hex::to_string));
        findings.same(place("release"), &image.release().map(str::to_owned), &claim.release);
        findings.same(place("format"), image.format().name(), claim.format.as_str());
        findings.same(place("type"), &image.type_name().map(str::to_owned), &claim.r#type);
        findings.same(place("container"), &read.file.container_name(), &claim.container);
        findings.same(place("signed"), &read.is_signed(), &claim.signed);
        findings.same(|| PlanField::Plan("arch"), image.arch().name(), document.arch.as_str());
        let is_kernel = matches!(document.world.0, World::Kernel);
        if is_kernel != image.is_kernel() {
            let world = if image.is_kernel() { "kernel" } else { "user" };
            findings.add(PlanField::Plan("world"), world, document.world.0.name());
        }
    }
}
