//! Whether the images are those that the plan is for.

use super::finding::{Findings, element};
use crate::digest::Digests;
use crate::images::ReadImage;
use crate::plan_file::{Document, Hex};

pub(super) fn check(
    document: &Document,
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
        findings.same(|| super::Place::Plan("arch"), image.arch().name(), document.arch.as_str());
        let is_kernel = matches!(document.world.0, crate::target::World::Kernel);
        if is_kernel != image.is_kernel() {
            let world = if image.is_kernel() { "kernel" } else { "user" };
            findings.add(super::Place::Plan("world"), world, document.world.0.name());
        }
    }
}
