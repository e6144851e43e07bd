//! JL007: patches an instruction that may not be modified concurrently.

use crate::addr::Svma;
use crate::lint::finding::Finding;
use crate::lint::model::FunctionRole;
use crate::lint::obligation::Root;
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::{Subject, stores_through_pointer};
use crate::program::{ConstantMachine, FuncId};
use crate::semantics::{INSN_BYTES, Operation};
use jlctl_shim::insn::aarch64::is_concurrently_modifiable;

pub(in crate::lint) static JL007: RuleDescriptor = RuleDescriptor {
    code: "JL007",
    name: "patches an instruction that may not be modified concurrently",
    level: Level::Warning,
    since: "0.1.0",
    summary: "An instruction is replaced while other CPUs may execute it, and the architecture \
        does not allow that for the old or the new instruction.",
    description: "The architecture allows concurrent modification only between B, BL, BRK, HVC, \
        ISB, NOP, SMC and SVC, and in later issues of the manual B.cond, CBZ, CBNZ, TBZ and TBNZ. \
        For any other instruction, unless the executing CPU has synchronised first, the result is \
        CONSTRAINED UNPREDICTABLE: the CPU need not execute the old instruction or the new one.",
    algorithm: "The rule reports two patterns:\n\n\
        - A patching primitive is called with a constant instruction word that may not be \
        modified concurrently. This is an error.\n\
        - A function of at most 96 instructions stores through a pointer, maintains caches, and \
        builds instruction words of both kinds from constants: for example ADRP and ADD, and B \
        and NOP.",
    false_positives: "A short function that writes fresh code.",
    false_negatives: "- Instruction words that are not constants of the function.\n\
        - Functions of more than 96 instructions, which are taken for code generators.",
    history: "- qemu exchanges ADRP and ADD for B and NOP in `tb_target_set_jmp_target` up to \
        7.2, and B for LDR later.\n\
        - LLVM XRay on AArch64 exchanges B for STP.\n\
        - Arm ARM B2.2.5, concurrent modification and execution of instructions.",
    fix: "Exchange only B and NOP, and keep the other instructions at the target of the branch; \
        or stop all threads first.",
};

/// Instructions of the longest function that is taken for a patcher and not for a code generator.
const LONGEST: u64 = 96;

pub(in crate::lint) fn findings(subject: &Subject<'_, '_>, roots: &[Root]) -> Vec<Finding> {
    roots.iter().filter_map(|root| check_root(subject, root)).collect()
}

fn check_root(subject: &Subject<'_, '_>, root: &Root) -> Option<Finding> {
    by_argument(subject, root).or_else(|| by_templates(subject, root))
}

/// A patching primitive is called with a constant word that may not be modified concurrently.
fn by_argument(subject: &Subject<'_, '_>, root: &Root) -> Option<Finding> {
    let id = root.function;
    let is_primitive = |source: FuncId| {
        matches!(subject.role(source), Some(FunctionRole::Patches | FunctionRole::Writes))
            && subject.known(source).is_none_or(|known| known.kernel_root.is_none())
    };
    root.sites.iter().filter(|(_, source)| is_primitive(*source)).find_map(|(at, source)| {
        let word = subject.argument(id, *at, 1)?;
        let word = u32::try_from(word & 0xffff_ffff).ok()?;
        if is_concurrently_modifiable(word) {
            return None;
        }
        let (name, source) = (subject.name(id), subject.name(*source));
        let message = format!(
            "{name} writes the instruction word {word:#010x} ({source}), which may not be modified \
             while other CPUs execute it"
        );
        Some(Finding::at(subject, &JL007, Level::Error, (id, *at), "word", message))
    })
}

fn by_templates(subject: &Subject<'_, '_>, root: &Root) -> Option<Finding> {
    let id = root.function;
    if subject.program.function(id).range.size() > LONGEST * INSN_BYTES {
        return None;
    }
    let (words, store) = templates(subject, id);
    let store = store?;
    let may = words.iter().find_map(|word| may_be_modified(*word))?;
    let may_not = words.iter().find_map(|word| may_not_be_modified(*word))?;
    let name = subject.name(id);
    let message = format!(
        "{name} exchanges {may} and {may_not}: {may_not} may not be modified while other CPUs \
         execute it"
    );
    Some(Finding::at(subject, &JL007, JL007.level, (id, store), may_not, message))
}

/// The instruction words that the constants of a function contain, in both halves of doublewords,
/// and the last store through a pointer.
fn templates(subject: &Subject<'_, '_>, id: FuncId) -> (Vec<u32>, Option<Svma>) {
    let range = subject.program.function(id).range;
    let mut constants = ConstantMachine::new(&|_| None);
    let (mut words, mut store) = (Vec::new(), None);
    for (at, operation) in subject.program.operations(range.start(), range.end()) {
        let made = constants.step(&operation);
        let is_move = matches!(operation, Operation::Set { .. } | Operation::Insert { .. });
        if let Some(value) = made.filter(|_| is_move) {
            let halves = [value & 0xffff_ffff, value >> 32];
            words.extend(halves.into_iter().filter_map(|half| u32::try_from(half).ok()));
        }
        if stores_through_pointer(&operation) {
            store = Some(at);
        }
    }
    (words, store)
}

fn may_be_modified(word: u32) -> Option<&'static str> {
    match word {
        0x1400_0000 => Some("B"),
        0x9400_0000 => Some("BL"),
        0xd503_201f => Some("NOP"),
        _ => None,
    }
}

/// Templates with empty operands, or with a single register.
fn may_not_be_modified(word: u32) -> Option<&'static str> {
    match word {
        _ if word & 0xffff_ffe0 == 0x9000_0000 => Some("ADRP"),
        _ if word & 0xffff_fc00 == 0x9100_0000 && word & 31 == (word >> 5) & 31 => Some("ADD"),
        _ if word & 0xffff_ffe0 == 0x5800_0000 => Some("LDR"),
        _ if word & 0xffff_ffe0 == 0xd280_0000 && word & 31 != 0 => Some("MOVZ"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_classified() {
        assert_eq!(may_not_be_modified(0x9000_001e), Some("ADRP"));
        assert_eq!(may_not_be_modified(0x9100_03de), Some("ADD"));
        assert_eq!(may_not_be_modified(0x1400_0000), None);
        assert_eq!(may_be_modified(0xd503_201f), Some("NOP"));
        assert_eq!(may_be_modified(0x9000_0000), None);
    }
}
