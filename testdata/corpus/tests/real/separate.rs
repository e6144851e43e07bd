//! Debug information that llvm-objcopy compressed or moved to a separate file: the chains must
//! not change.

use crate::Image;
use crate::real::jlctl::{Frame, Report, inspect};
use crate::real::path;
use crate::real::tools::objcopy;
use std::fs;
use std::path::Path;

fn chains(report: &Report) -> Vec<(&str, &[Frame])> {
    let sites = report.sites().iter();
    sites.map(|site| (site.code.as_str(), site.source.as_deref().unwrap_or_default())).collect()
}

fn demand_same(report: &Report, of: &str) {
    let whole = inspect(&path(Image::Vmlinux510), &["--sites".as_ref()]);
    assert!(report.image.debug_info, "{of}: the debug information was found");
    let differs = chains(&whole).iter().zip(chains(report)).position(|(a, b)| *a != b);
    assert_eq!((differs, whole.sites().len()), (None, report.sites().len()), "{of}");
    assert!(report.diagnostics.is_empty(), "{of}: {:?}", report.diagnostics);
}

fn compressed(format: &str) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("vmlinux");
    let option = format!("--compress-debug-sections={format}");
    objcopy(&[&option], &path(Image::Vmlinux510), &file);
    demand_same(&inspect(&file, &["--sites".as_ref()]), format);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn zlib_compressed_debug_information_is_the_same() {
    compressed("zlib");
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn zstd_compressed_debug_information_is_the_same() {
    compressed("zstd");
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn debug_information_is_found_by_build_id_and_by_debug_link() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (image, work) = (path(Image::Vmlinux510), directory.path());
    let debug_dir = work.join("debug");
    let by_id = debug_dir.join(".build-id/95");
    fs::create_dir_all(&by_id).expect("a directory");
    let debug_file = by_id.join("c2351a2f6ba0875b2c637a0a3e4ce9900ed96f.debug");
    objcopy(&["--only-keep-debug"], &image, &debug_file);
    let stripped = work.join("vmlinux");
    objcopy(&["--strip-debug"], &image, &stripped);
    let inspect_in = |image: &Path, directory: &Path| {
        inspect(image, &["--sites".as_ref(), "--debug-dir".as_ref(), directory.as_ref()])
    };

    let report = inspect_in(&stripped, &debug_dir);
    demand_same(&report, "build id");
    assert_eq!(report.image.debug_file.as_deref(), Some(&*debug_file));

    let empty = work.join("empty");
    fs::create_dir(&empty).expect("a directory");
    let report = inspect_in(&stripped, &empty);
    assert!(!report.image.debug_info && report.sites().iter().all(|site| site.source.is_none()));

    let beside = work.join("vmlinux.debug");
    fs::rename(&debug_file, &beside).expect("the debug file beside the image");
    let linked = work.join("linked");
    let option = format!("--add-gnu-debuglink={}", beside.display());
    objcopy(&[&option], &stripped, &linked);
    let report = inspect_in(&linked, &empty);
    demand_same(&report, "debug link");
    assert_eq!(report.image.debug_file.as_deref(), Some(&*beside));
}
