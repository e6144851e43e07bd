//! One pass over all code. It records the instructions that change the control flow, synchronise
//! or maintain caches, and those that make a code address.

use super::insn::{self, Constant, INSN_BYTES, Insn};
use crate::addr::{AddrRange, Svma};
use crate::arch::{Architecture, InsnValue};
use crate::image::{Image, Section};
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
    /// The instruction. A jump-label site is a [`Insn::Branch`], because execution may continue
    /// on either side.
    pub insn: Insn,
}

/// A code address that an instruction makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// The instruction that completes the address.
    pub(super) at: Svma,
    /// The address.
    pub(super) to: Svma,
}

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
    sites: &[(Svma, Svma)],
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

/// `insn` with the target to which the stub at its target leads. `forwards` are sorted by address.
pub(super) fn forwarded(insn: Insn, forwards: &[(Svma, Svma)]) -> Insn {
    let stub = insn.target().filter(|_| !forwards.is_empty());
    let index = stub.and_then(|to| forwards.binary_search_by_key(&to, |(stub, _)| *stub).ok());
    index.map_or(insn, |index| insn.with_target(forwards[index].1))
}

/// The instruction at `at` with its value in `beyond`, if it has one there.
pub(super) fn resolved(insn: Insn, at: Svma, beyond: Beyond<'_>) -> Insn {
    let Ok(index) = beyond.binary_search_by_key(&at, |(at, _)| *at) else { return insn };
    let written = match insn {
        Insn::Constant { register, .. } => Some(register),
        Insn::Other { writes } => writes,
        _ => None,
    };
    match (beyond[index].1, insn, written) {
        (InsnValue::Target(to), Insn::Jump { .. }, _) => Insn::Jump { to },
        (InsnValue::Target(to), Insn::Branch { .. }, _) => Insn::Branch { to },
        (InsnValue::Target(to), Insn::Call { .. }, _) => Insn::Call { to },
        (InsnValue::Target(from), Insn::Constant { register, is_word, .. }, _) => {
            Insn::Constant { register, value: Constant::Literal(from), is_word }
        }
        (InsnValue::Register(value), _, Some(register)) => {
            Insn::Constant { register, value: Constant::Value(value.0), is_word: false }
        }
        (InsnValue::Unknown, _, Some(_)) => Insn::Other { writes: written },
        _ => insn,
    }
}

fn chunk(
    arch: &dyn Architecture,
    start: Svma,
    bytes: &[u8],
    words: Range<usize>,
    (sites, beyond): (&[(Svma, Svma)], Beyond<'_>),
    holds_code: &dyn Fn(Svma) -> bool,
) -> Scan {
    let mut scan = Scan { events: Vec::with_capacity(words.len() / 4), ..Scan::default() };
    let address = |index: usize| start.wrapping_add(index as u64 * INSN_BYTES);
    let mut next_site = sites.partition_point(|(at, _)| *at < address(words.start));
    let mut pages: [Option<u64>; 32] = [None; 32];
    let begin = words.start.saturating_sub(RUN_UP);
    let all = bytes.as_chunks::<4>().0;
    for (index, raw) in all.iter().enumerate().take(words.end).skip(begin) {
        let (word, at) = (u32::from_le_bytes(*raw), address(index));
        let is_run_up = index < words.start;
        let insn = resolved(insn::decode(word, at), at, beyond);
        match insn {
            Insn::Constant { register, value, .. } => {
                let made = match value {
                    Constant::Value(value) => Some(value),
                    Constant::Sum { from, add } => {
                        pages[usize::from(from.number())].map(|page| page.wrapping_add_signed(add))
                    }
                    _ => None,
                };
                pages[usize::from(register.number())] = made;
                if let Some(to) = made.map(Svma).filter(|to| !is_run_up && holds_code(*to)) {
                    scan.taken.push(Taken { at, to });
                }
            }
            Insn::Other { writes } => {
                if let Some(register) = writes {
                    pages[usize::from(register.number())] = None;
                }
                if !is_run_up && !arch.is_known(raw) {
                    scan.undecoded += 1;
                }
            }
            Insn::Store { .. } => {}
            _ if is_run_up => continue,
            _ => {}
        }
        if is_run_up {
            continue;
        }
        let insn = match insn {
            Insn::CallRegister { register } => pages[usize::from(register.number())]
                .map(Svma)
                .filter(|to| holds_code(*to))
                .map_or(insn, |to| Insn::Call { to }),
            other => other,
        };
        if insn.ends_block() || matches!(insn, Insn::Call { .. } | Insn::CallRegister { .. }) {
            // Constants are not tracked beyond the end of a block or a call.
            pages = [None; 32];
        }
        while sites.get(next_site).is_some_and(|(site, _)| *site < at) {
            next_site += 1;
        }
        match sites.get(next_site) {
            Some((site, to)) if *site == at => {
                scan.events.push(Event { at, insn: Insn::Branch { to: *to } });
            }
            _ => match insn {
                Insn::Constant { .. } | Insn::Store { .. } | Insn::Other { .. } => {}
                insn => scan.events.push(Event { at, insn }),
            },
        }
    }
    scan.instructions = words.len();
    scan
}
