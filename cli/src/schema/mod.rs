//! Values that the schemas of several commands share: addresses, bytes, source frames.

mod frame;
mod value;

pub(crate) use frame::{FrameRecord, SiteFrames, frame_record, used_at};
pub(crate) use value::{Address, Hex, branch_name, insn_name, owned};
