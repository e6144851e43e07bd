//! The ordering rules of one PE: which older instructions an instruction waits for.
//!
//! This is the one place that orders events. The rules are those of locally-ordered-before of the
//! Arm ARM (B2.3, with the effects of cache maintenance and instruction fetch), pair by pair:
//! barriers, dependencies, same-address and same-line order. Everything else follows from the order
//! of events. Fetches are ordered by the fetch queue.

use super::setup::Machine;
use super::state::{NONE, Pe, WindowEntry};
use crate::simulate::insn::{Barrier, Insn, Kind};
use crate::simulate::rules::Rule;

/// The barriers between an older instruction and the one that waits.
#[derive(Default)]
struct Between {
    dmb: [bool; 3],
    dsb: [bool; 3],
}

impl Between {
    const fn mark(set: &mut [bool; 3], barrier: Barrier) {
        set[barrier as usize] = true;
    }
}

impl Machine<'_> {
    /// Whether entry `at` may happen, as far as older instructions of its PE are concerned.
    pub(super) fn may_happen(&self, pe: &Pe, at: usize) -> bool {
        let Some(entry) = pe.window.get(at) else { return false };
        let is_memory = matches!(entry.kind, Kind::Store | Kind::Dc | Kind::Ic);
        if is_memory && entry.guessed {
            return false;
        }
        let mut between = Between::default();
        for older in pe.window[..at].iter().rev() {
            match older.insn {
                Insn::Dmb(barrier) => Between::mark(&mut between.dmb, barrier),
                Insn::Dsb(barrier) => Between::mark(&mut between.dsb, barrier),
                _ => {}
            }
            if self.waits(entry, older, &between) {
                return false;
            }
        }
        true
    }

    fn waits(&self, entry: &WindowEntry, older: &WindowEntry, between: &Between) -> bool {
        if self.waits_for_speculation(entry, older) {
            return true;
        }
        if older.done || older.kind == Kind::Other {
            return false;
        }
        let same_loc = older.loc != NONE && older.loc == entry.loc;
        let same_line =
            older.loc != NONE && entry.loc != NONE && self.line(older.loc) == self.line(entry.loc);
        self.waits_for_dsb(entry, older, &between.dsb)
            || match entry.kind {
                Kind::Load => self.waits_for_dmb(entry, older, &between.dmb, same_line),
                Kind::Store => {
                    let is_access = matches!(older.kind, Kind::Load | Kind::Store);
                    let release = matches!(entry.insn, Insn::Str { release: true, .. });
                    self.waits_for_dmb(entry, older, &between.dmb, same_line)
                        || (is_access && release && self.rules.has(Rule::Release))
                        || (is_access && same_loc && self.rules.has(Rule::StoresInOrder))
                }
                Kind::Dc => self.waits_for_dmb(entry, older, &between.dmb, same_line),
                Kind::Ic => false,
                Kind::Other => {
                    // The call returns once its loads are done.
                    matches!(entry.insn, Insn::Returned) && older.kind == Kind::Load
                }
            }
    }

    /// Whether the entry waits for an undecided branch, or an unknown address.
    fn waits_for_speculation(&self, entry: &WindowEntry, older: &WindowEntry) -> bool {
        let is_open = older.insn.is_branch() && (!older.done || older.guessed)
            || matches!(older.insn, Insn::Await { .. }) && !older.done;
        let is_access = matches!(older.kind, Kind::Load | Kind::Store);
        let is_somewhere = is_access && (older.loc == NONE || older.address_guessed);
        match entry.insn {
            Insn::Str { .. } => {
                is_open && self.rules.has(Rule::StoresAfterBranches)
                    || is_somewhere && self.rules.has(Rule::StoresAfterAddresses)
            }
            Insn::Dc { .. } | Insn::Ic { .. } | Insn::IcAll => {
                is_open && self.rules.has(Rule::MaintenanceAfterBranches)
            }
            Insn::Sync(_) => {
                is_open && self.rules.has(Rule::IsbAfterBranches)
                    || is_somewhere && self.rules.has(Rule::IsbAfterAddresses)
            }
            Insn::Returned => is_open,
            _ => false,
        }
    }

    fn waits_for_dsb(&self, entry: &WindowEntry, older: &WindowEntry, dsb: &[bool; 3]) -> bool {
        let [full, ld, st] = *dsb;
        let applies = match entry.insn {
            Insn::Ic { .. } | Insn::IcAll => self.rules.has(Rule::IcAfterDsb),
            Insn::Sync(_) => self.rules.has(Rule::IsbAfterDsb),
            _ => true,
        };
        applies
            && match older.kind {
                Kind::Load => {
                    full && self.rules.has(Rule::DsbFull) || ld && self.rules.has(Rule::DsbLd)
                }
                Kind::Store => {
                    full && self.rules.has(Rule::DsbFull) || st && self.rules.has(Rule::DsbSt)
                }
                Kind::Dc => full && self.rules.has(Rule::DsbAfterDc),
                Kind::Ic => full && self.rules.has(Rule::DsbAfterIc),
                Kind::Other => false,
            }
    }

    fn waits_for_dmb(
        &self,
        entry: &WindowEntry,
        older: &WindowEntry,
        dmb: &[bool; 3],
        same_line: bool,
    ) -> bool {
        let [full, ld, st] = *dmb;
        let is_dc = entry.kind == Kind::Dc;
        let orders_dc = full && self.rules.has(Rule::DmbOrdersDc);
        let in_line = same_line && self.rules.has(Rule::DcInLineOrder);
        let orders = if is_dc { orders_dc } else { full && self.rules.has(Rule::DmbFull) };
        match older.kind {
            Kind::Load => orders || is_dc && in_line || !is_dc && ld && self.rules.has(Rule::DmbLd),
            Kind::Store => {
                let both = entry.kind == Kind::Store;
                orders || is_dc && in_line || both && st && self.rules.has(Rule::DmbSt)
            }
            Kind::Dc => orders_dc || in_line,
            Kind::Ic => full && !self.rules.has(Rule::DmbIgnoresIc),
            Kind::Other => false,
        }
    }

    /// Whether a younger instruction has happened that should have waited for entry `at`, whose
    /// address has just become known. The PE would have restarted from there; the execution in
    /// which it waited is explored as well.
    pub(super) fn comes_too_late(&self, pe: &Pe, at: usize) -> bool {
        let Some((entry, younger)) = pe.window.get(at..).and_then(|window| window.split_first())
        else {
            return false;
        };
        younger.iter().any(|other| {
            if !other.done || other.loc == NONE {
                return false;
            }
            let in_line =
                self.line(other.loc) == self.line(entry.loc) && self.rules.has(Rule::DcInLineOrder);
            match (entry.kind, other.kind) {
                (Kind::Store, Kind::Load) => {
                    let past = match other.source {
                        super::state::LoadedFrom::Store(seq) => seq < entry.seq,
                        _ => true,
                    };
                    other.loc == entry.loc && past && self.rules.has(Rule::Forwarding)
                }
                (Kind::Load | Kind::Store, Kind::Dc)
                | (Kind::Dc, Kind::Load | Kind::Store | Kind::Dc) => in_line,
                _ => false,
            }
        })
    }
}
