//! Files with an image inside: compressed, as boot images, and signed.

use flate2::Compression;
use flate2::write::GzEncoder;
use liblzma::stream::{Action, Check, Filters, LzmaOptions, Status, Stream};
use std::io::Write;

/// The last bytes of a signed module (include/linux/module_signature.h, Linux 6.12).
pub const MAGIC: &[u8; 28] = b"~Module signature appended~\n";
/// `PKEY_ID_PKCS7`, the only kind of signature that the kernel accepts.
pub const PKCS7: u8 = 2;
/// Bytes of the trailer before [`MAGIC`], `struct module_signature`.
const TRAILER_BYTES: usize = 12;
const ID_TYPE: usize = 2;

/// One gzip member.
///
/// # Panics
/// Never: writing to memory cannot fail.
#[must_use]
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}

/// One .xz stream with a dictionary of `dictionary` bytes and CRC-32, the only check that the
/// kernel's decoder supports (lib/decompress_unxz.c, Linux 6.12).
///
/// # Panics
/// If liblzma cannot have such a dictionary.
#[must_use]
pub fn xz(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    let mut filters = Filters::new();
    filters.lzma2(&options(dictionary));
    let stream = Stream::new_stream_encoder(&filters, Check::Crc32);
    encode(stream.expect("liblzma takes the filters"), bytes)
}

/// One .lzma stream, of no stated size, with a dictionary of `dictionary` bytes.
///
/// # Panics
/// If liblzma cannot have such a dictionary.
#[must_use]
pub fn lzma(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    let stream = Stream::new_lzma_encoder(&options(dictionary));
    encode(stream.expect("liblzma takes the options"), bytes)
}

fn options(dictionary: u32) -> LzmaOptions {
    // Fast, and with little memory.
    let mut options = LzmaOptions::new_preset(0).expect("liblzma has the preset");
    options.dict_size(dictionary);
    options
}

fn encode(mut stream: Stream, bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    loop {
        packed.reserve(bytes.len() / 2 + 4096);
        let done = usize::try_from(stream.total_in()).expect("at most the input");
        let status = stream.process_vec(&bytes[done..], &mut packed, Action::Finish);
        if status.expect("liblzma can encode") == Status::StreamEnd {
            return packed;
        }
    }
}

/// One Zstandard frame with a checksum.
///
/// # Panics
/// Never: writing to memory cannot fail that is written.
#[must_use]
pub fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 0).expect("the level exists");
    encoder.include_checksum(true).expect("a checksum can be had");
    encoder.write_all(bytes).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail")
}

/// A file that unpacks to so many MiB of zeros. It has one member (stream, frame) for each MiB,
/// which all three formats allow and which is fast to make.
#[must_use]
pub fn bomb(pack: impl Fn(&[u8]) -> Vec<u8>, mebibytes: usize) -> Vec<u8> {
    pack(&vec![0; 1 << 20]).repeat(mebibytes)
}

/// A Zstandard frame of `blocks` × 128 KiB zeros that requires a window of 2^`window_log`
/// bytes: four bytes for each block.
#[must_use]
pub fn zstd_zeros(blocks: u32, window_log: u8) -> Vec<u8> {
    const RLE: u32 = 1 << 1;
    const SIZE: u32 = 128 << 10;
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, (window_log - 10) << 3];
    for block in 1..=blocks {
        let header = u32::from(block == blocks) | RLE | SIZE << 3;
        frame.extend(&header.to_le_bytes()[..3]);
        frame.push(0);
    }
    frame
}

/// A Zstandard frame that decoders skip.
///
/// # Panics
/// If there are 4 GiB of `bytes`.
#[must_use]
pub fn zstd_skippable(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("a small frame");
    [&0x184d_2a57_u32.to_le_bytes(), &len.to_le_bytes(), bytes].concat()
}

/// Offset of the payload in [`zboot`].
pub const ZBOOT_PAYLOAD: u32 = 0x1000;

/// An EFI zboot image around a compressed `payload`.
///
/// # Panics
/// If there are 4 GiB of it, or `label` is too long.
#[must_use]
pub fn zboot(payload: &[u8], label: &str) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("a small payload");
    let mut image = [b"MZ\0\0zimg", &ZBOOT_PAYLOAD.to_le_bytes()[..], &len.to_le_bytes()].concat();
    image.resize(0x18, 0);
    image.extend(label.as_bytes());
    assert!(image.len() < 0x38, "the label is short");
    image.resize(ZBOOT_PAYLOAD as usize, 0);
    image.extend(payload);
    // The code that unpacks the payload.
    image.resize(image.len() + 64, 0xd5);
    image
}

/// An x86 boot image with `sectors` of setup code (0 means 4) around `payload`.
///
/// # Panics
/// If there are 4 GiB of it.
#[must_use]
pub fn bz_image(payload: &[u8], sectors: u8) -> Vec<u8> {
    const PAYLOAD_OFFSET: u32 = 0x1c0;
    let len = u32::try_from(payload.len()).expect("a small payload");
    let setup = (usize::from(if sectors == 0 { 4 } else { sectors }) + 1) * 512;
    let mut image = vec![0; setup.max(0x400)];
    let mut set = |offset: usize, bytes: &[u8]| {
        image[offset..offset + bytes.len()].copy_from_slice(bytes);
    };
    set(0, b"MZ");
    set(0x1f1, &[sectors]);
    set(0x1fe, &[0x55, 0xaa]);
    set(0x202, b"HdrS");
    set(0x206, &0x020f_u16.to_le_bytes());
    set(0x248, &PAYLOAD_OFFSET.to_le_bytes());
    set(0x24c, &len.to_le_bytes());
    image.resize(setup + PAYLOAD_OFFSET as usize, 0x90);
    image.extend(payload);
    image.resize(image.len() + 64, 0x90);
    image
}

/// Signs `module` as the kernel's `scripts/sign-file` does: appends `message`, the descriptor
/// and the marker.
///
/// # Panics
/// If there are 4 GiB of `message`.
#[must_use]
pub fn sign(module: &[u8], message: &[u8]) -> Vec<u8> {
    let claimed = u32::try_from(message.len()).expect("a small message");
    with_trailer(module, message, PKCS7, claimed)
}

/// `module` with `signature` and a trailer that states `id_type` and that the
/// signature has `claimed` bytes, true or not.
#[must_use]
pub fn with_trailer(module: &[u8], signature: &[u8], id_type: u8, claimed: u32) -> Vec<u8> {
    let mut trailer = [0; TRAILER_BYTES];
    trailer[ID_TYPE] = id_type;
    // Big-endian on every machine.
    trailer[TRAILER_BYTES - 4..].copy_from_slice(&claimed.to_be_bytes());
    [module, signature, &trailer, MAGIC].concat()
}

/// One DER element.
///
/// # Panics
/// If there are more than 65,535 `contents`.
#[must_use]
pub fn der(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    let [high, low] = u16::try_from(contents.len()).expect("a small element").to_be_bytes();
    let length = match (high, low) {
        (0, 0..0x80) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [vec![tag], length, contents].concat()
}

/// Which key [`pkcs7`] names, as DER.
#[must_use]
pub fn issuer_and_serial(common_name: &str, serial: &[u8]) -> Vec<u8> {
    let organisation = attribute(&[0x55, 4, 10], 0x13, b"Example");
    let name = attribute(&[0x55, 4, 3], 0x0c, common_name.as_bytes());
    der(0x30, &[&der(0x30, &[&organisation, &name]), &der(2, &[serial])])
}

fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    der(0x31, &[&der(0x30, &[&der(6, &[oid]), &der(tag, &[value])])])
}

/// A detached PKCS#7 message as `scripts/sign-file` writes it: SHA-512 and RSA, with one signer
/// for each of `keys` and a dummy signature of 256 bytes.
#[must_use]
pub fn pkcs7(keys: &[Vec<u8>]) -> Vec<u8> {
    let pkcs7 = |last: u8| der(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, last]]);
    let sha512 = der(0x30, &[&der(6, &[&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3]])]);
    let rsa = der(6, &[&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1]]);
    let rsa = der(0x30, &[&rsa, &der(5, &[])]);
    let one = der(2, &[&[1]]);
    let signature = der(4, &[&[0x5a; 256]]);
    let signer = |key: &Vec<u8>| der(0x30, &[&one, key, &sha512, &rsa, &signature]);
    let signers: Vec<Vec<u8>> = keys.iter().map(signer).collect();
    let signers: Vec<&[u8]> = signers.iter().map(Vec::as_slice).collect();
    let digests = der(0x31, &[&sha512]);
    let data = der(0x30, &[&pkcs7(1)]);
    let signed_data = der(0x30, &[&one, &digests, &data, &der(0x31, &signers)]);
    der(0x30, &[&pkcs7(2), &der(0xa0, &[&signed_data])])
}
