//! Names of keys, from the symbol table of their object's file (gABI, "Symbol Table").
//!
//! The file is read in pieces and not mapped: truncating a mapped file would end the process by
//! SIGBUS.  All offsets in the file are checked.

use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::file::File;
use crate::runtime::sys::loaded;
use crate::runtime::sys::text::Text;
use core::ffi::CStr;

/// Bytes of an ELF64 header, of a section header, and of a symbol.
const HEADER: usize = 64;
const SECTION: usize = 64;
const SYMBOL: usize = 24;
/// Section types: the full symbol table, and that of the dynamic linker.
const SYMTAB: u32 = 2;
const DYNSYM: u32 = 11;
/// Number of symbols in one read.
const CHUNK: usize = 128;
/// The longest name, in bytes.
const NAME: usize = 512;

/// Calls `take` with the key and the name of each symbol whose address is one of `keys`, in the
/// file of the object at `address`.  `keys` are addresses of this process in ascending order.
///
/// # Errors
/// If the file cannot be read, or is not an ELF file with symbols (ENOEXEC).
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
    let mut buffer = [0; CHUNK * SYMBOL];
    let mut at = 0;
    while at < symbols.len {
        #[allow(clippy::cast_possible_truncation, reason = "at most the buffer's length")]
        let len = (symbols.len - at).min(buffer.len() as u64) as usize;
        let chunk = buffer.get_mut(..len).unwrap_or_default();
        file.read_at(chunk, symbols.start + at)?;
        for symbol in chunk.as_chunks::<SYMBOL>().0 {
            let key = address_of(symbol).wrapping_add(object.bias);
            if is_defined(symbol) && keys.binary_search(&key).is_ok() {
                take_name(&file, &symbols, symbol, key, take);
            }
        }
        at += len as u64;
    }
    Ok(())
}

/// File offsets and lengths, in bytes, of a symbol table and its string table.
struct Symbols {
    start: u64,
    len: u64,
    names: u64,
    names_len: u64,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let four = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>());
    four.map_or(0, |four| u32::from_ne_bytes(*four))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let eight = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>());
    eight.map_or(0, |eight| u64::from_ne_bytes(*eight))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let two = bytes.get(at..).and_then(|rest| rest.first_chunk::<2>());
    two.map_or(0, |two| u16::from_ne_bytes(*two))
}

/// The symbol table of the file: the full one, or else that of the dynamic linker.
fn symbols(file: &File) -> Result<Symbols, Errno> {
    let none = Err(Errno(libc::ENOEXEC));
    let mut header = [0; HEADER];
    file.read_at(&mut header, 0)?;
    // ELF64.  The byte order is the machine's, as the loader has checked.
    if !header.starts_with(b"\x7fELF\x02") || usize::from(u16_at(&header, 58)) != SECTION {
        return none;
    }
    let (start, count) = (u64_at(&header, 40), u64::from(u16_at(&header, 60)));
    let section = |index: u64| -> Result<[u8; SECTION], Errno> {
        let mut bytes = [0; SECTION];
        let at = start.checked_add(index * SECTION as u64).ok_or(Errno(libc::ENOEXEC))?;
        file.read_at(&mut bytes, at)?;
        Ok(bytes)
    };
    let mut found = None;
    for index in 0..count {
        let bytes = section(index)?;
        match (u32_at(&bytes, 4), &found) {
            (SYMTAB, _) => {
                found = Some(bytes);
                break;
            }
            (DYNSYM, None) => found = Some(bytes),
            _ => {}
        }
    }
    let Some(symbols) = found else { return none };
    let names = u64::from(u32_at(&symbols, 40));
    if names >= count {
        return none;
    }
    let names = section(names)?;
    Ok(Symbols {
        start: u64_at(&symbols, 24),
        len: u64_at(&symbols, 32),
        names: u64_at(&names, 24),
        names_len: u64_at(&names, 32),
    })
}

fn address_of(symbol: &[u8; SYMBOL]) -> usize {
    usize::try_from(u64_at(symbol, 8)).unwrap_or(0)
}

/// Whether the symbol is defined and is an object or of no type.
fn is_defined(symbol: &[u8; SYMBOL]) -> bool {
    let [_, _, _, _, info, ..] = *symbol;
    u16_at(symbol, 6) != 0 && info & 0xf <= 1
}

fn take_name(
    file: &File,
    symbols: &Symbols,
    symbol: &[u8; SYMBOL],
    key: usize,
    take: &mut dyn FnMut(usize, &[u8]),
) {
    let at = u64::from(u32_at(symbol, 0));
    let mut name = [0; NAME];
    #[allow(clippy::cast_possible_truncation, reason = "at most the buffer's length")]
    let len = symbols.names_len.saturating_sub(at).min(NAME as u64) as usize;
    let bytes = name.get_mut(..len).unwrap_or_default();
    let Some(offset) = symbols.names.checked_add(at) else { return };
    if file.read_at(bytes, offset).is_err() {
        return;
    }
    if let Some(end) = bytes.iter().position(|byte| *byte == 0) {
        take(key, bytes.get(..end).unwrap_or_default());
    }
}
