//! The signers, from a PKCS#7 message (RFC 5652: ContentInfo, SignedData, SignerInfo; fields
//! are named as there).

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag};

/// A signer, as stated in the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The signing key.
    pub key: SignerKey,
    /// Digest algorithm, for example `sha256`; the object identifier if it is unknown.
    pub digest: String,
    /// Signature algorithm, for example `ecdsa-with-SHA256`.
    pub signature_algorithm: String,
    /// Size of the signature itself, in bytes.
    pub signature_len: u64,
}

/// The identity of a signing key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignerKey {
    /// The certificate's issuer and serial number; for a kernel's own key, which is
    /// self-signed, the issuer is the key's name.
    IssuerAndSerial {
        /// Attributes of the issuer, for example `O=Example, CN=Example key`.
        issuer: String,
        /// The attribute CN, which modinfo(8) calls `signer`.
        common_name: Option<String>,
        /// Serial number, most significant byte first; `sig_key` of modinfo(8).
        serial: Vec<u8>,
    },
    /// Identifier of the key itself (`sign-file -k`).
    SubjectKeyId(Vec<u8>),
}

/// The message is not a valid signature of a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "module signature: expected {expected} in its PKCS#7 message, found {found}: get the module again"
)]
pub struct MessageFault {
    /// The element expected next.
    pub expected: &'static str,
    /// The element found.
    pub found: String,
}

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const COMMON_NAME: &str = "CN";
/// BER octets of context-specific tags: constructed [0] and [1], primitive [0].
const EXPLICIT_0: u8 = 0xa0;
const IMPLICIT_SET_1: u8 = 0xa1;
const IMPLICIT_OCTETS_0: u8 = 0x80;

/// The signers of `message`.
pub(super) fn signers(message: &[u8]) -> Result<Vec<Signer>, MessageFault> {
    let mut message = Elements::new(message)?;
    let mut content_info = message.inside(Tag::Sequence, "ContentInfo")?;
    content_info.demand(SIGNED_DATA, "the type signedData")?;
    let explicit = content_info.optional(EXPLICIT_0)?;
    let mut explicit = Elements::new(explicit.ok_or_else(|| content_info.fault("content"))?)?;
    let mut signed_data = explicit.inside(Tag::Sequence, "SignedData")?;
    signed_data.next(Tag::Integer, "version")?;
    signed_data.next(Tag::Set, "digestAlgorithms")?;
    signed_data.next(Tag::Sequence, "encapContentInfo")?;
    signed_data.optional(EXPLICIT_0)?; // certificates
    signed_data.optional(IMPLICIT_SET_1)?; // crls
    let mut signer_infos = signed_data.inside(Tag::Set, "signerInfos")?;
    let mut signers = Vec::new();
    while !signer_infos.is_finished() {
        signers.push(signer(signer_infos.inside(Tag::Sequence, "SignerInfo")?)?);
    }
    Ok(signers)
}

fn signer(mut info: Elements<'_>) -> Result<Signer, MessageFault> {
    info.next(Tag::Integer, "version")?;
    let key = match info.optional(IMPLICIT_OCTETS_0)? {
        Some(identifier) => SignerKey::SubjectKeyId(identifier.to_vec()),
        None => issuer_and_serial(info.inside(Tag::Sequence, "issuerAndSerialNumber")?)?,
    };
    let digest = info.inside(Tag::Sequence, "digestAlgorithm")?.identifier()?;
    info.optional(EXPLICIT_0)?; // signedAttrs
    let algorithm = info.inside(Tag::Sequence, "signatureAlgorithm")?.identifier()?;
    let signature = info.next(Tag::OctetString, "signature")?;
    Ok(Signer {
        key,
        digest: name(digest),
        signature_algorithm: name(algorithm),
        signature_len: signature.len() as u64,
    })
}

fn issuer_and_serial(mut elements: Elements<'_>) -> Result<SignerKey, MessageFault> {
    let mut names = elements.inside(Tag::Sequence, "issuer")?;
    let serial = elements.next(Tag::Integer, "serialNumber")?;
    let mut issuer = Vec::new();
    let mut common_name = None;
    while !names.is_finished() {
        let mut parts = names.inside(Tag::Set, "RelativeDistinguishedName")?;
        while !parts.is_finished() {
            let mut attribute = parts.inside(Tag::Sequence, "AttributeTypeAndValue")?;
            let kind = name(attribute.identifier()?);
            let value = text(attribute.any("an attribute's value")?);
            issuer.push(format!("{kind}={value}"));
            if kind == COMMON_NAME {
                common_name = Some(value);
            }
        }
    }
    // A leading zero marks a number with its highest bit set as positive.
    let serial = match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    Ok(SignerKey::IssuerAndSerial {
        issuer: issuer.join(", "),
        common_name,
        serial: serial.to_vec(),
    })
}

/// An attribute's value as text without control characters.
fn text(value: AnyRef<'_>) -> String {
    let bytes = value.value();
    let text = if der::Tagged::tag(&value) == Tag::BmpString {
        let units = bytes.chunks(2).map(|unit| unit.iter().fold(0, |n, b| n << 8 | u16::from(*b)));
        String::from_utf16_lossy(&units.collect::<Vec<_>>())
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    text.chars().map(printable).collect()
}

/// The elements of a constructed element, from front to back.
struct Elements<'m>(SliceReader<'m>);

impl<'m> Elements<'m> {
    fn new(bytes: &'m [u8]) -> Result<Self, MessageFault> {
        SliceReader::new(bytes).map(Self).map_err(|error| fault("a message", error.to_string()))
    }

    fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    /// The next element, with any tag.
    fn any(&mut self, expected: &'static str) -> Result<AnyRef<'m>, MessageFault> {
        AnyRef::decode(&mut self.0).map_err(|error| fault(expected, error.to_string()))
    }

    /// The contents of the next element, which must have the tag `tag`.
    fn next(&mut self, tag: Tag, expected: &'static str) -> Result<&'m [u8], MessageFault> {
        let element = self.any(expected)?;
        let found = der::Tagged::tag(&element);
        if found == tag { Ok(element.value()) } else { Err(fault(expected, found.to_string())) }
    }

    /// The elements of the next element, which must have the tag `tag`.
    fn inside(&mut self, tag: Tag, expected: &'static str) -> Result<Self, MessageFault> {
        Self::new(self.next(tag, expected)?)
    }

    /// The contents of the next element, if its tag is the octet `tag`.
    fn optional(&mut self, tag: u8) -> Result<Option<&'m [u8]>, MessageFault> {
        if self.0.peek_byte() != Some(tag) {
            return Ok(None);
        }
        self.any("an optional element").map(|element| Some(element.value()))
    }

    /// The next element, an object identifier.
    fn identifier(&mut self) -> Result<ObjectIdentifier, MessageFault> {
        const EXPECTED: &str = "an object identifier";
        let bytes = self.next(Tag::ObjectIdentifier, EXPECTED)?;
        ObjectIdentifier::from_bytes(bytes).map_err(|error| fault(EXPECTED, error.to_string()))
    }

    fn demand(
        &mut self,
        wanted: ObjectIdentifier,
        expected: &'static str,
    ) -> Result<(), MessageFault> {
        let found = self.identifier()?;
        if found == wanted { Ok(()) } else { Err(fault(expected, name(found))) }
    }

    /// The fault of a next element that is not `expected`.
    fn fault(&self, expected: &'static str) -> MessageFault {
        let found = self.0.peek_byte();
        fault(expected, found.map_or("the end".to_owned(), |tag| format!("tag {tag:#04x}")))
    }
}

fn fault(expected: &'static str, found: String) -> MessageFault {
    MessageFault { expected, found }
}

/// Names of object identifiers, as OpenSSL and modinfo(8) print them: digests and public keys
/// of `scripts/sign-file.c` and `crypto/asymmetric_keys/` (Linux 6.12), and attributes of X.500
/// names.
const NAMES: &[(&str, &str)] = &[
    ("1.3.14.3.2.26", "sha1"),
    ("2.16.840.1.101.3.4.2.4", "sha224"),
    ("2.16.840.1.101.3.4.2.1", "sha256"),
    ("2.16.840.1.101.3.4.2.2", "sha384"),
    ("2.16.840.1.101.3.4.2.3", "sha512"),
    ("2.16.840.1.101.3.4.2.8", "sha3-256"),
    ("2.16.840.1.101.3.4.2.9", "sha3-384"),
    ("2.16.840.1.101.3.4.2.10", "sha3-512"),
    ("1.2.156.10197.1.401", "sm3"),
    ("1.2.643.7.1.1.2.2", "streebog256"),
    ("1.2.643.7.1.1.2.3", "streebog512"),
    ("1.2.840.113549.1.1.1", "rsaEncryption"),
    ("1.2.840.113549.1.1.5", "sha1WithRSAEncryption"),
    ("1.2.840.113549.1.1.11", "sha256WithRSAEncryption"),
    ("1.2.840.113549.1.1.12", "sha384WithRSAEncryption"),
    ("1.2.840.113549.1.1.13", "sha512WithRSAEncryption"),
    ("1.2.840.10045.4.1", "ecdsa-with-SHA1"),
    ("1.2.840.10045.4.3.1", "ecdsa-with-SHA224"),
    ("1.2.840.10045.4.3.2", "ecdsa-with-SHA256"),
    ("1.2.840.10045.4.3.3", "ecdsa-with-SHA384"),
    ("1.2.840.10045.4.3.4", "ecdsa-with-SHA512"),
    ("2.16.840.1.101.3.4.3.10", "ecdsa-with-SHA3-256"),
    ("2.16.840.1.101.3.4.3.11", "ecdsa-with-SHA3-384"),
    ("2.16.840.1.101.3.4.3.12", "ecdsa-with-SHA3-512"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "serialNumber"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("1.2.840.113549.1.9.1", "emailAddress"),
];

/// The name of `oid`, or its numbers if it is unknown.
pub(super) fn name(oid: ObjectIdentifier) -> String {
    let numbers = oid.to_string();
    let known = NAMES.iter().find(|(known, _)| *known == numbers);
    known.map_or(numbers, |(_, name)| (*name).to_owned())
}
