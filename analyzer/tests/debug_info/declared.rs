//! The chains that the declaration of an image means.

use super::chain::{Chain, Frame};
use jlctl_synthetic::dwarf::COMP_DIR;
use jlctl_synthetic::link::{Entry, Linked};
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, SiteSpec};

/// From an inline function's declaration to the call in it.
const CALL_DISTANCE: u32 = 3;

fn frame(function: &str, file: &str, line: u32, column: u32) -> Frame {
    let file = format!("{COMP_DIR}/{file}");
    (Some(function.to_owned()), Some(file), Some(line), Some(column))
}

/// The chain of each site.
pub(crate) fn chains(spec: &ImageSpec, linked: &Linked) -> Vec<Chain> {
    let sites = spec.sites.iter().zip(&linked.entries);
    sites.map(|(site, entry)| declared(spec, linked, site, entry)).collect()
}

/// The function that a site lies in, and how many instructions into it.
fn function_of<'a>(spec: &'a ImageSpec, linked: &Linked, code: u64) -> (&'a FunctionSpec, u32) {
    let distance = |function: &FunctionSpec| {
        let bytes = code.checked_sub(linked.address(&function.name))?;
        (bytes < 4 * function.insns).then(|| u32::try_from(bytes / 4).expect("it is short"))
    };
    let found = spec.functions.iter().find_map(|function| Some((function, distance(function)?)));
    found.expect("each site lies in a function")
}

fn declared(spec: &ImageSpec, linked: &Linked, site: &SiteSpec, entry: &Entry) -> Chain {
    let (function, distance) = function_of(spec, linked, entry.code);
    let (wrapper, line) = match entry.jump {
        None => ("arch_static_branch", 20),
        Some(_) => ("arch_static_branch_jump", 36),
    };
    let file = format!("arch/{}/include/asm/jump_label.h", spec.machine.folder());
    let mut chain = vec![frame(wrapper, &file, line + CALL_DISTANCE, 2)];
    for inlined in site.inlined.iter().rev() {
        chain.push(frame(&inlined.function, &inlined.file, inlined.line + CALL_DISTANCE, 6));
    }
    let line = site.line.unwrap_or(function.line + 1 + distance);
    chain.push(frame(&function.name, &function.file, line, 6));
    chain
}
