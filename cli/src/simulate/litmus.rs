//! Litmus tests: read and judged in parallel, with one line or object for each test and cache type.

use super::json::SCHEMA;
use crate::terminal::progress::Progress;
use crate::terminal::style::printable;
use jlctl_patch_engine::simulate::explore::Bounds;
use jlctl_patch_engine::simulate::litmus::{Answer, Judged, Litmus};
use jlctl_patch_engine::simulate::machine::{CacheType, RuleSet};
use rayon::prelude::*;
use serde::Serialize;
use std::io::{Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Maximum size of a litmus file in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// The result of one file.
pub(crate) struct LitmusFile {
    pub(crate) path: PathBuf,
    pub(crate) result: Result<LitmusResult, String>,
}

/// The result of a test.
pub(crate) struct LitmusResult {
    pub(crate) name: String,
    pub(crate) pes: usize,
    pub(crate) verdicts: Vec<(CacheType, Judged)>,
}

impl LitmusFile {
    /// Whether every cache type has a verdict.
    pub(crate) fn is_answered(&self) -> bool {
        self.result.as_ref().is_ok_and(|test| {
            test.verdicts.iter().all(|(_, judged)| !matches!(judged.answer, Answer::Unknown(_)))
        })
    }
}

/// Judges all files, in their order.
pub(crate) fn judge(
    paths: &[PathBuf],
    caches: Option<&[CacheType]>,
    bounds: Bounds,
    cancel: &AtomicBool,
    progress: &Progress,
) -> Vec<LitmusFile> {
    progress.phase("judge the litmus tests", paths.len(), |done| {
        let one = |path: &PathBuf| {
            let result = judge_one(path, caches, bounds, cancel);
            done(1);
            LitmusFile { path: path.clone(), result }
        };
        paths.par_iter().map(one).collect()
    })
}

fn judge_one(
    path: &Path,
    caches: Option<&[CacheType]>,
    bounds: Bounds,
    cancel: &AtomicBool,
) -> Result<LitmusResult, String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| format!("cannot read the litmus test: {error}"))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("expected a litmus test of at most {MAX_BYTES} bytes, found more"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|error| format!("expected UTF-8: {error}"))?;
    let test = Litmus::parse(text).map_err(|error| error.to_string())?;
    let own = test.cache.map_or(CacheType::ALL.to_vec(), |cache| vec![cache]);
    let caches = caches.map_or(own, <[CacheType]>::to_vec);
    let judge = |cache| {
        let judged = test.judge(cache, RuleSet::all(), bounds, cancel);
        judged.map(|judged| (cache, judged)).map_err(|error| error.to_string())
    };
    let verdicts = caches.into_iter().map(judge).collect::<Result<_, _>>()?;
    Ok(LitmusResult { name: test.name.clone(), pes: test.pes(), verdicts })
}

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
struct LitmusDocument<'a> {
    schema: &'static str,
    /// False if the exploration was interrupted.
    complete: bool,
    litmus: Vec<LitmusRecord<'a>>,
}

#[derive(Serialize)]
struct LitmusRecord<'a> {
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
    /// Why the verdict is unknown.
    incomplete: Option<&'static str>,
    states: u64,
    /// Whether the test modifies words while they execute that the architecture does not allow to
    /// be modified so.
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
        .map(|file| LitmusRecord {
            path: file.path.display().to_string(),
            name: file.result.as_ref().ok().map(|test| test.name.as_str()),
            pes: file.result.as_ref().ok().map(|test| test.pes),
            error: file.result.as_ref().err().map(String::as_str),
            verdicts: record(file),
        })
        .collect();
    serde_json::to_writer_pretty(
        &mut *out,
        &LitmusDocument { schema: SCHEMA, complete: !is_partial, litmus },
    )?;
    Ok(writeln!(out)?)
}
