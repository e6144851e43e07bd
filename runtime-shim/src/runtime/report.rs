//! The report: counts and uncovered patches, as values and as JSON (schema `jlshim.report/1`).

#![allow(unsafe_code, reason = "the path, from the environment")]

use crate::runtime::error::Error;
use crate::runtime::object::initial;
use crate::runtime::patching::record::{Counts, UncoveredPatch};
use crate::runtime::patching::state::{self, Wait};
#[cfg(feature = "capi")]
use crate::runtime::sync::clear_cache;
use crate::runtime::sync::{self, Allowed};
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::file::File;
use crate::runtime::sys::page_vec::PageVec;
use crate::runtime::sys::text::{Text, expand};
use crate::runtime::sys::{loaded, process};
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Counts of what the runtime has patched and synchronised in this process so far.
///
/// # Errors
/// [`Error::ForeignProcess`]; [`Error::Busy`] in a signal handler that interrupted a fork handler.
pub fn report() -> Result<Counts, Error> {
    Ok(state::enter(Wait::Yes)?.record.counts)
}

/// Copies patches that no strict synchronisation has covered into `into`, as many as fit, and
/// returns their number.
///
/// # Errors
/// As [`report`].
pub fn uncovered(into: &mut [UncoveredPatch]) -> Result<usize, Error> {
    let held = state::enter(Wait::Yes)?;
    let patches = held.record.patches();
    let count = patches.len().min(into.len());
    into.iter_mut().zip(patches).for_each(|(to, from)| *to = *from);
    Ok(count)
}

/// The path of the report, from the environment; null for no report.
static PATH: AtomicPtr<core::ffi::c_char> = AtomicPtr::new(ptr::null_mut());
/// The process that read the path.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Makes [`write_report`] write to `path`, with the process id for `%p`.
pub(crate) fn write_at_exit(path: &'static CStr) {
    PATH.store(path.as_ptr().cast_mut(), Ordering::Relaxed);
    PROCESS.store(process::id(), Ordering::Relaxed);
}

/// Writes the report, if the environment names a path.  The child of a fork writes a report only
/// if the path contains `%p`, so that it does not overwrite its parent's.
pub(crate) fn write_report() {
    let path = PATH.load(Ordering::Relaxed);
    if path.is_null() {
        return;
    }
    // SAFETY: a string that stays in place, by `write_at_exit`.
    let path = unsafe { CStr::from_ptr(path) };
    let mut name = Text::<4096>::new();
    let is_own = expand(path, process::id(), &mut name);
    if !is_own && PROCESS.load(Ordering::Relaxed) != process::id() {
        return;
    }
    let Ok(name) = CStr::from_bytes_with_nul(name.bytes()) else { return };
    let Ok(snapshot) = Snapshot::take() else { return };
    if let Ok(file) = File::create(name) {
        let mut out = Buffered { file, text: Text::new(), result: Ok(()) };
        let _ = write_json(&mut out, &snapshot);
        out.flush();
    }
}

/// A counter, with its name in the report.
pub(crate) struct Count {
    name: &'static str,
    value: AtomicU64,
}

impl Count {
    const fn new(name: &'static str) -> Self {
        Self { name, value: AtomicU64::new(0) }
    }

    /// Adds 1.
    pub(crate) fn add(&self) {
        self.value.fetch_add(1, Ordering::Relaxed);
    }
}

/// Requests to the control socket, of any kind and outcome.
pub(crate) static CONTROL_REQUESTS: Count = Count::new("control_requests");
/// Batches of the control socket that were applied.
pub(crate) static CONTROL_BATCHES: Count = Count::new("control_batches");
/// Connections to the control socket that were refused for their user.
pub(crate) static CONTROL_REFUSED: Count = Count::new("control_refused");

/// The counts of the control socket, with their names.
fn control_counts() -> [(&'static str, u64); 3] {
    [&CONTROL_REQUESTS, &CONTROL_BATCHES, &CONTROL_REFUSED]
        .map(|count| (count.name, count.value.load(Ordering::Relaxed)))
}

/// The counts of `__clear_cache`, which only libjlshim defines.
fn icache() -> [(&'static str, u64); 4] {
    #[cfg(feature = "capi")]
    let [calls, syncs, shared, failed] = {
        let counts = clear_cache::counts();
        [counts.calls, counts.syncs, counts.shared, counts.failed]
    };
    #[cfg(not(feature = "capi"))]
    let [calls, syncs, shared, failed] = [0; 4];
    [
        ("icache_calls", calls),
        ("icache_syncs", syncs),
        ("icache_shared", shared),
        ("icache_failed", failed),
    ]
}

/// A copy of the runtime's state for the report.  It is taken first, under the runtime's lock: the
/// dynamic linker is then asked for the objects of patches without that lock, since a thread that
/// closes an object holds the linker's lock while it waits for the runtime's.
pub(crate) struct Snapshot {
    counts: Counts,
    /// The numbers of tables and of all their entries.
    tables: (usize, usize),
    patches: PageVec<UncoveredPatch>,
}

impl Snapshot {
    /// Copies the current state.
    ///
    /// # Errors
    /// Those of [`state::enter`], and [`Error::NoMemory`].
    pub(crate) fn take() -> Result<Self, Error> {
        let held = state::enter(Wait::Yes)?;
        let mut patches = PageVec::new();
        let uncovered = held.record.patches().iter();
        uncovered.copied().try_for_each(|patch| patches.push(patch)).map_err(Error::NoMemory)?;
        Ok(Self { counts: held.record.counts, tables: held.tables.peak(), patches })
    }
}

/// Writes the report as one JSON object, with one element of a list in each line, so that grep,
/// diff and head work on it.
pub(crate) fn write_json(out: &mut impl Write, snapshot: &Snapshot) -> fmt::Result {
    let level = sync::choose(Allowed::in_process());
    let Snapshot { counts, tables: (tables, sites), patches } = snapshot;
    writeln!(out, "{{\n  \"schema\": \"jlshim.report/1\",\n  \"pid\": {},", process::id())?;
    match level {
        Ok(level) => {
            let strength = if level.is_strict() { "strict" } else { "best-effort" };
            writeln!(out, "  \"sync_level\": \"{strength}\",")?;
            writeln!(out, "  \"sync_method\": \"{}\",", level.method())?;
            writeln!(out, "  \"sync_refusal\": null,")?;
        }
        Err(refusal) => {
            writeln!(out, "  \"sync_level\": \"refused\",\n  \"sync_method\": null,")?;
            writeln!(out, "  \"sync_refusal\": \"{refusal}\",")?;
        }
    }
    writeln!(out, "  \"tables\": {tables},\n  \"sites\": {sites},")?;
    for (name, count) in [
        ("batches", counts.batches),
        ("failed_batches", counts.failed_batches),
        ("patches", counts.patches),
        ("strict_syncs", counts.strict_syncs),
        ("best_effort_syncs", counts.best_effort_syncs),
        ("failed_syncs", counts.failed_syncs),
        ("open_pages", counts.open_pages),
        ("uncovered", counts.uncovered),
        ("forgotten", counts.forgotten),
    ] {
        writeln!(out, "  \"{name}\": {count},")?;
    }
    for (name, count) in icache() {
        writeln!(out, "  \"{name}\": {count},")?;
    }
    for (name, count) in control_counts() {
        writeln!(out, "  \"{name}\": {count},")?;
    }
    let (flipped, unknown) = initial::counts();
    writeln!(out, "  \"startup_flipped\": {flipped},\n  \"startup_unknown\": {unknown},")?;
    write!(out, "  \"uncovered_patches\": [")?;
    for (index, patch) in patches.as_slice().iter().enumerate() {
        write!(out, "{}\n    ", if index == 0 { "" } else { "," })?;
        write_uncovered(out, patch)?;
    }
    writeln!(out, "{}]\n}}", if patches.as_slice().is_empty() { "" } else { "\n  " })
}

/// Writes one uncovered patch: addresses of this process, and SVMAs (addresses in the object's
/// file, without load bias), which `jlctl inspect` prints.
fn write_uncovered(out: &mut impl Write, patch: &UncoveredPatch) -> fmt::Result {
    let UncoveredPatch { site, key, why } = *patch;
    write!(out, "{{\"site\": \"{site:#x}\", \"key\": \"{key:#x}\", \"why\": \"{}\", ", why.name())?;
    match loaded::containing(site) {
        Some(object) => {
            let svma = |address: usize| address.wrapping_sub(object.bias);
            write!(
                out,
                "\"site_svma\": \"{:#x}\", \"key_svma\": \"{:#x}\", ",
                svma(site),
                svma(key)
            )?;
            write!(out, "\"object\": \"")?;
            escape(out, object.name())?;
            write!(out, "\"}}")
        }
        None => write!(out, "\"site_svma\": null, \"key_svma\": null, \"object\": null}}"),
    }
}

/// Writes `bytes` within a JSON string.  Bytes that are not UTF-8 become U+FFFD, as in other
/// reports.
fn escape(out: &mut impl Write, bytes: &[u8]) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '"' | '\\' => write!(out, "\\{character}")?,
                '\0'..='\x1f' => write!(out, "\\u{:04x}", u32::from(character))?,
                _ => out.write_char(character)?,
            }
        }
        if !chunk.invalid().is_empty() {
            out.write_char('\u{fffd}')?;
        }
    }
    Ok(())
}

/// A file that is written through a buffer.
struct Buffered {
    file: File,
    text: Text<4096>,
    result: Result<(), Errno>,
}

impl Buffered {
    fn flush(&mut self) {
        if self.result.is_ok() {
            self.result = self.file.write_all(self.text.bytes());
        }
        self.text.clear();
    }
}

impl Write for Buffered {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.text.is_full() {
                self.flush();
            }
            self.text.push(byte);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;

    #[test]
    fn names_are_escaped() {
        let mut out = String::new();
        escape(&mut out, b"a\"b\\c\n\xff\xc3\xa9").unwrap();
        assert_eq!(out, "a\\\"b\\\\c\\u000a\u{fffd}\u{e9}");
    }
}
