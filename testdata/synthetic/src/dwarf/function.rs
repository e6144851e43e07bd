//! Functions and sites as the debug information describes them.

use crate::entry::{Entry, UNIT};
use crate::spec::{FunctionSpec, ImageSpec, InlineFrame, Machine};
use std::ops::Range;

/// The file that declares the asm wrappers of arm64.
pub const WRAPPER_FILE: &str = "arch/arm64/include/asm/jump_label.h";
/// The directory of compilation that the units name.
pub const COMP_DIR: &str = "/build/linux";
/// Lines from the declaration of an inline function to the call in it.
const CALL_DISTANCE: u32 = 3;

/// A function as its unit describes it.
#[derive(Debug, Clone)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) external: bool,
    pub(crate) range: Range<u64>,
    /// In address order, no two at one address.
    pub(crate) sites: Vec<SiteLines>,
}

/// A site as line rows and inlined subroutines describe it.
#[derive(Debug, Clone)]
pub(crate) struct SiteLines {
    pub(crate) range: Range<u64>,
    /// Line in the function's file.
    pub(crate) line: u32,
    /// Inlined functions, outermost first; the last is the asm wrapper.
    pub(crate) frames: Vec<InlineFrame>,
}

impl InlineFrame {
    /// Line of the call (or, in the wrapper, of the `asm`).
    pub(crate) fn call_line(&self) -> u32 {
        self.line + CALL_DISTANCE
    }
}

/// The wrapper that a compiler inlines for a site: the kernel's macros choose
/// it by the instruction that the site begins with.
fn wrapper(machine: Machine, entry: &Entry) -> InlineFrame {
    let (function, line) = if entry.is_nop(machine) {
        ("arch_static_branch", 20)
    } else {
        ("arch_static_branch_jump", 36)
    };
    let file = format!("arch/{}/include/asm/jump_label.h", machine.folder());
    InlineFrame { function: function.to_owned(), file, line }
}

/// The functions of `spec`, each with the sites inside it.
pub(crate) fn functions(spec: &ImageSpec, addresses: &[u64], entries: &[Entry]) -> Vec<Function> {
    let function = |(function, start): (&FunctionSpec, &u64)| {
        let range = *start..start + function.insns * UNIT;
        let mut sites: Vec<SiteLines> = spec
            .sites
            .iter()
            .zip(entries)
            .filter(|(_, entry)| range.contains(&entry.code))
            .map(|(site, entry)| {
                let distance = u32::try_from((entry.code - start) / UNIT);
                let by_distance = function.line + 1 + distance.expect("a function is short");
                let mut frames = site.inlined.clone();
                frames.push(wrapper(spec.machine, entry));
                let range = entry.code..entry.code + entry.insn.length();
                SiteLines { range, line: site.line.unwrap_or(by_distance), frames }
            })
            .collect();
        sites.sort_by_key(|site| site.range.start);
        sites.dedup_by_key(|site| site.range.start);
        Function {
            name: function.name.clone(),
            file: function.file.clone(),
            line: function.line,
            external: function.global,
            range,
            sites,
        }
    };
    spec.functions.iter().zip(addresses).map(function).collect()
}
