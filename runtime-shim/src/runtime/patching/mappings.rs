//! The mappings of this process with code, from /proc/self/maps and smaps (proc(5)).
//!
//! Reading these files takes longer than a batch.  They are read at the first flip, and again
//! after objects have been loaded or unloaded.

#![allow(unsafe_code, reason = "the auxiliary vector")]

use crate::runtime::error::Error;
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::file::File;
use crate::runtime::sys::page_vec::PageVec;
use core::ffi::CStr;

/// PROT_BTI of arm64 (Linux `arch/arm64/include/uapi/asm/mman.h`): an indirect branch into the
/// pages must land on BTI.
pub(crate) const PROT_BTI: i32 = 0x10;

/// Adjacent pages with one protection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mapping {
    /// Address of the first byte.
    pub(crate) start: usize,
    /// Address after the last byte.
    pub(crate) end: usize,
    /// PROT_… flags.
    pub(crate) protection: i32,
}

/// Parses the text of such a file in pieces.
#[derive(Debug)]
pub(crate) struct Parser {
    /// The start of the current line; the rest of a longer line is dropped.
    line: [u8; Self::LONGEST],
    len: usize,
    pending: Option<Mapping>,
}

impl Parser {
    /// The longest line that is needed to its end: VmFlags has up to 64 flags of three bytes.
    const LONGEST: usize = 256;

    pub(crate) const fn new() -> Self {
        Self { line: [0; Self::LONGEST], len: 0, pending: None }
    }

    /// Parses the next piece of the text and calls `found` with each complete mapping.
    pub(crate) fn feed(
        &mut self,
        text: &[u8],
        found: &mut impl FnMut(Mapping) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        for byte in text {
            if *byte == b'\n' {
                self.end_line(found)?;
            } else if let Some(slot) = self.line.get_mut(self.len) {
                *slot = *byte;
                self.len += 1;
            }
        }
        Ok(())
    }

    /// Ends the text.
    pub(crate) fn finish(
        mut self,
        found: &mut impl FnMut(Mapping) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        self.end_line(found)?;
        self.pending.take().map_or(Ok(()), found)
    }

    fn end_line(
        &mut self,
        found: &mut impl FnMut(Mapping) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let line = self.line.get(..self.len).unwrap_or_default();
        self.len = 0;
        if let Some(mapping) = header(line) {
            return self.pending.replace(mapping).map_or(Ok(()), found);
        }
        if let (Some(flags), Some(mapping)) = (line.strip_prefix(b"VmFlags:"), &mut self.pending)
            && flags.split(|byte| *byte == b' ').any(|flag| flag == b"bt")
        {
            mapping.protection |= PROT_BTI;
        }
        Ok(())
    }
}

/// `start-end rwxp …`, both in hexadecimal.
fn header(line: &[u8]) -> Option<Mapping> {
    let dash = line.iter().position(|byte| *byte == b'-')?;
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (start, end) = (line.get(..dash)?, line.get(dash + 1..space)?);
    let permissions = line.get(space + 1..space + 5)?;
    let mut protection = 0;
    for (permission, (letter, flag)) in permissions.iter().zip([
        (b'r', libc::PROT_READ),
        (b'w', libc::PROT_WRITE),
        (b'x', libc::PROT_EXEC),
    ]) {
        match permission {
            _ if *permission == letter => protection |= flag,
            b'-' => {}
            _ => return None,
        }
    }
    Some(Mapping { start: hexadecimal(start)?, end: hexadecimal(end)?, protection })
}

fn hexadecimal(digits: &[u8]) -> Option<usize> {
    usize::from_str_radix(core::str::from_utf8(digits).ok()?, 16).ok()
}

/// The mappings of this process that are readable and executable, as last read.
#[derive(Debug)]
pub(crate) struct Mappings {
    all: PageVec<Mapping>,
}

impl Mappings {
    pub(crate) const fn new() -> Self {
        Self { all: PageVec::new() }
    }

    /// The given mappings, until an address outside them is queried.
    #[cfg(test)]
    pub(super) fn of(mappings: &[Mapping]) -> Self {
        let mut all = PageVec::new();
        mappings.iter().for_each(|mapping| all.push(*mapping).unwrap());
        Self { all }
    }

    /// Discards the mappings, after objects have been loaded or unloaded.
    pub(crate) fn forget(&mut self) {
        self.all.clear();
    }

    /// The readable and executable mapping at `address`, as last read.  If none is known there,
    /// all mappings are read again.
    ///
    /// # Errors
    /// If /proc/self cannot be read.
    pub(crate) fn code_at(&mut self, address: usize) -> Result<Option<Mapping>, Error> {
        if let Some(known) = self.known(address) {
            return Ok(Some(known));
        }
        self.read()?;
        Ok(self.known(address))
    }

    fn known(&self, address: usize) -> Option<Mapping> {
        let all = self.all.as_slice();
        let at = all.partition_point(|mapping| mapping.end <= address);
        all.get(at).copied().filter(|mapping| mapping.start <= address)
    }

    fn read(&mut self) -> Result<(), Error> {
        self.all.clear();
        let all = &mut self.all;
        read_mappings(c"/proc/self/maps", &mut |mapping| {
            let code = libc::PROT_READ | libc::PROT_EXEC;
            if mapping.protection & code != code { Ok(()) } else { all.push(mapping) }
        })?;
        if has_bti() {
            // Only smaps states whether pages are guarded, and it takes longer to read.  The
            // addresses are taken from maps, since an emulator may translate that file alone.
            read_mappings(c"/proc/self/smaps", &mut |guarded| {
                let mappings = all.as_mut_slice().iter_mut();
                mappings
                    .filter(|mapping| guarded.start <= mapping.start && mapping.end <= guarded.end)
                    .for_each(|mapping| mapping.protection |= guarded.protection & PROT_BTI);
                Ok(())
            })?;
        }
        join(all);
        Ok(())
    }
}

/// Reads the file `path` and calls `take` with each mapping.
fn read_mappings(
    path: &CStr,
    take: &mut impl FnMut(Mapping) -> Result<(), Errno>,
) -> Result<(), Error> {
    let file = File::open(path).map_err(Error::Mappings)?;
    let mut parser = Parser::new();
    let mut buffer = [0; 4096];
    loop {
        let count = file.read(&mut buffer).map_err(Error::Mappings)?;
        let text = buffer.get(..count).unwrap_or_default();
        if text.is_empty() {
            return parser.finish(take).map_err(Error::NoMemory);
        }
        parser.feed(text, take).map_err(Error::NoMemory)?;
    }
}

/// Merges adjacent mappings with the same protection.
fn join(all: &mut PageVec<Mapping>) {
    let mappings = all.as_mut_slice();
    let mut kept = 0;
    for index in 1..mappings.len() {
        let (last, mapping) = (mappings[kept], mappings[index]);
        if last.end == mapping.start && last.protection == mapping.protection {
            mappings[kept].end = mapping.end;
        } else {
            kept += 1;
            mappings[kept] = mapping;
        }
    }
    all.truncate(kept + 1);
}

/// Whether the machine has branch target identification (HWCAP2_BTI).
fn has_bti() -> bool {
    const HWCAP2_BTI: libc::c_ulong = 1 << 17;
    // SAFETY: getauxval reads the auxiliary vector.
    cfg!(target_arch = "aarch64") && unsafe { libc::getauxval(libc::AT_HWCAP2) } & HWCAP2_BTI != 0
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn parse(text: &[u8], step: usize) -> Vec<Mapping> {
        let mut all = Vec::new();
        let mut found = |mapping| {
            all.push(mapping);
            Ok(())
        };
        let mut parser = Parser::new();
        for part in text.chunks(step) {
            parser.feed(part, &mut found).unwrap();
        }
        parser.finish(&mut found).unwrap();
        all
    }

    const MAPS: &[u8] = b"\
5600-5700 r--p 00000000 fe:00 1 /bin/with - and x\n\
5700-5a00 r-xp 00001000 fe:00 1 /bin/x\n\
7f00-8000 rw-s 00000000 00:00 0\n\
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]";

    #[test]
    fn maps_are_parsed_in_pieces_of_any_size() {
        let (r, w, x) = (libc::PROT_READ, libc::PROT_WRITE, libc::PROT_EXEC);
        let wanted = [
            Mapping { start: 0x5600, end: 0x5700, protection: r },
            Mapping { start: 0x5700, end: 0x5a00, protection: r | x },
            Mapping { start: 0x7f00, end: 0x8000, protection: r | w },
            Mapping { start: 0xffff_ffff_ff60_0000, end: 0xffff_ffff_ff60_1000, protection: x },
        ];
        for step in 1..MAPS.len() {
            assert_eq!(parse(MAPS, step), wanted);
        }
    }

    #[test]
    fn bti_is_parsed_from_smaps() {
        let smaps = b"5700-5a00 r-xp 00001000 fe:00 1 /bin/x\nSize: 12 kB\nRss: 4 kB\n\
            VmFlags: rd ex mr mw me bt \n5a00-5b00 r-xp 0 fe:00 1 /bin/x\nVmFlags: rd ex btx \n";
        let text = libc::PROT_READ | libc::PROT_EXEC;
        let found = parse(smaps, 7);
        assert_eq!(found[0].protection, text | PROT_BTI);
        assert_eq!(found[1].protection, text);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn long_paths_are_truncated() {
        let mut text = b"1000-2000 r-xp 0 0:0 0 /".to_vec();
        text.extend([b'a'; 5000]);
        text.extend(b"\n2000-3000 r--p 0 0:0 0\n");
        assert_eq!(parse(&text, 100).len(), 2);
    }

    /// The mappings of this process contain this function.
    #[test]
    #[cfg_attr(miri, ignore = "functions of Miri are in no mapping")]
    fn the_mappings_of_this_process_are_parsed() {
        let text = std::fs::read("/proc/self/maps").unwrap();
        let own = (long_paths_are_truncated as fn()) as usize;
        let holds = |mapping: &&Mapping| (mapping.start..mapping.end).contains(&own);
        let found = parse(&text, 4096);
        let mapping = found.iter().find(holds).unwrap();
        assert_eq!(mapping.protection, libc::PROT_READ | libc::PROT_EXEC);
        assert_eq!(found.len(), text.iter().filter(|byte| **byte == b'\n').count());
    }

    #[test]
    #[cfg_attr(miri, ignore = "Miri does not support the system calls")]
    fn code_and_data_of_this_process_are_told_apart() {
        let mut mappings = Mappings::new();
        let own = (code_and_data_of_this_process_are_told_apart as fn()) as usize;
        let mapping = mappings.code_at(own).unwrap().unwrap();
        assert!((mapping.start..mapping.end).contains(&own));
        assert_eq!(mapping.protection & !PROT_BTI, libc::PROT_READ | libc::PROT_EXEC);
        let data = (&raw const mappings).addr();
        assert_eq!(mappings.code_at(data), Ok(None));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text in proptest::collection::vec(any::<u8>(), 0..600), step in 1usize..80) {
            parse(&text, step);
        }
    }
}
