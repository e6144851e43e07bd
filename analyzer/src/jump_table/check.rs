//! Checks every entry against all properties of a valid table.
//!
//! No entry of the two measured Debian kernels (5.10.223 and 6.12.117) violates any of these
//! rules, so every violation is reported.
//!
//! # The key's present state decides
//! A site must agree with the key's `enabled` count, not with the state that the key was
//! defined with.  In a file as built the two agree.  In a file whose keys were flipped the code
//! must follow `enabled`, because the kernel does not patch sites at boot.  The number of such
//! keys is part of the summary; they are reported only if sites do not follow (JT004, with
//! JT014 for the key).

use super::diagnostic::{AddressContent, Defect, Diagnostic};
use super::entry::JumpEntry;
use super::key::{Key, KeyId, KeyStorage};
use super::site::{Site, SiteBytes, SiteId};
use crate::addr::Svma;
use crate::arch::SiteInsn;
use crate::image::{Image, SymbolOffset};
use jlctl_shim::abi::{JumpLabelType, StaticKey};
use jlctl_shim::insn::EncodeError;

/// Checks a single entry.
pub(super) fn check_site(
    image: &Image<'_>,
    entry: &JumpEntry,
    site: &Site<'_>,
    key: &Key,
    mut found: impl FnMut(Defect),
) {
    let code = entry.code;
    match content_at(image, code) {
        AddressContent::Code => {}
        content => found(Defect::SiteNotExecutable { code, found: content }),
    }
    if let Some(defect) = check_insn(entry, site, key) {
        found(defect);
    }
    match image.arch().check_reach(code, entry.target, site.len) {
        Err(error @ EncodeError::OutOfRange { .. }) => found(Defect::OutOfReach(error)),
        Err(error @ (EncodeError::Misaligned { .. } | EncodeError::MisalignedSite { .. })) => {
            found(Defect::Misaligned(error));
        }
        // A site without a length has no branch to check; JT002 reports it.
        Ok(()) | Err(EncodeError::Length { .. } | EncodeError::NotABranch { .. }) => {}
    }
    if is_outside_function(image, site.function, entry.target) {
        found(Defect::TargetOutsideFunction { code, target: entry.target });
    }
    check_key(image, code, key, found);
}

fn check_insn(entry: &JumpEntry, site: &Site<'_>, key: &Key) -> Option<Defect> {
    let (code, target) = (entry.code, entry.target);
    match site.insn {
        SiteInsn::Jmp { to } if to != target => {
            return Some(Defect::JumpElsewhere { code, target, found: to });
        }
        SiteInsn::Other => {
            let bytes = site.bytes.map(SiteBytes::new);
            return Some(Defect::NotNopOrJump { code, target, bytes });
        }
        _ => {}
    }
    let on = key.is_on()?;
    let found = site.insn.kind()?;
    (found != JumpLabelType::wanted(on, entry.branch)).then_some(Defect::ContradictsKey {
        code,
        key: key.address,
        on,
        likely: entry.branch,
        found_jump: found == JumpLabelType::Jmp,
    })
}

fn check_key(image: &Image<'_>, code: Svma, key: &Key, mut found: impl FnMut(Defect)) {
    if key.storage == KeyStorage::Elsewhere {
        return;
    }
    let section = image.section_at(key.address).map(|id| image.section(id));
    let content = match section {
        Some(section) if section.is_data() => {
            key.enabled().is_none().then_some(AddressContent::EndOfSection)
        }
        _ => Some(content_at(image, key.address)),
    };
    if let Some(content) = content {
        found(Defect::KeyNotInData { code, key: key.address, found: content });
    }
    if !key.address.is_aligned(StaticKey::ALIGN as u64) {
        found(Defect::KeyMisaligned { code, key: key.address, align: StaticKey::ALIGN });
    }
}

fn content_at(image: &Image<'_>, address: Svma) -> AddressContent {
    match image.section_at(address).map(|id| image.section(id)) {
        None => AddressContent::Nowhere,
        Some(section) if section.is_executable() => AddressContent::Code,
        Some(_) => AddressContent::Data,
    }
}

/// Whether `target` lies in another function than the site.  Parts that the compiler split off
/// (`f.cold`, `f.part.0`) belong to their function.
fn is_outside_function(image: &Image<'_>, site: Option<SymbolOffset>, target: Svma) -> bool {
    let Some(site) = site else { return false };
    let Some(other) = image.symbols().function_at(target) else { return true };
    if other.symbol == site.symbol {
        return false;
    }
    let (site, other) = (image.symbols().name(site.symbol), image.symbols().name(other.symbol));
    let whole = |name: &str| name.split('.').next().unwrap_or_default().len();
    site[..whole(&site)] != other[..whole(&other)]
}

/// Checks keys; each is reported once, not once per site.  A key that was flipped in the file
/// is not reported if its sites follow.
pub(super) fn check_keys(
    keys: &[Key],
    entries: &[JumpEntry],
    sites: &[Site<'_>],
    mut found: impl FnMut(Diagnostic),
) {
    for (key, id) in keys.iter().zip((0..).map(KeyId)).filter(|(key, _)| key.is_flipped()) {
        let follows =
            |site: &SiteId| check_insn(&entries[site.index()], &sites[site.index()], key).is_none();
        if let (Some(enabled), Some(initially_true)) = (key.enabled(), key.initially_true())
            && !key.sites.iter().all(follows)
        {
            let defect = Defect::KeyHalfFlipped { key: key.address, initially_true, enabled };
            found(Diagnostic::of_key(defect, id));
        }
    }
}

/// Finds sites that share bytes: one code address with two keys (JT009), and
/// other overlaps (JT012).
pub(super) fn check_overlaps(entries: &[JumpEntry], sites: &[Site<'_>]) -> Vec<Diagnostic> {
    let mut by_code: Vec<SiteId> = (0u32..).map(SiteId).take(entries.len()).collect();
    by_code.sort_unstable_by_key(|id| (entries[id.index()].code, *id));
    let mut diagnostics = Vec::new();
    // A site of unknown length counts as one byte.
    let end = |id: SiteId| {
        let (code, len) = (entries[id.index()].code.0, sites[id.index()].len.max(1));
        u128::from(code) + len as u128
    };
    // The first of the sites that reach farthest.
    let mut farthest: Option<SiteId> = None;
    for id in by_code {
        let entry = entries[id.index()];
        let Some(other) = farthest else {
            farthest = Some(id);
            continue;
        };
        let before = entries[other.index()];
        let defect = if before.code == entry.code && before.key != entry.key {
            Some(Defect::TwoKeys {
                code: entry.code,
                key: entry.key,
                other: other.0,
                other_key: before.key,
            })
        } else if u128::from(entry.code.0) < end(other) {
            Some(Defect::Overlap { code: entry.code, other: other.0, other_code: before.code })
        } else {
            None
        };
        if end(id) > end(other) {
            farthest = Some(id);
        }
        diagnostics.extend(defect.map(|defect| Diagnostic::of_site(defect, id)));
    }
    diagnostics
}
