//! The invariants of the readers of images, tables and debug information, for any input.  The fuzz
//! target and the tests of damaged input share this function.

use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::debug_info::{DebugInfo, Frames};
use jlctl_analyzer::image::{Image, SymbolKind};
use jlctl_analyzer::jump_table::JumpTable;
use std::path::Path;

/// The greatest number of addresses that are looked up in the debug information of one input.
const MOST_ADDRESSES: usize = 1024;

/// Reads everything that is readable in `bytes`; panics if an answer contradicts another one or the
/// library itself panics.
pub(crate) fn check(bytes: &[u8]) {
    let mut addresses = Vec::new();
    if let Ok(mut image) = Image::parse(bytes) {
        assert_eq!(image.recover_symbols().is_err(), image.symbols().is_empty());
        check_image(&image, bytes, &mut addresses);
        match JumpTable::read(&image) {
            Ok(table) => check_table(&image, &table, &mut addresses),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    addresses.truncate(MOST_ADDRESSES);
    check_debug_info(bytes, &addresses);
}

fn check_image(image: &Image<'_>, bytes: &[u8], addresses: &mut Vec<Svma>) {
    assert_eq!(image.file_size(), bytes.len());
    assert!(image.faults().iter().all(|fault| !fault.to_string().is_empty()));
    for section in image.sections() {
        assert!(section.data.len() <= bytes.len());
        let start = section.range.start();
        if let Some(offset) = image.file_offset(start) {
            assert!(offset.0 < bytes.len() as u64, "{offset}");
        }
        if let Ok(found) = image.read_up_to(start, 16) {
            assert!(found.len() <= 16);
        }
    }
    for (id, symbol) in image.symbols().iter() {
        // A name that is not UTF-8 is copied, which is too slow for thousands of symbols.
        if addresses.len() < MOST_ADDRESSES / 2 {
            let _ = (image.symbols().name(id), image.symbols().file(id));
            if symbol.kind == SymbolKind::Function {
                addresses.push(symbol.address);
            }
        }
    }
}

fn check_table(image: &Image<'_>, table: &JumpTable<'_>, addresses: &mut Vec<Svma>) {
    let counts = table.insn_counts();
    assert_eq!(counts.nop + counts.jmp + counts.other, table.len());
    for id in table.site_ids() {
        let (entry, site) = (table.entry(id), table.site(id));
        assert_eq!(table.key(table.key_of(id)).address, entry.key);
        let _ = site.disassembly(image, entry.code);
        if let Some(function) = site.function {
            let start = image.symbols().get(function.symbol).address;
            assert_eq!(start.wrapping_add(function.offset), entry.code);
        }
        addresses.push(entry.code);
    }
    let mut sites = 0;
    for id in table.key_ids() {
        let key = table.key(id);
        assert!(!key.sites.is_empty() && key.is_on().is_some() == key.initially_true().is_some());
        assert!(key.sites.iter().all(|site| table.key_of(*site) == id));
        let _ = key.name(image);
        sites += key.sites.len();
    }
    assert_eq!(sites, table.len());
    for diagnostic in table.diagnostics() {
        assert!(diagnostic.defect.code().starts_with("JT"));
        assert!(!diagnostic.defect.to_string().is_empty());
        assert!(diagnostic.site.is_none_or(|site| site.index() < table.len()));
    }
}

fn check_debug_info(bytes: &[u8], addresses: &[Svma]) {
    let Ok(sections) = Image::parse_sections(bytes) else { return };
    let Ok(debug_info) = DebugInfo::new(&sections) else { return };
    // There is no file beside this path, so that no split debug information is read.
    let frames = debug_info.frames(addresses, Path::new("/nonexistent/image"), &|_| {});
    check_frames(&frames, addresses.len());
}

fn check_frames(frames: &Frames, addresses: usize) {
    for index in 0..addresses {
        for frame in frames.chain(index) {
            for id in [frame.function, frame.file].into_iter().flatten() {
                assert!(id.index() < frames.strings().len());
            }
            assert!(frame.line != Some(0) && frame.column != Some(0));
        }
    }
    assert!(frames.chain(addresses).is_empty());
    assert!(frames.faults().iter().all(|fault| !fault.to_string().is_empty()));
}
