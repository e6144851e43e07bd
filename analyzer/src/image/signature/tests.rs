use super::*;
use jlctl_synthetic::wrap;

const MODULE: &[u8] = b"\x7fELF and more";

fn message() -> Vec<u8> {
    let serial = [0, 0x92, 0xbe, 0xa1];
    let key_id = wrap::der(0x80, &[&[1, 2, 3]]);
    wrap::pkcs7(&[wrap::issuer_and_serial("Example\nkey", &serial), key_id])
}

#[test]
fn signers_are_read() {
    let file = wrap::sign(MODULE, &message());
    let found = module_signature(&file).expect("it is valid").expect("there is one");
    assert_eq!(found.content_len, MODULE.len() as u64);
    assert_eq!(found.message, message());
    let signer = |key| Signer {
        key,
        digest: "sha512".to_owned(),
        signature_algorithm: "rsaEncryption".to_owned(),
        signature_len: 256,
    };
    let issuer = SignerKey::IssuerAndSerial {
        issuer: "O=Example, CN=Example\u{fffd}key".to_owned(),
        common_name: Some("Example\u{fffd}key".to_owned()),
        serial: vec![0x92, 0xbe, 0xa1],
    };
    let expected = vec![signer(issuer), signer(SignerKey::SubjectKeyId(vec![1, 2, 3]))];
    assert_eq!(found.signers, Ok(expected));
}

#[test]
fn files_without_a_marker_have_no_signature() {
    let file = wrap::sign(MODULE, &message());
    for file in [&b""[..], MODULE, &file[..file.len() - 1], &[&file[..], b"\n"].concat()] {
        assert_eq!(module_signature(file), Ok(None));
    }
}

#[test]
fn damaged_descriptors_are_faults() {
    let file = wrap::sign(MODULE, &message());
    let descriptor = file.len() - MARKER.len() - DESCRIPTOR;
    let with = |offset: usize, value: u8| {
        let mut file = file.clone();
        file[descriptor + offset] = value;
        module_signature(&file).expect_err("it is damaged")
    };
    for (offset, field) in
        [(0, "algo"), (1, "hash"), (3, "signer_len"), (4, "key_id_len"), (7, "__pad")]
    {
        assert_eq!(with(offset, 1), SignatureFault::Field { field, found: 1 });
    }
    assert_eq!(with(2, 1), SignatureFault::Kind { found: 1 });
    assert_eq!(
        with(2, 1).to_string(),
        "module signature: expected id_type 2 (PKCS#7), found 1 (X.509, before Linux 4.3): sign \
         the module again"
    );
    let found = 0x0100_0000 + message().len() as u64;
    assert_eq!(with(8, 1), SignatureFault::Length { found, available: descriptor as u64 });
    assert_eq!(
        module_signature(&wrap::sign(b"", b"all of it")),
        Err(SignatureFault::Length { found: 9, available: 9 })
    );
    assert_eq!(
        module_signature(&[&[0; 11], MARKER].concat()),
        Err(SignatureFault::NoDescriptor { found: 11 })
    );
}

#[test]
fn a_damaged_message_keeps_the_sizes() {
    let message = message();
    for len in 0..message.len() {
        let file = wrap::sign(MODULE, &message[..len]);
        let found =
            module_signature(&file).expect("the descriptor is valid").expect("there is one");
        assert_eq!((found.content_len, found.message.len()), (MODULE.len() as u64, len));
        assert!(found.signers.is_err(), "cut at {len}");
    }
    let other = wrap::der(0x30, &[&wrap::der(6, &[&[0x2a, 3]])]);
    let found = super::message::signers(&other).expect_err("that is no SignedData");
    assert_eq!(found.expected, "the type signedData");
    assert_eq!(found.found, "1.2.3");
}
