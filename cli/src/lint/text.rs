//! The text report: one block for each root cause, then the coverage of each file.

use super::records::{
    Compared, CoverageRecord, FindingRecord, LintDocument, LintedFile, StepRecord, Suppressed,
};
use crate::schema::FrameRecord;
use crate::terminal::output::Sink;
use crate::terminal::style::{
    Palette, common_root, count, function_name, grouped, printable, sentence,
};
use crate::terminal::wrapping::wrapped;
use jlctl_analyzer::lint::{Evidence, Level, RULES, RuleDescriptor, without_markup};
use std::io::Write;

/// Columns of the labels.
const LABEL: usize = 12;

/// A space at which no line is broken.
const NO_BREAK: char = '\u{a0}';

/// Columns of the roles of steps.
const ROLE: usize = 5;
/// Maximum length of a relative source directory that is shown on each line.
const ROOT: usize = 16;
/// Maximum number of affected functions that are named.
const NAMES: usize = 8;

pub(super) fn write(
    document: &LintDocument,
    width: usize,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    let palette = Palette::new(sink.color);
    let mut page = Page { out: &mut *sink.writer, palette, width };
    let root = source_root(document);
    match &document.against {
        None => {
            for finding in &document.findings {
                block(&mut page, finding, root)?;
            }
        }
        Some(against) => {
            let of = |compared| {
                let is = move |found: &&FindingRecord| found.against == Some(compared);
                document.findings.iter().filter(is).collect::<Vec<_>>()
            };
            let gained: Vec<&FindingRecord> = against.gained.iter().collect();
            part(&mut page, "Syncs lost", &of(Compared::Lost), root, false)?;
            part(&mut page, "Syncs gained", &gained, root, false)?;
            part(&mut page, "Missing in both builds", &of(Compared::Both), root, true)?;
        }
    }
    if !root.is_empty() {
        page.label("source", &format!("below {root}"))?;
    }
    coverage(document, &mut page)?;
    conclusion(document, &mut page)
}

/// Findings of two builds under a heading.
fn part(
    page: &mut Page<'_>,
    title: &str,
    findings: &[&FindingRecord],
    root: &str,
    in_short: bool,
) -> anyhow::Result<()> {
    let heading = page.palette.heading;
    writeln!(page.out, "{heading}{title}: {}{heading:#}\n", grouped(findings.len()))?;
    for finding in findings {
        if in_short { self::heading(page, finding)? } else { block(page, finding, root)? }
    }
    if in_short && !findings.is_empty() { Ok(writeln!(page.out)?) } else { Ok(()) }
}

fn heading(page: &mut Page<'_>, finding: &FindingRecord) -> anyhow::Result<()> {
    let style = match finding.suppressed {
        Some(_) => page.palette.faint,
        None => page.palette.of_severity(finding.level.name()),
    };
    let what = finding.function.as_deref().map_or_else(|| printable(&finding.file), function_name);
    let (level, rule) = (finding.level.name(), finding.rule);
    let title = descriptor(rule).map_or("", |rule| rule.name);
    Ok(writeln!(page.out, "{style}{level} {rule}{style:#} {what}: {title}")?)
}

fn block(page: &mut Page<'_>, finding: &FindingRecord, root: &str) -> anyhow::Result<()> {
    heading(page, finding)?;
    page.label("  in", &location(finding, root))?;
    match (finding.suppressed, &finding.reason) {
        (Some(Suppressed::Config), reason) => {
            page.label("  ignored", reason.as_deref().unwrap_or_default())?;
            return Ok(writeln!(page.out)?);
        }
        (Some(Suppressed::Baseline), _) => {
            page.label("  known", "in the baseline")?;
            return Ok(writeln!(page.out)?);
        }
        (None, _) => {}
    }
    page.label("  what", &sentence(&finding.message))?;
    if let Some(reason) = &finding.tolerated {
        page.label("  tolerated", reason)?;
    }
    if let Some(why) = &finding.why {
        page.label("  why", why)?;
    }
    path(page, finding, root)?;
    if finding.affected.functions > 0 {
        page.label("  reaches", &reach(finding))?;
    }
    if finding.confidence == Some(Evidence::Unresolved) {
        page.label(
            "  unsure",
            "the path has a call or a jump through a pointer that was not resolved",
        )?;
    }
    if let Some(rule) = descriptor(finding.rule).filter(|_| finding.tolerated.is_none()) {
        page.label("  fix", &without_markup(rule.fix))?;
    }
    Ok(writeln!(page.out)?)
}

fn descriptor(code: &str) -> Option<&'static RuleDescriptor> {
    RULES.iter().copied().find(|rule| rule.code == code)
}

/// The file, the source line and the address.
fn location(finding: &FindingRecord, root: &str) -> String {
    let source = finding.source.as_ref().and_then(|source| source_text(source, root));
    let address = finding.address.as_ref().map(|address| address.text.clone());
    let parts = [Some(finding.file.clone()), address, source];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn reach(finding: &FindingRecord) -> String {
    let affected = &finding.affected;
    let mut text = count(affected.functions, "function");
    for (number, what) in [(affected.exported, "exported"), (affected.system_calls, "system call")]
    {
        match (number, what) {
            (0, _) => {}
            (number, "exported") => text += &format!(", {} exported", grouped(number)),
            (number, what) => text += &format!(", {}", count(number, what)),
        }
    }
    let best_known = affected.best_known.iter().take(NAMES);
    let names: Vec<String> = best_known.map(|symbol| function_name(symbol)).collect();
    if names.is_empty() { text } else { format!("{text}: {}", names.join(", ")) }
}

/// The path from an entry point to the patch and back, one line for each step. Source lines have a
/// column of their own if there is room, otherwise a line of their own.
fn path(page: &mut Page<'_>, finding: &FindingRecord, root: &str) -> anyhow::Result<()> {
    let line = |step: &StepRecord| Line {
        role: step.role.name(),
        address: printable(&step.address.text),
        text: step_text(step),
        source: step.source.as_ref().and_then(|source| source_text(source, root)),
    };
    let lines: Vec<Line> = finding.witness.iter().map(line).collect();
    let widest = |length: fn(&Line) -> usize| lines.iter().map(length).max().unwrap_or(0);
    let addresses = widest(|line| line.address.chars().count());
    let texts = widest(|line| line.text.chars().count());
    let sources = widest(|line| line.source.as_ref().map_or(0, |source| source.chars().count()));
    let before = LABEL + ROLE + 2 + addresses + 2;
    let is_narrow = before + texts + 2 + sources > page.width;
    let (heading, faint) = (page.palette.heading, page.palette.faint);
    for (at, Line { role, address, text, source }) in lines.iter().enumerate() {
        let label = if at == 0 { "  path" } else { "" };
        write!(
            page.out,
            "{heading}{label:<LABEL$}{heading:#}{role:<ROLE$}  {address:<addresses$}  "
        )?;
        match source {
            None => writeln!(page.out, "{text}")?,
            Some(source) if is_narrow => {
                writeln!(page.out, "{text}")?;
                let space = before.min(page.width.saturating_sub(source.chars().count()));
                writeln!(page.out, "{:space$}{faint}{source}{faint:#}", "")?;
            }
            Some(source) => writeln!(page.out, "{text:<texts$}  {faint}{source}{faint:#}")?,
        }
    }
    Ok(())
}

/// A step of a path.
struct Line {
    role: &'static str,
    address: String,
    text: String,
    source: Option<String>,
}

/// The function of a step, and the evidence for its call unless it is a direct call.
fn step_text(step: &StepRecord) -> String {
    let function = function_name(&step.function);
    match step.evidence {
        None | Some(Evidence::Call) => function,
        Some(Evidence::TailCall) => format!("{function}, tail call"),
        Some(Evidence::Argument) => format!("{function}, as an argument"),
        Some(Evidence::Data) => format!("{function}, through a pointer in data"),
        Some(Evidence::Unresolved) => format!("{function}, unresolved"),
    }
}

fn source_text(source: &FrameRecord<'_>, root: &str) -> Option<String> {
    let file = source.file.as_deref()?;
    let file = file.strip_prefix(root).unwrap_or(file);
    let line = source.line.map_or_else(String::new, |line| format!(":{line}"));
    Some(format!("{}{line}", printable(file)))
}

/// The directory that all source files lie in.
fn source_root(document: &LintDocument) -> &str {
    let gained = document.against.iter().flat_map(|against| &against.gained);
    let findings = document.findings.iter().chain(gained);
    let root = common_root(findings.flat_map(|finding| {
        let steps = finding.witness.iter().filter_map(|step| step.source.as_ref());
        finding.source.iter().chain(steps).filter_map(|source| source.file.as_deref())
    }));
    // A short directory locates the file without hiding its name.
    if root.starts_with('/') || root.len() > ROOT { root } else { "" }
}

/// The result of the run, in one line.
fn conclusion(document: &LintDocument, page: &mut Page<'_>) -> anyhow::Result<()> {
    let of_kind = |is: &dyn Fn(&FindingRecord) -> bool| {
        document.findings.iter().filter(|finding| is(finding)).count()
    };
    let of_state = |state| of_kind(&|finding| finding.suppressed == Some(state));
    let in_both = |finding: &FindingRecord| {
        finding.suppressed.is_none() && finding.against == Some(Compared::Both)
    };
    let below =
        |finding: &FindingRecord| finding.fails(Level::Note) && !finding.fails(document.fail_on);
    let is_applicable = document.files.iter().any(|file| file.applicable == Some(true));
    let mut parts = vec![match document.failing() {
        0 if !is_applicable && document.findings.is_empty() => {
            "not applicable: no file that was read patches code".to_owned()
        }
        failing => {
            let (finding, fail) = match failing {
                0 => ("no finding".to_owned(), "fails"),
                1 => ("1 finding".to_owned(), "fails"),
                failing => (count(failing, "finding"), "fail"),
            };
            format!("{finding} {fail} (--fail-on {})", document.fail_on.name())
        }
    }];
    for (number, what) in [
        (of_kind(&below), "below that"),
        (of_state(Suppressed::Baseline), "in the baseline"),
        (of_kind(&in_both), "in both builds"),
        (of_state(Suppressed::Config), "suppressed with a reason"),
    ] {
        parts.extend((number > 0).then(|| format!("{} {what}", grouped(number))));
    }
    let unread = document.unread();
    parts.extend((unread > 0).then(|| format!("{} could not be read", count(unread, "file"))));
    page.label("result", &whole(&parts, ';'))
}

/// Writes the coverage of each file, and the other facts about the run that affect the result.
fn coverage(document: &LintDocument, page: &mut Page<'_>) -> anyhow::Result<()> {
    for file in &document.files {
        file_lines(page, "coverage", file)?;
    }
    for file in document.against.iter().flat_map(|against| &against.files) {
        file_lines(page, "against", file)?;
    }
    if document.passed > 0 {
        let are = if document.passed == 1 { "is not an image" } else { "are not images" };
        page.label("passed", &format!("{} {are}", count(document.passed, "file")))?;
    }
    if let Some(baseline) = &document.baseline {
        for known in &baseline.absent {
            let function = known.function.as_deref().unwrap_or("no function");
            let text = format!("{} {function}, {}: no longer found", known.rule, known.file);
            page.label("baseline", &text)?;
        }
    }
    for unused in &document.unused_suppressions {
        page.label("unused", &format!("suppression {}: {}", unused.text, unused.reason))?;
    }
    Ok(())
}

fn file_lines(page: &mut Page<'_>, label: &str, file: &LintedFile) -> anyhow::Result<()> {
    if let Some(error) = &file.error {
        // Most errors name the file themselves.
        let is_named = error.contains(&file.path);
        let error = if is_named { error.clone() } else { format!("{}: {error}", file.path) };
        return page.label("not read", &error);
    }
    page.label(label, &looked_at(file))?;
    for cap in file.coverage.iter().flat_map(|coverage| &coverage.caps) {
        page.label("limit", &format!("{}: {cap}; the result is not a proof", file.path))?;
    }
    for warning in &file.model_warnings {
        page.label("model", &format!("{}: {warning}", file.path))?;
    }
    for warning in &file.warnings {
        page.label("warning", &format!("{}: {warning}", file.path))?;
    }
    Ok(())
}

/// The number of indirect jumps (BR), and how many of them were guessed or not resolved.
fn jumps(coverage: &CoverageRecord) -> String {
    let CoverageRecord { resolved_jumps, guessed_jumps, unresolved_jumps, .. } = coverage;
    let all = count(resolved_jumps + guessed_jumps + unresolved_jumps, "indirect jump");
    let (guessed, unresolved) = (grouped(*guessed_jumps), grouped(*unresolved_jumps));
    format!("{all} ({guessed} guessed, {unresolved} unresolved)")
}

/// The coverage of a file, in one line.
fn looked_at(file: &LintedFile) -> String {
    let path = &file.path;
    if !file.has_known_arch() {
        let arch = file.arch.unwrap_or("unknown");
        return format!("{path}: not applicable: the rules are for arm64, the file is {arch}");
    }
    let plural = |number: Option<usize>, what: &str| number.map(|number| count(number, what));
    let coverage = file.coverage.as_ref();
    let parts = [
        plural(file.functions, "function"),
        plural(file.instructions, "instruction"),
        coverage.map(|coverage| count(coverage.undecoded, "undecoded word")),
        coverage.map(|coverage| count(coverage.unresolved_calls, "unresolved indirect call")),
        coverage.map(jumps),
        plural(file.patchers, "patcher"),
        plural(file.syncs, "sync"),
    ];
    let caps = coverage.map_or(0, |coverage| coverage.caps.len());
    let mut parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.extend((caps > 0).then(|| format!("{} reached", count(caps, "limit"))));
    let not =
        if file.applicable == Some(false) { "not applicable: it patches no code; " } else { "" };
    format!("{path}: {not}{}", whole(&parts, ','))
}

/// `items` with `separator` and a space between them; no item is broken over two lines.
fn whole(items: &[String], separator: char) -> String {
    let items: Vec<String> = items.iter().map(|item| item.replace(' ', "\u{a0}")).collect();
    items.join(&format!("{separator} "))
}

/// The output of a text report, and its width.
struct Page<'w> {
    out: &'w mut dyn Write,
    palette: Palette,
    width: usize,
}

impl Page<'_> {
    /// A label and a text beside it.
    fn label(&mut self, label: &str, text: &str) -> anyhow::Result<()> {
        let (heading, width) = (self.palette.heading, self.width.max(LABEL + 20) - LABEL);
        let text = wrapped(&printable(text), "", 0, width);
        for (at, line) in text.lines().enumerate() {
            let label = if at == 0 { label } else { "" };
            let line = line.trim_end().replace(NO_BREAK, " ");
            writeln!(self.out, "{heading}{label:<LABEL$}{heading:#}{line}")?;
        }
        Ok(())
    }
}
