//! One pass over all code. It records the instructions that change the control flow, synchronise
//! or maintain caches, and those that make a code address.

use super::constants::ConstantMachine;
use crate::addr::{AddrRange, Svma};
use crate::arch::{Architecture, InsnValue};
use crate::image::{Image, Section};
use crate::semantics::{
    Access, Address, Control, INSN_BYTES, Machine as _, Operation, Test, a64, writes,
};
use rayon::prelude::*;
use std::ops::Range;

/// Instructions that one task reads.
const CHUNK: usize = 1 << 15;
/// Instructions before a chunk from which constants are tracked, so that a pair of ADRP and ADD
/// is not split.
const RUN_UP: usize = 32;

/// An instruction that the analyses need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Its address.
    pub at: Svma,
    /// What the instruction does. A jump-label site is a [`Control::Branch`] with
    /// [`Test::Patched`], because execution may continue on either side.
    pub control: Control,
}

/// A code address that an instruction makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// The instruction that completes the address.
    pub(super) at: Svma,
    /// The address.
    pub(super) to: Svma,
}

/// Addresses with their targets, sorted by address.
type Pairs<'a> = &'a [(Svma, Svma)];

/// Relocated instructions whose value their bits cannot hold, by address.
type Beyond<'a> = &'a [(Svma, InsnValue)];

/// The result of the pass, sorted by address.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) events: Vec<Event>,
    pub(super) taken: Vec<Taken>,
    pub(super) instructions: usize,
    pub(super) undecoded: usize,
}

/// Sections that hold code, by address.
pub(super) fn code_sections<'i, 'data>(image: &'i Image<'data>) -> Vec<&'i Section<'data>> {
    let mut sections: Vec<&Section<'_>> = image
        .sections()
        .iter()
        .filter(|section| section.is_executable() && !section.data.is_empty())
        .collect();
    sections.sort_by_key(|section| section.range.start());
    sections
}

/// Reads all code of `image`. `bytes` are its code sections; `sites` are the
/// jump-label sites with their targets, `beyond` the relocated instructions whose value their bits
/// cannot hold, both sorted by address.
pub(super) fn scan(
    image: &Image<'_>,
    bytes: &[(AddrRange, &[u8])],
    sites: Pairs<'_>,
    beyond: Beyond<'_>,
) -> Scan {
    let tasks: Vec<(Svma, &[u8], Range<usize>)> = bytes
        .iter()
        .flat_map(|(range, bytes)| {
            let words = bytes.len() / 4;
            (0..words)
                .step_by(CHUNK)
                .map(move |first| (range.start(), *bytes, first..words.min(first + CHUNK)))
        })
        .collect();
    let holds_code = |at: Svma| {
        let after = bytes.partition_point(|(range, _)| range.start() <= at);
        after.checked_sub(1).is_some_and(|index| bytes[index].0.contains(at))
    };
    let parts: Vec<Scan> = tasks
        .into_par_iter()
        .map(|(start, bytes, words)| {
            chunk(image.arch(), start, bytes, words, (sites, beyond), &holds_code)
        })
        .collect();
    let mut all = Scan {
        events: Vec::with_capacity(parts.iter().map(|part| part.events.len()).sum()),
        ..Scan::default()
    };
    for part in parts {
        all.events.extend(part.events);
        all.taken.extend(part.taken);
        all.instructions += part.instructions;
        all.undecoded += part.undecoded;
    }
    all
}

/// `control` with the target to which the stub at its target leads. `forwards` are sorted by
/// address.
pub(super) fn forwarded(control: Control, forwards: Pairs<'_>) -> Control {
    let stub = control.target().filter(|_| !forwards.is_empty());
    let index = stub.and_then(|to| forwards.binary_search_by_key(&to, |(stub, _)| *stub).ok());
    index.map_or(control, |index| control.with_target(forwards[index].1))
}

/// The operation at `at` with its value in `beyond`, if it has one there.
pub(super) fn resolved(operation: Operation, at: Svma, beyond: Beyond<'_>) -> Operation {
    let Ok(index) = beyond.binary_search_by_key(&at, |(at, _)| *at) else { return operation };
    let written = writes(&operation);
    match (beyond[index].1, operation, written.iter().next()) {
        (InsnValue::Target(to), Operation::Control(control), _) => {
            Operation::Control(control.with_target(to))
        }
        (InsnValue::Target(from), Operation::Access(access), _) => {
            Operation::Access(Access { address: Address::At(from), ..access })
        }
        (InsnValue::Register(value), _, Some(to)) => Operation::Set { to, value: value.0 },
        (InsnValue::Unknown, _, Some(_)) => Operation::Changes(written),
        _ => operation,
    }
}

fn chunk(
    arch: &dyn Architecture,
    start: Svma,
    bytes: &[u8],
    words: Range<usize>,
    (sites, beyond): (Pairs<'_>, Beyond<'_>),
    holds_code: &dyn Fn(Svma) -> bool,
) -> Scan {
    let mut scan = Scan { events: Vec::with_capacity(words.len() / 4), ..Scan::default() };
    let address = |index: usize| start.wrapping_add(index as u64 * INSN_BYTES);
    let mut next_site = sites.partition_point(|(at, _)| *at < address(words.start));
    let mut site_at = |at: Svma| {
        next_site += sites[next_site..].iter().take_while(|(site, _)| *site < at).count();
        let (_, to) = sites.get(next_site).filter(|(site, _)| *site == at)?;
        Some(Control::Branch { to: *to, test: Test::Patched })
    };
    let mut constants = ConstantMachine::new(&|_| None);
    let begin = words.start.saturating_sub(RUN_UP);
    let all = bytes.as_chunks::<4>().0;
    for (index, raw) in all.iter().enumerate().take(words.end).skip(begin) {
        let (word, at) = (u32::from_le_bytes(*raw), address(index));
        let is_run_up = index < words.start;
        let operation = resolved(a64(word, at), at, beyond);
        let Operation::Control(control) = operation else {
            let made = constants.step(&operation).map(Svma);
            if is_run_up {
                continue;
            }
            if let Some(to) = made.filter(|to| holds_code(*to)) {
                scan.taken.push(Taken { at, to });
            }
            if operation == Operation::Unknown && !arch.is_known(raw) {
                scan.undecoded += 1;
            }
            scan.events.extend(site_at(at).map(|control| Event { at, control }));
            continue;
        };
        let control = match control {
            Control::CallRegister { register } => constants
                .get(register)
                .map(Svma)
                .filter(|to| holds_code(*to))
                .map_or(control, |to| Control::Call { to }),
            other => other,
        };
        if control.ends_block()
            || matches!(control, Control::Call { .. } | Control::CallRegister { .. })
        {
            // Constants are not tracked beyond the end of a block or a call.
            constants.clear();
        } else {
            constants.step(&operation);
        }
        if !is_run_up {
            scan.events.push(Event { at, control: site_at(at).unwrap_or(control) });
        }
    }
    scan.instructions = words.len();
    scan
}
