//! `jlctl completions`: scripts by clap_complete.

use crate::args::{Completions, Global};
use crate::exit::Outcome;
use crate::manual;
use crate::output;

pub(crate) fn run(global: &Global, args: &Completions) -> anyhow::Result<Outcome> {
    // The generator takes a failed write for a bug; memory does not fail.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut manual::command(), "jlctl", &mut script);
    output::write_result(global, |sink| Ok(sink.writer.write_all(&script)?))?;
    Ok(Outcome::Clean)
}
