//! Reads a jump table: its entries, sites and keys, and their defects.

use super::check;
use super::diagnostic::{Defect, Diagnostic};
use super::entry::{self, EntryLayout, JumpEntry};
use super::key::{Key, KeyId, KeyWord};
use super::locate::{self, LocateError, TableLocation};
use super::site::{Site, SiteId};
use crate::addr::{AddrRange, Svma};
use crate::arch::SiteInsn;
use crate::image::{Image, ImageKind, Relocated};
use rayon::prelude::*;
use std::borrow::Cow;

/// Most entries that are read.  The largest kernels have about 30,000.  A damaged image can
/// claim any number, and each entry takes about 150 bytes of memory.
pub const MAX_ENTRIES: usize = 1 << 20;

/// A jump table with its sites, keys and diagnostics.
#[derive(Debug)]
pub struct JumpTable<'data> {
    location: TableLocation,
    layout: EntryLayout,
    entries: Vec<JumpEntry>,
    sites: Vec<Site<'data>>,
    keys: Vec<Key>,
    key_of: Vec<KeyId>,
    diagnostics: Vec<Diagnostic>,
}

/// The number of sites with each instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InsnCounts {
    /// Sites that hold a NOP.
    pub nop: usize,
    /// Sites that hold a branch.
    pub jmp: usize,
    /// Sites that hold another instruction or are not readable.
    pub other: usize,
}

impl<'data> JumpTable<'data> {
    /// Finds, reads and checks the table of `image`.
    ///
    /// # Errors
    /// If the image has no table.  Defects of a table are in [`Self::diagnostics`].
    pub fn read(image: &Image<'data>) -> Result<Self, LocateError> {
        let (location, disagreement) = locate::locate(image)?;
        let mut diagnostics: Vec<Diagnostic> = image
            .faults()
            .iter()
            .map(|fault| Diagnostic::of_image(Defect::Image(fault.clone())))
            .collect();
        diagnostics.extend(disagreement.map(Diagnostic::of_image));
        let bytes = table_bytes(image, location.range, &mut diagnostics)?;
        let start = location.range.start();
        let is_crates = image
            .section_named(locate::STATIC_KEYS_SECTION)
            .is_some_and(|section| section.range == location.range);
        let layout = if is_crates {
            EntryLayout::StaticKeys
        } else {
            choose_layout(image, location.range, &bytes, &mut diagnostics)
        };
        let entries = decode(image, layout, start, &bytes, &mut diagnostics);
        let sites: Vec<Site<'data>> =
            entries.par_iter().map(|entry| Site::read(image, entry.code)).collect();
        let (keys, key_of) = group_by_key(image, layout, &entries);
        let mut table = Self { location, layout, entries, sites, keys, key_of, diagnostics };
        table.check(image);
        Ok(table)
    }

    /// The location of the table, and the evidence for it.
    #[must_use]
    pub fn location(&self) -> TableLocation {
        self.location
    }

    /// The layout of its entries.
    #[must_use]
    pub fn layout(&self) -> EntryLayout {
        self.layout
    }

    /// Number of entries, which is also the number of sites.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the table has no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Ids of all sites in table order.
    pub fn site_ids(&self) -> impl ExactSizeIterator<Item = SiteId> + use<> {
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        (0..count).map(SiteId)
    }

    /// The site with an index in the table; `None` if there is none.
    #[must_use]
    pub fn site_id(&self, index: usize) -> Option<SiteId> {
        (index < self.entries.len()).then(|| u32::try_from(index).ok().map(SiteId))?
    }

    /// The entry of a site.
    #[must_use]
    pub fn entry(&self, id: SiteId) -> &JumpEntry {
        &self.entries[id.index()]
    }

    /// The site of an id.
    #[must_use]
    pub fn site(&self, id: SiteId) -> &Site<'data> {
        &self.sites[id.index()]
    }

    /// The key of a site.
    #[must_use]
    pub fn key_of(&self, id: SiteId) -> KeyId {
        self.key_of[id.index()]
    }

    /// All keys by address; [`KeyId::index`] counts them.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Ids of all keys, by address.
    pub fn key_ids(&self) -> impl ExactSizeIterator<Item = KeyId> + use<> {
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        (0..count).map(KeyId)
    }

    /// The key of an id of this table.
    #[must_use]
    pub fn key(&self, id: KeyId) -> &Key {
        &self.keys[id.index()]
    }

    /// All diagnostics: first those of the whole image or table, then those of sites, by site.
    #[must_use]
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// The number of sites with each instruction.
    #[must_use]
    pub fn insn_counts(&self) -> InsnCounts {
        let mut counts = InsnCounts::default();
        for site in &self.sites {
            match site.insn {
                SiteInsn::Nop => counts.nop += 1,
                SiteInsn::Jmp { .. } => counts.jmp += 1,
                SiteInsn::Other => counts.other += 1,
            }
        }
        counts
    }

    fn check(&mut self, image: &Image<'_>) {
        let mut found = std::mem::take(&mut self.diagnostics);
        check::check_keys(&self.keys, &self.entries, &self.sites, |diagnostic| {
            found.push(diagnostic);
        });
        let of_site = |id: SiteId| {
            let key = self.key(self.key_of(id));
            let mut defects = Vec::new();
            check::check_site(image, self.entry(id), self.site(id), key, |defect| {
                defects.push(Diagnostic::of_site(defect, id));
            });
            defects
        };
        let count = u32::try_from(self.entries.len()).unwrap_or(u32::MAX);
        found.par_extend((0..count).into_par_iter().map(SiteId).flat_map_iter(of_site));
        found.extend(check::check_overlaps(&self.entries, &self.sites));
        // The sort is stable: defects of one site keep the order of the checks.
        found.sort_by_key(|diagnostic| diagnostic.site);
        self.diagnostics = found;
    }
}

/// The relocated bytes of the table, as far as the file has them.
fn table_bytes<'data>(
    image: &Image<'data>,
    range: AddrRange,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Cow<'data, [u8]>, LocateError> {
    let relocated = image.read_relocated(range).unwrap_or(Relocated::unchanged(&[]));
    diagnostics.extend(
        relocated.faults.into_iter().map(|fault| Diagnostic::of_image(Defect::Image(fault))),
    );
    let found = relocated.bytes.len() as u64;
    if found < range.size() {
        let (start, expected) = (range.start(), range.size());
        diagnostics.push(Diagnostic::of_image(Defect::Truncated { start, expected, found }));
    }
    if image.kind() == ImageKind::Rel {
        if relocated.words == 0 && !range.is_empty() {
            return Err(LocateError::NoRelocations { size: range.size() });
        }
        // Entries of both layouts have three fields.
        let words = relocated.words as u64;
        let is_whole = [EntryLayout::Relative, EntryLayout::Absolute]
            .iter()
            .any(|layout| words * layout.entry_size() as u64 == 3 * found);
        if !is_whole {
            diagnostics
                .push(Diagnostic::of_image(Defect::FieldsWithoutRelocation { size: found, words }));
        }
    }
    Ok(relocated.bytes)
}

fn choose_layout(
    image: &Image<'_>,
    range: AddrRange,
    bytes: &[u8],
    diagnostics: &mut Vec<Diagnostic>,
) -> EntryLayout {
    let evidence = entry::layout_of(image, range.start(), bytes);
    let entry_size = evidence.layout.entry_size();
    if evidence.plausible == 0 && evidence.tried > 0 {
        diagnostics.push(Diagnostic::of_image(Defect::LayoutUnclear {
            tried: evidence.tried,
            entry_size,
        }));
    }
    // The claimed size: missing bytes are reported as another defect.
    let size = range.size();
    let rest = size % entry_size as u64;
    if rest != 0 {
        diagnostics.push(Diagnostic::of_image(Defect::OddSize { entry_size, size, rest }));
    }
    evidence.layout
}

fn decode(
    image: &Image<'_>,
    layout: EntryLayout,
    start: Svma,
    bytes: &[u8],
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<JumpEntry> {
    let size = layout.entry_size();
    let entries = bytes.len() / size;
    if entries > MAX_ENTRIES {
        let defect = Defect::TooManyEntries { entries: entries as u64, read: MAX_ENTRIES };
        diagnostics.push(Diagnostic::of_image(defect));
    }
    bytes
        .chunks_exact(size)
        .take(MAX_ENTRIES)
        .enumerate()
        .filter_map(|(index, entry)| {
            JumpEntry::decode(image, layout, start.wrapping_add((index * size) as u64), entry)
        })
        .collect()
}

/// Groups sites by key.  Returns the keys in order of address, and the key of each site.
fn group_by_key(
    image: &Image<'_>,
    layout: EntryLayout,
    entries: &[JumpEntry],
) -> (Vec<Key>, Vec<KeyId>) {
    let mut by_key: Vec<SiteId> = (0u32..).map(SiteId).take(entries.len()).collect();
    by_key.sort_unstable_by_key(|id| (entries[id.index()].key, *id));
    let mut key_of = vec![KeyId(0); entries.len()];
    let mut keys: Vec<Key> = (0u32..)
        .map(KeyId)
        .zip(by_key.chunk_by(|a, b| entries[a.index()].key == entries[b.index()].key))
        .map(|(key, sites)| {
            for site in sites {
                key_of[site.index()] = key;
            }
            let address = entries[sites[0].index()].key;
            match layout {
                EntryLayout::StaticKeys => Key::read_flag(image, address, sites.to_vec()),
                EntryLayout::Relative | EntryLayout::Absolute => {
                    Key::read(image, address, sites.to_vec())
                }
            }
        })
        .collect();
    if layout == EntryLayout::StaticKeys {
        let word = KeyWord::of_flags(image, &keys);
        keys.iter_mut().for_each(|key| key.word = word);
    }
    (keys, key_of)
}
