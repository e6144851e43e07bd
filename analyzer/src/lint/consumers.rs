//! Readers of patched code that synchronise on their own side, recognised by their instructions.
//!
//! The patcher publishes a pointer: after the patch, it stores to a word of data at a constant
//! address, with release semantics or after a barrier. A reader that branches through the word
//! loads it with acquire semantics, or executes a barrier after the load, and executes an ISB
//! before the branch, on every path. The ISB discards what the reader fetched before it saw the
//! pointer (Arm ARM B2.4.4). The file must contain at least one branch through the word, and all
//! of them must follow the pattern.
//!
//! This does not show that no other path leads to the patched code, so the finding remains, as a
//! note with the reason. A flag in place of a pointer, and pointers in allocated objects, are not
//! recognised. A model can name the function that executes the ISB (consumer-syncs).

use super::address_filter::AddressFilter;
use super::obligation::Root;
use super::reach::Reach;
use super::registers::{FunctionBody, RegisterAnalysis, RegisterState, ValueOrigin};
use super::subject::Subject;
use crate::addr::Svma;
use crate::dataflow::{Analysis, solve};
use crate::program::{AccessKind, Barrier, Block, Cfg, Event, FuncId, INSN_BYTES, Insn, access};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Functions that return with the obligation and are searched for a published pointer, nearest
/// first.
const PUBLISHERS: usize = 16;

/// The readers that synchronise on their own side, if every branch through a word that the
/// functions of `reach` publish follows the pattern.
pub(super) fn readers(subject: &Subject<'_, '_>, root: &Root, reach: &Reach) -> Vec<FuncId> {
    let published = published(subject, root, reach);
    if published.is_empty() {
        return Vec::new();
    }
    let is_indirect =
        |event: &Event| matches!(event.insn, Insn::CallRegister { .. } | Insn::JumpRegister { .. });
    let filter = AddressFilter::of(subject.image, &published);
    let left = &subject.reader_budget;
    let mut found = Vec::new();
    for id in subject.program.ids() {
        if !subject.program.events_of(id).iter().any(is_indirect)
            || !filter.can_be_in(&subject.program, subject.image, id)
        {
            continue;
        }
        let instructions = subject.program.function(id).range.size() / INSN_BYTES;
        let Some(rest) = left.get().checked_sub(instructions) else { return Vec::new() };
        left.set(rest);
        match reads(subject, &published, id) {
            None => {}
            Some(true) => found.push(id),
            Some(false) => return Vec::new(),
        }
    }
    found
}

/// The state of the pattern on a path, for a publisher or a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct BarrierOrder {
    /// Publisher: code has been patched. Reader: the word has been loaded.
    has_begun: bool,
    /// No barrier has followed.
    lacks_barrier: bool,
    /// No ISB has followed the barrier.
    lacks_isb: bool,
}

impl BarrierOrder {
    const BEGUN: Self = Self { has_begun: true, lacks_barrier: true, lacks_isb: true };

    /// A barrier, or an access that acts as one.
    fn barrier(&mut self) {
        self.lacks_barrier = false;
    }

    fn isb(&mut self) {
        self.lacks_isb &= self.lacks_barrier;
    }
}

impl crate::dataflow::Lattice for BarrierOrder {
    fn join(&mut self, other: &Self) -> bool {
        let before = *self;
        self.has_begun |= other.has_begun;
        self.lacks_barrier |= other.lacks_barrier;
        self.lacks_isb |= other.lacks_isb;
        *self != before
    }
}

/// The bits of the option of DMB and DSB that order loads and stores (C6.2).
const FOR_LOADS: u32 = 1 << 8;
const FOR_STORES: u32 = 2 << 8;

/// Executes the instructions of a block and calls back before each with the registers.
fn for_each_instruction(
    subject: &Subject<'_, '_>,
    values: &RegisterAnalysis<'_, '_>,
    block: &Block,
    registers: &mut RegisterState,
    mut then: impl FnMut(&RegisterState, Svma, u32, Insn),
) {
    let mut events = subject.program.events()[block.events.clone()].iter().peekable();
    for (at, word, insn) in values.body.instructions(block) {
        let event: Option<&Event> = events.next_if(|event| event.at == at);
        let insn = event.map_or(insn, |event| event.insn);
        then(registers, at, word, insn);
        registers.execute(subject.image, at, word, insn);
    }
}

/// The words of data that functions with the obligation publish.
fn published(subject: &Subject<'_, '_>, root: &Root, reach: &Reach) -> BTreeSet<u64> {
    let mut all = BTreeSet::new();
    for (id, _) in reach.functions.iter().take(PUBLISHERS) {
        let cfg = subject.cfg(*id);
        let publishes = Publishes {
            subject,
            values: values(subject, &cfg, *id),
            root,
            reach,
            found: RefCell::default(),
        };
        if solve(&cfg, &publishes).is_ok() {
            all.extend(publishes.found.into_inner());
        }
    }
    all
}

fn values<'a, 'data>(
    subject: &'a Subject<'_, 'data>,
    cfg: &'a Cfg,
    id: FuncId,
) -> RegisterAnalysis<'a, 'data> {
    RegisterAnalysis {
        image: subject.image,
        body: FunctionBody { program: &subject.program, cfg, id },
    }
}

struct Publishes<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    values: RegisterAnalysis<'a, 'data>,
    root: &'a Root,
    reach: &'a Reach,
    found: RefCell<BTreeSet<u64>>,
}

impl Publishes<'_, '_, '_> {
    /// Whether the instruction at `at` patches code.
    fn patches(&self, at: Svma, insn: Insn) -> bool {
        let is_own = self.values.body.id == self.root.function
            && (self.root.sites.iter().any(|(site, _)| *site == at)
                || self.root.stores.contains(&at));
        let callee = match insn {
            Insn::Call { to } => self.subject.program.function_at(to),
            _ => None,
        };
        is_own || self.reach.functions.iter().any(|(id, _)| Some(*id) == callee)
    }
}

impl Analysis for Publishes<'_, '_, '_> {
    type State = (RegisterState, BarrierOrder);

    fn entry(&self) -> Self::State {
        (RegisterState::at_entry(), BarrierOrder::default())
    }

    fn transfer(&self, block: &Block, (registers, order): &mut Self::State) {
        for_each_instruction(
            self.subject,
            &self.values,
            block,
            registers,
            |registers, at, word, insn| {
                if self.patches(at, insn) {
                    *order = BarrierOrder::BEGUN;
                }
                match insn {
                    Insn::Barrier(Barrier::Isb) => {}
                    Insn::Barrier(_) if word & FOR_STORES != 0 => order.barrier(),
                    _ => {}
                }
                let store = access(word).filter(|access| access.kind == AccessKind::Store);
                let Some(access) = store.filter(|_| order.has_begun) else { return };
                if access.is_ordered || !order.lacks_barrier {
                    self.found.borrow_mut().extend(registers.address(access));
                }
            },
        );
    }
}

/// Whether every branch of a function through a word of `published` follows an ISB on every path;
/// `None` if the function has no such branch.
fn reads(subject: &Subject<'_, '_>, published: &BTreeSet<u64>, id: FuncId) -> Option<bool> {
    let cfg = subject.cfg(id);
    let values = values(subject, &cfg, id);
    let reads = Reads { subject, values, published, found: RefCell::default() };
    match solve(&cfg, &reads) {
        Ok(_) => {
            let found = reads.found.into_inner();
            (!found.is_empty()).then(|| found.iter().all(|(_, follows_isb)| *follows_isb))
        }
        // Without a result, a branch without an ISB is possible.
        Err(_) => Some(false),
    }
}

struct Reads<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    values: RegisterAnalysis<'a, 'data>,
    published: &'a BTreeSet<u64>,
    /// Branches through a published word, with whether an ISB precedes them.
    found: RefCell<BTreeSet<(Svma, bool)>>,
}

impl Analysis for Reads<'_, '_, '_> {
    type State = (RegisterState, BarrierOrder);

    fn entry(&self) -> Self::State {
        (RegisterState::at_entry(), BarrierOrder::default())
    }

    fn transfer(&self, block: &Block, (registers, order): &mut Self::State) {
        for_each_instruction(
            self.subject,
            &self.values,
            block,
            registers,
            |registers, at, word, insn| match insn {
                Insn::Barrier(Barrier::Isb) => order.isb(),
                Insn::Barrier(_) if word & FOR_LOADS != 0 => order.barrier(),
                Insn::CallRegister { register } | Insn::JumpRegister { register } => {
                    let target = registers.get(register).map(|value| value.origin);
                    if let Some(ValueOrigin::Word(word)) = target
                        && self.published.contains(&word)
                    {
                        let follows_isb = order.has_begun && !order.lacks_isb;
                        self.found.borrow_mut().insert((at, follows_isb));
                    }
                }
                _ => {
                    let load = access(word).filter(|access| access.kind == AccessKind::Load);
                    let from = load.and_then(|access| registers.address(access));
                    if from.is_some_and(|from| self.published.contains(&from)) {
                        *order = BarrierOrder::BEGUN;
                        if load.is_some_and(|access| access.is_ordered) {
                            order.barrier();
                        }
                    }
                }
            },
        );
    }
}
