//! Addresses as plan files write them.

use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::{Image, SymbolicAddress};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// An address in an image of a plan.
///
/// The text is parsed once, when the plan file is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlanAddress {
    /// `0x…`: an address that the image states.
    Stated(Svma),
    /// `BASE`, `BASE+0x…` or `BASE-0x…`: an address in a relocatable file, whose sections have
    /// no addresses yet.
    Relative {
        /// Name of the section, or of the undefined symbol.
        base: String,
        /// Bytes from there; `None` where the text is the symbol alone.
        offset: Option<i64>,
    },
}

impl PlanAddress {
    /// `address` as a plan for `image` writes it.
    #[must_use]
    pub fn of(image: &Image<'_>, address: Svma) -> Self {
        match image.symbolic(address) {
            SymbolicAddress::Stated(address) => Self::Stated(address),
            SymbolicAddress::Section { section, offset } => Self::Relative {
                base: image.section(section).name.to_owned(),
                offset: Some(offset.cast_signed()),
            },
            SymbolicAddress::External { symbol, offset } => Self::Relative {
                base: image.symbols().name(symbol).into_owned(),
                offset: (offset != 0).then_some(offset),
            },
        }
    }

    /// The address that the image states; `None` in a relocatable file.
    #[must_use]
    pub const fn stated(&self) -> Option<Svma> {
        match self {
            Self::Stated(address) => Some(*address),
            Self::Relative { .. } => None,
        }
    }

    /// Parses `0x…`, `BASE`, `BASE+0x…` or `BASE-0x…`; `None` for anything else.
    fn parse(text: &str) -> Option<Self> {
        if let Some(address) = text.strip_prefix("0x").and_then(hexadecimal) {
            return Some(Self::Stated(Svma(address)));
        }
        let sign = text.rfind("+0x").max(text.rfind("-0x"));
        let offset = sign.and_then(|sign| {
            let (base, rest) = text.split_at_checked(sign)?;
            let bytes = i64::try_from(hexadecimal(rest.get(3..)?)?).ok()?;
            Some((base, if rest.starts_with('-') { bytes.checked_neg()? } else { bytes }))
        });
        let (base, offset) = match offset {
            Some((base, offset)) => (base, Some(offset)),
            // Numbers are no names: their prefix was forgotten, or their digits are wrong.
            None if text.starts_with(|first: char| first.is_ascii_digit()) => return None,
            None => (text, None),
        };
        (!base.is_empty()).then(|| Self::Relative { base: base.to_owned(), offset })
    }
}

/// At most 16 hexadecimal digits in lower case.
fn hexadecimal(digits: &str) -> Option<u64> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_number = !digits.is_empty() && digits.bytes().all(is_digit);
    is_number.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

impl fmt::Display for PlanAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stated(address) => address.fmt(f),
            Self::Relative { base, offset: None } => f.write_str(base),
            Self::Relative { base, offset: Some(offset) } => {
                let sign = if *offset < 0 { '-' } else { '+' };
                write!(f, "{base}{sign}{:#x}", offset.unsigned_abs())
            }
        }
    }
}

impl Serialize for PlanAddress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PlanAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            let expected = "an address: 0x and at most 16 hexadecimal digits in lower case, or in \
                            a relocatable file SECTION+0x…, SYMBOL or SYMBOL+0x…";
            de::Error::invalid_value(de::Unexpected::Str(&text), &expected)
        })
    }
}

#[cfg(test)]
impl schemars::JsonSchema for PlanAddress {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PlanAddress".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn relative(base: &str, offset: Option<i64>) -> PlanAddress {
        PlanAddress::Relative { base: base.to_owned(), offset }
    }

    #[test]
    fn addresses_are_parsed_by_their_form() {
        for (text, address) in [
            ("0x0", PlanAddress::Stated(Svma(0))),
            ("0xffffffffffffffff", PlanAddress::Stated(Svma(u64::MAX))),
            (".text+0x10", relative(".text", Some(16))),
            (".text+0x0", relative(".text", Some(0))),
            ("key", relative("key", None)),
            ("key-0x8", relative("key", Some(-8))),
            ("a+0x1-0x2", relative("a+0x1", Some(-2))),
            (".init.text+0x7fffffffffffffff", relative(".init.text", Some(i64::MAX))),
        ] {
            assert_eq!(PlanAddress::parse(text), Some(address.clone()), "{text}");
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn malformed_addresses_are_refused() {
        for text in [
            "",
            "0x",
            "0xg",
            "0xFF",
            "0x-1",
            "0x10000000000000000",
            "12",
            "4096 ",
            "+0x10",
            "-0x10",
            "0x10 ",
            " 0x10",
        ] {
            let parsed = PlanAddress::parse(text);
            // Blanks belong to names, as any other character does.
            let is_name = text == " 0x10";
            assert_eq!(parsed, is_name.then(|| relative(text, None)), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(base in "[a-z.][ -~]{0,8}", offset: Option<i64>, address: u64) {
            let stated = PlanAddress::Stated(Svma(address));
            prop_assert_eq!(PlanAddress::parse(&stated.to_string()), Some(stated));
            prop_assume!(offset != Some(i64::MIN));
            prop_assume!(offset.is_some() || !base.contains("0x"));
            let relative = relative(&base, offset);
            prop_assert_eq!(PlanAddress::parse(&relative.to_string()), Some(relative));
        }
    }
}
