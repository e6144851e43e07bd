//! Chains of frames as plain values.

use jlctl_analyzer::debug_info::Frames;

/// A frame: function, file, line, column.
pub(crate) type Frame = (Option<String>, Option<String>, Option<u32>, Option<u32>);
/// Frames of one address, innermost first.
pub(crate) type Chain = Vec<Frame>;

/// The chains of a look-up of `count` addresses.
pub(crate) fn of_frames(frames: &Frames, count: usize) -> Vec<Chain> {
    let text = |id| frames.string(id).to_owned();
    let frame = |frame: &jlctl_analyzer::debug_info::Frame| {
        (frame.function.map(text), frame.file.map(text), frame.line, frame.column)
    };
    (0..count).map(|index| frames.chain(index).iter().map(frame).collect()).collect()
}
