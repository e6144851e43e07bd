//! Addresses in terms of the file, for people.
//!
//! In a linked image an address stands for itself.  The addresses of a relocatable file are
//! assigned by [`super::module_layout`] and have no meaning outside; reports show them as
//! section or undefined symbol and offset.

use super::format::ImageKind;
use super::model::Image;
use super::module_layout;
use super::section::SectionId;
use super::symbol::SymbolId;
use crate::addr::Svma;
use std::borrow::Cow;

/// An address in terms of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolicAddress {
    /// An address that the image states.
    Stated(Svma),
    /// An address in a section of a relocatable file.
    Section {
        /// The section.
        section: SectionId,
        /// Bytes from its start.
        offset: u64,
    },
    /// An address at or near an undefined symbol of a relocatable file.
    External {
        /// The symbol.
        symbol: SymbolId,
        /// Bytes from the symbol.
        offset: i64,
    },
}

impl Image<'_> {
    /// The meaning of `address`.
    #[must_use]
    pub fn symbolic(&self, address: Svma) -> SymbolicAddress {
        if self.kind != ImageKind::Rel {
            return SymbolicAddress::Stated(address);
        }
        if let Some((symbol, offset)) = self.symbols.external_at(address) {
            return SymbolicAddress::External { symbol, offset };
        }
        match self.section_before(address) {
            Some(section) => {
                let offset = address.0 - self.section(section).range.start().0;
                SymbolicAddress::Section { section, offset }
            }
            None => SymbolicAddress::Stated(address),
        }
    }

    /// The section with the last start at or before `address`.
    fn section_before(&self, address: Svma) -> Option<SectionId> {
        (0u32..)
            .map(SectionId)
            .zip(&self.sections)
            .filter(|(_, section)| section.flags.alloc && section.range.start() <= address)
            .max_by_key(|(_, section)| section.range.start())
            .map(|(id, _)| id)
    }

    /// `address` as text: `0x…`, or in a relocatable file `SECTION+0x…`,
    /// `SYMBOL` or `SYMBOL+0x…`.
    #[must_use]
    pub fn address_text(&self, address: Svma) -> String {
        match self.symbolic(address) {
            SymbolicAddress::Stated(address) => address.to_string(),
            SymbolicAddress::Section { section, offset } => {
                format!("{}+{offset:#x}", self.section(section).name)
            }
            SymbolicAddress::External { symbol, offset: 0 } => {
                self.symbols.name(symbol).into_owned()
            }
            SymbolicAddress::External { symbol, offset } => {
                let sign = if offset < 0 { '-' } else { '+' };
                format!("{}{sign}{:#x}", self.symbols.name(symbol), offset.unsigned_abs())
            }
        }
    }

    /// A message about this image with every address in it replaced by [`Self::address_text`].
    #[must_use]
    pub fn localize<'a>(&self, message: &'a str) -> Cow<'a, str> {
        if self.kind != ImageKind::Rel {
            return Cow::Borrowed(message);
        }
        let mut rest = message;
        let mut text = String::new();
        while let Some(at) = rest.find("0x") {
            let digits = &rest[at + 2..];
            let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
            let address = u64::from_str_radix(&digits[..end], 16).ok().map(Svma);
            text.push_str(&rest[..at]);
            match address.filter(|address| module_layout::is_placed(*address)) {
                Some(address) => text.push_str(&self.address_text(address)),
                None => text.push_str(&rest[at..at + 2 + end]),
            }
            rest = &digits[end..];
        }
        text.push_str(rest);
        Cow::Owned(text)
    }
}
