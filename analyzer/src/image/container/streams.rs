//! Compressed streams one after the other, as the formats' own tools read them.

use super::error::{ContainerFault, UnpackProgress};
use super::output::{FillError, Output, OutputRefusal};
use std::io;

/// One compression format.
pub(super) struct Codec {
    /// Whether bytes begin like a stream of the format.
    pub(super) begins: fn(&[u8]) -> bool,
    /// How many bytes the data state that they become, if they do.
    pub(super) stated: fn(&[u8]) -> Option<u64>,
    /// Unpacks the first stream; answers how many bytes it has.
    pub(super) decode: fn(&[u8], &mut Output) -> Result<usize, DecodeError>,
    /// Bytes of a dictionary or window that the decoder takes.
    pub(super) window: u64,
}

/// Why decoding a stream stopped, and after how many bytes of it.
#[derive(Debug)]
pub(super) struct DecodeError {
    pub(super) input: usize,
    pub(super) stop: DecodeFault,
}

/// Why decoding a stream stopped.
#[derive(Debug)]
pub(super) enum DecodeFault {
    /// The data end.
    Truncated,
    /// The data are wrong.
    Damaged(String),
    /// The dictionary or window is too large.
    Window,
    /// The output takes no more.
    Refused(OutputRefusal),
}

impl DecodeFault {
    /// What `error` of a reader without a better explanation means.
    pub(super) fn from_fill(error: FillError) -> Self {
        match error {
            FillError::Refused(refusal) => Self::Refused(refusal),
            FillError::Read(error) => Self::from_io(&error),
        }
    }

    fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Truncated,
            io::ErrorKind::OutOfMemory => Self::Refused(OutputRefusal::OutOfMemory),
            _ => Self::Damaged(error.to_string()),
        }
    }
}

/// Unpacked streams.
#[derive(Debug)]
pub(super) struct Unpacked {
    /// What came out of all streams.
    pub(super) bytes: Vec<u8>,
    /// Bytes of the data up to the end of the last stream.
    pub(super) consumed: usize,
}

/// Each stream costs a decoder; blocked gzip (BGZF) has 16,384 in 1 GiB.
const MAX_STREAMS: u32 = 1 << 16;

/// Unpacks all streams at the start of `data`, to at most `limit` bytes; of
/// these, `max_bytes` is what is said to be the limit.
pub(super) fn unpack(
    codec: &Codec,
    data: &[u8],
    limit: u64,
    max_bytes: u64,
) -> Result<Unpacked, ContainerFault> {
    let mut output = Output::new(limit, data.len(), (codec.stated)(data));
    let mut streams = 0;
    let (mut start, mut consumed) = (0, 0);
    loop {
        let rest = data.get(start..).unwrap_or_default();
        streams += 1;
        let decoded = (codec.decode)(rest, &mut output);
        let used = decoded.as_ref().map_or_else(|stopped| stopped.input, |used| *used);
        let progress = UnpackProgress {
            input: (start + used) as u64,
            available: data.len() as u64,
            output: output.len() as u64,
        };
        // A decoder may come to the end of the stream with the excess in its room.
        let within = output.check().map_err(DecodeFault::Refused);
        if let Err(stop) = decoded.map_err(|stopped| stopped.stop).and(within) {
            return Err(fault(stop, progress, codec.window, max_bytes));
        }
        consumed = consumed.max(start + used);
        start = consumed + padding(data.get(consumed..).unwrap_or_default());
        // A stream of no bytes would never end.
        if used == 0 || !(codec.begins)(data.get(start..).unwrap_or_default()) {
            return Ok(Unpacked { bytes: output.into_bytes(), consumed });
        }
        if streams == MAX_STREAMS {
            return Err(ContainerFault::TooManyStreams { progress, limit: MAX_STREAMS });
        }
    }
}

/// Zeros at the start of `data`: gzip and xz pad with them.
pub(super) fn padding(data: &[u8]) -> usize {
    data.iter().take_while(|byte| **byte == 0).count()
}

fn fault(
    stop: DecodeFault,
    progress: UnpackProgress,
    window: u64,
    max_bytes: u64,
) -> ContainerFault {
    match stop {
        DecodeFault::Truncated => ContainerFault::Truncated(progress),
        DecodeFault::Damaged(found) => ContainerFault::Damaged { progress, found },
        DecodeFault::Window => ContainerFault::Window { progress, limit: window },
        DecodeFault::Refused(OutputRefusal::TooLarge) => {
            ContainerFault::TooLarge { progress, limit: max_bytes }
        }
        DecodeFault::Refused(OutputRefusal::OutOfMemory) => ContainerFault::OutOfMemory(progress),
    }
}
