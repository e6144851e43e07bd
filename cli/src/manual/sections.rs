//! The sections of help texts and manual pages beyond the options: exit status, diagnostics,
//! environment, examples.

use crate::args::Cli;
use clap::CommandFactory as _;
use jlctl_analyzer::jump_table::CATALOGUE;
use jlctl_analyzer::lint::{RULES, RuleDescriptor, without_markup};
use jlctl_patch_engine::reason::Reason;
use jlctl_patch_engine::target::{Target, World};
use std::fmt::Write as _;

/// One section of a manual page: a heading, and items of a term and a text.
pub(crate) struct Section {
    pub(crate) heading: &'static str,
    pub(crate) items: Vec<(String, String)>,
}

/// The command line with its help texts.
pub(crate) fn command() -> clap::Command {
    Cli::command()
        .after_long_help(help_text("jlctl", &[exit_status(), environment()]))
        .mut_subcommand("inspect", |inspect| {
            inspect.after_long_help(help_text("inspect", &[diagnostics_in_short(), examples()]))
        })
        .mut_subcommand("diff", |diff| {
            diff.after_long_help(help_text("diff", &[examples_of_diff()]))
        })
        .mut_subcommand("plan", |plan| {
            plan.after_long_help(help_text("plan", &[examples_of_plan()]))
        })
        .mut_subcommand("apply", |apply| {
            apply.after_long_help(help_text("apply", &[examples_of_apply()]))
        })
        .mut_subcommand("ctl", |ctl| ctl.after_long_help(help_text("ctl", &[examples_of_ctl()])))
        .mut_subcommand("audit", |audit| {
            audit.after_long_help(help_text("audit", &[examples_of_audit()]))
        })
        .mut_subcommand("link", |link| {
            link.after_long_help(help_text("link", &[examples_of_link()]))
        })
        .mut_subcommand("lint", |lint| {
            lint.after_long_help(help_text("lint", &[rules_in_short(), examples_of_lint()]))
        })
        .mut_subcommand("completions", |completions| {
            completions.after_long_help(help_text("completions", &[]))
        })
        .mut_subcommand("man", |man| man.after_long_help(help_text("man", &[])))
        .mut_subcommand("simulate", |simulate| {
            simulate.after_long_help(help_text(
                "simulate",
                &[verdicts(), not_modelled(), examples_of_simulate()],
            ))
        })
}

/// The sections of the manual page of a command beyond its options.
pub(crate) fn sections_of(command: &str) -> Vec<Section> {
    match command {
        "jlctl" => vec![exit_status(), environment()],
        "inspect" => vec![diagnostics(), exit_status(), environment(), examples()],
        "diff" => vec![exit_status(), examples_of_diff()],
        "plan" => vec![refusals(), exit_status(), environment(), examples_of_plan()],
        "simulate" => vec![verdicts(), not_modelled(), exit_status(), examples_of_simulate()],
        "apply" => vec![files_of_apply(), exit_status(), examples_of_apply()],
        "link" => vec![exit_status(), examples_of_link()],
        "ctl" => vec![exit_status(), examples_of_ctl()],
        "audit" => vec![exit_status(), examples_of_audit()],
        "lint" => vec![rules(), configuration_of_lint(), exit_status(), examples_of_lint()],
        _ => vec![exit_status()],
    }
}

/// The pages that a command's help and page refer to.
pub(crate) fn see_also(command: &str) -> &'static [&'static str] {
    match command {
        "inspect" | "diff" | "plan" | "apply" => {
            &["jlctl-guide(7)", "jlctl-names(7)", "jlctl-formats(5)"]
        }
        "simulate" => &["jlctl-guide(7)", "jlctl-glossary(7)", "jlctl-formats(5)"],
        "ctl" | "list" | "enable" | "disable" | "audit" => {
            &["jlctl-guide(7)", "jlctl-names(7)", "jlctl-formats(5)", "jlshim(7)"]
        }
        "link" => &["jlctl-guide(7)", "jlctl-formats(5)", "jlshim(7)"],
        "lint" => &["jlctl-guide(7)", "jlctl-lint-rules(7)", "jlctl-formats(5)"],
        _ => &["jlctl-guide(7)", "jlctl-glossary(7)"],
    }
}

fn section(heading: &'static str, items: &[(&str, &str)]) -> Section {
    let items = items.iter().map(|(term, text)| ((*term).to_owned(), (*text).to_owned())).collect();
    Section { heading, items }
}

fn exit_status() -> Section {
    section(
        "Exit status",
        &[
            ("0", "Done, nothing found."),
            (
                "1",
                "Findings at or above the failing level. inspect: a diagnostic of severity error, \
                 such as a file of a set that cannot be read (JT103); diff --exit-code: a \
                 difference; plan --check: a claim that does not hold; simulate: a verdict \
                 other than safe, or a litmus test without a verdict; lint: a finding that is \
                 neither in the baseline nor suppressed, or one of several files that cannot be \
                 read.",
            ),
            ("2", "Wrong usage."),
            (
                "3",
                "An input that cannot be read or parsed. In a set: all files, or some files if no \
                 other file has a jump table.",
            ),
            (
                "4",
                "Refused, and nothing was written: an unknown or ambiguous key; an operation that \
                 does not apply to the image; no jump table in the image or in any file of the \
                 set; with apply, old bytes that differ, a plan that does not hold, or a plan \
                 that cannot be applied to a file.",
            ),
            ("5", "A failure of the operating system while writing or attaching."),
        ],
    )
}

fn environment() -> Section {
    section(
        "Environment",
        &[
            ("JLCTL_IMAGE", "The image to read if the command line names no image."),
            (
                "NO_COLOR",
                "If set and not empty, output has no colour unless --color always is \
             given.",
            ),
            ("RAYON_NUM_THREADS", "Number of threads; by default the number of processors."),
        ],
    )
}

fn examples() -> Section {
    section(
        "Examples",
        &[
            (
                "jlctl inspect vmlinux",
                "The image, its table, the keys with most sites, and all diagnostics.",
            ),
            (
                "jlctl inspect vmlinuz",
                "The same for a kernel without symbols: jlctl finds the table by its structure, \
                 and the names in the kernel's kallsyms.",
            ),
            (
                "jlctl inspect vmlinux modules",
                "A kernel and all of its modules as one set, each key with the file that defines it: \
                 modules is a directory, such as /lib/modules/$(uname -r).",
            ),
            (
                "jlctl inspect vmlinux veth.ko --sites --key bpf_stats_enabled_key",
                "The sites of a key in the kernel and in one of its modules.",
            ),
            (
                "jlctl inspect vmlinux --keys --kind plain",
                "The keys that do not belong to a tracepoint, a debug message or another facility.",
            ),
            (
                "jlctl inspect vmlinux --sites --key '__tracepoint_sched_*'",
                "The sites of the scheduler's tracepoints.",
            ),
            (
                "jlctl inspect vmlinux --sites --function try_to_wake_up",
                "The keys that a function uses.",
            ),
            (
                "jlctl inspect vmlinux --format json | jq '.keys[] | select(.enabled != 0).name'",
                "The keys that are on when the kernel starts.",
            ),
        ],
    )
}

fn examples_of_diff() -> Section {
    section(
        "Examples",
        &[
            (
                "jlctl diff old/vmlinux new/vmlinux",
                "The changes of an upgrade, the most important first.",
            ),
            (
                "jlctl diff old/vmlinuz new/vmlinuz",
                "The same for kernels without symbols. Names come from kallsyms, which contains keys only \
                 with CONFIG_KALLSYMS_ALL; keys without a name are matched by their sites.",
            ),
            (
                "jlctl diff old/vmlinux new/vmlinux --key 'memory_cgrp*'",
                "The same, limited to some keys.",
            ),
            (
                "jlctl diff old/xfs.ko new/xfs.ko --exit-code --summary",
                "Whether a rebuilt module has the same keys and sites.",
            ),
            (
                "jlctl diff old/vmlinux new/vmlinux --format json | jq -r '.keys[] | select(.changes | index(\"initial\")) | .b.name'",
                "Keys whose default state differs.",
            ),
        ],
    )
}

fn examples_of_plan() -> Section {
    section(
        "Examples",
        &[
            (
                "jlctl plan vmlinux --flip memory_cgrp_subsys_enabled_key -o plan.json",
                "The plan file, for jlctl apply. Without -o: every site that the flip patches, with its \
                 function and source line.",
            ),
            (
                "jlctl plan vmlinux xfs.ko --enable '__tracepoint_xfs_*' -o xfs.json",
                "A plan for a kernel and a module; the module defines the keys.",
            ),
            (
                "jlctl plan vmlinux --flip '*' --queue 64 --cpus 128",
                "The cost of batches of 64 sites on a large machine, compared with one sync per \
                 site.",
            ),
            (
                "jlctl plan --check plan.json vmlinux",
                "Whether every claim of a plan holds for this kernel.",
            ),
        ],
    )
}

fn examples_of_apply() -> Section {
    section(
        "Examples",
        &[
            (
                "jlctl apply plan.json vmlinux -o vmlinux-flipped",
                "A patched copy; the image itself does not change.",
            ),
            (
                "jlctl apply plan.json vmlinux-flipped --reverse -o vmlinux-again",
                "Reverts the plan: the result is, byte for byte, the image that the plan was made \
                 for.",
            ),
            (
                "jlctl apply plan.json --in-place",
                "Patches the image itself, at the path that the \
             plan records.",
            ),
            (
                "jlctl apply --recover vmlinux",
                "After a crash: restores the old bytes from the journal.",
            ),
        ],
    )
}

fn examples_of_link() -> Section {
    section(
        "Examples",
        &[
            (
                "jlctl link server -o server-linked --shim \"$(pkg-config --variable=libdir jlshim)\"",
                "A copy that loads libjlshim, so that its keys can be flipped.",
            ),
            (
                "jlctl link server -o server-linked --shim lib --runpath '$ORIGIN/../lib'",
                "The same, for a library that is installed relative to the program.",
            ),
            ("jlctl link --remove server-linked -o server", "Removes the link."),
        ],
    )
}

fn examples_of_ctl() -> Section {
    section(
        "Examples",
        &[
            (
                "jlctl ctl $(pidof server) list",
                "The keys of a process, their state, and their number of \
             sites.",
            ),
            (
                "jlctl ctl $(pidof server) enable trace",
                "Switches a key on, by the control socket or with the threads stopped.",
            ),
            (
                "jlctl ctl $(pidof server) --ptrace disable trace",
                "Switches a key off, and stops the threads \
             in any case.",
            ),
            (
                "jlctl ctl $(pidof server) list --format json | jq '.keys[] | select(.enabled > 0)'",
                "The keys that are on.",
            ),
        ],
    )
}

fn examples_of_audit() -> Section {
    section(
        "Examples",
        &[
            ("jlctl audit --pid $(pidof server)", "Compares every site with its key."),
            (
                "jlctl audit --pid $(pidof server) --format json | jq '.stale, .unread'",
                "The sites that differ, and the files that could not be read.",
            ),
        ],
    )
}

fn verdicts() -> Section {
    section(
        "Verdicts",
        &[
            (
                "safe",
                "In no execution does a CPU execute an old instruction after the call \
             returned.",
            ),
            (
                "stale",
                "In some execution a CPU does. The shortest is printed, with the stale \
             fetch marked.",
            ),
            (
                "unpredictable",
                "A word changes while a CPU may execute it, and the architecture does not list \
                 the word as modifiable in this way (Arm ARM B2.2.5): CONSTRAINED UNPREDICTABLE.",
            ),
            (
                "unknown",
                "A bound was reached, or the exploration was interrupted: there is no \
             verdict.",
            ),
        ],
    )
}

fn not_modelled() -> Section {
    section(
        "Not modelled",
        &[
            ("accesses of mixed sizes", "A location is read and written as a whole."),
            ("FEAT_ExS", "Exception entry and return are always context synchronising events."),
            ("shareability domains", "All CPUs are in one domain: ISH and SY are the same."),
            ("translation", "There are no TLBs, neither for instructions nor for data."),
            (
                "the patching CPU's own fetches",
                "Only the instructions that other CPUs execute are \
             explored.",
            ),
            ("virtual machines", "IC IALLU is local, as with HCR_EL2.FB=0."),
        ],
    )
}

fn examples_of_simulate() -> Section {
    section(
        "Examples",
        &[
            (
                "jlctl simulate plan.json vmlinux",
                "Whether the strategy of the kernel lets another CPU execute an old instruction.",
            ),
            (
                "jlctl simulate plan.json --strategy isb-self,kick --svg defect.svg",
                "The defect and its fix side by side; the defect as a diagram.",
            ),
            (
                "jlctl simulate plan.json --strategy kick+no-ic --cache dic0-idc1 --format json",
                "The effect of omitting a step of cache maintenance.",
            ),
            ("jlctl simulate --litmus *.litmus", "Judges litmus tests, in parallel."),
        ],
    )
}

fn files_of_apply() -> Section {
    section(
        "Files",
        &[
            (
                "IMAGE.jlctl-journal",
                "The old bytes, while an image is changed in place. The journal is complete and \
                 on the disk before the first write, and is removed when the last write is on \
                 the disk. If the journal exists, a change was interrupted, and --recover \
                 restores the image. The image is locked (flock) during the change, so that a \
                 second apply cannot interfere.",
            ),
            (
                "OUT",
                "A new file with the image's permissions, the owner who runs jlctl, the current \
                 time and no extended attributes. It replaces an existing file atomically. It \
                 is a reflink if the file system supports reflinks.",
            ),
            (
                "IMAGE with --in-place",
                "Keeps its owner, permissions and extended attributes; its modification time \
                 changes. A file with several names (hard links) is refused.",
            ),
        ],
    )
}

fn examples_of_lint() -> Section {
    section(
        "Examples",
        &[
            (
                "jlctl lint vmlinux",
                "Every path of this kernel that patches code without synchronising the other CPUs.",
            ),
            (
                "jlctl lint build/ --write-baseline lint-baseline.json",
                "Writes all current findings as known; commit the file.",
            ),
            (
                "jlctl lint build/ --baseline lint-baseline.json --format sarif -o lint.sarif",
                "In CI: fails on new findings, and writes all findings for code scanning.",
            ),
            ("jlctl lint new/vmlinux --against old/vmlinux", "The syncs that the new build lost."),
            (
                "jlctl lint --explain JL001",
                "The explanation of a rule, and how to fix its \
             findings.",
            ),
        ],
    )
}

fn configuration_of_lint() -> Section {
    section(
        "Configuration",
        &[
            (
                "[[function]]",
                "The role of functions, which takes precedence over the built-in models: names \
                 (plain, globs or /REGEX/; a suffix that a compiler adds after a dot is \
                 ignored), role, and reason. Roles: writes (writes instructions), patches \
                 (patches existing code and maintains the caches), patches-and-syncs, maintains \
                 (maintains the caches: fresh code), syncs (synchronises all other CPUs), \
                 syncs-if-argument and syncs-if-callback-isbs (with argument, the number of the \
                 parameter that decides), consumer-syncs (each reader synchronises itself \
                 there), noreturn, boot-only, tolerated (with a reason, which the note cites).",
            ),
            (
                "[[suppress]]",
                "Suppressed findings: rule, function and file, each of which is optional, and a \
                 reason, which is required. function and file are a name, a glob or /REGEX/; \
                 function matches a symbol, or the path that the symbol is mangled from; file \
                 matches the path as given, or the name of the file.",
            ),
            (
                "--baseline",
                "Findings are matched with the baseline by their fingerprints, which consist of \
                 rule, functions and call chain, never of addresses. Each entry matches one \
                 finding: the same code in another file is new.",
            ),
        ],
    )
}

/// The rules of the lint.
fn rules() -> Section {
    let of = |rule: &&RuleDescriptor| {
        let term = format!("{} ({}) {}", rule.code, rule.level.name(), rule.name);
        (term, without_markup(rule.summary))
    };
    Section { heading: "Rules", items: RULES.iter().map(of).collect() }
}

fn rules_in_short() -> Section {
    let of = |rule: &&RuleDescriptor| (rule.code.to_owned(), rule.name.to_owned());
    Section {
        heading: "Rules (explained by --explain and in jlctl-lint-rules(7))",
        items: RULES.iter().map(of).collect(),
    }
}

/// Why keys are refused, by code.
fn refusals() -> Section {
    let of = |reason: Reason| {
        let world = if reason == Reason::ReadOnly { World::User } else { World::Kernel };
        let targets: Vec<&str> = reason.targets(world).into_iter().map(Target::name).collect();
        let targets = match reason.is_total(world) {
            true => "everywhere".to_owned(),
            false => targets.join(", "),
        };
        (format!("{} ({targets})", reason.code()), format!("{}.", capitalised(reason.text())))
    };
    Section { heading: "Refusals", items: Reason::ALL.into_iter().map(of).collect() }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn diagnostics() -> Section {
    let items = CATALOGUE
        .iter()
        .map(|entry| {
            let term = format!("{} ({}) {}", entry.code, entry.severity.name(), entry.title);
            (term, entry.explanation.to_owned())
        })
        .collect();
    Section { heading: "Diagnostics", items }
}

fn diagnostics_in_short() -> Section {
    let items = CATALOGUE
        .iter()
        .map(|entry| (entry.code.to_owned(), format!("{}: {}", entry.severity.name(), entry.title)))
        .collect();
    Section { heading: "Diagnostics (explained in jlctl-inspect(1))", items }
}

fn help_text(command: &str, sections: &[Section]) -> String {
    let mut text = String::new();
    for Section { heading, items } in sections {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}{heading}:", if text.is_empty() { "" } else { "\n" });
        let width = items.iter().map(|(term, _)| term.len()).max().unwrap_or(0);
        for (term, item) in items {
            let _ = if width > 20 {
                writeln!(text, "  {term}\n      {item}")
            } else {
                writeln!(text, "  {term:<width$}  {item}")
            };
        }
    }
    // Writing to a String cannot fail.
    let blank = if text.is_empty() { "" } else { "\n" };
    let _ = write!(text, "{blank}See {}.", see_also(command).join(", "));
    text
}
