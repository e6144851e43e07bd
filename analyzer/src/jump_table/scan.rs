//! Finds a jump table by its structure alone.
//!
//! An entry is believed if everything about it agrees: its code and its target
//! lie in text and are aligned, its key is an aligned object in data, and at the
//! code stands a NOP or a branch to exactly the target.  A chain is a run of such
//! entries, each behind the last; the longest is the table.  By chance one word in
//! four billion is a NOP, so that chains of other things stay short: what the next
//! longest comes to is reported beside the length of the table.
//!
//! A target is near if a branch reaches it.  A closer bound would be wrong: parts
//! that a compiler splits off as cold lie 16 MiB behind their function in an amd64
//! kernel (6.12.107), and no check of the instruction needs one.

use super::entry::{EntryLayout, JumpEntry};
use crate::addr::{AddrRange, Svma};
use crate::arch::SiteInsn;
use crate::image::{Image, Section};
use jlctl_shim::abi::{AbsoluteEntry, ENTRY_FLAGS, RelativeEntry, StaticKey};
use rayon::prelude::*;
use std::borrow::Cow;

/// Fewest entries that are taken for a table: a kernel has thousands, and by
/// chance not two stand in a row.
pub const MIN_CHAIN: usize = 8;
/// Most entries in a row that may be damaged inside a table.
const MOST_DAMAGED: usize = 64;
/// Alignment of entries: that of the key, a `long`.
const STEP: usize = 8;
/// Bytes that are searched in one go.
const CHUNK: usize = 1 << 19;
/// No branch reaches further from a site than 2 GiB.
const FARTHEST: u64 = 1 << 31;

/// How sure a table is that was found by structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Confidence {
    /// Entries of the table that agree with everything.
    pub entries: usize,
    /// Entries of the longest chain besides.
    pub next_longest: usize,
}

/// A table found by structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FoundTable {
    /// From the first entry to behind the last.
    pub(super) range: AddrRange,
    pub(super) confidence: Confidence,
}

/// No table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotFound {
    /// Entries of the longest chain.
    pub(super) longest: usize,
    /// Bytes looked through.
    pub(super) searched: u64,
}

/// Finds the table; self-relative entries are tried before absolute ones.
///
/// A chain is not ended by damage: two of them make one table if what lies between
/// is no longer than either, in whole entries and at most 64.  So the damaged
/// entries are reported as such, as in a table whose ends are known.
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

/// Entries at one distance from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Chain {
    start: Svma,
    /// Behind the last entry.
    end: Svma,
    /// Entries that agree with everything.
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

    /// The bytes of a section; absolute entries are pointers, which the image's
    /// relocations may have to fill first.
    fn bytes(&self, section: &Section<'data>) -> Cow<'data, [u8]> {
        match self.layout {
            EntryLayout::Relative | EntryLayout::StaticKeys => Cow::Borrowed(section.data),
            EntryLayout::Absolute => self
                .image
                .read_relocated(section.range)
                .map_or(Cow::Borrowed(section.data), |relocated| relocated.bytes),
        }
    }

    /// Addresses of all entries that agree with everything, ascending.
    fn entries(&self, start: Svma, bytes: &[u8]) -> Vec<Svma> {
        let size = self.layout.entry_size();
        // Misaligned sections are searched at their own aligned addresses.
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
            // Their section names them; nothing else is tried.
            EntryLayout::StaticKeys => false,
        };
        windows.filter(is_entry).map(|(_, at)| Svma(at)).collect()
    }

    /// Drops nearly everything by a handful of instructions.
    fn may_be_relative(&self, at: u64, entry: &[u8]) -> bool {
        let half = |field: usize| {
            let displacement = self.image.u32_from(entry.get(field..)?)?.cast_signed();
            Some(at.wrapping_add(field as u64).wrapping_add_signed(displacement.into()))
        };
        let Some(code) = half(RelativeEntry::CODE) else { return false };
        // A displacement of 0 is what zeros look like.
        if code == at || !self.is_code(code) {
            return false;
        }
        let Some(target) = half(RelativeEntry::TARGET) else { return false };
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

    /// Whether everything about the entry is right.
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
        let is_placed = in_code(entry.code)
            && in_code(entry.target)
            && entry.code != entry.target
            && entry.key.is_aligned(StaticKey::ALIGN as u64)
            && section(entry.key).is_some_and(is_object);
        if !is_placed {
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

    /// Chains of `entries`, those of each that damage has cut joined.
    fn chains(&self, entries: &[Svma]) -> Vec<Chain> {
        let size = self.layout.entry_size() as u64;
        // Entries of one chain are equal modulo their size.
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

/// Whether the entries between two chains are taken for damaged ones.
fn is_one_table(first: &Chain, second: &Chain, size: u64) -> bool {
    let Some(gap) = second.start.0.checked_sub(first.end.0) else { return false };
    let Ok(damaged) = usize::try_from(gap / size) else { return false };
    gap.is_multiple_of(size) && damaged <= first.entries.min(second.entries).min(MOST_DAMAGED)
}
