//! JL001: patch without cross-CPU sync.

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

pub(in crate::lint) static JL001: RuleDescriptor = RuleDescriptor {
    code: "JL001",
    name: "patch without cross-CPU sync",
    level: Level::Error,
    since: "0.1.0",
    summary: "A function patches existing instructions and returns although the other CPUs have \
        not synchronised.",
    description: "The function changes instructions, maintains the caches and returns to a caller \
        that relies on the change. No other CPU has executed a context synchronising event since. \
        The other CPUs may continue to execute the old instructions for as long as their \
        pipelines and prefetch buffers hold them.",
    algorithm: "The lint recovers the functions, the control flow and the direct calls of the \
        file. A call of a known patching primitive creates an obligation to synchronise the other \
        CPUs. A known synchronising primitive fulfils the obligation, and so does a function that \
        reaches one on every path to its return. A function that may return with the obligation \
        hands it to its callers. The rule reports a finding if the obligation reaches a function \
        that can be entered from outside: an exported function, a system call, a function whose \
        address is in data or is passed to other code, or a function without a visible \
        caller. Functions that run only before the other CPUs are started have no obligation: what \
        is reached by direct calls alone from `start_kernel`, from `kernel_init_freeable` before \
        it calls `smp_init`, and from the early initcalls. Other code in `.init.text`, and the \
        init function of a module, runs with all CPUs up.\n\n\
        A synchronisation that is skipped only where nothing was patched fulfils the obligation \
        too. The lint follows three kinds of condition, each a comparison for equality, in the \
        function or in a function that it calls: a result that is zero if nothing was patched, a \
        count or flag in a register, and a word of data that the patcher sets.\n\n\
        In programs, the lint tracks registers, stack slots and words of data in each function \
        that maintains caches, changes memory protections or writes to its own process. A short \
        function that only forwards its parameters is charged to its caller. The lint takes the \
        code for existing code if one of these holds, and the report gives the reason under \
        `why`:\n\n\
        - The code is part of the file itself.\n\
        - The memory was executed, or a pointer to it published, before the change.\n\
        - An instruction is loaded, modified and stored back to the same address.\n\
        - A page, or memory that a field points to, is made writable for a bounded store and \
        executable again afterwards.\n\
        - One or two words at a given address are replaced, and only these words are flushed.\n\
        - The code is written through a second mapping of executable memory, through \
        /proc/self/mem or process_vm_writev(2), or while it is writable and executable.\n\n\
        All other code is taken for fresh code.\n\n\
        The level depends on what is proven:\n\n\
        - error: existing code is patched, and the obligation reaches an exported function, a \
        system call or a function without a visible caller.\n\
        - warning: the function at the start of the path is entered only through a pointer or \
        from functions that never return; only the third or a later reason in the list above \
        shows that the code exists already; a limit of the analysis was reached on the path; or \
        a module calls the function of its kernel that has the defect.\n\
        - note: the function only maintains caches, which is taken for fresh code; upstream \
        argues that no synchronisation is needed; or the readers synchronise on their own side. \
        Readers do so if every branch through a pointer that is published after the patch \
        acquires the pointer and executes an ISB before it branches, or if a model names the \
        function that they call (role `consumer-syncs`).",
    false_positives: "- The synchronisation is called through a function pointer, or no model \
        knows it. `--config` adds models.\n\
        - The synchronisation depends on a condition that the lint does not follow: a count on \
        the stack, a comparison other than for equality, or a word of data that is read after \
        another call.\n\
        - The readers synchronise on their own side by a flag or by a pointer in allocated \
        memory, and no model names the function that they call.\n\
        - The memory of a caller is written while it is executable, or a single word of it is \
        replaced, but no thread executes it yet.",
    false_negatives: "- A caller that reaches the patch only through a function pointer. A \
        callback is taken to run where it is registered.\n\
        - A count that overflows, or a word of data that another thread clears before the \
        comparison.\n\
        - A patch whose address is computed through more than two loads, or by an index that \
        the lint does not follow, and a patch that is written in one function and flushed in \
        another.\n\
        - A call of a function of another file, except of a kernel by its modules.\n\
        - Code of architectures other than arm64.",
    history: "- Linux, arm64 static keys: f6cc0c501649 introduced the defect, and cfb00a357864 \
        (July 2024) fixed it by a queue step for each site and one apply step with \
        `kick_all_cpus_sync()`. Kernels from about 4.19 up to the fix have the defect.\n\
        - Linux, arm64 module loading: 3b8c9f1cdfc5.\n\
        - Linux, riscv static keys: edf2d546bfd6 lost the global flush of the instruction cache, \
        and ee9a68394b4b restored it.\n\
        - Linux, other architectures: e5873d6f7a7a (s390), d3b849196120 (loongarch).\n\
        - User space: wasmtime#3310, openjdk/jdk#428, openjdk/jdk#14543, DynamoRIO#1910, \
        DynamoRIO#1911, asmjit#401, dolphin#4204. LLVM XRay on AArch64 calls `__clear_cache` once \
        and has no event for other threads. UCX and Open MPI patch functions of libc for their \
        memory hooks. Firefox's mozjs 78 has the defect, mozjs 102 issues `SYNC_CORE`.",
    fix: "Patch all sites first, then make all other CPUs synchronise once: \
        `kick_all_cpus_sync()` in a kernel, `membarrier(SYNC_CORE)` in a program.",
};

/// The finding of `root`, if its obligation reaches an entry point.
pub(in crate::lint) fn finding(
    subject: &Subject<'_, '_>,
    syncs: &Syncs,
    root: &Root,
    reach: &Reach,
) -> Option<Finding> {
    let known = subject.known(root.function);
    let is_boot = matches!(known.map(|known| known.role), Some(FunctionRole::BootOnly));
    if is_boot || subject.runs_before_smp(root.function) {
        return None;
    }
    let tolerated = known.filter(|known| known.role == FunctionRole::Tolerated);
    // A tolerated root is shown even if no entry point is known.
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
        _ if root.why.is_some_and(|why| !why.is_certain()) || !reach.is_certain(entry) => {
            Level::Warning
        }
        (
            true,
            EntryKind::Exported | EntryKind::SystemCall | EntryKind::Module | EntryKind::Uncalled,
        ) => Level::Error,
        (true, EntryKind::Data | EntryKind::Argument | EntryKind::Loop) => Level::Warning,
    };
    // A note stays a note.
    let is_above_note = level > Level::Note && tolerated.is_none();
    let reason = || {
        let serialised = subject.serialised().map(str::to_owned);
        serialised.or_else(|| own_side(subject, root, reach))
    };
    let own_side = is_above_note.then(reason).flatten();
    let level = level_of(own_side.is_some(), level);
    let witness = steps(subject, syncs, root, reach, entry, kind);
    let affected = affected(subject, reach);
    let name = subject.name(root.function);
    let patch = witness.iter().find(|step| step.role == Role::Patch);
    let source = patch.and_then(|step| step.callee.clone());
    let source = source.unwrap_or_else(|| "a store into executable memory".to_owned());
    let what = match (root.patches, rule.code) {
        (false, _) => format!("writes code and maintains caches ({source})"),
        (true, "JL004") => format!("patches instructions after its synchronisation ({source})"),
        (true, _) => format!("patches instructions ({source})"),
    };
    let but = match rule.code {
        "JL005" => "and executes an ISB for this CPU alone",
        _ => "and returns without a synchronisation of the other CPUs",
    };
    // A module only calls the function of its kernel that has the defect: one cause, one finding.
    let fingerprint = match &kernel_root {
        Some(kernel) => format!("{}:kernel:{kernel}", rule.code),
        None => format!("{}:{}", rule.code, chain(&witness)),
    };
    let of_kernel = kernel_root
        .map_or_else(String::new, |kernel| format!("; the defect is in {kernel} of the kernel"));
    let count = affected.functions;
    let more = if reach.is_truncated { "at least " } else { "" };
    let functions = if count == 1 { "function" } else { "functions" };
    let message = format!(
        "{name} {what} {but}; {more}{count} {functions} may return unsynchronised{of_kernel}"
    );
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
        why: why(subject, root),
    })
}

/// The evidence that the code exists, or that it is fresh. In a kernel the models say so.
fn why(subject: &Subject<'_, '_>, root: &Root) -> Option<String> {
    let fresh = "fresh code: no sign that another thread may execute it before the flush";
    match root.why {
        Some(why) => Some(why.reason().to_owned()),
        None => (!subject.is_kernel && !root.patches).then(|| fresh.to_owned()),
    }
}

/// The reason why the patcher need not synchronise, if the readers synchronise on their own side:
/// by a model, or by their instructions.
fn own_side(subject: &Subject<'_, '_>, root: &Root, reach: &Reach) -> Option<String> {
    if let Some(consumer) = subject.consumer() {
        let name = subject.name(consumer);
        return Some(format!(
            "readers synchronise on their own side ({name}), according to a model"
        ));
    }
    let readers = consumers::readers(subject, root, reach);
    let name = subject.name(*readers.first()?);
    let more = match readers.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "readers synchronise on their own side: {name}{more} acquires the pointer that is \
         published after the patch and executes an ISB before the branch; it is not shown that \
         no other path leads to the code"
    ))
}
