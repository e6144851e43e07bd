//! The configuration that `jlctl link` fills in, and the node for the program's table.

#![allow(unsafe_code, reason = "symbols that `jlctl link` finds by name")]

use jlctl_shim::embed::Embedded;

/// The configuration, in a section of its own that is never written at run time.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".jlshim.config")]
pub(crate) static jlshim_embedded_config: Embedded = Embedded::EMPTY;

/// The load bias of the program: the difference between an address and the SVMA.
pub(crate) fn bias() -> u64 {
    let config = &raw const jlshim_embedded_config;
    let address = config.cast::<u8>().wrapping_add(Embedded::ADDRESS).cast::<u64>();
    // SAFETY: a field of the structure; volatile, since `jlctl link` has changed its value.
    let address = unsafe { address.read_volatile() };
    (config.addr() as u64).wrapping_sub(address)
}

/// The node for the program's table.
#[unsafe(no_mangle)]
static jlshim_embedded_node: jlctl_shim::Object = jlctl_shim::Object::new();
