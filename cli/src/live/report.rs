//! Reports about running processes: `jlctl ctl` and `jlctl audit`.

use super::mapped::Unread;
use super::reached::Reached;
use crate::args::LiveFormat;
use crate::terminal::output::Sink;
use crate::terminal::style::{Palette, count, function_name, label, printable};
use jlctl_patch_engine::images::ReadImage;
use jlctl_patch_engine::key_set::{KeySet, SetKey};
use jlctl_patch_engine::process::{Bias, Live, Stale};
use jlctl_shim::abi::{JumpLabelType, StaticKey};
use serde::Serialize;

/// The result of `jlctl ctl`: the schema jlctl.ctl/1.
#[derive(Debug, Serialize)]
pub(crate) struct CtlReport {
    schema: &'static str,
    pid: i32,
    /// `list`, `enable` or `disable`.
    action: &'static str,
    #[serde(flatten)]
    reached: Reached,
    keys: Vec<CtlKey>,
    /// Files that the process executes and that could not be read: their keys are missing, and
    /// their sites are not patched. Null if files were named.
    pub(crate) unread: Option<Vec<Unread>>,
}

/// A key of a process.
#[derive(Debug, Serialize)]
pub(crate) struct CtlKey {
    name: String,
    image: Option<String>,
    /// Its address at run time.
    address: Option<String>,
    /// Its count before; null if no object of the process defines it.
    old_enabled: Option<i32>,
    /// Its count now.
    enabled: Option<i32>,
    sites: usize,
    /// Number of sites that were patched or, in a list, that disagree with the count; null in a
    /// list by the control socket, which does not report it.
    differ: Option<usize>,
}

impl CtlKey {
    pub(crate) fn of(
        images: &[ReadImage<'_>],
        biases: &[Bias],
        key: &SetKey,
        (old_enabled, enabled): (Option<i32>, Option<i32>),
        differ: Option<usize>,
    ) -> Self {
        let home = key.home.and_then(|home| Some((images.get(home)?, biases.get(home)?)));
        Self {
            name: key.name.full().to_owned(),
            image: home.map(|(image, _)| image.file.path().display().to_string()),
            address: home.map(|(_, bias)| hex(bias.at_run_time(key.key.address))),
            old_enabled,
            enabled,
            sites: key.sites.len(),
            differ,
        }
    }
}

impl CtlKey {
    /// Sets the counts before and after a batch that patched all sites of the key or none.
    pub(crate) fn changed(&mut self, before: i32, count: i32) {
        let is_flipped = StaticKey::is_on(before) != StaticKey::is_on(count);
        (self.old_enabled, self.enabled) = (Some(before), Some(count));
        self.differ = Some(if is_flipped { self.sites } else { 0 });
    }
}

fn hex(address: u64) -> String {
    format!("{address:#x}")
}

impl CtlReport {
    pub(crate) fn new(pid: i32, action: &'static str, reached: Reached, keys: Vec<CtlKey>) -> Self {
        Self { schema: "jlctl.ctl/1", pid, action, reached, keys, unread: None }
    }
}

fn state(enabled: Option<i32>) -> &'static str {
    match enabled.map(StaticKey::is_on) {
        None => "?",
        Some(true) => "on",
        Some(false) => "off",
    }
}

/// Writes the keys that were listed or flipped.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn write_ctl(
    report: &CtlReport,
    format: LiveFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    if format == LiveFormat::Json {
        serde_json::to_writer_pretty(&mut *sink.writer, report)?;
        return Ok(writeln!(sink.writer)?);
    }
    let palette = Palette::new(sink.color);
    let out = &mut *sink.writer;
    if report.action == "list" {
        for key in &report.keys {
            let stale = match key.differ {
                None | Some(0) => String::new(),
                Some(sites) => format!(", {} not as the key requires", count(sites, "site")),
            };
            let sites = count(key.sites, "site");
            writeln!(out, "{:<4} {} ({sites}{stale})", state(key.enabled), printable(&key.name))?;
        }
        return Ok(());
    }
    for key in &report.keys {
        let text = match key.old_enabled == key.enabled && key.differ == Some(0) {
            true => format!("{} already", state(key.enabled)),
            false => format!(
                "{} → {}, {} patched",
                state(key.old_enabled),
                state(key.enabled),
                count(key.differ.unwrap_or(0), "site")
            ),
        };
        label(out, &palette, &printable(&key.name), &text)?;
    }
    report.reached.text().map_or(Ok(()), |text| label(out, &palette, "sync", &text))
}

/// The result of `jlctl audit`: the schema jlctl.audit/1.
#[derive(Debug, Serialize)]
pub(crate) struct AuditReport {
    schema: &'static str,
    pid: i32,
    images: Vec<AuditImage>,
    keys: usize,
    sites: usize,
    /// Keys that no object of the process defines: their sites were not compared.
    unknown_keys: Vec<String>,
    /// Files that the process executes and that could not be read: their sites were not compared.
    /// Null if files were named.
    unread: Option<Vec<Unread>>,
    stale: Vec<StaleSite>,
}

#[derive(Debug, Serialize)]
struct AuditImage {
    path: String,
    build_id: Option<String>,
    /// The load bias: run-time address minus address in the file.
    bias: String,
}

/// A site that does not hold the instruction that its key requires.
#[derive(Debug, Serialize)]
struct StaleSite {
    key: String,
    enabled: i32,
    image: String,
    /// Its address in the file.
    code: String,
    /// Its address at run time.
    address: String,
    function: Option<String>,
    branch: &'static str,
    expected: &'static str,
    /// `nop`, `jmp`, or `other` for any other instruction.
    found: &'static str,
}

const fn name(kind: JumpLabelType) -> &'static str {
    match kind {
        JumpLabelType::Nop => "nop",
        JumpLabelType::Jmp => "jmp",
    }
}

impl AuditReport {
    pub(crate) fn new(
        pid: i32,
        live: &Live<'_>,
        set: &KeySet,
        unread: Option<Vec<Unread>>,
    ) -> Self {
        let image = |(read, bias): (&ReadImage<'_>, &Bias)| AuditImage {
            path: read.file.path().display().to_string(),
            build_id: read
                .image
                .build_id()
                .map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect()),
            bias: hex(bias.get()),
        };
        Self {
            schema: "jlctl.audit/1",
            pid,
            images: live.images.iter().zip(live.biases).map(image).collect(),
            keys: set.keys().len(),
            sites: set.keys().iter().map(|key| key.sites.len()).sum(),
            unknown_keys: Vec::new(),
            unread,
            stale: Vec::new(),
        }
    }

    pub(crate) fn unknown(&mut self, key: &SetKey) {
        self.unknown_keys.push(key.name.full().to_owned());
    }

    pub(crate) fn add(&mut self, live: &Live<'_>, key: &SetKey, stale: &[Stale]) {
        for stale in stale {
            let Some(read) = live.images.get(stale.image) else { continue };
            let Some(table) = read.table else { continue };
            let (entry, site) = (table.entry(stale.site), table.site(stale.site));
            self.stale.push(StaleSite {
                key: key.name.full().to_owned(),
                enabled: stale.enabled,
                image: read.file.path().display().to_string(),
                code: hex(entry.code.0),
                address: hex(stale.address),
                function: site
                    .function
                    .map(|function| read.image.symbols().name(function.symbol).into_owned()),
                branch: if entry.branch { "likely" } else { "unlikely" },
                expected: name(stale.expected),
                found: stale.found.map_or("other", name),
            });
        }
    }

    /// Whether every site that was compared holds the instruction that its key requires.
    pub(crate) fn is_clean(&self) -> bool {
        self.stale.is_empty()
    }
}

/// Writes the result of the comparison.
///
/// # Errors
/// Errors of the writer.
pub(crate) fn write_audit(
    report: &AuditReport,
    format: LiveFormat,
    sink: &mut Sink<'_>,
) -> anyhow::Result<()> {
    if format == LiveFormat::Json {
        serde_json::to_writer_pretty(&mut *sink.writer, report)?;
        return Ok(writeln!(sink.writer)?);
    }
    let palette = Palette::new(sink.color);
    let out = &mut *sink.writer;
    for site in &report.stale {
        let key = printable(&site.key);
        let on = state(Some(site.enabled));
        let at = site.function.as_deref().map(|name| format!(" in {}", function_name(name)));
        writeln!(
            out,
            "{} {key}: expected {}, found {} ({on}, {}){}",
            site.address,
            site.expected,
            site.found,
            site.branch,
            at.unwrap_or_default()
        )?;
    }
    for key in &report.unknown_keys {
        label(out, &palette, "not known", &format!("{}: no object defines it", printable(key)))?;
    }
    let text = match report.stale.len() {
        0 => "all as their keys require".to_owned(),
        stale => format!("{stale} not as their keys require"),
    };
    let (sites, keys) = (count(report.sites, "site"), count(report.keys, "key"));
    label(out, &palette, "result", &format!("{sites} of {keys}: {text}"))
}
