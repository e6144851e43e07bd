//! Finds a jump table by its structure alone.
//!
//! An entry is accepted if all of its parts agree: its code and its target lie in text and are
//! aligned, its key is an aligned object in data, and the instruction at the code is a NOP or a
//! branch to exactly the target.  A chain is a run of consecutive accepted entries; the longest
//! chain is the table.  By chance one word in four billion is a NOP, so chains of other data
//! stay short.  The length of the next longest chain is reported with that of the table.
//!
//! A target must be in reach of a branch.  A closer bound would be wrong: cold parts that a
//! compiler splits off lie 16 MiB after their function in an amd64 kernel (6.12.107), and the
//! check of the instruction needs no closer bound.
//!
//! # A scan bridges damage
//! Two chains with a gap of whole entries, no longer than either chain and at most 64 entries,
//! are one table.  A damaged entry is then reported, and does not cut the table in two.

use super::entry::{EntryLayout, JumpEntry};
use crate::addr::{AddrRange, Svma};
use crate::arch::SiteInsn;
use crate::image::{Image, Section};
use jlctl_shim::abi::{AbsoluteEntry, ENTRY_FLAGS, RelativeEntry, StaticKey};
use rayon::prelude::*;
use std::borrow::Cow;

/// Fewest entries that are accepted as a table: a kernel has thousands, and by chance not even
/// two are consecutive.
pub const MIN_CHAIN: usize = 8;
/// Most consecutive damaged entries inside a table.
const MOST_DAMAGED: usize = 64;
/// Alignment of entries: that of the key field, a `long`.
const STEP: usize = 8;
/// Size of the pieces that are searched in parallel, in bytes.
const CHUNK: usize = 1 << 19;
/// No branch reaches further than 2 GiB from a site.
const FARTHEST: u64 = 1 << 31;

/// The evidence for a table that was found by structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confidence {
    /// Number of accepted entries of the table.
    pub entries: usize,
    /// Number of entries of the next longest chain.
    pub next_longest: usize,
}

/// A table found by structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundTable {
    /// From the first entry to the end of the last.
    pub(super) range: AddrRange,
    pub(super) confidence: Confidence,
}

/// No table was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotFound {
    /// Number of entries of the longest chain.
    pub(super) longest: usize,
    /// Number of bytes searched.
    pub(super) searched: u64,
}

/// Finds the table; self-relative entries are tried before absolute ones.
pub(super) fn scan(image: &Image<'_>) -> Result<FoundTable, NotFound> {
    let mut nearest = NotFound { longest: 0, searched: 0 };
    for layout in [EntryLayout::Relative, EntryLayout::Absolute] {
        let search = TableSearch::new(image, layout);
        match search.run() {
            Ok(found) => return Ok(found),
            Err(none) => {
                nearest.longest = nearest.longest.max(none.longest);
                nearest.searched = nearest.searched.max(none.searched);
            }
        }
    }
    Err(nearest)
}

/// A search for entries of one layout.
struct TableSearch<'a, 'data> {
    image: &'a Image<'data>,
    layout: EntryLayout,
    /// From the first executable section to the end of the last.
    code: (u64, u64),
}

/// A run of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chain {
    start: Svma,
    /// End of the last entry.
    end: Svma,
    /// Number of accepted entries.
    entries: usize,
}

impl<'a, 'data> TableSearch<'a, 'data> {
    fn new(image: &'a Image<'data>, layout: EntryLayout) -> Self {
        let code = image.sections().iter().filter(|section| section.is_executable());
        let bounds = |(low, high): (u64, u64), section: &Section<'_>| {
            (low.min(section.range.start().0), high.max(section.range.end().0))
        };
        Self { image, layout, code: code.fold((u64::MAX, 0), bounds) }
    }

    fn run(&self) -> Result<FoundTable, NotFound> {
        let mut chains = Vec::new();
        let mut searched = 0;
        for section in self.image.sections().iter().filter(|section| section.is_data()) {
            let bytes = self.bytes(section);
            searched += bytes.len() as u64;
            let entries = self.entries(section.range.start(), &bytes);
            chains.extend(self.chains(&entries));
        }
        chains.sort_by_key(|chain| std::cmp::Reverse(chain.entries));
        let longest = chains.first().map_or(0, |chain| chain.entries);
        match chains.first() {
            Some(table) if longest >= MIN_CHAIN => Ok(FoundTable {
                range: AddrRange::sized(table.start, table.end.0 - table.start.0),
                confidence: Confidence {
                    entries: longest,
                    next_longest: chains.get(1).map_or(0, |chain| chain.entries),
                },
            }),
            _ => Err(NotFound { longest, searched }),
        }
    }

    /// The bytes of a section.  Absolute entries are pointers, which relocations of the image
    /// may have to fill first.
    fn bytes(&self, section: &Section<'data>) -> Cow<'data, [u8]> {
        match self.layout {
            EntryLayout::Relative | EntryLayout::StaticKeys => Cow::Borrowed(section.data),
            EntryLayout::Absolute => self
                .image
                .read_relocated(section.range)
                .map_or(Cow::Borrowed(section.data), |relocated| relocated.bytes),
        }
    }

    /// Addresses of all accepted entries, ascending.
    fn entries(&self, start: Svma, bytes: &[u8]) -> Vec<Svma> {
        let size = self.layout.entry_size();
        // Misaligned sections are searched at their aligned addresses.
        let skip = usize::try_from(start.0.wrapping_neg() % STEP as u64).unwrap_or(0);
        let Some(bytes) = bytes.get(skip..) else { return Vec::new() };
        let start = start.wrapping_add(skip as u64);
        let chunks = bytes.len().div_ceil(CHUNK);
        let of_chunk = |chunk: usize| {
            let from = chunk * CHUNK;
            let part = &bytes[from..bytes.len().min(from + CHUNK + size - STEP)];
            self.entries_of(start.wrapping_add(from as u64), part)
        };
        (0..chunks).into_par_iter().map(of_chunk).collect::<Vec<_>>().concat()
    }

    fn entries_of(&self, start: Svma, bytes: &[u8]) -> Vec<Svma> {
        let size = self.layout.entry_size();
        let windows = bytes.windows(size).step_by(STEP).zip((start.0..).step_by(STEP));
        let is_entry = |(entry, at): &(&[u8], u64)| match self.layout {
            EntryLayout::Relative => self.may_be_relative(*at, entry) && self.agrees(*at, entry),
            EntryLayout::Absolute => self.may_be_absolute(entry) && self.agrees(*at, entry),
            // Their section has a name, so they are not searched for.
            EntryLayout::StaticKeys => false,
        };
        windows.filter(is_entry).map(|(_, at)| Svma(at)).collect()
    }

    /// Rejects nearly all positions with a few instructions.
    fn may_be_relative(&self, at: u64, entry: &[u8]) -> bool {
        let resolved = |field: usize| {
            let displacement = self.image.u32_from(entry.get(field..)?)?.cast_signed();
            Some(at.wrapping_add(field as u64).wrapping_add_signed(displacement.into()))
        };
        let Some(code) = resolved(RelativeEntry::CODE) else { return false };
        // A displacement of 0 is typical of zeros.
        if code == at || !self.is_code(code) {
            return false;
        }
        let Some(target) = resolved(RelativeEntry::TARGET) else { return false };
        self.is_code(target) && code.abs_diff(target) < FARTHEST
    }

    fn may_be_absolute(&self, entry: &[u8]) -> bool {
        let word = |field: usize| self.image.u64_from(entry.get(field..)?);
        let is_code = |word: Option<u64>| word.is_some_and(|address| self.is_code(address));
        is_code(word(AbsoluteEntry::CODE))
            && is_code(word(AbsoluteEntry::TARGET))
            && word(AbsoluteEntry::KEY).is_some_and(|key| key & !ENTRY_FLAGS != 0)
    }

    fn is_code(&self, address: u64) -> bool {
        (self.code.0..self.code.1).contains(&address)
    }

    /// Whether all parts of the entry agree.
    fn agrees(&self, at: u64, entry: &[u8]) -> bool {
        let (image, arch) = (self.image, self.image.arch());
        let Some(entry) = JumpEntry::decode(image, self.layout, Svma(at), entry) else {
            return false;
        };
        let section = |address| image.section_at(address).map(|id| image.section(id));
        let in_code = |address| section(address).is_some_and(Section::is_executable);
        let size = StaticKey::SIZE as u64;
        let is_object = |section: &Section<'_>| {
            section.is_data() && section.range.contains_bytes(entry.key, size)
        };
        let is_plausible = in_code(entry.code)
            && in_code(entry.target)
            && entry.code != entry.target
            && entry.key.is_aligned(StaticKey::ALIGN as u64)
            && section(entry.key).is_some_and(is_object);
        if !is_plausible {
            return false;
        }
        let bytes = image.read_up_to(entry.code, arch.max_insn_bytes() as u64).unwrap_or_default();
        let site = arch.decode_site(entry.code, bytes);
        let is_insn = match site.insn {
            SiteInsn::Nop => true,
            SiteInsn::Jmp { to } => to == entry.target,
            SiteInsn::Other => false,
        };
        is_insn && arch.check_reach(entry.code, entry.target, site.len).is_ok()
    }

    /// The chains of `entries`, joined across damaged entries.
    fn chains(&self, entries: &[Svma]) -> Vec<Chain> {
        let size = self.layout.entry_size() as u64;
        // Entries of one chain have equal addresses modulo their size.
        let mut in_order = entries.to_vec();
        in_order.sort_unstable_by_key(|at| (at.0 % size, *at));
        let mut chains: Vec<Chain> = Vec::new();
        for at in in_order {
            let end = Svma(at.0.saturating_add(size));
            match chains.last_mut() {
                Some(last) if last.end == at => {
                    last.end = end;
                    last.entries += 1;
                }
                _ => chains.push(Chain { start: at, end, entries: 1 }),
            }
        }
        let mut joined: Vec<Chain> = Vec::new();
        for chain in chains {
            match joined.last_mut() {
                Some(last) if is_one_table(last, &chain, size) => {
                    last.end = chain.end;
                    last.entries += chain.entries;
                }
                _ => joined.push(chain),
            }
        }
        joined
    }
}

/// Whether the gap between two chains counts as damaged entries of one table.
fn is_one_table(first: &Chain, second: &Chain, size: u64) -> bool {
    let Some(gap) = second.start.0.checked_sub(first.end.0) else { return false };
    let Ok(damaged) = usize::try_from(gap / size) else { return false };
    gap.is_multiple_of(size) && damaged <= first.entries.min(second.entries).min(MOST_DAMAGED)
}
