//! The runtime for static programs: an image without dependencies, which is appended as it lies in
//! memory.
//!
//! A static program is entered by its runtime. The bounds of the program's init array are constants
//! in its code, and musl passes no arguments to constructors; `e_entry` comes first in every
//! program, finds the environment and the auxiliary vector on the stack, and is known in a stripped
//! file too. The runtime is built without a C library, relocates itself, and makes its own data
//! writable, so that no segment is both writable and executable and one program header suffices:
//! most static programs have no room for more. The runtime creates no thread, since a C library
//! cannot change the user ids of a thread that it does not know; so there is no control socket.

use super::error::Why;
use super::program::ElfProgram;
use super::record::{LE, Relocation, Segment, all_records, slice};
use super::shim;
use super::tail::{At, Tail};
use super::undo::u64_at;
use jlctl_shim::embed::{CONFIG, ENTRY, Embedded, FILE, NODE, VERSION};
use object::elf::{
    DT_JMPREL, DT_NEEDED, DT_REL, DT_RELA, DT_RELASZ, DT_RELR, EM_X86_64, Machine, PF_W, PT_TLS,
    R_AARCH64_RELATIVE, R_X86_64_RELATIVE, RelocationType,
};
use std::path::{Path, PathBuf};

/// Bytes of a relocation.
const RELA_LEN: u64 = size_of::<Relocation>() as u64;
/// An upper bound: the runtime has 0.2 MB.
const LONGEST: u64 = 1 << 24;

/// The runtime's image. Its addresses begin at 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RuntimeImage {
    /// The bytes of the image's memory, including those that are zero at first.
    bytes: Vec<u8>,
    /// Alignment of the image's address.
    align: u64,
    /// Start of the data, at a page.
    data: u64,
    relocations: (u64, u64),
    config: u64,
    entry: u64,
    node: u64,
}

/// The image that `path` names: the file itself, or the one in that directory.
pub(super) fn file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(FILE) } else { path.to_owned() }
}

impl RuntimeImage {
    /// Reads the image for `machine` from `bytes`, the contents of the file at `path`.
    pub(super) fn read(path: &Path, bytes: &[u8], machine: Machine) -> Result<Self, Why> {
        let no = |why: String| Why::Shim { path: path.to_owned(), why };
        let program = ElfProgram::read(bytes)
            .map_err(|why| no(format!("not an image of the runtime: {why}")))?;
        if program.machine() != machine {
            let (expected, found) = (shim::name(machine), shim::name(program.machine()));
            return Err(no(format!("expected a runtime for {expected}, found one for {found}")));
        }
        let symbol = |name: &str| {
            let symbol = shim::symbol(&program, name.as_bytes());
            symbol
                .map(|symbol| symbol.st_value.get(LE))
                .ok_or_else(|| no(format!("expected the symbol {name}, found none")))
        };
        let (config, entry, node) = (symbol(CONFIG)?, symbol(ENTRY)?, symbol(NODE)?);
        let relocations = relocations(&program).map_err(no)?;
        let (bytes, align, data) = memory(&program).map_err(no)?;
        let image = Self { bytes, align, data, relocations, config, entry, node };
        match image.word(config) {
            Some(VERSION) if image.holds(config, Embedded::SIZE as u64) => {}
            _ => return Err(no("its version differs from that of this jlctl".to_owned())),
        }
        let is_whole = image.holds(node, 64)
            && image.holds(entry, 1)
            && image.holds(relocations.0, relocations.1 * RELA_LEN)
            && node >= data;
        if is_whole {
            Ok(image)
        } else {
            Err(no("its symbols or relocations lie outside of it".to_owned()))
        }
    }

    fn holds(&self, address: u64, size: u64) -> bool {
        address.checked_add(size).is_some_and(|end| end <= self.bytes.len() as u64)
    }

    fn word(&self, address: u64) -> Option<u64> {
        u64_at(&self.bytes, usize::try_from(address).ok()?)
    }

    /// Appends the image, set up to continue at `program`, the entry of the program that the image
    /// becomes part of.
    pub(super) fn place(&self, tail: &mut Tail, program: u64) -> PlacedRuntime {
        let at = tail.place_like(0, self.align, &self.bytes);
        let config = at.address + self.config;
        let from = |address: u64| (at.address + address).wrapping_sub(config);
        for (field, value) in [
            (Embedded::PROGRAM, program.wrapping_sub(config)),
            (Embedded::DATA, from(self.data)),
            (Embedded::DATA_LEN, self.bytes.len() as u64 - self.data),
            (Embedded::RELOCATIONS, from(self.relocations.0)),
            (Embedded::RELOCATIONS_COUNT, self.relocations.1),
            (Embedded::BASE, from(0)),
            (Embedded::ADDRESS, config),
        ] {
            let within = usize::try_from(self.config).unwrap_or(0) + field;
            tail.put(at, within, &value.to_le_bytes());
        }
        let place = |within: u64, size| At {
            offset: at.offset + within,
            address: at.address + within,
            size,
        };
        PlacedRuntime { entry: at.address + self.entry, node: place(self.node, 64) }
    }
}

/// Locations of the image's parts in the program.
#[derive(Debug, Clone, Copy)]
pub(super) struct PlacedRuntime {
    /// Address of the image's entry.
    pub(super) entry: u64,
    /// 64 bytes that are writable at run time.
    pub(super) node: At,
}

/// Offset and number of the image's relocations; each needs the load bias alone.
fn relocations(image: &ElfProgram<'_>) -> Result<(u64, u64), String> {
    let value = |tag| image.dynamic_value(tag);
    if let Some(tag) =
        [DT_NEEDED, DT_JMPREL, DT_REL, DT_RELR].into_iter().find(|tag| value(*tag).is_some())
    {
        return Err(format!(
            "expected an image that needs no dynamic linker, found the tag {tag:#x}"
        ));
    }
    if image.segment(PT_TLS).is_some() {
        return Err("expected an image without thread-local storage".to_owned());
    }
    let Some(start) = value(DT_RELA) else { return Ok((0, 0)) };
    let size = value(DT_RELASZ).unwrap_or(0);
    let bytes = image.offset_of(start).and_then(|offset| slice(image.bytes, offset, size));
    let bytes = bytes.ok_or("its relocations are not in it")?;
    let relative = match image.machine() {
        EM_X86_64 => R_X86_64_RELATIVE,
        _ => R_AARCH64_RELATIVE,
    };
    let mut kinds = all_records::<Relocation>(bytes).iter().map(|found| found.r_type(LE, false));
    match kinds.find(|kind| *kind != RelocationType(relative.0)) {
        Some(kind) => Err(format!("expected relative relocations only, found one of type {kind}")),
        None => Ok((start, size / RELA_LEN)),
    }
}

/// The image's memory, its alignment, and the start of the data.
fn memory(image: &ElfProgram<'_>) -> Result<(Vec<u8>, u64, u64), String> {
    let loads: Vec<&Segment> = image.loads().collect();
    let memory_end = |load: &&Segment| load.p_vaddr.get(LE).checked_add(load.p_memsz.get(LE));
    let end = loads.iter().filter_map(memory_end).max();
    let align = image.page();
    let end = end.filter(|end| *end <= LONGEST && align <= LONGEST).unwrap_or(0);
    let mut bytes = vec![0; usize::try_from(end).unwrap_or(0)];
    for load in &loads {
        let from = slice(image.bytes, load.p_offset.get(LE), load.p_filesz.get(LE));
        let start = usize::try_from(load.p_vaddr.get(LE)).unwrap_or(usize::MAX);
        let to = start.checked_add(usize::try_from(load.p_filesz.get(LE)).unwrap_or(usize::MAX));
        let to = to.and_then(|stop| bytes.get_mut(start..stop));
        let (Some(from), Some(to)) = (from, to) else {
            return Err("a segment lies outside of it".to_owned());
        };
        to.copy_from_slice(from);
    }
    let is_data = |load: &&&Segment| load.p_flags.get(LE).0 & PF_W.0 != 0;
    let data = loads.iter().filter(is_data).map(|load| load.p_vaddr.get(LE)).min().unwrap_or(end);
    let data = data - data % align;
    let code = loads.iter().filter(|load| !is_data(load)).filter_map(memory_end);
    if code.max().is_some_and(|code| code > data) {
        return Err("code and data share a page".to_owned());
    }
    Ok((bytes, align, data))
}
