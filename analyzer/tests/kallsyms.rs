//! The search for kallsyms, on images of every layout and on damaged ones.

use crate::invariants::kallsyms::check;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::kallsyms::{
    AddressBase, AddressEncoding, FlatImage, Kallsyms, KallsymsError,
};
use jlctl_synthetic::kallsyms::{AddressStyle, KallsymsSpec, KallsymsSymbol, Release};
use proptest::prelude::*;

/// R_AARCH64_RELATIVE, R_RISCV_RELATIVE.
const RELATIVE: [u64; 2] = [1027, 3];

fn find(spec: &KallsymsSpec) -> Result<Kallsyms, KallsymsError> {
    Kallsyms::find(FlatImage::raw(&spec.build(), spec.big_endian))
}

/// Finds the tables of `spec` and asserts its symbols, all `below` the stated addresses.
fn demand(spec: &KallsymsSpec, below: u64) -> Kallsyms {
    let found = find(spec).unwrap_or_else(|error| panic!("{:?}: {error}", spec.release));
    let symbols: Vec<KallsymsSymbol> = found
        .symbols()
        .iter()
        .map(|symbol| KallsymsSymbol {
            address: symbol.address.0.wrapping_add(below),
            text: format!("{}{}", char::from(symbol.kind()), found.name(symbol)),
        })
        .collect();
    assert!(symbols == spec.symbols, "{:?} {:?}: other symbols", spec.release, spec.addresses);
    found
}

/// Every release with each of its encodings of addresses.
fn layouts() -> Vec<(Release, AddressStyle, AddressEncoding)> {
    let mut layouts = Vec::new();
    for release in Release::ALL {
        if release == Release::V7_0 {
            layouts.push((release, AddressStyle::Relative, AddressEncoding::PlaceRelative));
            continue;
        }
        layouts.push((release, AddressStyle::Relative, AddressEncoding::Offsets));
        layouts.push((release, AddressStyle::Absolute, AddressEncoding::Addresses));
        let percpu =
            (release, AddressStyle::AbsolutePercpu, AddressEncoding::OffsetsAbsolutePercpu);
        layouts.push(percpu);
    }
    layouts
}

/// As `new`, with per-CPU symbols where these are absolute.
fn spec(release: Release, addresses: AddressStyle, count: usize) -> KallsymsSpec {
    let mut spec = KallsymsSpec { addresses, ..KallsymsSpec::new(release, count) };
    if addresses == AddressStyle::AbsolutePercpu {
        let percpu = ["Afixed_percpu_data", "A__per_cpu_start", "Acpu_tlbstate"];
        let percpu = (0u64..).zip(percpu);
        let percpu =
            percpu.map(|(index, text)| KallsymsSymbol { address: index * 64, text: text.into() });
        spec.symbols.splice(0..0, percpu);
    }
    spec
}

#[test]
fn every_layout_is_read_in_both_byte_orders() {
    for (release, addresses, encoding) in layouts() {
        for big_endian in [false, true] {
            // Counts on both sides of a multiple of 256, even and odd.
            for count in [1023, 1024, 1025] {
                let spec =
                    KallsymsSpec { big_endian, merges: 4, ..spec(release, addresses, count) };
                let below = if release == Release::V7_0 { spec.load } else { 0 };
                let found = demand(&spec, below);
                let layout = found.layout();
                assert_eq!(layout.encoding, encoding, "{release:?}");
                assert_eq!(layout.marker_size, if release == Release::V4_19 { 8 } else { 4 });
                assert_eq!(layout.seqs_of_names.is_some(), release >= Release::V6_2);
                assert_eq!(layout.addresses_last, release >= Release::V6_4);
                assert!(found.has_data_symbols());
                let base = match encoding {
                    AddressEncoding::Addresses => AddressBase::None,
                    AddressEncoding::PlaceRelative => AddressBase::Unknown,
                    _ => AddressBase::Stated(Svma(spec.base())),
                };
                assert_eq!(found.base(), base, "{release:?}");
            }
        }
    }
}

#[test]
fn a_base_of_zero_is_recovered_from_the_relocations() {
    for release in Release::ALL {
        for kind in RELATIVE {
            for big_endian in [false, true] {
                let relocation = Some(kind);
                let spec =
                    KallsymsSpec { relocation, big_endian, ..KallsymsSpec::new(release, 1500) };
                let found = demand(&spec, 0);
                assert_eq!(found.base(), AddressBase::Relocation(Svma(spec.load)), "{release:?}");
                assert_eq!(found.load_address(), Some(Svma(spec.load)), "{release:?}");
            }
        }
    }
}

/// Linux 5.10 without CONFIG_KALLSYMS_ALL: the base is `_stext`, not the load
/// address.
#[test]
fn the_load_address_may_differ_from_the_base() {
    let mut spec =
        KallsymsSpec { relocation: Some(1027), ..KallsymsSpec::new(Release::V4_20, 1500) };
    for symbol in &mut spec.symbols {
        symbol.address += 0x8010;
        symbol.text.replace_range(..1, "t");
    }
    spec.symbols[0].text = "T_stext".to_owned();
    let found = demand(&spec, 0);
    assert_eq!(found.base(), AddressBase::Relocation(Svma(spec.load + 0x8010)));
    assert_eq!(found.load_address(), Some(Svma(spec.load)));
    assert!(!found.has_data_symbols());
}

/// Relocations that are also applied in place still give the load address.
#[test]
fn a_stated_base_and_the_relocations_must_agree() {
    let spec = KallsymsSpec { relocation: Some(1027), ..KallsymsSpec::new(Release::V6_4, 1024) };
    let at = find(&spec).expect("tables").layout().relative_base.expect("a base").0;
    let at = usize::try_from(at).expect("an offset");
    for (stated, load) in [(spec.load, Some(Svma(spec.load))), (spec.load + 4096, None)] {
        let mut bytes = spec.build();
        bytes[at..at + 8].copy_from_slice(&stated.to_le_bytes());
        let found = Kallsyms::find(FlatImage::raw(&bytes, false)).expect("tables");
        assert_eq!(found.base(), AddressBase::Stated(Svma(stated)));
        assert_eq!(found.load_address(), load);
    }
}

#[test]
fn relocations_that_contradict_the_symbols_are_ignored() {
    let mut spec =
        KallsymsSpec { relocation: Some(1027), ..KallsymsSpec::new(Release::V6_4, 1500) };
    let base_at = find(&spec).expect("tables").layout().relative_base.expect("a base");
    let mut bytes = spec.build();
    // The record of the base is the last one; it relocates another word now.
    let at = bytes.len() - 24;
    bytes[at..at + 8].copy_from_slice(&(spec.load + base_at.0 + 8).to_le_bytes());
    let found = Kallsyms::find(FlatImage::raw(&bytes, false)).expect("tables");
    assert_eq!((found.base(), found.load_address()), (AddressBase::Unknown, None));
    assert_eq!(found.symbols()[1].address, Svma(16));
    // A base with which no other relocated value is a symbol.
    spec.symbols[0].text = "Tnothing_special".to_owned();
    let mut bytes = spec.build();
    let first = bytes.len() - 24 * 1501;
    for record in 0..1500 {
        bytes[first + 24 * record + 16] |= 1;
    }
    let found = Kallsyms::find(FlatImage::raw(&bytes, false)).expect("tables");
    assert_eq!((found.base(), found.load_address()), (AddressBase::Unknown, None));
}

#[test]
fn an_address_from_the_caller_is_used() {
    let spec = KallsymsSpec { relocation: Some(1027), ..KallsymsSpec::new(Release::V6_4, 1024) };
    let bytes = spec.build();
    let base_at = find(&spec).expect("tables").layout().relative_base.expect("a base");
    let relocated = |at: usize| (at as u64 == base_at.0).then_some(0xffff_ffc0_0000_0000);
    let start = Some(Svma(0xffff_ffc0_0012_0000));
    let image = FlatImage { bytes: &bytes, big_endian: false, start, relocated: &relocated };
    let found = Kallsyms::find(image).expect("tables");
    assert_eq!(found.base(), AddressBase::Stated(Svma(0xffff_ffc0_0000_0000)));
    assert_eq!(found.load_address(), start);
    assert_eq!(found.symbols()[1].address, Svma(0xffff_ffc0_0000_0010));

    let spec = KallsymsSpec::new(Release::V7_0, 1024);
    let image = FlatImage { start: Some(Svma(spec.load)), ..FlatImage::raw(&[], false) };
    let found = Kallsyms::find(FlatImage { bytes: &spec.build(), ..image }).expect("tables");
    assert_eq!(found.symbols()[1].address, Svma(spec.symbols[1].address));
}

#[test]
fn the_banner_gives_the_load_address() {
    let mut spec = KallsymsSpec::new(Release::V6_4, 1024);
    spec.symbols[9].text = "Dlinux_banner".to_owned();
    let mut bytes = spec.build();
    let banner = b"Linux version 6.6.0";
    // A string that only looks like the banner, then the banner.
    bytes[8..8 + banner.len()].copy_from_slice(banner);
    bytes[9 * 16..9 * 16 + banner.len()].copy_from_slice(banner);
    let found = Kallsyms::find(FlatImage::raw(&bytes, false)).expect("tables");
    assert_eq!(found.load_address(), Some(Svma(spec.load)));
}

#[test]
fn names_of_every_length_are_read() {
    let mut spec = KallsymsSpec { merges: 0, ..KallsymsSpec::new(Release::V6_1, 1500) };
    let lengths = [1, 2, 126, 127, 128, 129, 255, 256, 257, 400, 510, 511];
    for (symbol, length) in spec.symbols.iter_mut().skip(300).step_by(7).zip(lengths) {
        symbol.text = format!("t{}", "a1b2_".repeat(110).split_at(length).0);
    }
    for release in [Release::V6_1, Release::V6_2, Release::V6_4] {
        spec.release = release;
        demand(&spec, 0);
    }
    // A length of one byte, whose highest bit has no meaning.
    let mut spec = KallsymsSpec { merges: 0, ..KallsymsSpec::new(Release::V4_20, 1500) };
    spec.symbols[700].text = format!("t{}", "a1".repeat(64).split_at(127).0);
    demand(&spec, 0);
    // Longer names are neither written by the build nor read by any kernel.
    let mut spec = KallsymsSpec { merges: 0, ..KallsymsSpec::new(Release::V6_1, 1500) };
    spec.symbols[700].text = format!("t{}", "a".repeat(512));
    let error = find(&spec).expect_err("too long a name");
    assert!(matches!(error, KallsymsError::NameExpansion { index: 700, .. }), "{error}");
}

#[test]
fn lto_suffixes_are_stripped_for_the_order_of_names() {
    let mut spec = KallsymsSpec::new(Release::V6_4, 1024);
    spec.symbols[7].text = "tfoo.llvm.123".to_owned();
    spec.symbols[8].text = "tfoo.llvm.045".to_owned();
    let mut bytes = spec.build();
    let at = find(&spec).expect("tables").layout().seqs_of_names.expect("a sequence").0;
    let at = usize::try_from(at).expect("an offset");
    let pair = bytes[at..].windows(6).position(|pair| pair == [0, 0, 8, 0, 0, 7]);
    let pair = at + pair.expect("both names, in order");
    bytes[pair..pair + 6].copy_from_slice(&[0, 0, 7, 0, 0, 8]);
    Kallsyms::find(FlatImage::raw(&bytes, false)).expect("the order of a kernel with LTO");
}

/// The error for an image whose byte at `at` is replaced.
fn error_with(spec: &KallsymsSpec, at: impl Fn(&Kallsyms) -> u64) -> KallsymsError {
    let at = usize::try_from(at(&find(spec).expect("sound tables"))).expect("an offset");
    let mut bytes = spec.build();
    bytes[at] ^= 0x41;
    Kallsyms::find(FlatImage::raw(&bytes, false)).expect_err("damaged tables")
}

#[test]
fn each_contradiction_is_named() {
    let spec = KallsymsSpec::new(Release::V6_4, 1500);
    let error = error_with(&spec, |found| found.layout().token_table.0 + 1);
    assert_eq!(error, KallsymsError::NoTokenTable { look_alikes: 1 });
    let error = error_with(&spec, |found| found.layout().markers.0);
    assert!(matches!(error, KallsymsError::NoMarkers { .. }), "{error}");
    let error = error_with(&spec, |found| found.layout().markers.0 + 4);
    assert!(
        matches!(error, KallsymsError::NoNames { .. } | KallsymsError::NoMarkers { .. }),
        "{error}"
    );
    let error = error_with(&spec, |found| found.layout().names.0);
    assert!(matches!(error, KallsymsError::NoNames { markers: 6, .. }), "{error}");
    let error = error_with(&spec, |found| found.layout().num_syms.0);
    assert!(matches!(error, KallsymsError::NoNames { markers: 6, .. }), "{error}");
    let error = error_with(&spec, |found| found.layout().addresses.0);
    assert!(matches!(error, KallsymsError::NoAddresses { count: 1500, .. }), "{error}");
    let error = error_with(&spec, |found| found.layout().addresses.0 + 4 * 800 + 3);
    assert!(matches!(error, KallsymsError::NoAddresses { count: 1500, .. }), "{error}");
    let sequence = |found: &Kallsyms| found.layout().seqs_of_names.expect("a sequence").0;
    let error = error_with(&spec, |found| sequence(found) + 3 * 20);
    assert!(matches!(error, KallsymsError::Sequence { index: 20, .. }), "{error}");
    let error = error_with(&spec, |found| sequence(found) + 3 * 20 + 2);
    assert!(matches!(error, KallsymsError::Sequence { .. }), "{error}");

    let spec = KallsymsSpec::new(Release::V6_2, 1500);
    let error = error_with(&spec, |found| sequence(found) + 3 * 20);
    assert!(matches!(error, KallsymsError::Sequence { index: 20, .. }), "{error}");
}

#[test]
fn too_few_symbols_prove_nothing() {
    let error = find(&KallsymsSpec::new(Release::V6_4, 700)).expect_err("three markers");
    assert!(matches!(error, KallsymsError::NoMarkers { expected: 4, .. }), "{error}");
}

#[test]
fn the_first_sound_table_is_found_after_damaged_ones() {
    let spec = KallsymsSpec::new(Release::V6_4, 1024);
    let mut damaged = spec.build();
    let names = find(&spec).expect("tables").layout().names.0;
    damaged[usize::try_from(names).expect("an offset")] = 0;
    damaged.resize(damaged.len().next_multiple_of(8), 0);
    let bytes = [damaged, spec.build()].concat();
    let found = Kallsyms::find(FlatImage::raw(&bytes, false)).expect("the second one");
    assert_eq!(found.symbols().len(), 1024);
}

/// Bytes that match markers from many starts take no longer than others.
#[test]
fn work_is_bounded() {
    let digits = b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00";
    check(&digits.repeat(1 << 14));
    let markers: Vec<u8> = (0..1u32 << 13).flat_map(|index| (index * 512).to_le_bytes()).collect();
    let tail = KallsymsSpec::new(Release::V6_4, 1024);
    let tokens = find(&tail).expect("tables").layout().token_table.0;
    let tokens = tail.build().split_off(usize::try_from(tokens).expect("an offset"));
    // A number of symbols that fits the markers precedes every name.
    for name in [[0x01, 0x61, 0x1f, 0x00], [0x01, 0x61, 0x01, 0x61]] {
        let names = name.repeat(1 << 20);
        check(&[&names, &markers[..], &tokens].concat());
    }
    check(&[vec![0; 1 << 22], tokens].concat());
    let record = [[0; 8], [3, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat();
    check(&record.repeat(1 << 14));
}

#[test]
fn truncated_tables_are_survived() {
    for release in Release::ALL {
        let bytes = KallsymsSpec { before: 64, ..KallsymsSpec::new(release, 800) }.build();
        for length in (0..bytes.len()).step_by(397) {
            check(&bytes[..length]);
        }
    }
}

fn layout() -> impl Strategy<Value = (Release, AddressStyle)> {
    let all = layouts().into_iter().map(|(release, addresses, _)| (release, addresses));
    proptest::sample::select(all.collect::<Vec<_>>())
}

fn names() -> impl Strategy<Value = Vec<(u64, String)>> {
    proptest::collection::vec((0u64..400, "[tTdDbBrRwW][a-zA-Z0-9_.]{1,30}"), 800..1100)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn symbols_come_back((release, addresses) in layout(), names in names(), big_endian: bool,
                         before in 1usize..500, merges in 0usize..30) {
        let mut spec = spec(release, addresses, 1);
        let mut address = spec.load;
        for (step, text) in names {
            address += step;
            spec.symbols.push(KallsymsSymbol { address, text });
        }
        let spec = KallsymsSpec { big_endian, before: before * 8, merges, ..spec };
        demand(&spec, if release == Release::V7_0 { spec.load } else { 0 });
    }

    #[test]
    fn random_damage_survives((release, addresses) in layout(), big_endian: bool,
                              damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20)) {
        let spec = KallsymsSpec { big_endian, before: 64, merges: 5, ..spec(release, addresses, 900) };
        let mut bytes = KallsymsSpec { relocation: Some(1027), ..spec }.build();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        check(&bytes);
    }

    #[test]
    fn random_bytes_survive(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        check(&bytes);
    }
}
