//! The change of a key's word, and the reasons against it.

use super::eligible::Objection;
use super::model::KeyWrite;
use crate::images::{ReadImage, Sealed};
use crate::key_set::SetKey;
use crate::reason::Reason;
use crate::target::World;
use jlctl_analyzer::addr::AddrRange;
use jlctl_analyzer::image::{Image, RelocatedAddresses};
use jlctl_analyzer::jump_table::KeyStorage;
use jlctl_shim::abi::StaticKey;

/// The reasons against setting the key to `state`; `old` is its count.
pub(super) fn against_key(
    images: &[ReadImage<'_>],
    relocated: &[RelocatedAddresses],
    sealed: &[Sealed],
    world: World,
    key: &SetKey,
    old: Option<i32>,
    state: Option<bool>,
) -> Vec<Objection> {
    let Some(home) = key.home else {
        let found = match &key.rivals[..] {
            // The reason says that no image defines the key.
            [] => String::new(),
            rivals => format!("several images define it: {}", rivals.join(", ")),
        };
        return vec![(Reason::Elsewhere, found)];
    };
    let image = images[home].image;
    let section = key.key.section.map(|id| image.section(id));
    let name = section.map_or("no section", |section| section.name);
    let Some(old) = old else {
        return vec![(Reason::KeyUnreadable, format!("found {name}"))];
    };
    let mut objections = Vec::new();
    let changes = new_count(Some(old), state) != Some(old);
    if old < 0 || (old > 1 && changes) {
        objections.push((Reason::Count, format!("found {old}")));
    }
    if !changes {
        return objections;
    }
    if key.key.storage == KeyStorage::ZeroFilled {
        objections.push((Reason::ZeroFilled, format!("found {name}")));
    }
    match world {
        World::Kernel if sealed[home].has(image, &key.key) => {
            objections.push((Reason::ReadOnlyAfterInit, format!("found {name}")));
        }
        World::User
            if !section.is_some_and(|section| section.flags.write) || name == ".data.rel.ro" =>
        {
            objections.push((Reason::ReadOnly, format!("found {name}")));
        }
        World::Kernel | World::User => {}
    }
    if relocated[home].any_in(AddrRange::sized(key.key.word_address(), key.key.word.len as u64)) {
        objections.push((
            Reason::KeyRelocated,
            format!("found one at {}", image.address_text(key.key.address)),
        ));
    }
    objections
}

/// The count of a key that is to be `on`; a key that has the state already keeps its count.
pub(super) fn new_count(old: Option<i32>, on: Option<bool>) -> Option<i32> {
    let on = on?;
    Some(match old {
        Some(old) if StaticKey::is_on(old) == on => old,
        _ => i32::from(on),
    })
}

/// The write that sets the count of a key to `new`.
pub(super) fn key_write(
    image: &Image<'_>,
    number: usize,
    home: usize,
    key: &SetKey,
    (old, new): (i32, i32),
) -> KeyWrite {
    let bytes = |count| key.key.word.bytes(count, image.is_big_endian());
    let address = key.key.word_address();
    KeyWrite {
        key: number,
        image: home,
        address,
        offset: image.file_offset(address),
        old: bytes(old),
        new: bytes(new),
        after_batch: None,
    }
}
