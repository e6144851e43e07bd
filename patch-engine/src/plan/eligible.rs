//! Whether a site may be patched: the first of the three steps of a flip (may it be patched, queue,
//! apply; `kernel/jump_label.c`, Linux 6.12).

use crate::images::ReadImage;
use crate::reason::Reason;
use crate::target::World;
use jlctl_analyzer::addr::{AddrRange, FileOffset};
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::{ImageKind, RelocatedAddresses, Section};
use jlctl_analyzer::jump_table::{JumpTable, SiteId};
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::insn::InsnBytes;
use std::collections::BTreeMap;

/// The change of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SiteChange<'a> {
    pub(super) from: JumpLabelType,
    pub(super) old: &'a [u8],
    pub(super) new: InsnBytes,
    pub(super) offset: FileOffset,
}

/// The reason against a change, and what was found.
pub(super) type Objection = (Reason, String);

/// Judges the sites of one image.
pub(super) struct Eligibility<'a> {
    read: ReadImage<'a>,
    table: &'a JumpTable<'a>,
    /// Sites that share bytes with others, with the reason.
    entangled: BTreeMap<SiteId, Reason>,
}

impl<'a> Eligibility<'a> {
    pub(super) fn new(read: ReadImage<'a>, table: &'a JumpTable<'a>) -> Self {
        let entangled = entangled(table);
        Self { read, table, entangled }
    }

    /// The change that gives a site the `wanted` instruction; `None` if the site has it already.
    ///
    /// # Errors
    /// The reason against patching the site in every target.
    pub(super) fn change(
        &self,
        id: SiteId,
        wanted: JumpLabelType,
    ) -> Result<Option<SiteChange<'a>>, Objection> {
        let (entry, site) = (self.table.entry(id), self.table.site(id));
        let section = site.section.map(|section| self.read.image.section(section));
        if !section.is_some_and(Section::is_executable) {
            let found = section.map_or("none", |section| section.name);
            return Err((Reason::NotExecutable, format!("found section {found}")));
        }
        let (Some(old), Some(offset)) = (site.bytes, self.read.image.file_offset(entry.code))
        else {
            return Err((Reason::NoBytes, "found none".to_owned()));
        };
        let from = match site.insn {
            SiteInsn::Nop => JumpLabelType::Nop,
            SiteInsn::Jmp { to } if to == entry.target => JumpLabelType::Jmp,
            SiteInsn::Jmp { to } => {
                let (to, target) =
                    (self.read.image.address_text(to), self.read.image.address_text(entry.target));
                let found = format!("found a branch to {to}, expected one to {target}");
                return Err((Reason::UnexpectedBytes, found));
            }
            SiteInsn::Other => {
                let bytes: String = old.iter().map(|byte| format!("{byte:02x}")).collect();
                return Err((Reason::UnexpectedBytes, format!("found {bytes}")));
            }
        };
        if from == wanted {
            return Ok(None);
        }
        if let Some(reason) = self.entangled.get(&id) {
            return Err((*reason, "found another entry that overlaps its bytes".to_owned()));
        }
        let new =
            self.read.image.arch().encode(wanted, entry.code, entry.target, old.len()).map_err(
                |error| {
                    let text = error.to_string();
                    (Reason::Unencodable, self.read.image.localize(&text).into_owned())
                },
            )?;
        Ok(Some(SiteChange { from, old, new, offset }))
    }

    /// The reason against changing the `len` bytes of the site in the file alone.
    pub(super) fn against_file(
        &self,
        id: SiteId,
        len: usize,
        relocated: &RelocatedAddresses,
    ) -> Option<Objection> {
        let (image, entry) = (self.read.image, self.table.entry(id));
        let range = AddrRange::sized(entry.code, len as u64);
        if relocated.any_in(range) {
            return Some((Reason::SiteRelocated, "found one".to_owned()));
        }
        if image.kind() != ImageKind::Rel {
            return None;
        }
        let section = |address| image.section_at(address).map(|id| image.section(id).name);
        let (ours, theirs) = (section(entry.code), section(entry.target));
        if ours != theirs {
            let name = |name: Option<&str>| name.unwrap_or("none").to_owned();
            return Some((
                Reason::OtherSection,
                format!("found {} and {}", name(ours), name(theirs)),
            ));
        }
        let verifies = image.arch().name() == "x86_64" && World::of(image) == World::Kernel;
        verifies.then(|| (Reason::LoaderVerifies, "found an x86_64 module".to_owned()))
    }
}

/// The sites of `table` that share bytes: with an entry of another key at the same address, or with
/// any other site.
fn entangled(table: &JumpTable<'_>) -> BTreeMap<SiteId, Reason> {
    let mut by_code: Vec<SiteId> = table.site_ids().collect();
    by_code.sort_by_key(|site| (table.entry(*site).code, *site));
    // A site of unknown length counts as one byte.
    let end =
        |site: SiteId| u128::from(table.entry(site).code.0) + table.site(site).len.max(1) as u128;
    let mut found = BTreeMap::new();
    let mut farthest: Option<SiteId> = None;
    for &site in &by_code {
        if let Some(before) = farthest
            && u128::from(table.entry(site).code.0) < end(before)
        {
            found.extend([(site, Reason::Overlap), (before, Reason::Overlap)]);
        }
        if farthest.is_none_or(|before| end(site) > end(before)) {
            farthest = Some(site);
        }
    }
    for group in by_code.chunk_by(|a, b| table.entry(*a).code == table.entry(*b).code) {
        let key = table.entry(group[0]).key;
        if group.iter().any(|site| table.entry(*site).key != key) {
            found.extend(group.iter().map(|site| (*site, Reason::SharedSite)));
        }
    }
    found
}
