//! Ends threads that run until a flag is set.

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets a flag on drop, and so also if a test fails: otherwise the test would wait for ever for its
/// threads.
pub(crate) struct Over<'a>(pub(crate) &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
