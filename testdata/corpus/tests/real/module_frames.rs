//! The inline chains of modules, from their separate debug files, compared with
//! llvm-symbolizer.
//!
//! llvm-symbolizer takes a single number as address, but all sections of a relocatable file
//! start at 0. It therefore reads a copy of the debug file whose section headers give each
//! section an address, which llvm-symbolizer adds when it applies relocations; jlctl reads the
//! original file. The copy has no `.debug_aranges`, the only section that LLVM 19 does not
//! relocate: LLVM would attribute all sets to the first unit, at address 0.

use crate::real::jlctl::{Frame, Report, Site, inspect};
use crate::real::module::bytes;
use crate::real::tools::symbolize;
use crate::real::{address, demand_none, path};
use crate::{self as corpus, DEBUG_MODULES, Image};
use object::elf::{FileHeader64, SHF_ALLOC, SectionHeader64};
use object::read::elf::{FileHeader as _, SectionHeader as _};
use object::{Endianness, U64, pod};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Address of the first section in the copy, and distance between sections.
const FIRST: u64 = 0x1000_0000;

fn debug_file(name: &str) -> PathBuf {
    let release = corpus::release(Image::Debug612).expect("it is fetched");
    path(Image::Debug612).join("lib/modules").join(release.name).join(format!("kernel/{name}.ko"))
}

fn report(name: &str) -> Report {
    let module = path(Image::Modules612).join(format!("kernel/{name}.ko.xz"));
    let debug = path(Image::Debug612);
    let report = inspect(&module, &["--sites".as_ref(), "--debug-dir".as_ref(), debug.as_ref()]);
    assert_eq!(report.image.debug_file.as_deref(), Some(&*debug_file(name)), "{name}");
    assert!(report.image.debug_info && report.diagnostics.is_empty(), "{name}");
    report
}

/// Writes `file` to `copy` with an address for each loaded section; returns the addresses by
/// name.
fn place(file: &Path, copy: &Path) -> HashMap<String, u64> {
    let mut data = bytes(file);
    let header = FileHeader64::<Endianness>::parse(&*data).expect("an ELF header");
    let endian = header.endian().expect("a byte order");
    let table = usize::try_from(header.e_shoff(endian)).expect("it lies in the file");
    let sections = header.sections(endian, &*data).expect("section headers");
    let mut headers: Vec<SectionHeader64<Endianness>> = sections.iter().copied().collect();
    let (mut next, mut placed) = (FIRST, HashMap::new());
    for header in &mut headers {
        let name = sections.section_name(endian, header).expect("a name");
        if name == b".debug_aranges" {
            header.sh_size = U64::new(endian, 0);
        }
        if header.sh_flags(endian).0 & SHF_ALLOC.0 == 0 {
            continue;
        }
        placed.insert(String::from_utf8_lossy(name).into_owned(), next);
        header.sh_addr = U64::new(endian, next);
        next += header.sh_size(endian).next_multiple_of(0x1000) + FIRST;
    }
    let headers = pod::bytes_of_slice(&headers);
    data[table..table + headers.len()].copy_from_slice(headers);
    fs::write(copy, data).expect("a copy of the debug file");
    placed
}

/// `SECTION+0x…` in the copy.
fn in_copy(placed: &HashMap<String, u64>, code: &str) -> u64 {
    let (section, offset) = code.rsplit_once('+').expect("a section and an offset");
    placed[section] + address(offset)
}

/// llvm-symbolizer names the outermost frame by the symbol table: including a suffix of the
/// compiler (`f.constprop.0`), and also if DWARF has no function. Its name must then be that of
/// the function that contains the site.
fn is_same(site: &Site, expected: &[Frame]) -> bool {
    let found = site.source.as_deref().unwrap_or_default();
    let (Some((outer, inner)), Some((found_outer, found_inner))) =
        (expected.split_last(), found.split_last())
    else {
        return false;
    };
    let place = |frame: &Frame| (frame.file.clone(), frame.line, frame.column);
    let same_name = match (&outer.function, &found_outer.function) {
        (Some(symbol), Some(name)) => {
            let rest = symbol.strip_prefix(name.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        }
        (symbol, None) => *symbol == site.function,
        (None, Some(_)) => false,
    };
    inner == found_inner && place(outer) == place(found_outer) && same_name
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn inline_chains_of_modules_are_those_of_llvm_symbolizer() {
    let mut differences = Vec::new();
    let mut sites = 0;
    for name in DEBUG_MODULES {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let copy = directory.path().join("debug.ko");
        let placed = place(&debug_file(name), &copy);
        let report = report(name);
        let codes: Vec<u64> =
            report.sites().iter().map(|site| in_copy(&placed, &site.code)).collect();
        let expected = symbolize(&copy, &codes);
        for (site, code) in report.sites().iter().zip(&codes) {
            let expected = &expected[code];
            if !is_same(site, expected) {
                let (code, found) = (&site.code, &site.source);
                differences
                    .push(format!("{name} {code}\n  LLVM:  {expected:?}\n  jlctl: {found:?}"));
            }
        }
        println!("{name}: {} sites", codes.len());
        sites += codes.len();
    }
    demand_none("inline chains of modules", &differences);
    assert!(sites > 500, "only {sites} sites");
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn sites_of_nf_tables_have_their_source_lines() {
    let report = report("net/netfilter/nf_tables");
    let of_file = |site: &&Site| {
        let outermost = site.source.as_deref().and_then(|chain| chain.last());
        let file = outermost.and_then(|frame| frame.file.as_deref());
        file.is_some_and(|file| file.ends_with("net/netfilter/nf_tables_core.c"))
    };
    assert!(report.sites().iter().filter(of_file).count() > 3);
}
