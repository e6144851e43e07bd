//! From an [`ImageSpec`](crate::spec::ImageSpec) to an [`Elf`](crate::elf::Elf): addresses
//! (`layout.rs`), symbols, contents (`fill.rs`), relocations and segments (`linked.rs` has the
//! order). A module is laid out like any image and split into unplaced sections at the end
//! (`module.rs`).

mod extent;
mod fill;
mod layout;
mod linked;
mod marks;
mod modinfo;
mod module;
mod module_relocations;
mod note;
mod pool;
mod relative_relocations;
mod segments;
mod symbols;

pub use crate::entry::{Entry, SiteBytes, fill_code, jump};
pub use extent::Location;
pub use layout::banner;
pub use linked::Linked;
pub use modinfo::{MODINFO, THIS_MODULE, THIS_MODULE_NAME, modinfo, sections as module_sections};
pub use pool::{PAGE, Pool, Slot, code, nobits, read_only, writable};
pub use relative_relocations::{rela, relr, relr_words};
pub use segments::of as segments;
pub use symbols::Definitions;
