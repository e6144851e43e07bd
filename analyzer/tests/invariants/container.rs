//! The invariants of unwrapping and of the reader of signatures, for any input.  The fuzz target
//! `container` and the tests of damaged input share this function.

use jlctl_analyzer::image::container::{Limits, unwrap};
use jlctl_analyzer::image::module_signature;
use std::borrow::Cow;

/// Limits that keep the work for a small input small.
const LIMITS: Limits = Limits { max_bytes: 1 << 20, max_layers: 4 };
/// The size of the descriptor and the marker of a signature.
const SIGNATURE_END: u64 = 12 + 28;

/// Unwraps `bytes`; panics if an answer contradicts another one or the library
/// itself panics.
pub(crate) fn check(bytes: &[u8]) {
    check_signature(bytes);
    let unwrapped = match unwrap(bytes, LIMITS) {
        Ok(unwrapped) => unwrapped,
        Err(error) => {
            assert!(error.layers.len() <= usize::from(LIMITS.max_layers));
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(unwrapped.layers.len() <= usize::from(LIMITS.max_layers));
    match &unwrapped.bytes {
        Cow::Borrowed(inner) => assert!(inner.len() <= bytes.len() && unwrapped.trailing == 0),
        Cow::Owned(inner) => {
            assert!(inner.len() as u64 <= LIMITS.max_bytes && !unwrapped.layers.is_empty());
        }
    }
    if unwrapped.layers.is_empty() {
        assert_eq!(*unwrapped.bytes, *bytes);
    } else {
        check_signature(&unwrapped.bytes);
        let again = unwrap(&unwrapped.bytes, LIMITS).expect("nothing is left to unpack");
        assert!(again.layers.is_empty(), "{:?} after {:?}", again.layers, unwrapped.layers);
    }
}

fn check_signature(bytes: &[u8]) {
    match module_signature(bytes) {
        Ok(None) => {}
        Ok(Some(found)) => {
            let len = found.content_len + found.message.len() as u64 + SIGNATURE_END;
            assert_eq!(len, bytes.len() as u64);
            if let Err(fault) = found.signers {
                assert!(!fault.to_string().is_empty());
            }
        }
        Err(fault) => assert!(!fault.to_string().is_empty()),
    }
}
