//! `jlctl link`: adds the runtime to a finished program, or removes it.

use super::report::{Done, write};
use crate::args::Global;
use crate::args::Link;
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::output;
use crate::terminal::progress::Progress;
use jlctl_patch_engine::apply::Durability;
use jlctl_patch_engine::link::{self, LinkOptions, SONAME};
use std::path::{Path, PathBuf};

pub(crate) fn run(global: &Global, args: &Link) -> anyhow::Result<Outcome> {
    let Some(out) = &global.output else {
        return Err(failure(
            Kind::Usage,
            "expected -o OUT: the file that the result is written to",
        ));
    };
    let progress = Progress::new(global);
    let durability = if args.sync { Durability::Disk } else { Durability::Cache };
    let done = if args.remove {
        let report = progress
            .phase("take the link out", 1, |_| link::remove(&args.image, out, durability))?;
        Done::removed(&args.image, out, &report)
    } else {
        let options = LinkOptions {
            shim: shim(args.shim.as_deref())?,
            runpath: args.runpath.clone(),
            sync_icache: args.sync_icache,
            durability,
        };
        let report = progress.phase("link", 1, |_| link::link(&args.image, out, &options))?;
        Done::linked(&args.image, out, args.sync_icache, &report)
    };
    // The result goes to OUT, the report to standard output.
    let report_to = Global { output: None, ..*global };
    output::write_result(&report_to, |sink| write(&done, args.format, sink))?;
    Ok(Outcome::Clean)
}

/// The requested library, or the one installed with jlctl.
fn shim(asked: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = asked {
        return Ok(path.to_owned());
    }
    let own = std::env::current_exe().ok();
    let prefix = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    let library = prefix.map(|prefix| prefix.join("lib").join(SONAME));
    library.filter(|path| path.exists()).ok_or_else(|| {
        failure(
            Kind::Refused,
            format!(
                "expected {SONAME} in ../lib beside jlctl's own directory, found none: name it with \
                 --shim; `runtime-shim/install PREFIX TARGET` builds it for a machine"
            ),
        )
    })
}
