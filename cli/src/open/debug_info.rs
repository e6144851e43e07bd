//! Debug information: source lines of sites, and names of keys.

use super::input::Input;
use crate::schema::{FrameRecord, SiteFrames, frame_record, used_at};
use crate::terminal::exit::{Kind, failure};
use crate::terminal::progress::Progress;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::{DebugFault, DebugInfo, DebugInfoError};
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::{
    Defect, Diagnostic, JumpTable, KeyDescriptions, LocateError, SiteId,
};

/// Opens the debug information of `input`; `None` if there is none, or if it cannot be read, which
/// is added to `diagnostics`.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn open<'a>(
    input: &'a Input,
    image: &Image<'_>,
    progress: &Progress,
    diagnostics: &mut Vec<Diagnostic>,
) -> anyhow::Result<Option<DebugInfo<'a>>> {
    let Some((file, _)) = input.debug() else { return Ok(None) };
    let sections = Image::parse_sections(file)?.placed_as(image.sections())?;
    match progress.phase("open debug information", 1, |_| DebugInfo::new(&sections)) {
        Ok(debug_info) => Ok(Some(debug_info)),
        Err(DebugInfoError::Absent) => Ok(None),
        Err(error) => {
            diagnostics.push(Diagnostic::of_image(Defect::of_debug_info(&error)));
            Ok(None)
        }
    }
}

/// The names and kinds of the keys of `table`.
pub(crate) fn describe_keys(
    debug_info: Option<&DebugInfo<'_>>,
    input: &Input,
    image: &Image<'_>,
    table: &JumpTable<'_>,
    progress: &Progress,
) -> KeyDescriptions {
    let path = input.debug().map_or(input.path(), |(_, path)| path);
    let debug = debug_info.map(|debug_info| (debug_info, path));
    progress.phase("describe the keys", 1, |_| KeyDescriptions::of_table(image, table, debug))
}

/// The frames of `sites`; parts that cannot be read are added to `diagnostics`.
pub(crate) fn frames(
    debug_info: &DebugInfo<'_>,
    input: &Input,
    table: &JumpTable<'_>,
    sites: &[SiteId],
    progress: &Progress,
    diagnostics: &mut Vec<Diagnostic>,
) -> SiteFrames {
    let addresses: Vec<_> = sites.iter().map(|id| table.entry(*id).code).collect();
    let path = input.debug().map_or(input.path(), |(_, path)| path);
    let frames = progress.phase("look up source lines", addresses.len(), |done| {
        debug_info.frames(&addresses, path, done)
    });
    diagnostics.extend(frames.faults().iter().map(debug_fault));
    SiteFrames::new(frames, sites, table.len())
}

/// For each of `addresses`, its frame outside `jump_label.h`; parts that cannot be read are added
/// to `diagnostics`.
pub(crate) fn lines(
    debug_info: &DebugInfo<'_>,
    input: &Input,
    addresses: &[Svma],
    progress: &Progress,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<Option<FrameRecord<'static>>> {
    let path = input.debug().map_or(input.path(), |(_, path)| path);
    let frames = progress.phase("look up source lines", addresses.len(), |done| {
        debug_info.frames(addresses, path, done)
    });
    diagnostics.extend(frames.faults().iter().map(debug_fault));
    let line = |at| {
        let id = used_at(&frames, frames.chain_ids(at))?;
        Some(frame_record(&frames, &frames.all()[id.index()]).into_owned())
    };
    (0..addresses.len()).map(line).collect()
}

/// Debug information that could not be read, as a diagnostic.
pub(crate) fn debug_fault(fault: &DebugFault) -> Diagnostic {
    Diagnostic::of_image(Defect::DebugInfo(fault.clone()))
}

/// The error for an image without a table. A damaged image most likely had a table: it is an input
/// that cannot be read, not a refusal.
pub(crate) fn no_table(image: &Image<'_>, error: LocateError) -> anyhow::Error {
    let damage = image.faults().iter().filter(|fault| fault.is_damage());
    let faults: Vec<String> = damage.map(ToString::to_string).collect();
    if faults.is_empty() {
        return error.into();
    }
    failure(Kind::Input, format!("{error}; the image is damaged: {}", faults.join("; ")))
}
