//! JL001 patch without cross-CPU sync; the two ways of doing it nearly right, JL004 and
//! JL005, are found with it.
//!
//! # Algorithm
//! For each function that calls a patching primitive (a root): whether it may return
//! without a synchronisation behind the last patch. If so, the same of its callers, and
//! so on. It is a finding if a function among these can be entered from outside: an
//! exported one, a system call, one whose address is in data or handed to others, or one
//! that nobody is seen to call.
//!
//! In programs a store through a pointer to memory that the function made executable patches
//! as well, if others may execute it by then ([`crate::lint::executable_memory`]).
//!
//! A synchronisation that is skipped where nothing was patched fulfils it as well, where a
//! result, count, flag or parameter says so ([`crate::lint::paths`]).
//!
//! Where readers synchronise on their own side ([`crate::lint::consumers`]) it is a note.
//!
//! # False positives
//! Synchronisation through a pointer, or by means that no model knows. One that depends on
//! what [`crate::lint::paths`] does not understand.
//!
//! # False negatives
//! Callers through pointers are not followed; a callback is taken for run where it is
//! registered.

use super::jl004::JL004;
use super::jl005::JL005;
use crate::lint::consumers;
use crate::lint::finding::{Finding, Role};
use crate::lint::model::{FunctionRole, level_of};
use crate::lint::obligation::{LATE, LOCAL, Root};
use crate::lint::reach::Reach;
use crate::lint::rule::{Level, RuleDescriptor};
use crate::lint::subject::Subject;
use crate::lint::syncs::Syncs;
use crate::lint::witness::{EntryKind, affected, best_entry, chain, steps};

/// Patch without synchronisation.
pub(in crate::lint) static JL001: RuleDescriptor = RuleDescriptor {
    code: "JL001",
    title: "patch without cross-CPU sync",
    level: Level::Error,
    finds: "A function changes instructions, maintains the caches, and returns to someone \
        who relies on the change, while no other CPU was made to execute a context \
        synchronising event. Other CPUs may go on executing the old instructions, for as \
        long as their pipelines and prefetch buffers hold them.",
    how: "Control flow and direct calls of the whole binary are recovered; the obligation to \
        synchronise is made by known patching primitives, fulfilled by known synchronising \
        ones and by functions that reach one on every way, and handed on to callers until it \
        comes to a function that others can enter. A synchronisation may be skipped where nothing \
        was patched: by a result that is zero then, a count in a register, or a word of data that \
        the patcher sets, each compared for equality, in the function or in one that it calls. \
        Cache maintenance alone is taken for fresh code, which is a note. In programs, stores into \
        memory that mprotect or mmap made executable in the same function, or in one that hands \
        its parameters on to them, patch existing code if the memory was executed or published \
        before, or is the file's own; and are supposed to, which is a warning, if it comes from \
        elsewhere and is writable and executable at once. A note is what is left where readers \
        synchronise on their own side: all that branch through a pointer which is published \
        behind the patch acquire it and execute an ISB before they go there.",
    false_positives: "Synchronisation through a function pointer, or by means that no model \
        knows (--config adds models). Synchronisation that depends on other conditions: counts on \
        the stack, comparisons for more or less, words of data across other calls. Code whose \
        readers synchronise on their own side by a flag, or a pointer in allocated memory, \
        unless a model names what they call (role consumer-syncs). Memory of a caller that is \
        written while it is executable, and that nobody executes yet.",
    false_negatives: "Calls through pointers are not followed. A count that overflows, or a word \
        of data that another thread clears before it is compared. Executable memory behind \
        pointers on the stack, or written through another mapping. Only arm64 is read.",
    history: "Linux on arm64: static keys, introduced by f6cc0c501649 and fixed by \
        cfb00a357864 (July 2024), which split the work into queue and one apply with \
        kick_all_cpus_sync(); kernels from about 4.19 up to the fix have it. arm64 module \
        loading, 3b8c9f1cdfc5. riscv: edf2d546bfd6 lost the global flush, ee9a68394b4b brought \
        it back. User space: wasmtime#3310, openjdk/jdk#428, DynamoRIO#1910 and #1911, \
        asmjit#401, dolphin#4204; LLVM XRay on AArch64 has one __clear_cache and no event for \
        other threads.",
    fix: "Patch all sites first, then make all other CPUs synchronise once: \
        kick_all_cpus_sync() in a kernel, membarrier(SYNC_CORE) in a program.",
};

/// The finding that `root` is, if its obligation gets out.
pub(in crate::lint) fn finding(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    root: &Root,
    reach: &Reach,
) -> Option<Finding> {
    let known = subject.known(root.function);
    let is_boot = matches!(known.map(|known| known.role), Some(FunctionRole::BootOnly));
    if is_boot || subject.program.function(root.function).is_init {
        return None;
    }
    let tolerated = known.filter(|known| known.role == FunctionRole::Tolerated);
    // What upstream argues for is shown even where nobody is seen to enter it.
    let itself = || {
        let is_shown = tolerated.is_some() && !reach.functions.is_empty();
        is_shown.then_some((root.function, EntryKind::Uncalled))
    };
    let (entry, kind) = best_entry(subject, syncs, reach).or_else(itself)?;
    let rule = if reach.at_root.flags.meets(LATE) {
        &JL004
    } else if reach.at_root.flags.meets(LOCAL) {
        &JL005
    } else {
        &JL001
    };
    let kernel_root = root
        .sites
        .iter()
        .find_map(|(_, source)| subject.known(*source).and_then(|known| known.kernel_root.clone()));
    let level = match (root.patches, kind) {
        _ if kernel_root.is_some() => Level::Warning,
        (false, _) => Level::Note,
        _ if root.is_supposed || !reach.is_certain(entry) => Level::Warning,
        (true, EntryKind::Exported | EntryKind::SystemCall | EntryKind::Uncalled) => Level::Error,
        (true, EntryKind::Data | EntryKind::Argument | EntryKind::Loop) => Level::Warning,
    };
    let own_side = own_side(subject, root, reach);
    let level = level_of(own_side.is_some(), level);
    let witness = steps(subject, root, reach, entry, kind);
    let affected = affected(subject, reach);
    let name = subject.name(root.function);
    let patch = witness.iter().find(|step| step.role == Role::Patch);
    let source = patch.and_then(|step| step.callee.clone());
    let source = source.unwrap_or_else(|| "a store into executable memory".to_owned());
    let what = match (root.patches, rule.code) {
        (false, _) => format!("writes code and maintains caches ({source})"),
        (true, "JL004") => format!("patches instructions behind its synchronisation ({source})"),
        (true, _) => format!("patches instructions ({source})"),
    };
    let but = match rule.code {
        "JL005" => "and executes an ISB for this CPU alone",
        _ => "and returns without a synchronisation of the other CPUs",
    };
    // A module only calls what is to be mended in its kernel: one cause, one finding.
    let fingerprint = match &kernel_root {
        Some(kernel) => format!("{}:kernel:{kernel}", rule.code),
        None => format!("{}:{}", rule.code, chain(&witness)),
    };
    let of_kernel = kernel_root.map_or_else(String::new, |kernel| {
        format!("; it is {kernel} of the kernel that is to be mended")
    });
    let count = affected.functions;
    let more = if reach.is_cut { "at least " } else { "" };
    let message = format!("{name} {what} {but}; {more}{count} functions may return so{of_kernel}");
    Some(Finding {
        rule: rule.code,
        level: level_of(tolerated.is_some(), level),
        function: Some(name),
        address: patch.map(|step| step.address),
        message,
        fingerprint,
        witness,
        affected,
        tolerated: tolerated.and_then(|known| known.reason.clone()).or(own_side),
    })
}

/// Why readers need nothing from who patches, if they synchronise on their own side: as a
/// model says, or as they are seen to.
fn own_side(subject: &Subject<'_, '_>, root: &Root, reach: &Reach) -> Option<String> {
    if let Some(consumer) = subject.consumer() {
        let name = subject.name(consumer);
        return Some(format!("readers synchronise on their own side ({name}), as a model says"));
    }
    let readers = consumers::readers(subject, root, reach);
    let name = subject.name(*readers.first()?);
    let more = match readers.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "readers synchronise on their own side: {name}{more} acquires the pointer that is \
         published behind the patch and executes an ISB before it goes there; that nobody comes \
         to the code by another way is not shown"
    ))
}
