//! A truncated real kernel: an error that names the expectation, never a panic.

use crate as corpus;
use crate::real::jlctl::{binary, output, stderr};
use crate::real::{mapped, path};
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::JumpTable;
use rayon::prelude::*;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::process::Command;

const PINNED: corpus::Image = corpus::Image::Vmlinux510;
const BLOCK: usize = 4096;

/// Offset of the section headers in an ELF64 file (`e_shoff`).
fn section_headers(bytes: &[u8]) -> usize {
    let field = bytes[0x28..0x30].try_into().expect("eight bytes");
    usize::try_from(u64::from_le_bytes(field)).expect("a 64-bit machine")
}

/// Reads the truncated kernel; returns whether it was refused.
fn is_refused(bytes: &[u8]) -> bool {
    match Image::parse(bytes) {
        Err(error) => {
            assert!(!error.to_string().is_empty());
            true
        }
        Ok(image) => {
            // A truncated kernel may still have a table; the damage must then be reported.
            let table = JumpTable::read(&image);
            let noticed = !image.faults().is_empty()
                || table.as_ref().map_or(true, |table| !table.diagnostics().is_empty());
            assert!(noticed, "{} bytes of the file are accepted as the whole file", bytes.len());
            table.is_err()
        }
    }
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn a_kernel_cut_at_any_block_is_refused() {
    let file = mapped(PINNED);
    let bytes = file.bytes();
    let headers = section_headers(bytes);
    let cuts: Vec<usize> = (0..headers).step_by(BLOCK).collect();
    assert!(cuts.len() > 70_000, "only {} blocks", cuts.len());
    let accepted: Vec<usize> =
        cuts.into_par_iter().filter(|&cut| !is_refused(&bytes[..cut])).collect();
    assert!(accepted.is_empty(), "cut off at {accepted:?} and still accepted");
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn a_kernel_cut_within_its_section_headers_does_not_panic() {
    let file = mapped(PINNED);
    let bytes = file.bytes();
    let cuts = (section_headers(bytes)..bytes.len()).step_by(32);
    let refused = cuts.filter(|&cut| is_refused(&bytes[..cut])).count();
    assert!(refused > 0, "no cut was refused");
    let (first, last) = (bytes.len() - bytes.len() % BLOCK, bytes.len() - 1);
    for cut in [first, last] {
        is_refused(&bytes[..cut]);
    }
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn the_program_names_the_file_and_what_it_expected() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (whole, cut) = (path(PINNED), directory.path().join("vmlinux-cut"));
    let size = fs::metadata(&whole).expect("the image").len();
    for (length, expected) in [
        (0, "empty"),
        (3, "ELF"),
        (63, "ELF"),
        (64, "section header"),
        (4096, "section header"),
        (1 << 20, "section header"),
        (size / 2 / 4096 * 4096, "section header"),
        (size - 4096, ""),
    ] {
        let mut reader = File::open(&whole).expect("the image").take(length);
        let mut writer = File::create(&cut).expect("a copy");
        io::copy(&mut reader, &mut writer).expect("a copy");
        drop(writer);
        for options in [&["--no-source"][..], &["--sites", "--format=json"]] {
            let mut command = Command::new(binary());
            let output = output(command.arg("inspect").args(options).arg(&cut));
            let stderr = stderr(&output);
            assert_eq!(output.status.code(), Some(3), "{length} bytes: {stderr}");
            assert!(output.stdout.is_empty(), "{length} bytes: something is on stdout");
            assert!(stderr.contains("vmlinux-cut"), "{length} bytes: {stderr}");
            assert!(stderr.contains(expected), "{length} bytes: {expected:?} in {stderr}");
            assert!(!stderr.contains("panicked"), "{length} bytes: {stderr}");
        }
    }
}
