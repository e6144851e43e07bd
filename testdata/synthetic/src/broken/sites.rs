//! Sound files whose entries or sites are wrong.

use super::base::{Named, base, with_site};
use crate::spec::{KeySpec, SiteSpec};
use jlctl_shim::insn::aarch64::NOP;

/// The word of RET, which no site may hold.
pub const RET: u32 = 0xd65f_03c0;
/// A word that is permanently undefined (UDF #0).
pub const UNDEFINED: u32 = 0;

const MIB: u64 = 1 << 20;

fn site(code: &str, target: &str, key: &str) -> Vec<u8> {
    with_site(SiteSpec::new(code, target, key)).build()
}

/// A site in `.data`.
#[must_use]
pub fn site_in_data() -> Vec<u8> {
    let spec = base().key(KeySpec::new("data_blob").interior(0, 64));
    spec.site(SiteSpec::new("data_blob+0x20", "broken_fn+0x20", "broken_key")).build()
}

/// A site outside every section.
#[must_use]
pub fn site_outside_sections() -> Vec<u8> {
    let code = base().base + 64 * MIB;
    with_site(SiteSpec::new(code, "broken_fn+0x20", "broken_key")).build()
}

/// A site at an address that is not a multiple of four.
#[must_use]
pub fn site_misaligned() -> Vec<u8> {
    site("broken_fn+0xa", "broken_fn+0x20", "broken_key")
}

/// A site that holds RET.
#[must_use]
pub fn site_holds_ret() -> Vec<u8> {
    with_site(SiteSpec::new("broken_fn+8", "broken_fn+0x20", "broken_key").word(RET)).build()
}

/// A site whose word is not an instruction.
#[must_use]
pub fn site_holds_undefined() -> Vec<u8> {
    with_site(SiteSpec::new("broken_fn+8", "broken_fn+0x20", "broken_key").word(UNDEFINED)).build()
}

/// A site whose B does not go to the entry's target.
#[must_use]
pub fn jump_elsewhere() -> Vec<u8> {
    with_site(SiteSpec::new("broken_fn+8", "broken_fn+0x20", "other_key").jump_by(0x10)).build()
}

/// A NOP where the key's state requires a B.
#[must_use]
pub fn nop_contradicts_state() -> Vec<u8> {
    with_site(SiteSpec::new("broken_fn+8", "broken_fn+0x20", "other_key").word(NOP)).build()
}

/// A B where the key's state requires a NOP.
#[must_use]
pub fn jump_contradicts_state() -> Vec<u8> {
    with_site(SiteSpec::new("broken_fn+8", "broken_fn+0x20", "broken_key").jump_by(0x18)).build()
}

/// A target in another function.
#[must_use]
pub fn target_outside_function() -> Vec<u8> {
    site("broken_fn+8", "other_fn+4", "broken_key")
}

/// A target in `.data`.
#[must_use]
pub fn target_in_data() -> Vec<u8> {
    site("broken_fn+8", "other_key", "broken_key")
}

/// A target that no B can reach (256 MiB away).
#[must_use]
pub fn target_out_of_range() -> Vec<u8> {
    let target = base().base + 256 * MIB;
    with_site(SiteSpec::new("broken_fn+8", target, "broken_key")).build()
}

/// A target that is not a multiple of four.
#[must_use]
pub fn target_misaligned() -> Vec<u8> {
    site("broken_fn+8", "broken_fn+0x22", "broken_key")
}

/// A key outside every section.
#[must_use]
pub fn key_outside_sections() -> Vec<u8> {
    let key = base().base + 1024 * MIB;
    with_site(SiteSpec::new("broken_fn+8", "broken_fn+0x20", key)).build()
}

/// A key in `.text`.
#[must_use]
pub fn key_in_text() -> Vec<u8> {
    site("broken_fn+8", "broken_fn+0x20", "other_fn+0x20")
}

/// A key whose address is not a multiple of eight.
#[must_use]
pub fn key_misaligned() -> Vec<u8> {
    site("broken_fn+8", "broken_fn+0x20", "broken_key+4")
}

/// Two entries for one instruction, with different keys whose states require the same
/// instruction.
#[must_use]
pub fn two_keys_at_one_site() -> Vec<u8> {
    let site = |key| SiteSpec::new("broken_fn+8", "broken_fn+0x20", key);
    base().site(site("broken_key")).site(site("other_key").likely()).build()
}

/// The same entry twice.
#[must_use]
pub fn same_entry_twice() -> Vec<u8> {
    let site = || SiteSpec::new("broken_fn+8", "broken_fn+0x20", "broken_key");
    base().site(site()).site(site()).build()
}

/// A key whose `enabled` (1) contradicts its `type` (defined false), with the
/// site still in its initial state.
#[must_use]
pub fn enabled_contradicts_type() -> Vec<u8> {
    let spec = base().key(KeySpec::new("flipped_key").enabled(1));
    spec.site(SiteSpec::new("broken_fn+8", "broken_fn+0x20", "flipped_key")).build()
}

/// Every variant of this module.
#[must_use]
pub fn all() -> Vec<Named> {
    vec![
        ("site_in_data", site_in_data()),
        ("site_outside_sections", site_outside_sections()),
        ("site_misaligned", site_misaligned()),
        ("site_holds_ret", site_holds_ret()),
        ("site_holds_undefined", site_holds_undefined()),
        ("jump_elsewhere", jump_elsewhere()),
        ("nop_contradicts_state", nop_contradicts_state()),
        ("jump_contradicts_state", jump_contradicts_state()),
        ("target_outside_function", target_outside_function()),
        ("target_in_data", target_in_data()),
        ("target_out_of_range", target_out_of_range()),
        ("target_misaligned", target_misaligned()),
        ("key_outside_sections", key_outside_sections()),
        ("key_in_text", key_in_text()),
        ("key_misaligned", key_misaligned()),
        ("two_keys_at_one_site", two_keys_at_one_site()),
        ("same_entry_twice", same_entry_twice()),
        ("enabled_contradicts_type", enabled_contradicts_type()),
    ]
}
