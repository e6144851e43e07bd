//! The end of threads that go on until they are told so.

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets a flag when it is dropped, so also where a test fails: its threads would go on for
/// ever, and the test would wait for them.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
