//! SARIF 2.1.0, for code scanning.
//!
//! Results that are in the baseline but not in the run are listed only in the properties of the
//! run: a consumer that does not know `baselineState` would show them as present.

use super::records::{
    BaselineState, Compared, FindingAddress, FindingRecord, LintDocument, LintedFile, StepRecord,
    Suppressed,
};
use super::sarif_model::{
    Artifact, ArtifactLocation, CodeFlow, Configuration, Driver, Help, Invocation, Location,
    LocationMessage, Log, LogicalLocation, Message, Notification, PhysicalLocation, Region, Rule,
    Run, SarifAddress, SarifResult, Suppression, ThreadFlow, ThreadFlowLocation, Tool,
};
use super::uri;
use crate::schema::FrameRecord;
use crate::terminal::style::{count, grouped};
use jlctl_analyzer::debug_info::{demangled, with_paths};
use jlctl_analyzer::lint::{Evidence, RULES, Role, RuleDescriptor, without_markup};
use serde_json::json;
use std::io::Write;
use std::path::Path;

/// The URI by which consumers find the schema.
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// The largest integer that every JSON reader represents exactly.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Writes the report; paths below `directory` are relative to it.
pub(super) fn write(
    document: &LintDocument,
    directory: &Path,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut run = RunWriter { directory, files: &document.files, addresses: Vec::new() };
    let results = document.findings.iter().map(|finding| run.result(finding)).collect();
    let run = Run {
        tool: Tool {
            driver: Driver {
                name: "jlctl",
                semantic_version: env!("CARGO_PKG_VERSION"),
                rules: RULES.iter().map(|descriptor| rule(descriptor)).collect(),
            },
        },
        invocations: [Invocation {
            execution_successful: document.unread() == 0,
            tool_execution_notifications: run.notifications(document),
        }],
        artifacts: document.files.iter().map(|file| run.artifact(file)).collect(),
        results,
        properties: json!({
            "failOn": document.fail_on.name(),
            "failing": document.failing(),
            "absent": document.baseline.as_ref().map(|baseline| &baseline.absent),
            "gained": document.against.as_ref().map(|against| &against.gained),
            "unusedSuppressions": document.unused_suppressions,
        }),
        addresses: run.addresses,
    };
    serde_json::to_writer_pretty(
        &mut *out,
        &Log { schema: SCHEMA, version: "2.1.0", runs: [run] },
    )?;
    Ok(writeln!(out)?)
}

fn message(text: &str) -> Message {
    Message { text: text.to_owned() }
}

fn rule(descriptor: &RuleDescriptor) -> Rule {
    Rule {
        id: descriptor.code,
        short_description: message(descriptor.name),
        full_description: message(&without_markup(descriptor.description)),
        help: Help { text: descriptor.plain_text(), markdown: descriptor.markdown(1) },
        default_configuration: Configuration { level: descriptor.level.name() },
    }
}

struct RunWriter<'a> {
    directory: &'a Path,
    files: &'a [LintedFile],
    /// The sections that addresses of instructions are relative to, once for each file.
    addresses: Vec<SarifAddress>,
}

impl RunWriter<'_> {
    fn uri(&self, path: &str) -> String {
        uri::of_path(path, self.directory)
    }

    fn artifact(&self, file: &LintedFile) -> Artifact {
        Artifact {
            location: ArtifactLocation { uri: self.uri(&file.path), index: None },
            roles: ["analysisTarget"],
            properties: json!({
                "arch": file.arch,
                "buildId": file.build_id,
                "applicable": file.applicable,
                "functions": file.functions,
                "instructions": file.instructions,
                "patchers": file.patchers,
                "syncs": file.syncs,
                "coverage": file.coverage,
            }),
        }
    }

    fn result(&mut self, finding: &FindingRecord) -> SarifResult {
        let target = self.target(finding.file_index);
        let functions: Vec<LogicalLocation> =
            finding.function.as_deref().map(function).into_iter().collect();
        let binary = PhysicalLocation {
            artifact_location: target.clone(),
            region: None,
            address: finding
                .address
                .as_ref()
                .map(|address| self.address(address, finding.file_index)),
        };
        let location = |id, physical_location, message: Option<&str>| Location {
            id,
            physical_location,
            logical_locations: functions.clone(),
            message: message.map(|text| LocationMessage { text: text.to_owned() }),
        };
        let source = finding.source.as_ref().and_then(|source| self.source(source));
        let (locations, related_locations) = match source {
            Some(source) => (
                vec![location(None, source, None)],
                vec![location(Some(0), binary, Some("In the binary"))],
            ),
            None => (vec![location(None, binary, None)], Vec::new()),
        };
        SarifResult {
            rule_id: finding.rule,
            rule_index: RULES.iter().position(|rule| rule.code == finding.rule).unwrap_or(0),
            level: finding.level.name(),
            message: Message { text: text(finding) },
            analysis_target: target,
            locations,
            related_locations,
            code_flows: self.code_flow(finding).into_iter().collect(),
            partial_fingerprints: json!({ "jlctl/v1": finding.fingerprint }),
            suppressions: suppression(finding).into_iter().collect(),
            baseline_state: baseline_state(finding),
            properties: json!({
                "affected": finding.affected,
                "confidence": finding.confidence.map(Evidence::name),
                "tolerated": finding.tolerated,
                "why": finding.why,
            }),
        }
    }

    fn target(&self, file_index: usize) -> ArtifactLocation {
        let path = self.files.get(file_index).map_or("", |file| &file.path);
        ArtifactLocation { uri: self.uri(path), index: Some(file_index) }
    }

    fn source(&self, source: &FrameRecord<'_>) -> Option<PhysicalLocation> {
        let uri = self.uri(source.file.as_deref()?);
        let region = source.line.filter(|line| *line > 0).map(|start_line| Region {
            start_line,
            start_column: source.column.filter(|column| *column > 0),
        });
        Some(PhysicalLocation {
            artifact_location: ArtifactLocation { uri, index: None },
            region,
            address: None,
        })
    }

    /// The address of an instruction, relative to the start of its section. The absolute address is
    /// a number only if every reader represents it exactly, which is not true of kernel addresses.
    fn address(&mut self, address: &FindingAddress, file_index: usize) -> SarifAddress {
        let parent = address.section.as_ref().map(|(section, offset)| {
            let path = self.files.get(file_index).map_or("", |file| &file.path);
            let section = SarifAddress {
                kind: "section",
                fully_qualified_name: format!("{path}:{section}"),
                absolute_address: None,
                offset_from_parent: None,
                parent_index: None,
            };
            let known = self.addresses.iter().position(|address| *address == section);
            let index = known.unwrap_or_else(|| {
                self.addresses.push(section);
                self.addresses.len() - 1
            });
            (index, *offset)
        });
        SarifAddress {
            kind: "instruction",
            fully_qualified_name: address.text.clone(),
            absolute_address: address.stated.filter(|stated| *stated <= MAX_INTEGER),
            offset_from_parent: parent.map(|(_, offset)| offset),
            parent_index: parent.map(|(index, _)| index),
        }
    }

    fn code_flow(&mut self, finding: &FindingRecord) -> Option<CodeFlow> {
        let step = |step: &StepRecord| {
            let address = self.address(&step.address, finding.file_index);
            let source = step.source.as_ref().and_then(|source| self.source(source));
            let binary = || PhysicalLocation {
                artifact_location: self.target(finding.file_index),
                region: None,
                address: Some(address),
            };
            ThreadFlowLocation {
                location: Location {
                    id: None,
                    physical_location: source.unwrap_or_else(binary),
                    logical_locations: vec![function(&step.function)],
                    message: Some(LocationMessage { text: step_text(step) }),
                },
                kinds: [kind(step.role)],
                importance: if step.role == Role::Call { "important" } else { "essential" },
                properties: json!({
                    "address": step.address.text,
                    "evidence": step.evidence.map(Evidence::name),
                }),
            }
        };
        let locations: Vec<ThreadFlowLocation> = finding.witness.iter().map(step).collect();
        (!locations.is_empty()).then_some(CodeFlow { thread_flows: [ThreadFlow { locations }] })
    }

    fn notifications(&self, document: &LintDocument) -> Vec<Notification> {
        let mut all = Vec::new();
        let mut notify = |level, file: &LintedFile, text: &str| {
            let artifact_location = ArtifactLocation { uri: self.uri(&file.path), index: None };
            let physical_location =
                PhysicalLocation { artifact_location, region: None, address: None };
            let location = Location {
                id: None,
                physical_location,
                logical_locations: Vec::new(),
                message: None,
            };
            all.push(Notification { level, message: message(text), locations: vec![location] });
        };
        for file in &document.files {
            file.error.iter().for_each(|error| notify("error", file, error));
            let caps = file.coverage.iter().flat_map(|coverage| &coverage.caps);
            caps.for_each(|cap| notify("warning", file, cap));
            let warnings = file.model_warnings.iter().chain(&file.warnings);
            warnings.for_each(|warning| notify("warning", file, warning));
            match file.applicable {
                None if file.error.is_none() => {
                    notify("note", file, "not applicable: the rules are for arm64");
                }
                Some(false) => notify("note", file, "not applicable: it patches no code"),
                _ => {}
            }
        }
        let unused = document.unused_suppressions.iter().map(|unused| Notification {
            level: "warning",
            message: Message { text: format!("suppression {}: matches no finding", unused.text) },
            locations: Vec::new(),
        });
        all.extend(unused);
        all
    }
}

fn function(symbol: &str) -> LogicalLocation {
    let path = demangled(symbol);
    let decorated_name = path.is_some().then(|| symbol.to_owned());
    let name = path.unwrap_or_else(|| symbol.to_owned());
    LogicalLocation { name, decorated_name, kind: "function" }
}

/// The message of a result, with the functions affected and why it is tolerated.
fn text(finding: &FindingRecord) -> String {
    let mut text = format!("{}.", with_paths(finding.message.trim_end_matches('.')));
    let affected = &finding.affected;
    if affected.functions > 0 {
        text += &format!(
            " Affected: {}, {} of them exported and {}.",
            count(affected.functions, "function"),
            grouped(affected.exported),
            count(affected.system_calls, "system call")
        );
    }
    if let Some(reason) = &finding.tolerated {
        text += &format!(" Tolerated: {reason}");
    }
    text
}

fn suppression(finding: &FindingRecord) -> Option<Suppression> {
    (finding.suppressed == Some(Suppressed::Config)).then(|| Suppression {
        kind: "external",
        status: "accepted",
        justification: finding.reason.clone().unwrap_or_default(),
    })
}

fn baseline_state(finding: &FindingRecord) -> Option<&'static str> {
    match (finding.baseline, finding.against) {
        (Some(BaselineState::New), _) | (None, Some(Compared::Lost)) => Some("new"),
        (Some(BaselineState::Unchanged), _) | (None, Some(Compared::Both)) => Some("unchanged"),
        (None, Some(Compared::Gained) | None) => None,
    }
}

fn kind(role: Role) -> &'static str {
    match role {
        Role::Entry => "enter",
        Role::Call => "call",
        Role::Patch => "danger",
        Role::Sync => "caution",
        Role::Exit => "return",
    }
}

fn step_text(step: &StepRecord) -> String {
    let (function, address) = (with_paths(&step.function), &step.address.text);
    let callee = step.callee.as_deref().map(with_paths);
    match (step.role, callee) {
        (Role::Entry, Some(callee)) => {
            format!("{function} can be entered; it calls {callee} ({address})")
        }
        (Role::Entry, None) => format!("{function} can be entered ({address})"),
        (Role::Call, Some(callee)) => format!("{function} calls {callee} ({address})"),
        (Role::Call, None) => format!("{function} makes a call ({address})"),
        (Role::Patch, Some(callee)) => format!("{function} patches by {callee} ({address})"),
        (Role::Patch, None) => format!("{function} patches ({address})"),
        (Role::Sync, Some(callee)) => {
            format!("{function} synchronises by {callee}, which is not enough here ({address})")
        }
        (Role::Sync, None) => {
            format!("{function} synchronises, which is not enough here ({address})")
        }
        (Role::Exit, _) => format!("{function} returns without a synchronisation ({address})"),
    }
}
