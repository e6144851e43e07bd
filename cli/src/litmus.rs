//! Litmus files read and judged in parallel.

use crate::progress::Progress;
use jlctl_patch_engine::simulate::explore::Bounds;
use jlctl_patch_engine::simulate::litmus::{Answer, Judged, Litmus};
use jlctl_patch_engine::simulate::machine::{CacheType, RuleSet};
use rayon::prelude::*;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// Most bytes of a litmus file.
const MAX_BYTES: u64 = 1 << 20;

/// What came of one file.
pub(crate) struct LitmusFile {
    pub(crate) path: PathBuf,
    pub(crate) result: Result<LitmusResult, String>,
}

/// What came of a test.
pub(crate) struct LitmusResult {
    pub(crate) name: String,
    pub(crate) pes: usize,
    pub(crate) verdicts: Vec<(CacheType, Judged)>,
}

impl LitmusFile {
    /// Whether every question has an answer.
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
