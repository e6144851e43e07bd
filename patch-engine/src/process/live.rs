//! Keys and sites of a process, read from its memory.

use super::edits::{MemoryEdit, MemoryEdits};
use super::error::ProcessError;
use super::locate::Bias;
use super::memory::Memory;
use crate::images::ReadImage;
use crate::key_set::SetKey;
use crate::wish::Wish;
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::jump_table::SiteId;
use jlctl_shim::abi::{JumpLabelType, StaticKey};

/// The images of a process, with their biases and the memory.
#[derive(Debug)]
pub struct Live<'a> {
    /// The images.
    pub images: &'a [ReadImage<'a>],
    /// The bias of each image.
    pub biases: &'a [Bias],
    /// The memory of the process.
    pub memory: &'a Memory,
}

/// Why a key of a process is not flipped.
#[derive(Debug, thiserror::Error)]
pub enum FlipError {
    /// No image that the process has mapped defines the key.
    #[error("key {key}: no object of the process defines it")]
    Elsewhere {
        /// Name of the key.
        key: String,
    },
    /// The count is neither 0 nor 1.
    #[error(
        "key {key}: expected a count of 0 or 1, found {count}: several users hold it enabled, and \
         each takes back its own"
    )]
    Count {
        /// Name of the key.
        key: String,
        /// The key's count.
        count: i32,
    },
    /// A site holds neither its NOP nor its jump.
    #[error(
        "key {key}: the site at {address:#x} holds {bytes}, which is neither its NOP nor its jump"
    )]
    Site {
        /// Name of the key.
        key: String,
        /// Address of the site, at run time.
        address: u64,
        /// The bytes of the site.
        bytes: String,
    },
    /// The process could not be read.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// A site that does not match its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stale {
    /// Index of the image.
    pub image: usize,
    /// The site in its table.
    pub site: SiteId,
    /// Address of the site, at run time.
    pub address: u64,
    /// The key's count.
    pub enabled: i32,
    /// The instruction that the count demands.
    pub expected: JumpLabelType,
    /// The instruction at the site; `None` if it is neither.
    pub found: Option<JumpLabelType>,
}

/// The change of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flipped {
    /// The old count.
    pub old: i32,
    /// The new count.
    pub new: i32,
    /// Number of sites that change.
    pub sites: usize,
}

/// The state of a site.
struct AtSite {
    address: u64,
    bytes: Vec<u8>,
    kind: Option<JumpLabelType>,
}

impl Live<'_> {
    /// The count of a key; `None` if no image of the process defines it.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn enabled(&self, key: &SetKey) -> Result<Option<i32>, ProcessError> {
        let Some((address, _)) = self.word(key) else { return Ok(None) };
        let bytes = self.memory.read(address, key.key.word.len)?;
        Ok(key.key.word.value(&bytes, false))
    }

    /// The address of a key's count, and the index of its image.
    fn word(&self, key: &SetKey) -> Option<(u64, usize)> {
        let home = key.home?;
        let bias = self.biases.get(home)?;
        Some((bias.at_run_time(key.key.word_address()), home))
    }

    fn at(&self, image: usize, id: SiteId) -> Result<Option<AtSite>, ProcessError> {
        let (Some(read), Some(bias)) = (self.images.get(image), self.biases.get(image)) else {
            return Ok(None);
        };
        let Some(table) = read.table else { return Ok(None) };
        let (entry, site) = (table.entry(id), table.site(id));
        let len = match site.len {
            0 => read.image.arch().max_site_bytes(),
            len => len,
        };
        let address = bias.at_run_time(entry.code);
        let bytes = self.memory.read(address, len)?;
        let decoded = read.image.arch().decode_site(entry.code, &bytes);
        let kind = match decoded.insn {
            SiteInsn::Nop if decoded.len == len => Some(JumpLabelType::Nop),
            SiteInsn::Jmp { to } if decoded.len == len && to == entry.target => {
                Some(JumpLabelType::Jmp)
            }
            _ => None,
        };
        Ok(Some(AtSite { address, bytes, kind }))
    }

    /// The sites of `key` that do not match its count.
    ///
    /// # Errors
    /// If the memory cannot be read.
    pub fn stale(&self, key: &SetKey) -> Result<Vec<Stale>, ProcessError> {
        let Some(enabled) = self.enabled(key)? else { return Ok(Vec::new()) };
        let mut stale = Vec::new();
        for &(image, site) in &key.sites {
            let Some(at) = self.at(image, site)? else { continue };
            let Some(table) = self.images.get(image).and_then(|read| read.table) else { continue };
            let branch = table.entry(site).branch;
            let expected = JumpLabelType::wanted(StaticKey::is_on(enabled), branch);
            if at.kind != Some(expected) {
                let (address, found) = (at.address, at.kind);
                stale.push(Stale { image, site, address, enabled, expected, found });
            }
        }
        Ok(stale)
    }

    /// Adds the edits that `wish` takes of `key`, called `name`, to `edits`.
    ///
    /// Sites that are in the wanted state already are left alone, so that an interrupted flip can
    /// be completed.
    ///
    /// # Errors
    /// If the key cannot be flipped.
    pub fn flip(
        &self,
        key: &SetKey,
        name: &str,
        wish: Wish,
        edits: &mut MemoryEdits,
    ) -> Result<Flipped, FlipError> {
        let elsewhere = || FlipError::Elsewhere { key: name.to_owned() };
        let old = self.enabled(key)?.ok_or_else(elsewhere)?;
        let on = wish.state(Some(StaticKey::is_on(old))).unwrap_or_default();
        let new = match (old, on) {
            (0, true) => 1,
            (1, false) => 0,
            (0, false) | (1.., true) => old,
            _ => return Err(FlipError::Count { key: name.to_owned(), count: old }),
        };
        let before = edits.code.len();
        for &(image, site) in &key.sites {
            self.site(name, image, site, on, edits)?;
        }
        if let Some((address, _)) = self.word(key).filter(|_| old != new) {
            let [old, new] = [old, new].map(|count| key.key.word.bytes(count, false));
            edits.words.push(MemoryEdit { address, old, new });
        }
        Ok(Flipped { old, new, sites: edits.code.len() - before })
    }

    fn site(
        &self,
        name: &str,
        image: usize,
        site: SiteId,
        on: bool,
        edits: &mut MemoryEdits,
    ) -> Result<(), FlipError> {
        let Some(read) = self.images.get(image) else { return Ok(()) };
        let (Some(table), Some(at)) = (read.table, self.at(image, site)?) else { return Ok(()) };
        let entry = table.entry(site);
        let wanted = JumpLabelType::wanted(on, entry.branch);
        if at.kind == Some(wanted) {
            return Ok(());
        }
        let new = at.kind.and_then(|_| {
            read.image.arch().encode(wanted, entry.code, entry.target, at.bytes.len()).ok()
        });
        let Some(new) = new else {
            let bytes = at.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(FlipError::Site { key: name.to_owned(), address: at.address, bytes });
        };
        let (address, new) = (at.address, new.as_slice().to_vec());
        edits.code.push(MemoryEdit { address, old: at.bytes, new });
        Ok(())
    }
}
