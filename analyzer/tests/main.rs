//! Tests of the analyzer on synthetic images.

mod architectures;
mod bare_kernel;
mod bounded;
mod branch_tables;
mod damaged_containers;
mod damaged_images;
mod debug_info {
    mod chains;
    mod frames;
    mod module_frames;
    mod objects;
    mod split_dwarf;
    mod types;
}
mod diagnostics;
mod diff;
/// Properties that hold for every input, damaged ones included; the fuzz targets check the same.
mod invariants {
    pub(crate) mod container;
    pub(crate) mod image;
    pub(crate) mod kallsyms;
    pub(crate) mod lint;
    pub(crate) mod witness;
}
mod kallsyms;
mod layouts;
mod lint;
mod modules;
mod raw_image;
