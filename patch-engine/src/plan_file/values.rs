//! Values of a plan file with a form of their own.

use jlctl_analyzer::jump_table::Special;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

use crate::reason::Reason;
use crate::sync::SyncMethod;
use crate::target::{Target, World};
use crate::wish::Wish;
use jlctl_shim::abi::JumpLabelType;

/// Bytes as hexadecimal digits, lowest address first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(transparent))]
pub struct Hex(
    #[cfg_attr(test, schemars(with = "String", regex(pattern = "^([0-9a-f]{2})*$")))] pub Vec<u8>,
);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let digit = |byte: u8| char::from(byte).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
        let byte = |pair: &[u8]| {
            let value = digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?;
            u8::try_from(value).ok()
        };
        let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
        bytes.map(Self).ok_or_else(|| {
            let unexpected = de::Unexpected::Str(&text);
            de::Error::invalid_value(unexpected, &"pairs of hexadecimal digits in lower case")
        })
    }
}

/// A checksum of `BYTES` bytes, as hexadecimal digits. One of another length is an error when a
/// plan file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checksum<const BYTES: usize>(pub [u8; BYTES]);

impl<const BYTES: usize> fmt::Display for Checksum<BYTES> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

impl<const BYTES: usize> Serialize for Checksum<BYTES> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const BYTES: usize> Deserialize<'de> for Checksum<BYTES> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Hex(bytes) = Hex::deserialize(deserializer)?;
        let length = bytes.len();
        bytes
            .try_into()
            .map(Self)
            .map_err(|_| de::Error::custom(format_args!("expected {BYTES} bytes, found {length}")))
    }
}

/// Defines the name of an enum's values in plan files.
macro_rules! by_name {
    ($name:ident, $of:ty, $all:expr, $word:expr, $doc:literal) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub $of);

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($word(self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                let found = $all.into_iter().find(|value| $word(*value) == text);
                found.map(Self).ok_or_else(|| {
                    let known: Vec<&str> = $all.into_iter().map($word).collect();
                    let expected = format!("one of {}", known.join(", "));
                    de::Error::invalid_value(de::Unexpected::Str(&text), &expected.as_str())
                })
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let known: Vec<&str> = $all.into_iter().map($word).collect();
                schemars::json_schema!({ "type": "string", "description": $doc, "enum": known })
            }
        }
    };
}

by_name!(WorldName, World, [World::Kernel, World::User], World::name, "Whose code an image is.");
by_name!(TargetName, Target, Target::ALL, Target::name, "The target of a plan.");
by_name!(WishName, Wish, Wish::ALL, Wish::name, "The wanted change of a key.");
by_name!(ReasonCode, Reason, Reason::ALL, Reason::code, "The reason of a refusal.");
by_name!(
    SyncName,
    SyncMethod,
    SyncMethod::ALL,
    SyncMethod::name,
    "How other CPUs are synchronised."
);
by_name!(SpecialName, Special, Special::ALL, Special::name, "The special property of a site.");
by_name!(
    InsnName,
    JumpLabelType,
    [JumpLabelType::Nop, JumpLabelType::Jmp],
    insn,
    "The instruction of a site."
);
by_name!(Branch, bool, [false, true], branch, "Branch sense of a site.");

const fn insn(insn: JumpLabelType) -> &'static str {
    match insn {
        JumpLabelType::Nop => "nop",
        JumpLabelType::Jmp => "jmp",
    }
}

const fn branch(likely: bool) -> &'static str {
    if likely { "likely" } else { "unlikely" }
}
