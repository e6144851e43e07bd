//! The declaration of an image: its content before anything has an address.
//!
//! An [`ImageSpec`] lists keys, functions and sites; [`ImageSpec::link`] gives them addresses
//! and bytes. References are the text of an [`AddressExpr`], such as `demo_open+0x8` or
//! `kernel/demo.c:___once_key.0`.

mod address;
mod format;
mod function;
mod holder;
mod image;
mod key;
mod site;

pub use address::AddressExpr;
pub use format::{ElfType, Flavour, Layout, Locate, Machine, Relocations};
pub use function::{FunctionSpec, TextSection};
pub use holder::{Descriptor, Holder, VariableSpec};
pub use image::{ImageSpec, ModuleSpec, ReservedSpec};
pub use key::{DataSection, KeySpec, Scope};
pub use site::{Branch, InlineFrame, SiteInsn, SiteSpec};
