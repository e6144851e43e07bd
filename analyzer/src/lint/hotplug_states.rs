//! The states of CPU hotplug whose callbacks run with interrupts off, and their callbacks in the
//! kernel's table (`cpuhp_hp_states` of `kernel/cpu.c`, Linux 6.12).

use crate::addr::{AddrRange, Svma};
use crate::image::Image;
use std::ops::Range;

/// Size of `struct cpuhp_step` (`kernel/cpu.c`, Linux 5.10 to 6.12): the name, the two callbacks,
/// a list and two flags.
const STEP: u64 = 40;
/// Offset of the callbacks in it.
const CALLBACKS: [u64; 2] = [8, 16];
/// Steps that are read.
const MOST_STEPS: u64 = 1024;

/// The hotplug states whose callbacks run on the CPU that starts or stops, with interrupts off:
/// those between the steps "ap:offline" and "ap:online" of the kernel's table.
pub(super) fn starting_states(image: &Image<'_>) -> Range<u64> {
    let Some(table) = table(image) else { return 0..0 };
    let name_is = |index: u64, expected: &str| {
        let name = word(image, table.start().wrapping_add(index * STEP));
        let bytes = name.and_then(|at| image.read_up_to(Svma(at), 32).ok()).unwrap_or_default();
        bytes.strip_prefix(expected.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    };
    let count = (table.size() / STEP).min(MOST_STEPS);
    let of_name = |name: &str| (0..count).find(|index| name_is(*index, name));
    match (of_name("ap:offline"), of_name("ap:online")) {
        (Some(offline), Some(online)) => offline + 1..online,
        _ => 0..0,
    }
}

/// The callbacks of these states in the kernel's table.
pub(super) fn callbacks(image: &Image<'_>, states: &Range<u64>) -> Vec<Svma> {
    let Some(table) = table(image) else { return Vec::new() };
    let slots = states.clone().flat_map(|state| CALLBACKS.map(|offset| state * STEP + offset));
    let words = slots.filter_map(|offset| word(image, table.start().wrapping_add(offset)));
    words.filter(|at| *at != 0).map(Svma).collect()
}

fn table(image: &Image<'_>) -> Option<AddrRange> {
    let (_, symbol) = image.symbols().named("cpuhp_hp_states").next()?;
    // kallsyms states no size.
    let size = if symbol.size == 0 { MOST_STEPS * STEP } else { symbol.size };
    Some(AddrRange::sized(symbol.address, size))
}

fn word(image: &Image<'_>, at: Svma) -> Option<u64> {
    let relocated = image.read_relocated(AddrRange::sized(at, 8)).ok()?;
    image.u64_from(&relocated.bytes)
}
