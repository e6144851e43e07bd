//! Ctrl-C: an exploration stops and reports its partial result.

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C set a flag from now on, and returns the flag.
///
/// If no handler can be installed, Ctrl-C ends the process as usual.
pub(crate) fn flag() -> &'static AtomicBool {
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    &INTERRUPTED
}
