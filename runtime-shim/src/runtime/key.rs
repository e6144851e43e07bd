//! Static keys of programs, with the layout of the kernel's keys, and operations on their counts.

use crate::abi;
use crate::runtime::error::Error;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// A static key whose type does not tell the state that it was defined with.
///
/// It has the layout of [`abi::StaticKey`], so that `jlctl` reads it like a key of the kernel.
#[repr(C)]
#[derive(Debug)]
pub struct Key {
    enabled: AtomicI32,
    r#type: AtomicU64,
}

const _: () = {
    assert!(size_of::<Key>() == abi::StaticKey::SIZE);
    assert!(align_of::<Key>() == abi::StaticKey::ALIGN);
    assert!(core::mem::offset_of!(Key, enabled) == abi::StaticKey::ENABLED);
    assert!(core::mem::offset_of!(Key, r#type) == abi::StaticKey::TYPE);
};

impl Key {
    /// A key that is initially on or off.
    #[must_use]
    pub const fn new(is_on: bool) -> Self {
        let (enabled, r#type) = if is_on { (1, abi::KEY_TYPE_TRUE) } else { (0, 0) };
        Self { enabled: AtomicI32::new(enabled), r#type: AtomicU64::new(r#type) }
    }

    /// Number of enables; 0 is off.
    ///
    /// This is an acquire load: stores made before the flip are visible after it.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.enabled.load(Ordering::Acquire)
    }

    /// Whether the key is on.  During a flip this is the state before the flip, while code at
    /// the sites of the key may already be that of the state after it.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        abi::StaticKey::is_on(self.count())
    }

    /// Whether the key was defined on.  Its sites are compiled for that state.
    #[must_use]
    pub fn is_initially_enabled(&self) -> bool {
        abi::StaticKey::is_initially_true(self.r#type.load(Ordering::Relaxed))
    }

    /// Publishes a new count.  The runtime does so when all sites have been patched and
    /// synchronised.
    pub(crate) fn publish(&self, count: i32) {
        self.enabled.store(count, Ordering::Release);
    }

    /// The word that [`publish`](Self::publish) writes.
    pub(crate) const fn word(&self) -> &AtomicI32 {
        &self.enabled
    }
}

/// An operation on the count of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Changes a count of 0 to 1, and leaves any other count.
    Enable,
    /// Changes a count of 1 to 0, and leaves 0.  A higher count is refused.
    Disable,
    /// Adds 1.
    Increment,
    /// Subtracts 1.
    Decrement,
}

impl Op {
    /// The count of the key at the address `key` after this operation, from `count`.
    ///
    /// # Errors
    /// [`Error::Counted`], [`Error::Underflow`], [`Error::Overflow`].
    pub(crate) const fn after(self, key: usize, count: i32) -> Result<i32, Error> {
        match (self, count) {
            (Self::Enable, 0) => Ok(1),
            (Self::Enable, _) | (Self::Disable, 0) => Ok(count),
            (Self::Disable, 1) => Ok(0),
            (Self::Disable, _) => Err(Error::Counted { key, count }),
            (Self::Increment, i32::MAX) => Err(Error::Overflow { key }),
            (Self::Increment, _) => Ok(count + 1),
            (Self::Decrement, 0) => Err(Error::Underflow { key }),
            (Self::Decrement, _) => Ok(count - 1),
        }
    }
}

mod sealed {
    /// Only this crate defines types of keys.
    pub trait Sealed {}
}

/// A key whose type states whether the key was defined on or off.  That state decides to which
/// instruction its sites are compiled.
pub trait TypedKey: sealed::Sealed {
    /// Whether the key was defined on.
    const INITIALLY_ENABLED: bool;

    /// The key.
    fn key(&'static self) -> &'static Key;
}

/// Defines a type of keys.
macro_rules! typed_key {
    ($(#[$doc:meta])* $name:ident, $is_on:literal, $new:literal) => {
        $(#[$doc])*
        #[repr(transparent)]
        #[derive(Debug)]
        pub struct $name(Key);

        impl $name {
            #[doc = $new]
            #[must_use]
            #[allow(clippy::new_without_default, reason = "keys are statics, defined by a macro")]
            pub const fn new() -> Self {
                Self(Key::new($is_on))
            }
        }

        impl sealed::Sealed for $name {}

        impl TypedKey for $name {
            const INITIALLY_ENABLED: bool = $is_on;

            fn key(&'static self) -> &'static Key {
                &self.0
            }
        }

        impl core::ops::Deref for $name {
            type Target = Key;

            fn deref(&self) -> &Key {
                &self.0
            }
        }
    };
}

typed_key!(
    /// A key that is initially off; defined by [`define_static_key_false!`](crate::define_static_key_false).
    StaticKeyFalse, false, "A key that is off."
);
typed_key!(
    /// A key that is initially on; defined by [`define_static_key_true!`](crate::define_static_key_true).
    StaticKeyTrue, true, "A key that is on."
);
