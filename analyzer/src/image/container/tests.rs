use super::*;
use jlctl_synthetic::wrap;

const DICTIONARY: u32 = 1 << 20;

/// 40 kB that compress moderately.
fn image() -> Vec<u8> {
    let words = (0..10_000_u32).map(|n| n.wrapping_mul(0x9e37_79b9) >> 20);
    words.flat_map(u32::to_le_bytes).collect()
}

fn packed() -> [(Layer, Vec<u8>); 4] {
    let image = image();
    [
        (Layer::Gzip, wrap::gzip(&image)),
        (Layer::Xz, wrap::xz(&image, DICTIONARY)),
        (Layer::Lzma, wrap::lzma(&image, DICTIONARY)),
        (Layer::Zstd, wrap::zstd(&image)),
    ]
}

fn limits(max_bytes: u64) -> Limits {
    Limits { max_bytes, ..Limits::default() }
}

fn fault(data: &[u8], limits: Limits) -> (Vec<Layer>, ContainerFault) {
    let error = unwrap(data, limits).map(|_| ()).expect_err("it is faulty");
    (error.layers, error.fault)
}

#[track_caller]
fn demand(data: &[u8], layers: &[Layer], bytes: &[u8], trailing: u64) {
    let unwrapped = unwrap(data, Limits::default()).expect("it is valid");
    assert_eq!(unwrapped.layers, layers);
    assert!(unwrapped.bytes == bytes, "{layers:?}: the bytes differ");
    assert_eq!(unwrapped.trailing, trailing, "{layers:?}");
}

#[test]
fn plain_images_are_borrowed() {
    let mut arm64_image = vec![0; 0x2000];
    arm64_image[..2].copy_from_slice(b"MZ");
    arm64_image[0x38..0x3c].copy_from_slice(b"ARM\x64");
    // The content of an ELF file is never unpacked.
    let mut elf = wrap::bz_image(b"", 1);
    elf[..4].copy_from_slice(b"\x7fELF");
    let weak_lzma = [&[0x5d, 0, 0, 0x80, 0][..], &[0xff; 8], &[1]].concat();
    for data in [&[][..], b"\x1f\x8b", b"\xfd7zXZ", b"text", &arm64_image, &elf, &weak_lzma] {
        let unwrapped = unwrap(data, Limits::default()).expect("it is no container");
        assert!(matches!(unwrapped.bytes, Cow::Borrowed(bytes) if bytes == data));
        assert_eq!((unwrapped.layers, unwrapped.trailing), (vec![], 0));
    }
}

#[test]
fn each_compression_is_unpacked() {
    for (layer, data) in packed() {
        assert!(data.len() < image().len(), "{layer}");
        demand(&data, &[layer], &image(), 0);
    }
    // An empty file can be packed as well.
    let none = [wrap::gzip(b""), wrap::xz(b"", 4096), wrap::lzma(b"", 4096), wrap::zstd(b"")];
    for data in none {
        assert_eq!(unwrap(&data, limits(0)).expect("no byte is within any limit").bytes.len(), 0);
    }
}

#[test]
fn streams_in_a_row_are_one_file() {
    let twice = [image(), image()].concat();
    for (layer, data) in packed().into_iter().filter(|(layer, _)| *layer != Layer::Lzma) {
        demand(&[data.clone(), data.clone()].concat(), &[layer], &twice, 0);
        demand(&[data.clone(), vec![0; 512]].concat(), &[layer], &image(), 0);
    }
    let padded = |one: Vec<u8>| [one.clone(), vec![0; 8], one].concat();
    demand(&padded(wrap::xz(&image(), DICTIONARY)), &[Layer::Xz], &twice, 0);
    let frame = wrap::zstd(&image());
    let skipped = wrap::zstd_skippable(b"parallel");
    let frames = [&skipped[..], &frame, &skipped, &frame, &skipped].concat();
    demand(&frames, &[Layer::Zstd], &twice, 0);
}

#[test]
fn trailing_bytes_are_counted() {
    for (layer, data) in packed() {
        demand(&[&data[..], b"\0\0garbage"].concat(), &[layer], &image(), 9);
        // Only the build of a boot image appends the size.
        let size = u32::try_from(image().len()).expect("it is small").to_le_bytes();
        let sized = [data, size.to_vec()].concat();
        demand(&sized, &[layer], &image(), 4);
        demand(&wrap::zboot(&sized, "x"), &[Layer::EfiZboot, layer], &image(), 0);
        let mut wrong = sized;
        *wrong.last_mut().expect("there is a size") ^= 0x80;
        demand(&wrap::zboot(&wrong, "x"), &[Layer::EfiZboot, layer], &image(), 4);
    }
}

#[test]
fn boot_images_hold_their_payload_in_any_compression() {
    for (layer, data) in packed() {
        demand(&wrap::zboot(&data, "any"), &[Layer::EfiZboot, layer], &image(), 0);
        for sectors in [0, 1, 27, 64, 255] {
            let bz_image = wrap::bz_image(&data, sectors);
            demand(&bz_image, &[Layer::BzImage, layer], &image(), 0);
        }
        let nested = wrap::gzip(&wrap::bz_image(&wrap::zboot(&data, ""), 27));
        let layers = [Layer::Gzip, Layer::BzImage, Layer::EfiZboot, layer];
        demand(&nested, &layers, &image(), 0);
    }
    let elf = [b"\x7fELF", &[7; 99][..]].concat();
    demand(&wrap::bz_image(&elf, 27), &[Layer::BzImage], &elf, 0);
    demand(&wrap::gzip(&wrap::bz_image(&elf, 27)), &[Layer::Gzip, Layer::BzImage], &elf, 0);
}

#[test]
fn boot_images_with_invalid_headers_are_refused() {
    let zboot = wrap::zboot(&wrap::gzip(b"kernel"), "gzip");
    let bz_image = wrap::bz_image(&wrap::gzip(b"kernel"), 27);
    let lies: [(&[u8], Layer, usize, u32, &str); 7] = [
        (&zboot, Layer::EfiZboot, 8, u32::MAX, "payload offset (at 0x8)"),
        (&zboot, Layer::EfiZboot, 12, 0, "payload size (at 0xc)"),
        (&zboot, Layer::EfiZboot, 12, 0x1000, "payload size (at 0xc)"),
        (&bz_image, Layer::BzImage, 0x248, u32::MAX, "payload_offset (at 0x248)"),
        (&bz_image, Layer::BzImage, 0x24c, u32::MAX, "payload_length (at 0x24c)"),
        (&bz_image, Layer::BzImage, 0x24c, 0, "payload_length (at 0x24c)"),
        (&bz_image, Layer::BzImage, 0x206, 0x0207, "version (at 0x206)"),
    ];
    for (sound, layer, offset, value, name) in lies {
        let mut data = sound.to_vec();
        data[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
        let (layers, fault) = fault(&data, Limits::default());
        assert_eq!(layers, [layer]);
        let ContainerFault::Header { field, found, .. } = &fault else { panic!("{fault}") };
        assert_eq!((*field, *found), (name, u64::from(value)));
    }
    let mut data = zboot;
    data[8..12].copy_from_slice(&0x800_u32.to_le_bytes());
    let error = unwrap(&data, Limits::default()).expect_err("there are only zeros");
    assert_eq!(
        error.to_string(),
        "EFI zboot image: expected a compressed kernel at offset 2048, found bytes \
         [00, 00, 00, 00, 00, 00, 00, 00], which the header calls \"gzip\": get the file again"
    );
}

#[test]
fn unsupported_compressions_are_named() {
    let bzip2 = b"BZh91AY&SYrest";
    let lzo = b"\x89LZO\0\r\n\x1a\nrest";
    let data = [b"\x02\x21\x4c\x18rest", b"\x04\x22\x4d\x18rest", &bzip2[..], lzo];
    for (data, name) in data.into_iter().zip(["lz4", "lz4", "bzip2", "lzo"]) {
        let (layers, bare) = fault(data, Limits::default());
        assert!(layers.is_empty() && matches!(bare, ContainerFault::Unsupported { .. }));
        let error = unwrap(&wrap::zboot(data, name), Limits::default()).expect_err("not read");
        let start = format!(
            "EFI zboot image: expected gzip, xz, lzma, zstd or no compression, found {name}: "
        );
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}

#[test]
fn every_truncation_is_reported() {
    for (layer, data) in packed() {
        // The length of the signature.
        let known = if layer == Layer::Lzma { 14 } else { 6 };
        for len in (known..data.len()).step_by(data.len() / 40).chain(data.len() - 20..data.len()) {
            let (layers, fault) = fault(&data[..len], Limits::default());
            assert_eq!(layers, [layer]);
            let ContainerFault::Truncated(progress) = fault else {
                panic!("{layer} {len}: {fault}")
            };
            assert_eq!(progress.available, len as u64);
            assert!(progress.input <= progress.available);
            assert!(progress.output <= image().len() as u64);
        }
    }
    let twice = [wrap::gzip(b"one"), wrap::gzip(b"two")].concat();
    let error = unwrap(&twice[..twice.len() - 1], Limits::default()).expect_err("one is missing");
    assert_eq!(
        error.to_string(),
        "gzip: expected more of the stream, found the end of the data (at byte 45 of 45, 6 bytes \
         unpacked): the file is truncated, get it again"
    );
}

#[test]
fn checksums_are_checked() {
    for (layer, sound) in packed().into_iter().filter(|(layer, _)| *layer != Layer::Lzma) {
        let mut noticed = 0;
        for position in (sound.len() / 3..sound.len()).step_by(sound.len() / 60) {
            let mut data = sound.clone();
            data[position] ^= 0x10;
            match unwrap(&data, limits(1 << 20)) {
                Err(_) => noticed += 1,
                Ok(unwrapped) => panic!("{layer} {position}: {}", unwrapped.bytes == image()),
            }
        }
        assert!(noticed > 10, "{layer}");
    }
}

#[test]
fn the_limit_is_exact_and_counts_all_layers() {
    let len = image().len() as u64;
    for (layer, data) in packed() {
        assert!(unwrap(&data, limits(len)).is_ok(), "{layer}");
        let (layers, fault) = fault(&data, limits(len - 1));
        assert_eq!(layers, [layer]);
        let ContainerFault::TooLarge { progress, limit } = fault else { panic!("{fault}") };
        assert_eq!((progress.output, limit), (len, len - 1));
        // The inner archive stays in memory while it is unpacked.
        let nested = wrap::gzip(&data);
        assert!(matches!(
            unwrap(&nested, limits(len)).map_err(|error| error.fault),
            Err(ContainerFault::TooLarge { .. })
        ));
        assert!(unwrap(&nested, limits(len + 2 * data.len() as u64)).is_ok());
    }
}

#[test]
fn bombs_fail_fast() {
    const MIB: usize = 1 << 20;
    let zeros = vec![0; 8 * MIB];
    let bombs = [
        (Layer::Gzip, wrap::gzip(&zeros).repeat(1280)),
        (Layer::Xz, wrap::xz(&zeros, DICTIONARY).repeat(1280)),
        (Layer::Zstd, wrap::zstd_zeros(10 << 13, 20)),
    ];
    for (layer, bomb) in bombs {
        for data in [wrap::zboot(&bomb, ""), wrap::bz_image(&bomb, 27)] {
            let (layers, fault) = fault(&data, limits(4 << 20));
            assert_eq!(layers[1..], [layer]);
            let ContainerFault::TooLarge { progress, .. } = fault else { panic!("{fault}") };
            assert_eq!(progress.output, (4 << 20) + 1);
            assert!(progress.input < progress.available / 100, "{progress}");
        }
    }
}

#[test]
fn too_many_layers_and_streams_are_refused() {
    let layers = |count| (0..count).fold(b"x".to_vec(), |inner, _| wrap::gzip(&inner));
    assert_eq!(*unwrap(&layers(8), Limits::default()).expect("8 layers").bytes, *b"x");
    let (found, many) = fault(&layers(9), Limits::default());
    assert_eq!((found.len(), many), (8, ContainerFault::TooManyLayers { limit: 8 }));
    let streams = wrap::zstd_skippable(b"").repeat(1 << 16);
    let frame = wrap::zstd(b"x");
    let (_, many) = fault(&[frame, streams].concat(), Limits::default());
    assert!(matches!(many, ContainerFault::TooManyStreams { limit: 65_536, .. }), "{many}");
}

#[test]
fn dictionaries_and_windows_are_bounded() {
    // The window that kernels are packed with is accepted.
    demand(&wrap::zstd_zeros(1, 27), &[Layer::Zstd], &vec![0; 128 << 10], 0);
    let (_, large) = fault(&wrap::zstd_zeros(1, 28), Limits::default());
    assert!(matches!(large, ContainerFault::Window { limit: 0x800_0000, .. }), "{large}");
    // The size of the dictionary in the header of a .lzma file.
    let mut lzma = wrap::lzma(b"kernel", 1 << 27);
    demand(&lzma, &[Layer::Lzma], b"kernel", 0);
    lzma[4] = 0x20;
    let (_, large) = fault(&lzma, Limits::default());
    assert!(matches!(large, ContainerFault::Window { limit: 0x1000_0000, .. }), "{large}");
}
