//! Names of keys, out of the symbol table of the file that they are in (gABI, "Symbol Table").
//!
//! The file is read in pieces and not mapped: one that is cut short meanwhile must not end the
//! process.  Nothing of it is believed but within its bounds.

use crate::sys::errno::Errno;
use crate::sys::file::File;
use crate::sys::loaded;
use crate::sys::text::Text;
use core::ffi::CStr;

/// Bytes of an ELF64 header, of a section header, and of a symbol.
const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
/// Section types: symbols of all kinds, and those for the dynamic linker.
const SYMTAB: u32 = 2;
const DYNSYM: u32 = 11;
/// Symbols that are read at once.
const AT_ONCE: usize = 128;
/// The longest name, in bytes.
const NAME: usize = 512;

/// Calls `take` with the symbols of the object around `address` whose value is one of `keys`,
/// which ascend: addresses of this process.
///
/// # Errors
/// Where the file cannot be read, or is none that is understood (ENOEXEC).
pub(crate) fn for_each(
    address: usize,
    keys: &[usize],
    take: &mut dyn FnMut(usize, &[u8]),
) -> Result<(), Errno> {
    let object = loaded::containing(address).ok_or(Errno(libc::ENOENT))?;
    let mut path = Text::<4096>::new();
    let name = if object.name().is_empty() { b"/proc/self/exe" } else { object.name() };
    name.iter().chain(b"\0").for_each(|byte| path.push(*byte));
    let path = CStr::from_bytes_with_nul(path.bytes()).map_err(|_| Errno(libc::ENAMETOOLONG))?;
    let file = File::open(path)?;
    let symbols = symbols(&file)?;
    let mut buffer = [0; AT_ONCE * SYMBOL];
    let mut at = 0;
    while at < symbols.len {
        #[allow(clippy::cast_possible_truncation, reason = "at most the buffer's length")]
        let len = (symbols.len - at).min(buffer.len() as u64) as usize;
        let chunk = buffer.get_mut(..len).unwrap_or_default();
        file.read_at(chunk, symbols.start + at)?;
        for symbol in chunk.as_chunks::<SYMBOL>().0 {
            let key = address_of(symbol).wrapping_add(object.bias);
            if is_defined(symbol) && keys.binary_search(&key).is_ok() {
                named(&file, &symbols, symbol, key, take);
            }
        }
        at += len as u64;
    }
    Ok(())
}

/// A table of symbols and its names, by places in the file, in bytes.
struct Symbols {
    start: u64,
    len: u64,
    names: u64,
    names_len: u64,
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    four.map_or(0, |four| u32::from_ne_bytes(*four))
}

fn long(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    eight.map_or(0, |eight| u64::from_ne_bytes(*eight))
}

fn half(bytes: &[u8], at: usize) -> u16 {
    let two = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>());
    two.map_or(0, |two| u16::from_ne_bytes(*two))
}

/// The symbols of the file: all of them, or else those for the dynamic linker.
fn symbols(file: &File) -> Result<Symbols, Errno> {
    let none = Err(Errno(libc::ENOEXEC));
    let mut header = [0; HEADER];
    file.read_at(&mut header, 0)?;
    // ELF64 of this machine's byte order, which the loader has made sure of.
    if !header.starts_with(b"\x7fELF\x02") || usize::from(half(&header, 58)) != SECTION {
        return none;
    }
    let (start, count) = (long(&header, 40), u64::from(half(&header, 60)));
    let section = |index: u64| -> Result<[u8; SECTION], Errno> {
        let mut bytes = [0; SECTION];
        let at = start.checked_add(index * SECTION as u64).ok_or(Errno(libc::ENOEXEC))?;
        file.read_at(&mut bytes, at)?;
        Ok(bytes)
    };
    let mut found = None;
    for index in 0..count {
        let bytes = section(index)?;
        match (word(&bytes, 4), &found) {
            (SYMTAB, _) => {
                found = Some(bytes);
                break;
            }
            (DYNSYM, None) => found = Some(bytes),
            _ => {}
        }
    }
    let Some(symbols) = found else { return none };
    let names = u64::from(word(&symbols, 40));
    if names >= count {
        return none;
    }
    let names = section(names)?;
    Ok(Symbols {
        start: long(&symbols, 24),
        len: long(&symbols, 32),
        names: long(&names, 24),
        names_len: long(&names, 32),
    })
}

fn address_of(symbol: &[u8; SYMBOL]) -> usize {
    usize::try_from(long(symbol, 8)).unwrap_or(0)
}

/// Whether it is an object, or of no type, in some section.
fn is_defined(symbol: &[u8; SYMBOL]) -> bool {
    let [_, _, _, _, info, ..] = *symbol;
    half(symbol, 6) != 0 && info & 0xf <= 1
}

fn named(
    file: &File,
    symbols: &Symbols,
    symbol: &[u8; SYMBOL],
    key: usize,
    take: &mut dyn FnMut(usize, &[u8]),
) {
    let at = u64::from(word(symbol, 0));
    let mut name = [0; NAME];
    #[allow(clippy::cast_possible_truncation, reason = "at most the buffer's length")]
    let len = symbols.names_len.saturating_sub(at).min(NAME as u64) as usize;
    let bytes = name.get_mut(..len).unwrap_or_default();
    let Some(place) = symbols.names.checked_add(at) else { return };
    if file.read_at(bytes, place).is_err() {
        return;
    }
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        take(key, bytes.get(..end).unwrap_or_default());
    }
}
