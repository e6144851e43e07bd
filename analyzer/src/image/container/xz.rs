//! .xz and .lzma streams, decoded by liblzma.

use super::output::Output;
use super::streams::{Codec, DecodeError, DecodeFault};
use liblzma::stream::{Action, Error, Status, Stream, TELL_UNSUPPORTED_CHECK};

/// .xz.
pub(super) const XZ: Codec =
    Codec { begins: is_xz, stated: |_| None, decode: decode_xz, window: MEMORY };
/// .lzma; a file has at most one stream.
pub(super) const LZMA: Codec =
    Codec { begins: |_| false, stated: lzma_size, decode: decode_lzma, window: MEMORY };

/// Most memory that liblzma may use, in bytes.  Kernels are packed with a dictionary of 128 MiB
/// (`scripts/xz_wrap.sh` of Linux 6.12), modules with 2 MiB.  The memory is touched only in
/// proportion to the output.
const MEMORY: u64 = 256 << 20;

const XZ_MAGIC: [u8; 6] = [0xfd, b'7', b'z', b'X', b'Z', 0];
/// Literal and position bits, as all encoders set them by default.
const LZMA_PROPERTIES: u8 = 0x5d;
const LZMA_UNKNOWN_SIZE: u64 = u64::MAX;
/// xz does not accept .lzma files that state more.
const LZMA_LARGEST: u64 = 1 << 38;

/// Whether `data` starts like .xz.
pub(super) fn is_xz(data: &[u8]) -> bool {
    data.starts_with(&XZ_MAGIC)
}

/// Whether `data` starts like .lzma.  The format has no magic number; this checks for the
/// default properties, a dictionary size that encoders use, a plausible size, and the zero that
/// range coding starts with.
pub(super) fn is_lzma(data: &[u8]) -> bool {
    let Some(([properties, dictionary @ ..], rest)) = data.split_first_chunk::<5>() else {
        return false;
    };
    let Some((size, rest)) = rest.split_first_chunk() else { return false };
    let (dictionary, size) = (u32::from_le_bytes(*dictionary), u64::from_le_bytes(*size));
    // 2ⁿ or 2ⁿ + 2ⁿ⁻¹.
    let top_bits = dictionary.checked_shr(dictionary.trailing_zeros());
    *properties == LZMA_PROPERTIES
        && matches!(top_bits, Some(1 | 3))
        && (size == LZMA_UNKNOWN_SIZE || size < LZMA_LARGEST)
        && rest.first() == Some(&0)
}

fn lzma_size(data: &[u8]) -> Option<u64> {
    let size = u64::from_le_bytes(*data.get(5..)?.first_chunk()?);
    (size != LZMA_UNKNOWN_SIZE).then_some(size)
}

fn decode_xz(data: &[u8], output: &mut Output) -> Result<usize, DecodeError> {
    decode(Stream::new_stream_decoder(MEMORY, TELL_UNSUPPORTED_CHECK), data, output)
}

fn decode_lzma(data: &[u8], output: &mut Output) -> Result<usize, DecodeError> {
    decode(Stream::new_lzma_decoder(MEMORY), data, output)
}

fn decode(
    stream: Result<Stream, Error>,
    data: &[u8],
    output: &mut Output,
) -> Result<usize, DecodeError> {
    let mut stream = stream.map_err(|error| DecodeError { input: 0, stop: stop(error) })?;
    let position = |stream: &Stream| usize::try_from(stream.total_in()).unwrap_or(data.len());
    loop {
        let input = position(&stream);
        let stopped = |stop| DecodeError { input, stop };
        let room = output.with_room().map_err(|refusal| stopped(DecodeFault::Refused(refusal)))?;
        let before = room.len();
        let rest = data.get(input..).unwrap_or_default();
        let status = stream.process_vec(rest, room, Action::Run);
        let progress = position(&stream) != input || room.len() != before;
        match status {
            Ok(Status::StreamEnd) => return Ok(position(&stream)),
            Ok(Status::Ok | Status::GetCheck | Status::MemNeeded) if progress => {}
            // The output had room, so the input ends early.
            Ok(_) => return Err(stopped(DecodeFault::Truncated)),
            Err(error) => {
                return Err(DecodeError { input: position(&stream), stop: stop(error) });
            }
        }
    }
}

fn stop(error: Error) -> DecodeFault {
    match error {
        Error::MemLimit => DecodeFault::Window,
        Error::Mem => DecodeFault::Refused(super::output::OutputRefusal::OutOfMemory),
        other => DecodeFault::Damaged(other.to_string()),
    }
}
