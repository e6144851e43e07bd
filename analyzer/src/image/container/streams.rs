//! Consecutive compressed streams, read as the tools of the formats read them.

use super::error::{ContainerFault, UnpackProgress};
use super::output::{FillError, Output, OutputRefusal};
use std::io;

/// One compression format.
pub(super) struct Codec {
    /// Whether the data start like a stream of the format.
    pub(super) begins: fn(&[u8]) -> bool,
    /// The unpacked size that the data state, if they do.
    pub(super) stated: fn(&[u8]) -> Option<u64>,
    /// Unpacks the first stream and returns its length in bytes.
    pub(super) decode: fn(&[u8], &mut Output) -> Result<usize, DecodeError>,
    /// Size of the largest dictionary or window that the decoder accepts, in bytes.
    pub(super) window: u64,
}

/// Why decoding a stream failed, and after how many bytes of it.
#[derive(Debug)]
pub(super) struct DecodeError {
    pub(super) input: usize,
    pub(super) stop: DecodeFault,
}

/// Why decoding a stream stopped.
#[derive(Debug)]
pub(super) enum DecodeFault {
    /// The data end early.
    Truncated,
    /// The data are invalid.
    Damaged(String),
    /// The dictionary or window is too large.
    Window,
    /// The output buffer accepts no more bytes.
    Refused(OutputRefusal),
}

impl DecodeFault {
    /// The fault that an error of a reader stands for, if the decoder gives no better reason.
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
    /// The unpacked bytes of all streams.
    pub(super) bytes: Vec<u8>,
    /// Length of the data up to the end of the last stream.
    pub(super) consumed: usize,
}

/// Each stream takes a decoder; blocked gzip (BGZF) has 16,384 streams per GiB.
const MAX_STREAMS: u32 = 1 << 16;

/// Unpacks all streams at the start of `data` to at most `limit` bytes.  Messages give
/// `max_bytes` as the limit.
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
        // A decoder can reach the end of the stream with the excess byte in the buffer.
        let within = output.check().map_err(DecodeFault::Refused);
        if let Err(stop) = decoded.map_err(|stopped| stopped.stop).and(within) {
            return Err(fault(stop, progress, codec.window, max_bytes));
        }
        consumed = consumed.max(start + used);
        start = consumed + padding(data.get(consumed..).unwrap_or_default());
        // An empty stream would repeat forever.
        if used == 0 || !(codec.begins)(data.get(start..).unwrap_or_default()) {
            return Ok(Unpacked { bytes: output.into_bytes(), consumed });
        }
        if streams == MAX_STREAMS {
            return Err(ContainerFault::TooManyStreams { progress, limit: MAX_STREAMS });
        }
    }
}

/// Number of zeros at the start of `data`: gzip and xz pad with zeros.
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
