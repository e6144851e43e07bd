//! Tests of the analyzer on images that they make.

mod architectures;
mod bare;
mod bounded;
mod branch_tables;
mod container;
mod debug_info {
    mod chain;
    mod chains;
    mod declared;
    mod frames;
    mod module_frames;
    mod objects;
    mod split_dwarf;
    mod types;
}
mod diagnostics;
mod diff;
/// What holds for every input, damaged ones included; the fuzz targets check the same.
mod invariants {
    pub(crate) mod container;
    pub(crate) mod image;
    pub(crate) mod kallsyms;
    pub(crate) mod lint;
}
mod kallsyms;
mod layouts;
mod lint;
mod modules;
mod raw_image;
mod regressions;
mod truncation;
