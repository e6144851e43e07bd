//! Litmus tests: a line or an object for each and each cache type.

use super::SCHEMA;
use crate::litmus::LitmusFile;
use crate::report::style::printable;
use jlctl_patch_engine::simulate::litmus::Answer;
use serde::Serialize;
use std::io::Write;

/// NAME, CACHE, verdict and states, with tabs between them.
pub(super) fn text(files: &[LitmusFile], out: &mut dyn Write) -> anyhow::Result<()> {
    for test in files.iter().filter_map(|file| file.result.as_ref().ok()) {
        for (cache, judged) in &test.verdicts {
            let (name, cache) = (printable(&test.name), cache.name());
            writeln!(out, "{name}\t{cache}\t{}\t{}", judged.answer.name(), judged.states)?;
        }
    }
    Ok(())
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    /// False if the exploration was interrupted.
    complete: bool,
    litmus: Vec<Record<'a>>,
}

#[derive(Serialize)]
struct Record<'a> {
    path: String,
    name: Option<&'a str>,
    pes: Option<usize>,
    /// Why there is no verdict.
    error: Option<&'a str>,
    verdicts: Vec<VerdictRecord>,
}

#[derive(Serialize)]
struct VerdictRecord {
    cache: &'static str,
    verdict: &'static str,
    /// Why it is unknown.
    incomplete: Option<&'static str>,
    states: u64,
    /// Words are modified while they execute that may not be.
    unpredictable: bool,
}

pub(super) fn json(
    files: &[LitmusFile],
    is_partial: bool,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let record = |file: &'_ LitmusFile| -> Vec<VerdictRecord> {
        let verdicts = file.result.as_ref().map_or(&[][..], |test| &test.verdicts);
        verdicts
            .iter()
            .map(|(cache, judged)| VerdictRecord {
                cache: cache.name(),
                verdict: judged.answer.name(),
                incomplete: match judged.answer {
                    Answer::Unknown(why) => Some(why.text()),
                    _ => None,
                },
                states: judged.states,
                unpredictable: judged.unpredictable,
            })
            .collect()
    };
    let litmus = files
        .iter()
        .map(|file| Record {
            path: file.path.display().to_string(),
            name: file.result.as_ref().ok().map(|test| test.name.as_str()),
            pes: file.result.as_ref().ok().map(|test| test.pes),
            error: file.result.as_ref().err().map(String::as_str),
            verdicts: record(file),
        })
        .collect();
    serde_json::to_writer_pretty(
        &mut *out,
        &Document { schema: SCHEMA, complete: !is_partial, litmus },
    )?;
    Ok(writeln!(out)?)
}
