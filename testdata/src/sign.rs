//! Signed modules: the module, a signature, a trailer and a magic string
//! (include/linux/module_signature.h, Linux 6.12).

/// What a signed module ends with.
pub const MAGIC: &[u8; 28] = b"~Module signature appended~\n";
/// Bytes of the trailer before the magic string, `struct module_signature`.
pub const TRAILER_BYTES: usize = 12;
/// `PKEY_ID_PKCS7`, the only kind of signature that the kernel accepts.
pub const PKCS7: u8 = 2;
const ID_TYPE: usize = 2;

/// `module` with a PKCS#7-typed signature of `length` dummy bytes.
///
/// # Panics
/// If `length` does not fit the trailer's 32 bits.
#[must_use]
pub fn signed(module: &[u8], length: usize) -> Vec<u8> {
    let claimed = u32::try_from(length).expect("a signature is short");
    with_trailer(module, &vec![0x5a; length], PKCS7, claimed)
}

/// `module` with `signature` and a trailer that states `id_type` and that the
/// signature has `claimed` bytes, true or not.
#[must_use]
pub fn with_trailer(module: &[u8], signature: &[u8], id_type: u8, claimed: u32) -> Vec<u8> {
    let mut trailer = [0; TRAILER_BYTES];
    trailer[ID_TYPE] = id_type;
    // Big-endian on every machine.
    trailer[TRAILER_BYTES - 4..].copy_from_slice(&claimed.to_be_bytes());
    [module, signature, &trailer, MAGIC].concat()
}
