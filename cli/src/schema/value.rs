//! Values that several schemas share: addresses, bytes, names of branches and instructions.

use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::{Image, ImageKind};
use serde::{Serialize, Serializer};
use std::borrow::Cow;

/// An address as a string: `0x…` or, in a relocatable file, the section or undefined symbol and the
/// offset.
#[derive(Debug, Clone)]
pub(crate) enum Address {
    Stated(Svma),
    Symbolic(String),
}

impl Address {
    pub(crate) fn new(image: &Image<'_>, address: Svma) -> Self {
        match image.kind() {
            ImageKind::Rel => Self::Symbolic(image.address_text(address)),
            ImageKind::Exec | ImageKind::Dyn => Self::Stated(address),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stated(address) => address.fmt(f),
            Self::Symbolic(text) => f.write_str(text),
        }
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let address = match self {
            Self::Symbolic(text) => return serializer.serialize_str(text),
            Self::Stated(address) => address.0,
        };
        // As `Svma` displays it, without the cost of formatting: a report has
        // a hundred thousand of these.
        let mut text = *b"0x0000000000000000";
        let digits = (16 - address.leading_zeros() as usize / 4).max(1);
        for (position, digit) in text[2..2 + digits].iter_mut().rev().zip(0u32..) {
            *position = DIGITS[(address >> (4 * digit) & 0xf) as usize];
        }
        serializer.serialize_str(std::str::from_utf8(&text[..2 + digits]).unwrap_or_default())
    }
}

const DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Bytes as hexadecimal, lowest address first.
#[derive(Debug, Clone)]
pub(crate) struct Hex<'a>(pub(crate) Cow<'a, [u8]>);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `text` as an owned string.
pub(crate) fn owned<'b>(text: Option<Cow<'_, str>>) -> Option<Cow<'b, str>> {
    text.map(|text| Cow::Owned(text.into_owned()))
}

pub(crate) const fn branch_name(likely: bool) -> &'static str {
    if likely { "likely" } else { "unlikely" }
}

pub(crate) const fn insn_name(insn: SiteInsn) -> &'static str {
    match insn {
        SiteInsn::Nop => "nop",
        SiteInsn::Jmp { .. } => "jmp",
        SiteInsn::Other => "other",
    }
}
