//! Fetched artefacts are what their names state, and those of a kernel belong together.

use crate::real::path;
use crate::real::reader::Kernel;
use crate::real::tools::Nm;
use crate::{self as corpus, Image, Part};
use std::collections::HashSet;
use std::fs;

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn artefacts_of_a_kernel_belong_to_one_release() {
    for kernel in corpus::Kernel::ALL {
        let releases: HashSet<_> = kernel.images().map(corpus::release).collect();
        assert!(releases.len() == 1 && !releases.contains(&None), "{kernel:?}: {releases:?}");
    }
}

/// The magic number of a boot image, and its offset: `Documentation/arch/` `arm64/booting.rst`,
/// `riscv/boot-image-header.rst` and `x86/boot.rst`.
fn magic(image: Image) -> (usize, &'static [u8]) {
    match image.kernel() {
        corpus::Kernel::V510 | corpus::Kernel::V612 => (0x38, b"ARM\x64"),
        corpus::Kernel::Riscv64 => (0x38, b"RSC\x05"),
        corpus::Kernel::Amd64 => (0x202, b"HdrS"),
    }
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn boot_images_have_their_architecture_and_release() {
    for image in Image::ALL.into_iter().filter(|image| image.part() == Part::Vmlinuz) {
        let bytes = fs::read(path(image)).expect("the boot image");
        let (offset, magic) = magic(image);
        assert_eq!(&bytes[offset..][..magic.len()], magic, "{image:?}");
        let release = corpus::release(image).expect("it is fetched").name;
        let named = bytes.windows(release.len()).any(|window| window == release.as_bytes());
        assert!(named, "{image:?} does not name {release}");
    }
}

/// The number of entries; every code and target must be in text and every key in data.
fn count_entries(image: Image) -> usize {
    let bytes = fs::read(path(image)).expect("the image");
    let (kernel, nm) = (Kernel::new(&bytes), Nm::of(&path(image)));
    let (start, stop) = (nm.address("__start___jump_table"), nm.address("__stop___jump_table"));
    let entries = kernel.entries(start, stop);
    let in_text = |address| kernel.section_name(address).is_some_and(|name| name.contains("text"));
    let in_data = |address| {
        let names = ["data", "bss", "__ro_after_init"];
        kernel
            .section_name(address)
            .is_some_and(|name| names.iter().any(|part| name.contains(part)))
    };
    let wrong = entries
        .iter()
        .filter(|entry| !in_text(entry.code) || !in_text(entry.target) || !in_data(entry.key));
    let wrong: Vec<String> = wrong.map(|entry| format!("{entry:x?}")).collect();
    crate::real::demand_none("entries that point outside code or data", &wrong);
    println!("{}: {} entries", corpus::version(image).unwrap_or_default(), entries.len());
    entries.len()
}

fn demand_entries(image: Image, known_release: &str, known: usize) {
    let entries = count_entries(image);
    assert!(entries > 5000, "{image:?} has only {entries} entries");
    if corpus::release(image).is_some_and(|release| release.name.starts_with(known_release)) {
        assert_eq!(entries, known);
    }
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn the_table_of_amd64_points_at_code_and_keys() {
    demand_entries(Image::VmlinuxAmd64, "6.12.107+", 8965);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn the_table_of_riscv64_points_at_code_and_keys() {
    demand_entries(Image::VmlinuxRiscv64, "6.12.107+", 11140);
}
