//! Programs and libraries that `jlctl link` gave this runtime: their notes say where their
//! tables are.

#![allow(unsafe_code, reason = "notes and tables of loaded objects")]

use crate::abi::RelativeEntry;
use crate::link::note::{self, Linked, Name, TYPE_LINKED};
use crate::object;
use crate::object::initial;
use crate::sys::loaded::{Notes, for_each_note_segment};
use crate::patching::table::Object;
use core::ptr;
use core::slice;
use core::sync::atomic::{AtomicU64, Ordering};

/// How many objects the dynamic linker had loaded when they were last looked through, one
/// added; 0 before.
static LOOKED_AT: AtomicU64 = AtomicU64::new(0);

/// Registers the tables of linked objects that were not there at the last call; how many
/// there are.
///
/// The constructor calls it, and `jlshim_find_linked`.  Takes the dynamic linker's lock: not
/// for signal handlers.  One walk over program headers is all that a process without such
/// objects pays.
pub(crate) fn find() -> usize {
    let mut found = 0;
    let last = LOOKED_AT.load(Ordering::Relaxed);
    let loads = for_each_note_segment(last.checked_sub(1), &mut |notes| {
        found += usize::from(register(notes));
    });
    LOOKED_AT.store(loads.saturating_add(1), Ordering::Relaxed);
    found
}

/// The keys that the note at `at` names, with their names.
fn names(at: usize, linked: &Linked) -> impl Iterator<Item = (usize, &'static [u8])> {
    #[allow(clippy::cast_possible_truncation, reason = "addresses and lengths of 64 bits")]
    let place = |from: usize, displacement: i64| from.wrapping_add_signed(displacement as isize);
    let first = place(at + core::mem::offset_of!(Linked, names), linked.names);
    let text = place(at + core::mem::offset_of!(Linked, text), linked.text);
    let text = ptr::with_exposed_provenance::<u8>(text);
    #[allow(clippy::cast_possible_truncation, reason = "lengths of 64 bits")]
    let (count, text_len) = (linked.names_count as usize, linked.text_len as usize);
    // SAFETY: `jlctl link` wrote this text into the object, which stays.
    let text = unsafe { slice::from_raw_parts(text, text_len) };
    (0..count).filter_map(move |index| {
        let place_of_name = first + index * Name::SIZE;
        // SAFETY: as above for the names.
        let name = unsafe {
            ptr::with_exposed_provenance::<Name>(place_of_name).read_unaligned()
        };
        let bytes = text.get(name.start as usize..)?.get(..name.len as usize)?;
        Some((place(place_of_name + core::mem::offset_of!(Name, key), name.key), bytes))
    })
}

/// Calls `take` with the keys that the notes of linked objects name, with their names.
///
/// Takes the dynamic linker's lock: not for signal handlers, nor under the runtime's.
pub(crate) fn for_each_name(take: &mut dyn FnMut(usize, &[u8])) {
    for_each_note_segment(None, &mut |notes| {
        if let Some((at, linked)) = note_of(notes) {
            names(at, &linked).for_each(|(key, name)| take(key, name));
        }
    });
}

/// The note of ours among `notes`, and where it is.
fn note_of(notes: &Notes) -> Option<(usize, Linked)> {
    let (TYPE_LINKED, descriptor) = note::find(notes.bytes, notes.align)? else { return None };
    let at = notes.bytes.as_ptr().wrapping_add(descriptor);
    // SAFETY: `find` has found a descriptor of this length within `notes`, which need not be
    // aligned as the structure is.
    let linked = unsafe { at.cast::<Linked>().read_unaligned() };
    (linked.version == note::VERSION).then_some((at.addr(), linked))
}

/// Registers what a note of ours among `notes` names; whether there is one.
fn register(notes: &Notes) -> bool {
    let Some((at, linked)) = note_of(notes) else { return false };
    let place = |field: usize, displacement: i64| {
        #[allow(clippy::cast_possible_truncation, reason = "addresses of 64 bits")]
        let displacement = displacement as isize;
        (at + field).wrapping_add_signed(displacement)
    };
    let node = place(core::mem::offset_of!(Linked, node), linked.node);
    let start = place(core::mem::offset_of!(Linked, table), linked.table);
    #[allow(clippy::cast_possible_truncation, reason = "addresses of 64 bits")]
    let stop = start.wrapping_add(linked.table_len as usize);
    if !node.is_multiple_of(align_of::<Object>()) {
        return false;
    }
    let node = ptr::with_exposed_provenance::<Object>(node);
    let entry = |address| ptr::with_exposed_provenance::<RelativeEntry>(address);
    // SAFETY: `jlctl link` wrote the note for this very object: the node is zero bytes of its
    // data, and the table is the object's own, which it has checked.  The object stays: it
    // is the program, or marked DF_1_NODELETE by `jlctl link`.
    let _ = unsafe { object::register(node, entry(start), entry(stop)) };
    initial::flip_named(names(at, &linked));
    true
}
