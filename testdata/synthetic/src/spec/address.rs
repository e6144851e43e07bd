//! References to addresses, written as text.

use std::fmt;

/// An address, by symbol or by number.
///
/// As text: `[FILE:]SYMBOL[+OFFSET|-OFFSET]` or `0xADDRESS`; offsets are decimal
/// or `0x…` bytes, and `FILE` is a path or its last component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AddressExpr {
    /// An absolute address.
    Address(u64),
    /// A displacement from a symbol.
    Symbol {
        /// The file whose local symbol is meant.
        file: Option<String>,
        /// Name of the symbol.
        name: String,
        /// Bytes from its value.
        offset: i64,
    },
}

impl From<u64> for AddressExpr {
    fn from(address: u64) -> Self {
        Self::Address(address)
    }
}

impl From<&str> for AddressExpr {
    /// # Panics
    /// If the text contains a number that cannot be parsed.
    fn from(text: &str) -> Self {
        if text.starts_with("0x") {
            return Self::Address(number(text));
        }
        let (file, rest) = match text.rsplit_once(':') {
            Some((file, rest)) => (Some(file.to_owned()), rest),
            None => (None, text),
        };
        let (name, offset) = match rest.find(['+', '-']) {
            Some(sign) => (&rest[..sign], signed(&rest[sign..])),
            None => (rest, 0),
        };
        Self::Symbol { file, name: name.to_owned(), offset }
    }
}

fn signed(text: &str) -> i64 {
    let magnitude = number(&text[1..]).cast_signed();
    if text.starts_with('-') { -magnitude } else { magnitude }
}

fn number(text: &str) -> u64 {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|_| panic!("{text:?} is not a number"))
}

impl fmt::Display for AddressExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address:#x}"),
            Self::Symbol { file, name, offset } => {
                if let Some(file) = file {
                    write!(f, "{file}:")?;
                }
                write!(f, "{name}")?;
                if *offset != 0 { write!(f, "{offset:+}") } else { Ok(()) }
            }
        }
    }
}
