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
use super::subject::Subject;
use crate::addr::Svma;
use crate::dataflow::{Analysis, solve};
use crate::program::{Block, Cfg, Event, FuncId};
use crate::semantics::{Barrier, Control, INSN_BYTES, Operation};
use crate::values::{FunctionBody, Origin, Path, ValueAnalysis, ValueState};
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
    let is_indirect = |event: &Event| {
        matches!(event.control, Control::CallRegister { .. } | Control::JumpRegister { .. })
    };
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

/// Executes the instructions of a block and calls back before each with the values.
fn for_each_instruction(
    values: &ValueAnalysis<'_, '_>,
    block: &Block,
    state: &mut ValueState,
    mut then: impl FnMut(&mut ValueState, Svma, &Operation),
) {
    for (at, operation) in values.body.instructions(block) {
        then(state, at, &operation);
        state.execute(values.image, at, &operation);
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
) -> ValueAnalysis<'a, 'data> {
    ValueAnalysis {
        image: subject.image,
        body: FunctionBody { program: &subject.program, cfg, id },
    }
}

struct Publishes<'a, 'b, 'data> {
    subject: &'a Subject<'b, 'data>,
    values: ValueAnalysis<'a, 'data>,
    root: &'a Root,
    reach: &'a Reach,
    found: RefCell<BTreeSet<u64>>,
}

impl Publishes<'_, '_, '_> {
    /// Whether the instruction at `at` patches code.
    fn patches(&self, at: Svma, operation: &Operation) -> bool {
        let is_own = self.values.body.id == self.root.function
            && (self.root.sites.iter().any(|(site, _)| *site == at)
                || self.root.stores.contains(&at));
        let callee = match *operation {
            Operation::Control(Control::Call { to }) => self.subject.program.function_at(to),
            _ => None,
        };
        is_own || self.reach.functions.iter().any(|(id, _)| Some(*id) == callee)
    }
}

impl Analysis for Publishes<'_, '_, '_> {
    type State = (ValueState, BarrierOrder);

    fn entry(&self) -> Self::State {
        (ValueState::at_entry(), BarrierOrder::default())
    }

    fn transfer(&self, block: &Block, (values, order): &mut Self::State) {
        for_each_instruction(&self.values, block, values, |values, at, operation| {
            if self.patches(at, operation) {
                *order = BarrierOrder::BEGUN;
            }
            if orders(self.subject, at, operation, FOR_STORES) {
                order.barrier();
            }
            let Operation::Access(access) = operation else { return };
            let is_published = access.is_ordered || !order.lacks_barrier;
            if access.is_store() && order.has_begun && is_published {
                let address = values.address(self.values.image, at, access);
                self.found.borrow_mut().extend(address.as_number());
            }
        });
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
    values: ValueAnalysis<'a, 'data>,
    published: &'a BTreeSet<u64>,
    /// Branches through a published word, with whether an ISB precedes them.
    found: RefCell<BTreeSet<(Svma, bool)>>,
}

impl Analysis for Reads<'_, '_, '_> {
    type State = (ValueState, BarrierOrder);

    fn entry(&self) -> Self::State {
        (ValueState::at_entry(), BarrierOrder::default())
    }

    fn transfer(&self, block: &Block, (values, order): &mut Self::State) {
        for_each_instruction(
            &self.values,
            block,
            values,
            |values, at, operation| match operation {
                Operation::Control(Control::Barrier(Barrier::Isb)) => order.isb(),
                Operation::Control(
                    Control::CallRegister { register } | Control::JumpRegister { register },
                ) => {
                    let target = values.get(*register).exact().map(Path::origin);
                    if let Some(Origin::Word(word)) = target
                        && self.published.contains(&word)
                    {
                        let follows_isb = order.has_begun && !order.lacks_isb;
                        self.found.borrow_mut().insert((at, follows_isb));
                    }
                }
                Operation::Access(access) if access.is_load() => {
                    let from = values.address(self.values.image, at, access).as_number();
                    if from.is_some_and(|from| self.published.contains(&from)) {
                        *order = BarrierOrder::BEGUN;
                        if access.is_ordered {
                            order.barrier();
                        }
                    }
                }
                _ if orders(self.subject, at, operation, FOR_LOADS) => order.barrier(),
                _ => {}
            },
        );
    }
}

/// Whether an instruction is a DMB or DSB whose option has these bits.
fn orders(subject: &Subject<'_, '_>, at: Svma, operation: &Operation, option: u32) -> bool {
    let is_barrier = matches!(
        operation,
        Operation::Control(Control::Barrier(Barrier::Dmb | Barrier::Dsb | Barrier::WeakDsb))
    );
    is_barrier && subject.program.word(at).is_some_and(|word| word & option != 0)
}
