//! The inline chain of every site against llvm-symbolizer.

use crate::Image;
use crate::real::jlctl::{Frame, Site, inspect};
use crate::real::tools::{Nm, symbolize};
use crate::real::{address, demand_none, path};

fn compare_frames(image: Image) {
    let path = path(image);
    let report = inspect(&path, &["--sites".as_ref()]);
    assert!(report.image.debug_info && report.image.debug_file.is_none());
    assert!(report.keys.is_none(), "--sites lists sites alone");
    let addresses: Vec<u64> = report.sites().iter().map(|site| address(&site.code)).collect();
    let (expected, nm) = (symbolize(&path, &addresses), Nm::of(&path));
    let mut differences = Vec::new();
    for (site, at) in report.sites().iter().zip(&addresses) {
        let expected =
            expected.get(at).unwrap_or_else(|| panic!("LLVM reports nothing for {at:#x}"));
        let found = site.source.as_deref().expect("the report has source lines");
        if !is_same_chain(&nm, site, expected, found) {
            let (code, function) = (&site.code, &site.function);
            differences
                .push(format!("{code} in {function:?}\n  LLVM:  {expected:?}\n  jlctl: {found:?}"));
        }
    }
    demand_none("inline chains", &differences);
}

fn is_same_chain(nm: &Nm, site: &Site, expected: &[Frame], found: &[Frame]) -> bool {
    let place = |frame: &Frame| (frame.file.clone(), frame.line, frame.column);
    let nothing = Frame { function: None, file: None, line: None, column: None };
    let Some((outermost, inner)) = expected.split_last() else { return found.is_empty() };
    let Some((found_outermost, found_inner)) = found.split_last() else {
        // Without DWARF, LLVM reports a frame with only the symbol's name.
        return inner.is_empty() && Frame { function: None, ..outermost.clone() } == nothing;
    };
    inner == found_inner
        && place(outermost) == place(found_outermost)
        && is_same_outermost(nm, site, outermost, found_outermost)
}

/// llvm-symbolizer names the outermost frame by the symbol table, jlctl by DWARF. They may
/// differ by a suffix of the compiler or linker (`f.constprop.0`), if the symbol table has
/// several names for one function, or if DWARF has no name; LLVM's name must then be a symbol
/// of the function that contains the site.
fn is_same_outermost(nm: &Nm, site: &Site, expected: &Frame, found: &Frame) -> bool {
    if expected.function == found.function {
        return true;
    }
    let (Some(name), Some(offset)) = (&expected.function, site.function_offset) else {
        return false;
    };
    nm.at(address(&site.code) - offset).iter().any(|alias| alias.name == *name)
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn inline_chains_of_5_10_are_those_of_llvm_symbolizer() {
    compare_frames(Image::Vmlinux510);
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn inline_chains_of_6_12_are_those_of_llvm_symbolizer() {
    compare_frames(Image::Vmlinux612);
}
