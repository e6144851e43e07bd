//! Ctrl-C: work in progress ends with what there is.

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C set a flag from now on; the flag.
///
/// Where no handler can be installed, Ctrl-C ends the process as ever.
pub(crate) fn flag() -> &'static AtomicBool {
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
    &INTERRUPTED
}
