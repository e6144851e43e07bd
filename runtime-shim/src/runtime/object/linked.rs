//! Programs and libraries that `jlctl link` has linked with this runtime: their notes contain the
//! locations of their tables and the names of their keys.
//!
//! No code of a linked object can remove its table from the list.  Therefore `jlctl link` marks
//! linked libraries DF_1_NODELETE, so that they are never unloaded.

#![allow(unsafe_code, reason = "notes and tables of loaded objects")]

use crate::abi::RelativeEntry;
use crate::link::note::{self, Linked, Name, TYPE_LINKED};
use crate::runtime::object::{self, initial};
use crate::runtime::patching::table::Object;
use crate::runtime::sys::loaded::{Notes, for_each_note_segment};
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU64, Ordering};

/// The number of objects that the dynamic linker had loaded at the last search, plus 1; 0 before
/// the first search.
static SEARCHED: AtomicU64 = AtomicU64::new(0);

/// Registers the tables of linked objects that were loaded since the last call, and returns the
/// number of these objects.
///
/// The constructor and `jlshim_find_linked` call it.  It takes the dynamic linker's lock: not
/// for signal handlers.  For a process without linked objects its cost is one walk over program
/// headers.
pub(crate) fn find() -> usize {
    let mut found = 0;
    let last = SEARCHED.load(Ordering::Relaxed);
    let loads = for_each_note_segment(last.checked_sub(1), &mut |notes| {
        found += usize::from(register(notes));
    });
    SEARCHED.store(loads.saturating_add(1), Ordering::Relaxed);
    found
}

/// The keys in the note at `at`, with their names.
fn names(at: usize, linked: &Linked) -> impl Iterator<Item = (usize, &'static [u8])> {
    #[allow(clippy::cast_possible_truncation, reason = "addresses and lengths of 64 bits")]
    let resolve = |from: usize, displacement: i64| from.wrapping_add_signed(displacement as isize);
    let first = resolve(at + core::mem::offset_of!(Linked, names), linked.names);
    let text = resolve(at + core::mem::offset_of!(Linked, text), linked.text);
    let text = ptr::with_exposed_provenance::<u8>(text);
    #[allow(clippy::cast_possible_truncation, reason = "lengths of 64 bits")]
    let (count, text_len) = (linked.names_count as usize, linked.text_len as usize);
    // SAFETY: `jlctl link` wrote this text into the object, which is never unloaded.
    let text = unsafe { slice::from_raw_parts(text, text_len) };
    (0..count).filter_map(move |index| {
        let address = first + index * Name::SIZE;
        // SAFETY: likewise for the names.
        let name = unsafe { ptr::with_exposed_provenance::<Name>(address).read_unaligned() };
        let bytes = text.get(name.start as usize..)?.get(..name.len as usize)?;
        Some((resolve(address + core::mem::offset_of!(Name, key), name.key), bytes))
    })
}

/// Calls `take` with each key in the notes of linked objects, and its name.
///
/// Takes the dynamic linker's lock: not for signal handlers, nor while the runtime's lock is
/// held.
pub(crate) fn for_each_name(take: &mut dyn FnMut(usize, &[u8])) {
    for_each_note_segment(None, &mut |notes| {
        if let Some((at, linked)) = note_of(notes) {
            names(at, &linked).for_each(|(key, name)| take(key, name));
        }
    });
}

/// The note of `jlctl link` in `notes`, and the address of its descriptor.
fn note_of(notes: &Notes) -> Option<(usize, Linked)> {
    let (TYPE_LINKED, descriptor) = note::find(notes.bytes, notes.align)? else { return None };
    let at = notes.bytes.as_ptr().wrapping_add(descriptor);
    // SAFETY: `find` has checked that `notes` contains a descriptor of this length.  It need not
    // have the alignment of the structure.
    let linked = unsafe { at.cast::<Linked>().read_unaligned() };
    (linked.version == note::VERSION).then_some((at.addr(), linked))
}

/// Registers the table of the note of `jlctl link` in `notes`.  Returns whether there is one.
fn register(notes: &Notes) -> bool {
    let Some((at, linked)) = note_of(notes) else { return false };
    let resolve = |field: usize, displacement: i64| {
        #[allow(clippy::cast_possible_truncation, reason = "addresses of 64 bits")]
        let displacement = displacement as isize;
        (at + field).wrapping_add_signed(displacement)
    };
    let node = resolve(core::mem::offset_of!(Linked, node), linked.node);
    let start = resolve(core::mem::offset_of!(Linked, table), linked.table);
    #[allow(clippy::cast_possible_truncation, reason = "addresses of 64 bits")]
    let stop = start.wrapping_add(linked.table_len as usize);
    if !node.is_multiple_of(align_of::<Object>()) {
        return false;
    }
    let node = ptr::with_exposed_provenance::<Object>(node);
    let entry = |address| ptr::with_exposed_provenance::<RelativeEntry>(address);
    // SAFETY: `jlctl link` wrote the note for this object: the node is zero bytes of its data,
    // and `jlctl link` has checked the object's table.  The object is never unloaded: it is the
    // program, or `jlctl link` has marked it DF_1_NODELETE.
    let _ = unsafe { object::register(node, entry(start), entry(stop)) };
    initial::flip_named(names(at, &linked));
    true
}
