//! gzip members (RFC 1952).

use super::output::Output;
use super::streams::{Codec, DecodeError, DecodeFault};
use flate2::bufread::GzDecoder;

/// gzip.
pub(super) const GZIP: Codec = Codec { begins, stated, decode, window: 32 << 10 };

/// Magic number, followed by the only compression method.
const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

fn begins(data: &[u8]) -> bool {
    data.starts_with(&MAGIC)
}

/// The size in the last four bytes; it is the unpacked size if the file is a single member.
fn stated(data: &[u8]) -> Option<u64> {
    data.last_chunk().map(|size| u64::from(u32::from_le_bytes(*size)))
}

fn decode(data: &[u8], output: &mut Output) -> Result<usize, DecodeError> {
    let mut decoder = GzDecoder::new(data);
    let filled = output.fill(&mut decoder);
    let input = data.len() - decoder.get_ref().len();
    filled
        .map(|()| input)
        .map_err(|error| DecodeError { input, stop: DecodeFault::from_fill(error) })
}
