//! Static keys: the objects that entries point at, each with its sites.

use super::site::SiteId;
use crate::addr::Svma;
use crate::image::{Image, SectionId, SymbolOffset, SymbolicAddress};
use jlctl_shim::abi::StaticKey;
use std::borrow::Cow;

/// Dense index of a key in its table, by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub(crate) u32);

impl KeyId {
    /// The index into [`super::JumpTable::keys`].
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// The location and content of a key's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyStorage {
    /// In the file: the key is readable and, in the file, writable.
    File {
        /// `enabled` in the file.
        enabled: i32,
        /// Whether `type` states an initial state of true.
        initially_true: bool,
    },
    /// In the file, in the layout of the crate static-keys: a flag, and a pointer to entries
    /// that is null until the program runs.
    Flag {
        /// The flag; it is also the initial state.
        enabled: bool,
    },
    /// In a NOBITS section: zero when the image starts.
    ZeroFilled,
    /// At an undefined symbol: another image defines the key.
    Elsewhere,
    /// Outside data sections, or truncated: the content is not known.
    Unreadable,
}

/// The word of a key that holds its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyWord {
    /// Offset of the word in the key, in bytes.
    pub offset: u64,
    /// Its length in bytes: 4 for a count, 1 for a flag.
    pub len: usize,
}

impl KeyWord {
    /// `enabled` of the kernel's `struct static_key`, a count.
    const COUNT: Self = Self { offset: StaticKey::ENABLED as u64, len: size_of::<i32>() };
    /// `enabled` of `static_keys::GenericStaticKey` (static-keys 0.8), a flag, at its default
    /// offset: rustc orders the fields of a structure by falling alignment.
    const FLAG: Self = Self { offset: size_of::<u64>() as u64, len: 1 };

    /// The word of all keys of the crate static-keys in a table, from a key that is on.
    pub(super) fn of_flags(image: &Image<'_>, keys: &[Key]) -> Self {
        let is_first = |key: &Key| flag_words(image, key.address) == Some((1, 0));
        if keys.iter().any(is_first) { Self { offset: 0, ..Self::FLAG } } else { Self::FLAG }
    }

    /// The value of the word in `bytes`, as a count; `None` if there are too few bytes, or if a
    /// flag is neither 0 nor 1.
    #[must_use]
    pub fn value(self, bytes: &[u8], is_big_endian: bool) -> Option<i32> {
        if self.len == 1 {
            return match bytes {
                [flag @ (0 | 1)] => Some(i32::from(*flag)),
                _ => None,
            };
        }
        let bytes = bytes.try_into().ok()?;
        Some(if is_big_endian { i32::from_be_bytes(bytes) } else { i32::from_le_bytes(bytes) })
    }

    /// The bytes of the word for `count`, which for a flag is 0 or 1.
    #[must_use]
    pub fn bytes(self, count: i32, is_big_endian: bool) -> Vec<u8> {
        if self.len == 1 {
            return vec![u8::from(StaticKey::is_on(count))];
        }
        let bytes = if is_big_endian { count.to_be_bytes() } else { count.to_le_bytes() };
        bytes.to_vec()
    }
}

/// One static key.
#[derive(Debug, Clone)]
pub struct Key {
    /// Address of the key (`struct static_key`).
    pub address: Svma,
    /// The data object that is or holds the key.
    pub symbol: Option<SymbolOffset>,
    /// The section of the key.
    pub section: Option<SectionId>,
    /// The location and content of its bytes.
    pub storage: KeyStorage,
    /// The word that holds its state.
    pub word: KeyWord,
    /// Its sites, in table order.
    pub sites: Vec<SiteId>,
}

impl Key {
    /// A key at an address that may have no entries; it has no sites.
    #[must_use]
    pub fn at(image: &Image<'_>, address: Svma) -> Self {
        Self::read(image, address, Vec::new())
    }

    pub(super) fn read(image: &Image<'_>, address: Svma, sites: Vec<SiteId>) -> Self {
        if let SymbolicAddress::External { symbol, offset } = image.symbolic(address) {
            return Self {
                address,
                symbol: u64::try_from(offset).ok().map(|offset| SymbolOffset { symbol, offset }),
                section: None,
                storage: KeyStorage::Elsewhere,
                word: KeyWord::COUNT,
                sites,
            };
        }
        let section = image.section_at(address);
        Self {
            address,
            symbol: image.symbols().object_at(address),
            section,
            storage: storage(image, address, section),
            word: KeyWord::COUNT,
            sites,
        }
    }

    /// A key of the crate static-keys.  The compiler decides which of its two words holds the
    /// flag; in a file the other word is null.
    pub(super) fn read_flag(image: &Image<'_>, address: Svma, sites: Vec<SiteId>) -> Self {
        let mut key = Self::read(image, address, sites);
        if !matches!(key.storage, KeyStorage::File { .. }) {
            return key;
        }
        key.storage = match flag_words(image, address) {
            Some((0, 0)) => KeyStorage::Flag { enabled: false },
            Some((0, 1) | (1, 0)) => KeyStorage::Flag { enabled: true },
            _ => KeyStorage::Unreadable,
        };
        key
    }

    /// Address of the word that holds the state.
    #[must_use]
    pub fn word_address(&self) -> Svma {
        self.address.wrapping_add(self.word.offset)
    }

    /// Whether a write to the file can change the key.
    #[must_use]
    pub fn is_file_backed(&self) -> bool {
        matches!(self.storage, KeyStorage::File { .. } | KeyStorage::Flag { .. })
    }

    /// `enabled` when the image starts; `None` if it is not readable.
    #[must_use]
    pub fn enabled(&self) -> Option<i32> {
        match self.storage {
            KeyStorage::File { enabled, .. } => Some(enabled),
            KeyStorage::Flag { enabled } => Some(i32::from(enabled)),
            KeyStorage::ZeroFilled => Some(0),
            KeyStorage::Elsewhere | KeyStorage::Unreadable => None,
        }
    }

    /// Whether the key is on when the image starts.
    #[must_use]
    pub fn is_on(&self) -> Option<bool> {
        self.enabled().map(StaticKey::is_on)
    }

    /// The initial state (`type`); `None` if it is not readable.
    #[must_use]
    pub fn initially_true(&self) -> Option<bool> {
        match self.storage {
            KeyStorage::File { initially_true, .. } => Some(initially_true),
            KeyStorage::Flag { enabled } => Some(enabled),
            KeyStorage::ZeroFilled => Some(false),
            KeyStorage::Elsewhere | KeyStorage::Unreadable => None,
        }
    }

    /// Whether the present state differs from the initial one: the key was flipped in the file.
    #[must_use]
    pub fn is_flipped(&self) -> bool {
        self.is_on() != self.initially_true()
    }

    /// Name for people: `symbol`, `symbol+0x8` inside a larger object, or the address if no
    /// symbol covers it.
    #[must_use]
    pub fn name<'image>(&self, image: &'image Image<'_>) -> Cow<'image, str> {
        match self.symbol {
            None => Cow::Owned(image.address_text(self.address)),
            Some(SymbolOffset { symbol, offset: 0 }) => image.symbols().name(symbol),
            Some(SymbolOffset { symbol, offset }) => {
                Cow::Owned(format!("{}+{offset:#x}", image.symbols().name(symbol)))
            }
        }
    }
}

/// Both words of a key of the crate static-keys.
fn flag_words(image: &Image<'_>, address: Svma) -> Option<(u64, u64)> {
    let bytes = image.read(address, StaticKey::SIZE as u64).ok()?;
    Some((image.u64_from(bytes)?, image.u64_from(bytes.get(8..)?)?))
}

fn storage(image: &Image<'_>, address: Svma, section: Option<SectionId>) -> KeyStorage {
    let Some(section) = section.map(|id| image.section(id)) else { return KeyStorage::Unreadable };
    if !section.is_data() || !section.range.contains_bytes(address, StaticKey::SIZE as u64) {
        return KeyStorage::Unreadable;
    }
    if section.flags.no_bits {
        return KeyStorage::ZeroFilled;
    }
    let words = image.read(address, StaticKey::SIZE as u64).ok().and_then(|bytes| {
        let enabled = image.u32_from(&bytes[StaticKey::ENABLED..])?;
        Some((enabled.cast_signed(), image.u64_from(&bytes[StaticKey::TYPE..])?))
    });
    match words {
        Some((enabled, r#type)) => {
            KeyStorage::File { enabled, initially_true: StaticKey::is_initially_true(r#type) }
        }
        None => KeyStorage::Unreadable,
    }
}
