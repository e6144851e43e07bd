//! Symbols of an image, made from its kallsyms.

use super::kallsyms::{FlatImage, Kallsyms, KallsymsError};
use super::model::Image;
use super::section::{Section, SectionIndex};
use super::symbol::{Binding, Symbol, SymbolKind, Symbols};
use crate::addr::AddrRange;
use crate::arch::Architecture;
use std::cmp::Reverse;

/// Most sections of a stripped ELF file that are searched.
const MOST_SECTIONS: usize = 4;

impl Image<'_> {
    /// Adopts the symbols that a kernel contains for its own use, if the image has no other
    /// symbols: for a stripped ELF file.
    ///
    /// # Errors
    /// Why the image has no such symbols, for the section that passed the most checks.  An
    /// image with symbols does not change.
    pub fn recover_symbols(&mut self) -> Result<(), KallsymsError> {
        if !self.symbols.is_empty() {
            return Ok(());
        }
        let mut data: Vec<&Section<'_>> =
            self.sections.iter().filter(|section| section.is_data()).collect();
        data.sort_by_key(|section| (section.name != ".rodata", Reverse(section.data.len())));
        let mut nearest = KallsymsError::NoTokenTable { look_alikes: 0 };
        for section in data.into_iter().take(MOST_SECTIONS) {
            match self.kallsyms_in(section) {
                Ok(found) => {
                    self.symbols = symbols(&found, &self.sections, &self.index, self.arch);
                    self.has_recovered_symbols = true;
                    self.identity = self.identity.with_release(&self.sections, &self.symbols);
                    return Ok(());
                }
                Err(error) => nearest = nearest.further(error),
            }
        }
        Err(nearest)
    }

    fn kallsyms_in(&self, section: &Section<'_>) -> Result<Kallsyms, KallsymsError> {
        let start = section.range.start();
        let relocated = |at: usize| {
            let word =
                self.read_relocated(AddrRange::sized(start.wrapping_add(at as u64), 8)).ok()?;
            self.u64_from(&word.bytes).filter(|_| word.words > 0)
        };
        let (bytes, big_endian) = (section.data, self.big_endian);
        Kallsyms::find(FlatImage { bytes, big_endian, start: Some(start), relocated: &relocated })
    }
}

/// The bytes that a symbol covers in any case: one instruction.
const INSTRUCTION: u64 = 4;

/// The symbols in the form of a symbol table, but without sizes, which kallsyms does not have:
/// each symbol reaches to the next.  Of several symbols at one address the kernel lists the
/// most readable one first (`compare_symbols` in scripts/kallsyms.c); this order is kept.
pub(super) fn symbols<'data>(
    found: &Kallsyms,
    sections: &[Section<'_>],
    index: &SectionIndex,
    arch: &dyn Architecture,
) -> Symbols<'data> {
    // Without data symbols the only "objects" are the ends of the code.
    let has_objects = found.has_data_symbols();
    let nameless = nameless_code(found);
    let mut strings = vec![0];
    let mut symbols = Vec::with_capacity(found.symbols().len());
    for symbol in found.symbols() {
        let name = found.name(symbol);
        let Ok(at) = u32::try_from(strings.len()) else { break };
        strings.extend_from_slice(name.as_bytes());
        strings.push(0);
        let letter = symbol.kind();
        let is_absolute = letter.eq_ignore_ascii_case(&b'a');
        let is_last_known = nameless.is_some_and(|code| code.contains(symbol.address));
        symbols.push(Symbol {
            address: symbol.address,
            size: if is_last_known { INSTRUCTION } else { 0 },
            section: index.find(symbol.address).filter(|_| !is_absolute),
            kind: kind(letter, name, has_objects),
            binding: binding(letter),
            file: None,
            is_undefined: false,
            name: at,
        });
    }
    let ranges: Vec<_> =
        sections.iter().map(|section| (section.is_executable(), section.range)).collect();
    Symbols::new(strings, symbols, &ranges, arch)
}

fn kind(letter: u8, name: &str, has_objects: bool) -> SymbolKind {
    match letter.to_ascii_lowercase() {
        _ if BOUNDARIES.contains(&name) => SymbolKind::Other,
        b't' | b'w' if !is_start_or_stop(name) && !looks_like_mark(name) => SymbolKind::Function,
        b'd' | b'b' | b'r' | b'v' if has_objects && !is_start_or_stop(name) => SymbolKind::Object,
        _ => SymbolKind::Untyped,
    }
}

const fn binding(letter: u8) -> Binding {
    match letter {
        b'w' | b'W' | b'v' | b'V' => Binding::Weak,
        b'A'..=b'Z' => Binding::Global,
        _ => Binding::Local,
    }
}

/// Names that only mark a boundary.
const BOUNDARIES: [&str; 15] = [
    "_text",
    "efi_header_end",
    "_stext",
    "_etext",
    "_sinittext",
    "_einittext",
    "_data",
    "_sdata",
    "_edata",
    "_end",
    "__bss_start",
    "__bss_stop",
    "__init_begin",
    "__init_end",
    "__per_cpu_start",
];

/// Whether a linker script gives this name to an end of a table.
fn is_start_or_stop(name: &str) -> bool {
    ["__start_", "__stop_", "__end_"].iter().any(|prefix| name.starts_with(prefix))
}

/// Whether a symbol of code is probably defined by a linker script.  Another symbol at the same
/// address is then the function.  Objects can have such names themselves:
/// `__tracepoint_initcall_start`.
fn looks_like_mark(name: &str) -> bool {
    let suffixes = ["_start", "_end", "_begin"];
    name.starts_with("__") && suffixes.iter().any(|suffix| name.ends_with(suffix))
}

/// The code of a hypervisor whose symbols are missing: Linux 5.10 omits all symbols with the
/// prefix `__kvm_nvhe_` (scripts/kallsyms.c).  In this range the symbol before an address has
/// no meaning.
fn nameless_code(found: &Kallsyms) -> Option<AddrRange> {
    let (mut start, mut end) = (None, None);
    for symbol in found.symbols() {
        match found.name(symbol) {
            "__hyp_text_start" => start = Some(symbol.address),
            "__hyp_text_end" => end = Some(symbol.address),
            name if name.starts_with("__kvm_nvhe_") => return None,
            _ => {}
        }
    }
    AddrRange::new(start?, end?)
}
