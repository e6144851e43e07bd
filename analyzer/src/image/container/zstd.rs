//! Zstandard frames (RFC 8878).

use super::output::{FillError, Output};
use super::streams::{Codec, DecodeError, DecodeFault};
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};
use std::error::Error;
use std::io;

/// Zstandard.
pub(super) const ZSTD: Codec = Codec { begins, stated, decode, window: WINDOW };

/// Size of the largest window that a frame may require, in bytes: kernels are packed by `zstd
/// --ultra -22` (`scripts/Makefile.lib` of Linux 6.12) with 128 MiB.
const WINDOW: u64 = 128 << 20;
const MAGIC: u32 = 0xfd2f_b528;
/// The first of sixteen magic numbers.
const SKIPPABLE: u32 = 0x184d_2a50;
/// Magic number and size at the start of a skippable frame.
const SKIPPABLE_HEADER: usize = 8;
/// Most skippable frames before the first frame that identifies Zstandard.
const MOST_SKIPPED: usize = 4;

/// Whether `data` is Zstandard: at most a few skippable frames, then a frame.
pub(super) fn is_zstd(data: &[u8]) -> bool {
    let mut rest = data;
    for _ in 0..=MOST_SKIPPED {
        if word(rest) == Some(MAGIC) {
            return true;
        }
        let next = skippable(rest).and_then(|len| rest.get(len..));
        let Some(next) = next else { return false };
        rest = next;
    }
    false
}

fn begins(data: &[u8]) -> bool {
    word(data).is_some_and(|word| word == MAGIC || word & !0xf == SKIPPABLE)
}

fn word(data: &[u8]) -> Option<u32> {
    data.first_chunk().map(|word| u32::from_le_bytes(*word))
}

/// Length of the skippable frame at the start of `data`.
fn skippable(data: &[u8]) -> Option<usize> {
    let (magic, size) = (word(data)?, word(data.get(4..)?)?);
    let size = usize::try_from(size).ok()?.checked_add(SKIPPABLE_HEADER)?;
    (magic & !0xf == SKIPPABLE).then_some(size)
}

/// The content size in the header of the first frame, unless that frame is skippable.
fn stated(data: &[u8]) -> Option<u64> {
    let mut decoder = FrameDecoder::new();
    decoder.init(data).ok()?;
    Some(decoder.content_size())
}

fn decode(data: &[u8], output: &mut Output) -> Result<usize, DecodeError> {
    if let Some(len) = skippable(data) {
        let input = data.len();
        return if len <= input {
            Ok(len)
        } else {
            Err(DecodeError { input, stop: DecodeFault::Truncated })
        };
    }
    let mut frame = FrameDecoder::new();
    frame.set_max_window_size(WINDOW);
    let mut decoder = match StreamingDecoder::new_with_decoder(data, frame) {
        Ok(decoder) => decoder,
        Err(error) => return Err(DecodeError { input: 0, stop: stop(&error) }),
    };
    let before = output.len();
    let filled = output.fill(&mut decoder);
    let input = data.len() - decoder.get_ref().len();
    let stopped = |stop| DecodeError { input, stop };
    filled.map_err(|error| stopped(fill_stop(error)))?;
    verify(&decoder.decoder, output.len() - before)
        .map_err(|found| stopped(DecodeFault::Damaged(found)))?;
    Ok(input)
}

/// The checks that the decoder leaves to its caller: the checksum and the size.
fn verify(frame: &FrameDecoder, len: usize) -> Result<(), String> {
    let (stated, computed) = (frame.get_checksum_from_data(), frame.get_calculated_checksum());
    if stated.is_some() && stated != computed {
        let (stated, computed) = (stated.unwrap_or_default(), computed.unwrap_or_default());
        return Err(format!("a checksum of {computed:#010x} where {stated:#010x} is stated"));
    }
    // 0 also stands for a size that is not stated.
    match frame.content_size() {
        0 => Ok(()),
        size if size == len as u64 => Ok(()),
        size => Err(format!("a frame of {len} bytes where {size} are stated")),
    }
}

fn fill_stop(error: FillError) -> DecodeFault {
    if let FillError::Read(error) = &error
        && let Some(inner) = error.get_ref()
    {
        return stop(inner);
    }
    DecodeFault::from_fill(error)
}

fn stop(error: &(dyn Error + 'static)) -> DecodeFault {
    if let Some(FrameDecoderError::WindowSizeTooBig { .. }) = error.downcast_ref() {
        return DecodeFault::Window;
    }
    let mut cause = Some(error);
    while let Some(error) = cause {
        let is_end = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
        if error.downcast_ref().is_some_and(is_end) {
            return DecodeFault::Truncated;
        }
        cause = error.source();
    }
    DecodeFault::Damaged(error.to_string())
}
