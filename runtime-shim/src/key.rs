//! Static keys of programs: the kernel's, with the count as an atomic.

use crate::abi;
use crate::error::Error;
use core::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// A static key, without the state it was defined with in its type.
///
/// It has the layout of [`abi::StaticKey`], so that `jlctl` reads it as it reads the
/// kernel's.
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
    /// A key that is on or off to begin with.
    #[must_use]
    pub const fn new(is_on: bool) -> Self {
        let (enabled, r#type) = if is_on { (1, abi::KEY_TYPE_TRUE) } else { (0, 0) };
        Self { enabled: AtomicI32::new(enabled), r#type: AtomicU64::new(r#type) }
    }

    /// How often the key is enabled; 0 is off.
    ///
    /// An acquire load: what was done before the key was flipped is visible after it.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.enabled.load(Ordering::Acquire)
    }

    /// Whether the key is on.  While it is being flipped this is the state before; code at
    /// its sites may already be that of the state after.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        abi::StaticKey::is_on(self.count())
    }

    /// Whether the key was defined on, as its sites were compiled for.
    #[must_use]
    pub fn is_initially_enabled(&self) -> bool {
        abi::StaticKey::is_initially_true(self.r#type.load(Ordering::Relaxed))
    }

    /// Makes a new count known.  Only the runtime does, when all sites follow it.
    pub(crate) fn publish(&self, count: i32) {
        self.enabled.store(count, Ordering::Release);
    }

    /// The word that [`publish`](Self::publish) writes.
    pub(crate) const fn word(&self) -> &AtomicI32 {
        &self.enabled
    }
}

/// What to do with a key's count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Makes it 1 if it is 0, else leaves it.
    Enable,
    /// Makes it 0 if it is 1, and leaves 0; what is enabled several times is refused.
    Disable,
    /// Adds 1.
    Increment,
    /// Takes 1 away.
    Decrement,
}

impl Op {
    /// The count after it, from `count` of the key at `key`.
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
    /// Only this crate says what a key's type stands for.
    pub trait Sealed {}
}

/// A key whose type says what it was defined as, which decides what its sites are compiled
/// to.
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
            #[allow(clippy::new_without_default, reason = "a key is a static, made by a macro")]
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
    /// A key that is off to begin with; made by [`define_static_key_false!`](crate::define_static_key_false).
    StaticKeyFalse, false, "A key that is off."
);
typed_key!(
    /// A key that is on to begin with; made by [`define_static_key_true!`](crate::define_static_key_true).
    StaticKeyTrue, true, "A key that is on."
);
