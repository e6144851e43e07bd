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

mod batches;
mod cost;
mod finding;
mod identity;
mod keys;
mod ops;
mod refusals;
mod sites;

pub use finding::{Finding, Place};

use crate::digest::Digests;
use crate::images::ReadImage;
use crate::plan_file::Document;
use finding::Findings;
use sites::Sites;

/// Everything that is wrong with `document`, by list.  `images` are those that it
/// is about, in its order, and `sums` those of their files.
#[must_use]
pub fn check(document: &Document, images: &[ReadImage<'_>], sums: &[Digests]) -> Vec<Finding> {
    let mut findings = Findings::default();
    if images.len() != document.images.len() || sums.len() != images.len() {
        let (expected, found) = (document.images.len(), images.len());
        findings.add(Place::Plan("images"), format!("{expected} images"), format!("{found}"));
        return findings.0;
    }
    identity::check(document, images, sums, &mut findings);
    let sites = Sites::new(images);
    let keys = keys::check(document, images, &sites, &mut findings);
    ops::check(document, images, &keys, &mut findings);
    batches::check(document, &mut findings);
    refusals::check(document, images, &keys, &sites, &mut findings);
    cost::check(document, images, &mut findings);
    findings.0
}
