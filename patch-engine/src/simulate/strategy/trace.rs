//! An execution as a list of steps.

use super::class::{Class, word_name};
use super::programs::RETURNED;
use crate::simulate::explore::History;
use crate::simulate::insn::ContextSync;
use crate::simulate::machine::{CacheType, Event};
use crate::simulate::program::ModelProgram;

/// The meaning of a step for the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// The call returns.
    Returned,
    /// A stale word is fetched.
    Fetched,
    /// A stale word is executed.
    Stale,
}

impl Mark {
    /// Name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Fetched => "stale-fetch",
            Self::Stale => "stale",
        }
    }
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceStep {
    /// The PE; PE 0 patches.
    pub pe: usize,
    /// The step in words.
    pub text: String,
    /// The words that the fetch could have returned.
    pub holds: Option<String>,
    /// The meaning of the step.
    pub mark: Option<Mark>,
}

/// A shortest execution that ends with a stale word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// Its steps.
    pub steps: Vec<TraceStep>,
}

pub(super) fn trace_of(
    history: History,
    program: &ModelProgram,
    class: Class,
    cache: CacheType,
) -> Trace {
    let mut steps = Vec::new();
    // Only the last step executes a stale word.
    for (pe, event) in history {
        let (text, holds, mark) = step(event, program, class, cache);
        steps.push(TraceStep { pe, text, holds, mark });
        if mark == Some(Mark::Stale) {
            break;
        }
    }
    mark_fetch(&mut steps);
    Trace { steps }
}

/// Marks the fetch of the word that the last step executes.
fn mark_fetch(steps: &mut [TraceStep]) {
    let Some((last, before)) = steps.split_last_mut() else { return };
    let fetched = last.text.replacen("executes", "fetches", 1);
    let fetch = before.iter_mut().rev().find(|step| step.pe == last.pe && step.text == fetched);
    if let Some(step) = fetch {
        step.mark = Some(Mark::Fetched);
    }
}

fn step(
    event: Event,
    program: &ModelProgram,
    class: Class,
    cache: CacheType,
) -> (String, Option<String>, Option<Mark>) {
    let name = |loc: u16| {
        program.locations.get(usize::from(loc)).map_or("?", |location| location.name.as_str())
    };
    let returned = u16::try_from(program.code.len()).unwrap_or(u16::MAX).saturating_add(RETURNED);
    let mut holds = None;
    let mut mark = None;
    let text = match event {
        Event::Fetched { pc, write, choice } => {
            let all =
                (0..2).filter(|write| choice >> write & 1 == 1).map(|write| class.word(write));
            let all: Vec<String> = all.collect();
            let holder = if cache.dic() { "memory" } else { "instruction cache" };
            holds = Some(format!("{holder}: {}", all.join(", ")));
            format!("fetches {}: {}", name(pc), class.word(write))
        }
        Event::Executed { pc, write, stale } => {
            mark = stale.then_some(Mark::Stale);
            format!("executes {}: {}", name(pc), class.word(write))
        }
        Event::Loaded { loc, value, .. } => format!("reads {:?}: {value}", name(loc)),
        Event::Stored { loc, .. } if program.sites.contains(&loc) => {
            format!("STR: {} is {} now", name(loc), word_name(class.new))
        }
        Event::Stored { loc, value } => {
            mark = (loc == returned).then_some(Mark::Returned);
            format!("STR: {:?} is {value} now", name(loc))
        }
        Event::Cleaned { loc } => format!("DC CVAU: line of {} cleaned", name(loc)),
        Event::IcBegun { .. } => "IC IVAU: begins".to_owned(),
        Event::IcReached { to, .. } => format!("IC IVAU: PE {to} has lost the line"),
        Event::Synchronised { how } => match how {
            ContextSync::Isb => "ISB: fetch queue emptied",
            ContextSync::Entry => "exception entry: fetch queue emptied",
            ContextSync::Return => "exception return: fetch queue emptied",
            ContextSync::Nothing => "no context synchronisation: fetch queue stays",
        }
        .to_owned(),
        Event::Returned => {
            mark = Some(Mark::Returned);
            "the call returns".to_owned()
        }
        Event::Observed => "goes on, after the return".to_owned(),
    };
    (text, holds, mark)
}
