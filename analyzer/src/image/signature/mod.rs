//! The signature appended to a kernel module.
//!
//! A signed module is an ELF file, followed by a PKCS#7 message, a descriptor of 12 bytes and a
//! marker (`include/linux/module_signature.h` and `kernel/module_signature.c`, Linux 6.12).  As
//! modinfo(8), this module reports the signers that the message names.  It does **not** verify
//! the signature: that takes the signer's public key, which is in the kernel's keyring and not
//! in the module.

mod message;

pub use message::{MessageFault, Signer, SignerKey};

/// A signature and the extent of the signed data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleSignature<'d> {
    /// Number of signed bytes at the start of the file: the ELF file.
    pub content_len: u64,
    /// The PKCS#7 message (DER), which follows the signed bytes.
    pub message: &'d [u8],
    /// The signers that the message names; unverified.  The kernel accepts the module if one of
    /// the signatures is good.
    pub signers: Result<Vec<Signer>, MessageFault>,
}

/// A file ends in the marker of a signature, but has no signature that the kernel accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The file is too short for the descriptor.
    #[error(
        "module signature: expected a descriptor of {DESCRIPTOR} bytes before the marker, found {found} bytes: get the module again"
    )]
    NoDescriptor {
        /// Bytes before the marker.
        found: u64,
    },
    /// The signature is not a PKCS#7 message.
    #[error(
        "module signature: expected id_type 2 (PKCS#7), found {found}{}: sign the module again", old_kind(*.found)
    )]
    Kind {
        /// `id_type` of the descriptor.
        found: u8,
    },
    /// A field that is unused with PKCS#7 is not zero.
    #[error(
        "module signature: expected {field} = 0, as for all PKCS#7 signatures, found {found:#x}: get the module again"
    )]
    Field {
        /// Name of the field in `struct module_signature`.
        field: &'static str,
        /// The value of the field.
        found: u32,
    },
    /// The message is larger than the file, or leaves no signed data.
    #[error(
        "module signature: expected sig_len below the {available} bytes before the descriptor, found {found}: get the module again"
    )]
    Length {
        /// `sig_len` of the descriptor.
        found: u64,
        /// Bytes before the descriptor.
        available: u64,
    },
}

fn old_kind(id_type: u8) -> &'static str {
    match id_type {
        0 => " (PGP)",
        1 => " (X.509, before Linux 4.3)",
        _ => "",
    }
}

/// `MODULE_SIGNATURE_MARKER`, at the end of the file.
const MARKER: &[u8] = b"~Module signature appended~\n";
/// Size of `struct module_signature`, in bytes.
const DESCRIPTOR: usize = 12;
/// `PKEY_ID_PKCS7`.
const PKCS7: u8 = 2;

/// The signature at the end of `file`, a complete and uncompressed module.  `None` if the file
/// does not end in the marker.
///
/// # Errors
/// If the marker follows data that the kernel would not accept as a signature
/// (`mod_check_sig()`).  The file can still be a valid ELF file.
pub fn module_signature(file: &[u8]) -> Result<Option<ModuleSignature<'_>>, SignatureFault> {
    let Some(before) = file.strip_suffix(MARKER) else { return Ok(None) };
    let Some((signed, descriptor)) = before.split_last_chunk::<DESCRIPTOR>() else {
        return Err(SignatureFault::NoDescriptor { found: before.len() as u64 });
    };
    let [algo, hash, id_type, signer_len, key_id_len, p0, p1, p2, length @ ..] = *descriptor;
    if id_type != PKCS7 {
        return Err(SignatureFault::Kind { found: id_type });
    }
    let unused = [
        ("algo", u32::from(algo)),
        ("hash", u32::from(hash)),
        ("signer_len", u32::from(signer_len)),
        ("key_id_len", u32::from(key_id_len)),
        ("__pad", u32::from_be_bytes([0, p0, p1, p2])),
    ];
    if let Some((field, found)) = unused.into_iter().find(|(_, value)| *value != 0) {
        return Err(SignatureFault::Field { field, found });
    }
    let length = u32::from_be_bytes(length);
    let fault = SignatureFault::Length { found: u64::from(length), available: signed.len() as u64 };
    let length = usize::try_from(length).map_err(|_| fault)?;
    let content_len = signed.len().checked_sub(length).filter(|len| *len > 0).ok_or(fault)?;
    let message = signed.get(content_len..).unwrap_or_default();
    Ok(Some(ModuleSignature {
        content_len: content_len as u64,
        message,
        signers: message::signers(message),
    }))
}

#[cfg(test)]
mod tests;
