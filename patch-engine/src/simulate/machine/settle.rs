//! Internal transitions, which happen as soon as they can: fetches of constant instructions,
//! arithmetic, branches with known operands, context synchronisation, retirement.
//!
//! No other PE observes them, and they disable no later step, so that one order is enough.

use super::event::{Event, Stop};
use super::setup::Machine;
use super::state::{Guess, LoadedFrom, NONE, NOWHERE, Next, Pe, State, WindowEntry};
use crate::simulate::encoding::decode;
use crate::simulate::insn::{Alu, ContextSync, Insn, Kind, Operand, REGS, ZR};
use crate::simulate::program::ModelProgram;
use crate::simulate::rules::Rule;

/// Most instructions in a PE's window.
const WINDOW: usize = 64;
/// Most instructions that a PE fetches.
const LONGEST: u16 = 4096;

/// A value, and whether it depends on a guess.
type Known = Option<(u64, bool)>;

impl Machine<'_> {
    /// Takes all internal transitions.
    ///
    /// # Errors
    /// If the execution is pruned, or exceeds a bound.
    pub(super) fn settle(
        &self,
        state: &mut State,
        tell: &mut dyn FnMut(usize, Event),
    ) -> Result<(), Stop> {
        loop {
            let returned = state.returned;
            for pe in 0..state.pes.len() {
                while self.settle_pe(state, pe, tell)? {}
            }
            if returned == state.returned {
                return Ok(());
            }
        }
    }

    fn settle_pe(
        &self,
        state: &mut State,
        at: usize,
        tell: &mut dyn FnMut(usize, Event),
    ) -> Result<bool, Stop> {
        let State { pes, returned, stale, .. } = state;
        let Some(pe) = pes.get_mut(at) else { return Ok(false) };
        let mut moved = self.fetch_ahead(pe)?;
        moved |= self.execute(pe)?;
        for entry in 0..pe.window.len() {
            let insn = pe.window[entry].insn;
            let is_ready = match insn {
                _ if pe.window[entry].done => false,
                Insn::Sync(_) | Insn::Returned => self.may_happen(pe, entry),
                Insn::Observe => *returned,
                // Without effect on memory: the earlier it is done, the fewer entries wait for it.
                Insn::Dc { .. } => {
                    let known = pe.window[..entry].iter().all(|older| {
                        older.kind == Kind::Other || older.loc != NONE || older.insn == Insn::IcAll
                    });
                    let has_effect = !self.cache.idc() && self.rules.has(Rule::DcUnifies);
                    !has_effect
                        && known
                        && pe.window[entry].loc != NONE
                        && self.may_happen(pe, entry)
                }
                Insn::Ic { .. } | Insn::IcAll => self.cache.dic() && self.may_happen(pe, entry),
                _ => false,
            };
            if !is_ready {
                continue;
            }
            pe.window[entry].done = true;
            moved = true;
            match insn {
                Insn::Sync(how) => tell(at, Event::Synchronised { how }),
                Insn::Returned => {
                    *returned = true;
                    tell(at, Event::Returned);
                }
                Insn::Observe => tell(at, Event::Observed),
                _ => {}
            }
        }
        let retired = pe.window.iter().take_while(|entry| is_finished(entry)).count();
        for entry in pe.window.drain(..retired) {
            if let (Some(reg), true) = (entry.insn.writes(), entry.ready)
                && let Some(place) = pe.regs.get_mut(usize::from(reg))
            {
                *place = entry.value;
            }
            pe.observed |= self.program.observers.contains(&entry.pc);
            if self.program.sites.contains(&entry.pc) && self.is_written(entry.pc) {
                let is_stale = pe.observed && entry.fetched == 0;
                *stale |= is_stale;
                tell(at, Event::Executed { pc: entry.pc, write: entry.fetched, stale: is_stale });
            }
        }
        Ok(moved || retired > 0)
    }

    /// Whether fetching waits for a context synchronising event.
    pub(super) fn is_stalled(&self, pe: &Pe) -> bool {
        pe.window.iter().any(|entry| match entry.insn {
            Insn::Sync(_) if entry.done => false,
            Insn::Sync(ContextSync::Isb) => self.rules.has(Rule::IsbFlushes),
            Insn::Sync(ContextSync::Entry | ContextSync::Return) => {
                self.rules.has(Rule::ExceptionsSynchronise)
            }
            _ => false,
        })
    }

    fn fetch_ahead(&self, pe: &mut Pe) -> Result<bool, Stop> {
        let mut moved = false;
        while let Next::At(pc) = pe.next {
            let Some(insn) = self.program.code.get(usize::from(pc)).copied() else {
                return Err(Stop::Nowhere(pc));
            };
            if insn == Insn::End || self.is_written(pc) || self.is_stalled(pe) {
                return Ok(moved);
            }
            self.push(pe, pc, insn, 0)?;
            moved = true;
        }
        Ok(moved)
    }

    /// The instruction for a fetched word.
    pub(super) fn insn_of(&self, pc: u16, word: u64) -> Insn {
        if self.program.sites.contains(&pc) {
            return Insn::Nop;
        }
        let word = u32::try_from(word & 0xffff_ffff).unwrap_or(0);
        decode(word, pc, self.program.code.len())
    }

    /// Appends an instruction to the window.
    pub(super) fn push(&self, pe: &mut Pe, pc: u16, insn: Insn, fetched: u8) -> Result<(), Stop> {
        if pe.window.len() >= WINDOW || pe.seq >= LONGEST {
            return Err(Stop::Bound);
        }
        let next = match insn {
            Insn::B { to } | Insn::Bl { to } => Next::At(to),
            Insn::BCond { to, .. } | Insn::Cb { to, .. } | Insn::Tb { to, .. } if to == pc + 1 => {
                Next::At(to)
            }
            Insn::BCond { .. } | Insn::Cb { .. } | Insn::Tb { .. } | Insn::Br { .. } => {
                Next::Unknown
            }
            Insn::Undefined => Next::At(self.end()),
            _ => Next::At(pc + 1),
        };
        let (value, ready) = match insn {
            Insn::Const { value, .. } => (value, true),
            Insn::Bl { .. } | Insn::Br { link: true, .. } => {
                (ModelProgram::code_address(pc + 1), true)
            }
            _ => (0, false),
        };
        pe.window.push(WindowEntry {
            insn,
            kind: insn.kind(),
            pc,
            seq: pe.seq,
            next: match next {
                Next::At(at) => at,
                Next::Unknown => NONE,
            },
            loc: NONE,
            fetched,
            pending: 0,
            begun: false,
            done: matches!(insn, Insn::B { .. } | Insn::Bl { .. }),
            value,
            ready,
            source: LoadedFrom::Nowhere,
            guess: Guess::None,
            guessed: false,
            address_guessed: false,
        });
        pe.next = next;
        pe.seq += 1;
        Ok(())
    }

    /// Computes everything whose operands are known, oldest first.
    fn execute(&self, pe: &mut Pe) -> Result<bool, Stop> {
        let mut moved = false;
        for at in 0..pe.window.len() {
            let mut entry = pe.window[at];
            let before = (entry.ready, entry.done, entry.loc);
            self.execute_one(pe, at, &mut entry)?;
            let learnt_address = before.2 == NONE && entry.loc != NONE;
            moved |= before != (entry.ready, entry.done, entry.loc);
            pe.window[at] = entry;
            if learnt_address && self.comes_too_late(pe, at) {
                return Err(Stop::Pruned);
            }
            // Fetching continues at the target of a decided branch.
            if at + 1 == pe.window.len() && pe.next == Next::Unknown && entry.next != NONE {
                pe.next = Next::At(entry.next);
                moved = true;
            }
        }
        Ok(moved)
    }

    fn execute_one(&self, pe: &Pe, at: usize, entry: &mut WindowEntry) -> Result<(), Stop> {
        if let Some((base, offset)) = entry.insn.address() {
            let address = sum(read(pe, at, base), operand(pe, at, offset));
            if let Some((address, guessed)) = address {
                entry.address_guessed = guessed;
                entry.guessed = guessed;
                if entry.loc == NONE {
                    entry.loc = self.program.location(address).map_or(NOWHERE, |loc| loc.0);
                }
            }
        }
        match entry.insn {
            Insn::Alu { op, n, m, w, flags, .. } => {
                let (Some((a, ga)), Some((b, gb))) = (read(pe, at, n), operand(pe, at, m)) else {
                    return Ok(());
                };
                entry.guessed = ga | gb;
                let value = if flags { compare(a, b, w) } else { narrow(compute(op, a, b), w) };
                (entry.value, entry.ready) = (value, true);
            }
            Insn::Csel { n, m, cond, inc, w, .. } => {
                let flags = read(pe, at, crate::simulate::insn::FLAGS);
                let holds = match (flags, entry.guess) {
                    (Some((flags, _)), Guess::Is(guess)) if cond.holds(flags) != guess => {
                        return Err(Stop::Pruned);
                    }
                    (Some((flags, guessed)), _) => Some((cond.holds(flags), guessed)),
                    (None, Guess::Is(guess)) => Some((guess, true)),
                    (None, Guess::None) => None,
                };
                let Some((holds, guessed)) = holds else { return Ok(()) };
                let Some((value, operand)) = read(pe, at, if holds { n } else { m }) else {
                    return Ok(());
                };
                let value = if holds || !inc { value } else { value.wrapping_add(1) };
                entry.guessed = guessed | operand;
                (entry.value, entry.ready) = (narrow(value, w), true);
            }
            Insn::Str { t, w, .. } => {
                if let Some((value, guessed)) = read(pe, at, t) {
                    entry.guessed |= guessed;
                    (entry.value, entry.ready) = (narrow(value, w), true);
                }
            }
            Insn::Ldr { .. } => {
                // A value that was forwarded from a store depends on the guesses of the store.
                if let LoadedFrom::Store(seq) = entry.source {
                    let store = pe.window.iter().find(|store| store.seq == seq);
                    entry.guessed |= store.is_some_and(|store| store.guessed);
                }
            }
            insn if insn.is_branch() => {
                return branch(pe, at, entry, &self.program.code, self.program);
            }
            _ => {}
        }
        Ok(())
    }
}

/// Decides a branch whose operands are known.
fn branch(
    pe: &Pe,
    at: usize,
    entry: &mut WindowEntry,
    code: &[Insn],
    program: &ModelProgram,
) -> Result<(), Stop> {
    let fall = entry.pc + 1;
    let decided = match entry.insn {
        Insn::BCond { cond, to } => read(pe, at, crate::simulate::insn::FLAGS)
            .map(|(flags, guessed)| (Some(if cond.holds(flags) { to } else { fall }), guessed)),
        Insn::Cb { t, nonzero, w, to } => read(pe, at, t).map(|(value, guessed)| {
            let taken = (narrow(value, w) != 0) == nonzero;
            (Some(if taken { to } else { fall }), guessed)
        }),
        Insn::Tb { t, bit, nonzero, to } => read(pe, at, t).map(|(value, guessed)| {
            let taken = (value >> (bit & 63) & 1 == 1) == nonzero;
            (Some(if taken { to } else { fall }), guessed)
        }),
        Insn::Br { n, .. } => {
            read(pe, at, n).map(|(address, guessed)| (program.place(address), guessed))
        }
        _ => return Ok(()),
    };
    let Some((to, guessed)) = decided else { return Ok(()) };
    let Some(to) = to.filter(|to| usize::from(*to) < code.len()) else {
        return Err(Stop::Nowhere(entry.pc));
    };
    entry.guessed = guessed;
    entry.done = true;
    if entry.next == NONE {
        entry.next = to;
    } else if entry.next != to {
        return Err(Stop::Pruned);
    }
    Ok(())
}

/// Whether the oldest instruction of a window can retire.
fn is_finished(entry: &WindowEntry) -> bool {
    match entry.insn {
        Insn::Alu { .. } | Insn::Const { .. } => entry.ready,
        Insn::Csel { .. } => entry.ready && !entry.guessed,
        Insn::Nop | Insn::Dmb(_) | Insn::Dsb(_) | Insn::Undefined => true,
        _ => entry.done,
    }
}

/// The value of a register for entry `at`.
pub(super) fn read(pe: &Pe, at: usize, reg: u8) -> Known {
    if reg == ZR {
        return Some((0, false));
    }
    let writer = pe.window[..at].iter().rev().find(|entry| entry.insn.writes() == Some(reg));
    match writer {
        Some(entry) if entry.ready => Some((entry.value, entry.guessed)),
        Some(_) => None,
        None => Some((pe.regs.get(usize::from(reg).min(REGS - 1)).copied().unwrap_or(0), false)),
    }
}

fn operand(pe: &Pe, at: usize, operand: Operand) -> Known {
    match operand {
        Operand::Imm(value) => Some((value.cast_unsigned(), false)),
        Operand::Reg { reg, sxtw: false } => read(pe, at, reg),
        Operand::Reg { reg, sxtw: true } => {
            read(pe, at, reg).map(|(value, guessed)| (extend(value), guessed))
        }
    }
}

fn extend(value: u64) -> u64 {
    let low = u32::try_from(value & 0xffff_ffff).unwrap_or(0);
    i64::from(low.cast_signed()).cast_unsigned()
}

fn sum(a: Known, b: Known) -> Known {
    let ((a, ga), (b, gb)) = (a?, b?);
    Some((a.wrapping_add(b), ga | gb))
}

/// `value` as a W register holds it, if `w`.
pub(super) const fn narrow(value: u64, w: bool) -> u64 {
    if w { value & 0xffff_ffff } else { value }
}

const fn compute(op: Alu, a: u64, b: u64) -> u64 {
    match op {
        Alu::Eor => a ^ b,
        Alu::Add => a.wrapping_add(b),
        Alu::Sub => a.wrapping_sub(b),
        Alu::And => a & b,
        Alu::Orr => a | b,
    }
}

/// The flags of a comparison, NZCV in bits 3 to 0 (Arm ARM, AddWithCarry).
fn compare(a: u64, b: u64, w: bool) -> u64 {
    let shift = if w { 32 } else { 0 };
    let (a, b) = (a << shift, b << shift);
    let difference = a.wrapping_sub(b);
    let negative = difference >> 63;
    let overflow = (a ^ b) & (a ^ difference);
    negative << 3 | u64::from(difference == 0) << 2 | u64::from(a >= b) << 1 | overflow >> 63
}
