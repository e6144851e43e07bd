//! JL010: jump table inconsistent.

use crate::image::Image;
use crate::jump_table::{Defect, JumpTable, Severity};
use crate::lint::finding::{Affected, Finding};
use crate::lint::rule::{Level, RuleDescriptor};

pub(in crate::lint) static JL010: RuleDescriptor = RuleDescriptor {
    code: "JL010",
    name: "jump table inconsistent",
    level: Level::Error,
    since: "0.1.0",
    summary: "An entry of the jump table, its site or its key is not what it must be.",
    description: "A flip would patch the wrong bytes, or leave the code and the key in \
        disagreement.",
    algorithm: "The rule runs the checks of `jlctl inspect` (JT001 and up) on all entries. A \
        diagnostic that concerns the file and no entry (JT101, JT102) is a note.",
    false_positives: "No known case: all entries of the tested kernels pass.",
    false_negatives: "A table that is well-formed but names the wrong site or key.",
    history: "- Link-time optimisation: ClangBuiltLinux#1925, ClangBuiltLinux#1440.\n\
        - Live patches: kpatch#931, kpatch#946.\n\
        - Identical code folding by linkers merges functions that differ only in their key.",
    fix: "See jlctl-inspect(1) for the code in the message.",
};

pub(in crate::lint) fn findings(image: &Image<'_>, table: &JumpTable<'_>) -> Vec<Finding> {
    table
        .diagnostics()
        .iter()
        .map(|found| {
            let level = match (&found.defect, found.defect.severity()) {
                // The diagnostic concerns the file and not an entry.
                (Defect::Image(_) | Defect::DebugInfo(_), _) | (_, Severity::Note) => Level::Note,
                (_, Severity::Warning) => Level::Warning,
                (_, Severity::Error) => Level::Error,
            };
            let site = found.site.map(|id| (table.entry(id), table.site(id)));
            let function = site
                .and_then(|(_, site)| site.function)
                .map(|at| image.symbols().name(at.symbol).into_owned());
            let code = found.defect.code();
            let offset = site.and_then(|(_, site)| site.function).map_or(0, |at| at.offset);
            let text = found.defect.to_string();
            Finding {
                rule: JL010.code,
                level,
                fingerprint: format!(
                    "JL010:{code}:{}+{offset:#x}",
                    function.as_deref().unwrap_or("table")
                ),
                function,
                address: site.map(|(entry, _)| entry.code),
                message: format!("{code}: {}", image.localize(&text)),
                witness: Vec::new(),
                affected: Affected::default(),
                tolerated: None,
                why: None,
            }
        })
        .collect()
}
