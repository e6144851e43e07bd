//! What `jlctl link` fills in, and the node of the program's table.

#![allow(unsafe_code, reason = "symbols that `jlctl link` finds by name")]

use jlctl_shim::embed::Embedded;

/// Filled by `jlctl link`; in a section of its own that is never written at run time.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".jlshim.config")]
pub(crate) static jlshim_embedded_config: Embedded = Embedded::EMPTY;

/// What is added to addresses in the program's file.
pub(crate) fn bias() -> u64 {
    let config = &raw const jlshim_embedded_config;
    let address = config.cast::<u8>().wrapping_add(Embedded::ADDRESS).cast::<u64>();
    // SAFETY: a field of the structure; volatile, since it is not as it was compiled.
    let address = unsafe { address.read_volatile() };
    (config.addr() as u64).wrapping_sub(address)
}

/// The node of the program's table.
#[unsafe(no_mangle)]
static jlshim_embedded_node: jlctl_shim::Object = jlctl_shim::Object::new();
