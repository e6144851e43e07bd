//! Strategies as programs: one PE patches, the others execute the sites.
//!
//! The code begins with the sites, on one cache line, and a return; PEs call it. PE 0 patches.
//! Every other PE may call the sites, follows the protocol of the scheme, observes that the call of
//! PE 0 returned, and calls the sites: the first word of a site is stale then.
//!
//! The return is observed in real time, at any moment after it, which orders nothing; or causally,
//! by a plain load that reads the store that PE 0 makes after the call.
//!
//! An interrupt is a location that PE 0 stores to and the other PE waits for; the exception entry
//! that follows, and the return, are context synchronising events (Arm ARM D1.3, "Context
//! synchronization event"). A DMB precedes the store, like `smp_mb` in `smp_call_function_many`; it
//! orders stores, but does not wait for an IC.
//!
//! In the reduced form one PE executes the sites, and the others only acknowledge: the fetches and
//! executions of a PE change nothing that another PE observes. For the same reason, and because
//! only writes fill an instruction cache, calls before the interrupt matter only where words may
//! not be modified concurrently with their execution.

use super::class::Class;
use super::scheme::{Maintenance, Scheme, Strategy};
use super::verdict::Reading;
use crate::simulate::insn::{Barrier, ContextSync, Insn, LR, Operand, REGS, Reg};
use crate::simulate::program::{Line, Location, ModelProgram, Start};

/// Data, by index.
pub(super) const RETURNED: u16 = 0;
const REQUEST: u16 = 1;
const GO: u16 = 2;
const ACK: u16 = 3;

/// Registers: a temporary one, and a base for each address.
const TEMPORARY: Reg = 0;
const DATA_BASE: Reg = 1;
const SITE_BASE: Reg = 16;

/// The parameters of a program.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub(super) strategy: Strategy,
    pub(super) class: Class,
    pub(super) pes: usize,
    pub(super) reading: Reading,
    /// Whether one PE executes the sites for all others.
    pub(super) reduced: bool,
}

struct Builder {
    code: Vec<Insn>,
    observers: Vec<u16>,
}

impl Builder {
    fn here(&self) -> u16 {
        u16::try_from(self.code.len()).unwrap_or(u16::MAX)
    }

    fn add(&mut self, insn: Insn) {
        self.code.push(insn);
    }

    fn store(&mut self, datum: u16, value: u64, release: bool) {
        self.add(Insn::Const { d: TEMPORARY, value });
        let off = Operand::Imm(0);
        self.add(Insn::Str { t: TEMPORARY, n: base(datum), off, w: false, release });
    }

    fn wait(&mut self, datum: u16, value: u64) {
        self.add(Insn::Await { n: base(datum), value });
    }

    fn patch(&mut self, site: u8, word: u32) {
        self.add(Insn::Const { d: TEMPORARY, value: u64::from(word) });
        let (n, off) = (SITE_BASE + site, Operand::Imm(0));
        self.add(Insn::Str { t: TEMPORARY, n, off, w: true, release: false });
    }

    fn maintain(&mut self, site: u8, maintenance: Maintenance) {
        let n = SITE_BASE + site;
        let barrier = match maintenance {
            Maintenance::DmbForDsb => Insn::Dmb(Barrier::Full),
            _ => Insn::Dsb(Barrier::Full),
        };
        if matches!(maintenance, Maintenance::None) {
            return;
        }
        if maintenance == Maintenance::NoDc {
            // The IC still waits until the word is written.
            self.add(barrier);
        } else {
            self.add(Insn::Dc { n });
            self.add(barrier);
        }
        if maintenance != Maintenance::NoIc {
            self.add(Insn::Ic { n });
            if maintenance != Maintenance::NoDsbAfterIc {
                self.add(barrier);
            }
        }
    }

    /// Sends an interrupt, or a message, to all other PEs.
    fn request(&mut self, round: u64) {
        self.add(Insn::Dmb(Barrier::Full));
        self.store(REQUEST, round, false);
    }

    fn acknowledged(&mut self, others: u16, round: u64) {
        for other in 0..others {
            self.wait(ACK + other, round);
        }
    }
}

const fn base(datum: u16) -> Reg {
    // There are three data, and an acknowledgement from each of at most three PEs.
    DATA_BASE + datum.to_le_bytes()[0]
}

/// The program of `shape`, for at most four PEs and three sites.
pub(super) fn program(shape: Shape) -> ModelProgram {
    let sites = shape.class.sites();
    let mut builder = Builder { code: Vec::new(), observers: Vec::new() };
    for _ in 0..sites {
        builder.add(Insn::Nop);
    }
    builder.add(Insn::Br { n: LR, link: false });
    let others = u16::try_from(shape.pes.saturating_sub(1)).unwrap_or(0);
    let mut starts = vec![builder.here()];
    patcher(&mut builder, shape, sites, others);
    for other in 0..others {
        starts.push(builder.here());
        executor(&mut builder, shape, sites, other);
    }
    let mut regs = [0; REGS];
    for datum in 0..ACK + others {
        regs[usize::from(base(datum))] = ModelProgram::data_address(datum);
    }
    for site in 0..sites {
        regs[usize::from(SITE_BASE + site)] = ModelProgram::code_address(u16::from(site));
    }
    let names = ["returned", "request", "go"].map(str::to_owned).into_iter();
    let acks = (1..=others).map(|other| format!("acknowledged by PE {other}"));
    let code = (0..builder.here()).map(|at| match at < u16::from(sites) {
        true => (format!("site {at}"), Some(u64::from(shape.class.old)), 0),
        false => (format!("instruction {at}"), None, at),
    });
    let count = builder.here();
    let data = names.chain(acks).zip(count..).map(|(name, line)| (name, Some(0), line));
    ModelProgram {
        locations: code
            .chain(data)
            .map(|(name, value, line)| Location { name, value, line: Line(line) })
            .collect(),
        pes: starts.into_iter().map(|pc| Start { pc, regs }).collect(),
        indirect: Vec::new(),
        sites: (0..u16::from(sites)).collect(),
        observers: builder.observers,
        code: builder.code,
    }
}

fn patcher(builder: &mut Builder, shape: Shape, sites: u8, others: u16) {
    let Strategy { scheme, maintenance } = shape.strategy;
    let groups: Vec<Vec<u8>> = match scheme.is_per_site() {
        true => (0..sites).map(|site| vec![site]).collect(),
        false => vec![(0..sites).collect()],
    };
    for (group, round) in groups.into_iter().zip(1..) {
        if scheme == Scheme::StopMachine {
            builder.request(round);
            builder.acknowledged(others, round);
        }
        for site in &group {
            builder.patch(*site, shape.class.new);
            if scheme != Scheme::KickBefore {
                builder.maintain(*site, maintenance);
            }
        }
        match scheme {
            Scheme::Nosync => {}
            Scheme::IsbSelf => builder.add(Insn::Sync(ContextSync::Isb)),
            Scheme::StopMachine => builder.store(GO, round, true),
            Scheme::Ipi
            | Scheme::Kick
            | Scheme::KickBefore
            | Scheme::KickNoCse
            | Scheme::MembarrierSyncCore
            | Scheme::Signal => {
                builder.request(round);
                builder.acknowledged(others, round);
            }
        }
        if scheme == Scheme::KickBefore {
            group.iter().for_each(|site| builder.maintain(*site, maintenance));
        }
        if scheme == Scheme::MembarrierSyncCore {
            builder.add(Insn::Dmb(Barrier::Full));
        }
    }
    match shape.reading {
        Reading::RealTime => builder.add(Insn::Returned),
        Reading::Causal => builder.store(RETURNED, 1, false),
    }
    builder.add(Insn::End);
}

fn executor(builder: &mut Builder, shape: Shape, sites: u8, other: u16) {
    let scheme = shape.strategy.scheme;
    let executes = other == 0 || !shape.reduced;
    if executes && (!shape.reduced || !shape.class.is_modifiable()) {
        builder.add(Insn::Bl { to: 0 });
    }
    let rounds = if scheme.is_per_site() { u64::from(sites) } else { 1 };
    for round in 1..=rounds {
        let (before, after) = match scheme {
            Scheme::Nosync | Scheme::IsbSelf => break,
            Scheme::KickNoCse => (ContextSync::Nothing, ContextSync::Nothing),
            _ => (ContextSync::Entry, ContextSync::Return),
        };
        builder.wait(REQUEST, round);
        builder.add(Insn::Sync(before));
        if scheme == Scheme::Signal {
            // Return to the handler, which acknowledges; sigreturn follows.
            builder.add(Insn::Sync(ContextSync::Return));
        }
        builder.store(ACK + other, round, true);
        match scheme {
            Scheme::StopMachine => {
                builder.wait(GO, round);
                builder.add(Insn::Sync(ContextSync::Isb));
            }
            Scheme::Signal => builder.add(Insn::Sync(ContextSync::Entry)),
            _ => {}
        }
        builder.add(Insn::Sync(after));
    }
    if executes {
        builder.observers.push(builder.here());
        match shape.reading {
            Reading::RealTime => builder.add(Insn::Observe),
            Reading::Causal => builder.wait(RETURNED, 1),
        }
        builder.add(Insn::Bl { to: 0 });
    }
    builder.add(Insn::End);
}
