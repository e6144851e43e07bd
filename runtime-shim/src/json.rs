//! The report as JSON, at exit: schema `jlshim.report/1`.

#![allow(unsafe_code, reason = "the path, out of the environment")]

#[cfg(feature = "capi")]
use crate::clear_cache;
use crate::error::Error;
use crate::page_vec::PageVec;
use crate::path::expand;
use crate::report::{Counts, UncoveredPatch};
use crate::runtime::{self, Wait};
use crate::settings::Allowed;
use crate::control::counts as control;
use crate::startup;
use crate::sync;
use crate::sys::errno::Errno;
use crate::sys::file::File;
use crate::sys;
use crate::text::Text;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// The path as the environment gave it; null where no report is wanted.
static PATH: AtomicPtr<core::ffi::c_char> = AtomicPtr::new(ptr::null_mut());
/// The process that read it.
static PROCESS: AtomicU32 = AtomicU32::new(0);

/// Has [`write_report`] write to `path`, in which `%p` stands for the process's id.
pub(crate) fn write_at_exit(path: &'static CStr) {
    PATH.store(path.as_ptr().cast_mut(), Ordering::Relaxed);
    PROCESS.store(sys::process_id(), Ordering::Relaxed);
}

/// Writes the report, if one is wanted.  A child made by fork writes its own only where the
/// path has a `%p`, so that it does not overwrite its parent's.
pub(crate) fn write_report() {
    let path = PATH.load(Ordering::Relaxed);
    if path.is_null() {
        return;
    }
    // SAFETY: it was made from a string that stays, by `write_at_exit`.
    let path = unsafe { CStr::from_ptr(path) };
    let mut name = Text::<4096>::new();
    let is_own = expand(path, sys::process_id(), &mut name);
    if !is_own && PROCESS.load(Ordering::Relaxed) != sys::process_id() {
        return;
    }
    let Ok(name) = CStr::from_bytes_with_nul(name.bytes()) else { return };
    let Ok(known) = Known::now() else { return };
    if let Ok(file) = File::create(name) {
        let mut out = Buffered { file, text: Text::new(), result: Ok(()) };
        let _ = report(&mut out, &known);
        out.flush();
    }
}

/// What `__clear_cache` did, which only libjlshim has.
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

/// What the report says of the runtime's state: a copy, since the dynamic linker is asked where
/// patches lie, and who holds its lock may wait for the runtime's.
pub(crate) struct Known {
    counts: Counts,
    /// Tables, and entries in all of them.
    tables: (usize, usize),
    patches: PageVec<UncoveredPatch>,
}

impl Known {
    /// What is known now.
    ///
    /// # Errors
    /// As of [`runtime::enter`], and [`Error::NoMemory`].
    pub(crate) fn now() -> Result<Self, Error> {
        let held = runtime::enter(Wait::Yes)?;
        let mut patches = PageVec::new();
        let uncovered = held.record.patches().iter();
        uncovered.copied().try_for_each(|patch| patches.push(patch)).map_err(Error::NoMemory)?;
        Ok(Self { counts: held.record.counts, tables: held.tables.most(), patches })
    }
}

/// Writes one JSON object, its lists one element a line.
pub(crate) fn report(out: &mut impl Write, known: &Known) -> fmt::Result {
    let level = sync::choose(Allowed::in_process());
    let Known { counts, tables: (tables, sites), patches } = known;
    writeln!(out, "{{\n  \"schema\": \"jlshim.report/1\",\n  \"pid\": {},", sys::process_id())?;
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
    for (name, count) in control::counts() {
        writeln!(out, "  \"{name}\": {count},")?;
    }
    let (flipped, unknown) = startup::counts();
    writeln!(out, "  \"startup_flipped\": {flipped},\n  \"startup_unknown\": {unknown},")?;
    write!(out, "  \"uncovered_patches\": [")?;
    for (index, patch) in patches.as_slice().iter().enumerate() {
        write!(out, "{}\n    ", if index == 0 { "" } else { "," })?;
        uncovered(out, patch)?;
    }
    writeln!(out, "{}]\n}}", if patches.as_slice().is_empty() { "" } else { "\n  " })
}

/// Addresses as the process has them, and as its file does: without the load bias, as
/// `jlctl inspect` shows them.
fn uncovered(out: &mut impl Write, patch: &UncoveredPatch) -> fmt::Result {
    let UncoveredPatch { site, key, why } = *patch;
    write!(out, "{{\"site\": \"{site:#x}\", \"key\": \"{key:#x}\", \"why\": \"{}\", ", why.name())?;
    match sys::object::containing(site) {
        Some(object) => {
            let svma = |address: usize| address.wrapping_sub(object.bias);
            write!(out, "\"site_svma\": \"{:#x}\", \"key_svma\": \"{:#x}\", ", svma(site), svma(key))?;
            write!(out, "\"object\": \"")?;
            escape(out, object.name())?;
            write!(out, "\"}}")
        }
        None => write!(out, "\"site_svma\": null, \"key_svma\": null, \"object\": null}}"),
    }
}

/// `bytes` within a JSON string; what is no ASCII stands as U+FFFD, as in other reports of
/// names that are no UTF-8.
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

/// A file that is written in larger pieces.
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
