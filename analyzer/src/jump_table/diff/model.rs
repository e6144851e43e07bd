//! A jump table in the form in which it is compared: names instead of addresses.

use crate::addr::Svma;
use crate::arch::SiteInsn;
use crate::image::Image;
use crate::jump_table::{JumpTable, Key, KeyDescriptions, KeyId, KeyStorage};
use std::borrow::Cow;

/// The compared properties of a table.
#[derive(Debug, Clone, Default)]
pub struct TableModel<'a> {
    /// The keys, by address.
    pub keys: Vec<KeyModel<'a>>,
    /// The sites, sorted by address.
    pub sites: Vec<SiteModel<'a>>,
}

/// The location of a key's bytes: [`KeyStorage`] without their content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageKind {
    /// In the file.
    File,
    /// In a NOBITS section.
    ZeroFilled,
    /// In another image.
    Elsewhere,
    /// The location is not known.
    Unreadable,
}

/// One key.
#[derive(Debug, Clone)]
pub struct KeyModel<'a> {
    /// Its name, in the grammar of [`super::NameParts`].
    pub name: Cow<'a, str>,
    /// Its kind; `None` if it is not known.
    pub kind: Option<&'a str>,
    /// Its address as reports write it.
    pub address: String,
    /// Name of its section.
    pub section: Option<&'a str>,
    /// The location of its bytes.
    pub storage: StorageKind,
    /// `enabled` when the image starts; `None` if it is not readable.
    pub enabled: Option<i32>,
    /// The initial state; `None` if it is not readable.
    pub initial: Option<bool>,
}

/// The instruction at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SiteState {
    /// A NOP.
    Nop,
    /// A branch.
    Jmp,
    /// Another instruction, or unreadable bytes.
    Other,
}

/// One site.
#[derive(Debug, Clone)]
pub struct SiteModel<'a> {
    /// Index of its key in [`TableModel::keys`].
    pub key: usize,
    /// Name of its function, as in the symbol table.
    pub function: Option<Cow<'a, str>>,
    /// Bytes from the start of the function; 0 without one.
    pub offset: u64,
    /// Whether the branch is likely (bit 0 of the key word).
    pub branch: bool,
    /// The instruction at the site.
    pub insn: SiteState,
}

impl<'a> TableModel<'a> {
    /// The model of `table`, whose keys are `described`.
    #[must_use]
    pub fn new(
        image: &'a Image<'a>,
        table: &JumpTable<'a>,
        described: &'a KeyDescriptions,
    ) -> Self {
        let key = |(id, key): (KeyId, &Key)| KeyModel {
            name: Cow::Borrowed(described.names().get(id).full()),
            kind: Some(described.kind(id).name()),
            address: image.address_text(key.address),
            section: key.section.map(|id| image.section(id).name),
            storage: storage(key.storage),
            enabled: key.enabled(),
            initial: key.initially_true(),
        };
        let mut sites: Vec<(Svma, SiteModel<'a>)> = table
            .site_ids()
            .map(|id| {
                let (entry, site) = (table.entry(id), table.site(id));
                let model = SiteModel {
                    key: table.key_of(id).index(),
                    function: site.function.map(|at| image.symbols().name(at.symbol)),
                    offset: site.function.map_or(0, |at| at.offset),
                    branch: entry.branch,
                    insn: insn(site.insn),
                };
                (entry.code, model)
            })
            .collect();
        // The sort is stable: entries with one address keep the order of the table.
        sites.sort_by_key(|(code, _)| *code);
        Self {
            keys: table.key_ids().zip(table.keys()).map(key).collect(),
            sites: sites.into_iter().map(|(_, site)| site).collect(),
        }
    }
}

const fn insn(insn: SiteInsn) -> SiteState {
    match insn {
        SiteInsn::Nop => SiteState::Nop,
        SiteInsn::Jmp { .. } => SiteState::Jmp,
        SiteInsn::Other => SiteState::Other,
    }
}

const fn storage(storage: KeyStorage) -> StorageKind {
    match storage {
        KeyStorage::File { .. } | KeyStorage::Flag { .. } => StorageKind::File,
        KeyStorage::ZeroFilled => StorageKind::ZeroFilled,
        KeyStorage::Elsewhere => StorageKind::Elsewhere,
        KeyStorage::Unreadable => StorageKind::Unreadable,
    }
}
