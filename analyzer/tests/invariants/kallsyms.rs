//! The invariants of the search for kallsyms, for any input.  The fuzz target and the tests of
//! damaged input share this function.

use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::kallsyms::{AddressBase, FlatImage, Kallsyms};

/// Searches `bytes` in both byte orders and with an address; panics if an answer
/// contradicts another one or the library itself panics.
pub(crate) fn check(bytes: &[u8]) {
    let ready = |_: usize| Some(0xffff_8000_8000_0000);
    for image in [
        FlatImage::raw(bytes, false),
        FlatImage::raw(bytes, true),
        FlatImage { start: Some(Svma(u64::MAX - 7)), ..FlatImage::raw(bytes, false) },
        FlatImage { relocated: &ready, ..FlatImage::raw(bytes, false) },
    ] {
        match Kallsyms::find(image) {
            Ok(found) => check_found(&found, image),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

fn check_found(found: &Kallsyms, image: FlatImage<'_>) {
    let layout = found.layout();
    let size = image.bytes.len() as u64;
    let tables = [layout.num_syms, layout.names, layout.markers, layout.token_table];
    assert!(tables.is_sorted() && tables.iter().all(|table| table.0 < size));
    assert_eq!(layout.addresses_last, layout.addresses > layout.token_table);
    // Each symbol takes at least its length and one byte in the names.
    assert!(found.symbols().len() as u64 * 2 <= layout.markers.0 - layout.names.0);
    for symbol in found.symbols() {
        let name = found.name(symbol);
        assert!(!name.is_empty() && name.len() < 512 && name.is_ascii());
        assert!(symbol.kind().is_ascii_graphic());
    }
    if image.start.is_some() {
        assert_eq!(found.load_address(), image.start);
    }
    if found.base() == AddressBase::Unknown {
        assert_eq!(found.load_address(), image.start);
    }
}
