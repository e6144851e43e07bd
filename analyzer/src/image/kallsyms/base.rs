//! The base of the addresses, and the load address of the image.

use super::addresses::{AddressEncoding, AddressTable};
use super::bytes::{Bytes, FlatImage};
use super::rela::{PlacementEvidence, RelativeRelocations};
use crate::addr::Svma;
use memchr::memmem;

/// Symbols at the first byte of an image (`arch/*/kernel/vmlinux.lds.S` of arm64, riscv64,
/// x86_64).
const HEADS: [&str; 4] = ["_text", "_head", "_start", "_stext"];
/// The start of the object `linux_banner` (init/version-timestamp.c).
const BANNER: &[u8] = b"Linux version ";
/// Most occurrences of the banner that are tried.
const MOST_BANNERS: usize = 64;
/// Load addresses are multiples of this on every 64-bit architecture.
const PAGE: u64 = 4096;

/// The origin of the base that addresses are relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressBase {
    /// The addresses are absolute.
    None,
    /// The image or the caller states the base.
    Stated(Svma),
    /// The base is zero in the file, and recovered from the relocations in it.
    Relocation(Svma),
    /// The base is unknown: addresses are relative to an unknown one.
    Unknown,
}

/// The addresses of all symbols.
pub(super) struct ResolvedAddresses {
    pub(super) addresses: Vec<u64>,
    pub(super) base: AddressBase,
    pub(super) load: Option<Svma>,
}

/// The addresses of the symbols in `table`.  `name` gives their names by index.
pub(super) fn resolve<'names>(
    image: FlatImage<'_>,
    bytes: Bytes<'_>,
    table: AddressTable,
    name: &dyn Fn(usize) -> &'names str,
) -> ResolvedAddresses {
    let (base, load) = match table.encoding {
        AddressEncoding::Addresses => (AddressBase::None, None),
        AddressEncoding::PlaceRelative => from_place(image, bytes, table, name),
        AddressEncoding::Offsets | AddressEncoding::OffsetsAbsolutePercpu => {
            from_base(image, bytes, table, name)
        }
    };
    let value = match base {
        AddressBase::Stated(value) | AddressBase::Relocation(value) => value.0,
        AddressBase::None | AddressBase::Unknown => 0,
    };
    let addresses = table.addresses(bytes, value);
    let known = image.start.or(load);
    let load = known.or_else(|| match base {
        AddressBase::Unknown => None,
        _ => banner(bytes, &addresses, name).or_else(|| confirmed(bytes, table, name, base)),
    });
    ResolvedAddresses { addresses, base, load }
}

/// The value of `kallsyms_relative_base`.
fn from_base<'names>(
    image: FlatImage<'_>,
    bytes: Bytes<'_>,
    table: AddressTable,
    name: &dyn Fn(usize) -> &'names str,
) -> (AddressBase, Option<Svma>) {
    let Some(at) = table.base_at else { return (AddressBase::Unknown, None) };
    let stated = (image.relocated)(at).or_else(|| bytes.u64(at)).filter(|value| *value != 0);
    if let Some(value) = stated {
        return (AddressBase::Stated(Svma(value)), None);
    }
    recovered(bytes, table, name)
}

/// The address of the first byte, for place-relative addresses.
fn from_place<'names>(
    image: FlatImage<'_>,
    bytes: Bytes<'_>,
    table: AddressTable,
    name: &dyn Fn(usize) -> &'names str,
) -> (AddressBase, Option<Svma>) {
    match image.start {
        Some(start) => (AddressBase::Stated(start), None),
        None => recovered(bytes, table, name),
    }
}

/// The base and the load address from the relocations in the image: one of them fills the word
/// at `base_at`, if there is one, with the base.
fn recovered<'names>(
    bytes: Bytes<'_>,
    table: AddressTable,
    name: &dyn Fn(usize) -> &'names str,
) -> (AddressBase, Option<Svma>) {
    let symbols = table.addresses(bytes, 0);
    let heads: Vec<u64> = named(&symbols, name, &HEADS).collect();
    let evidence = PlacementEvidence { symbols: &symbols, heads: &heads };
    let found = RelativeRelocations::find(bytes).and_then(|relocations| match table.base_at {
        Some(at) => relocations.place(at, evidence),
        None => relocations.place_by_values(evidence),
    });
    match found {
        Some(found) => (AddressBase::Relocation(Svma(found.base)), Some(Svma(found.load))),
        None => (AddressBase::Unknown, None),
    }
}

/// The load address from the relocations, if they also confirm the stated base.
fn confirmed<'names>(
    bytes: Bytes<'_>,
    table: AddressTable,
    name: &dyn Fn(usize) -> &'names str,
    base: AddressBase,
) -> Option<Svma> {
    let AddressBase::Stated(stated) = base else { return None };
    table.base_at?;
    let (found, load) = recovered(bytes, table, name);
    if found == AddressBase::Relocation(stated) { load } else { None }
}

/// The load address at which the object `linux_banner` contains its text and a symbol that
/// marks the start of an image lies at the first byte.
fn banner<'names>(
    bytes: Bytes<'_>,
    addresses: &[u64],
    name: &dyn Fn(usize) -> &'names str,
) -> Option<Svma> {
    let object = named(addresses, name, &["linux_banner"]).next()?;
    let heads: Vec<u64> = named(addresses, name, &HEADS).collect();
    let offsets = memmem::find_iter(bytes.all(), BANNER).take(MOST_BANNERS);
    offsets
        .filter_map(|offset| object.checked_sub(offset as u64))
        .find(|load| load.is_multiple_of(PAGE) && heads.contains(load))
        .map(Svma)
}

/// Addresses of the symbols with one of the names `wanted`.
fn named<'names>(
    addresses: &[u64],
    name: &dyn Fn(usize) -> &'names str,
    wanted: &[&str],
) -> impl Iterator<Item = u64> {
    let all = addresses.iter().enumerate();
    all.filter(move |(index, _)| wanted.contains(&name(*index))).map(|(_, address)| *address)
}
