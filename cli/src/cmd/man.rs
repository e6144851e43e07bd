//! `jlctl man`: manual pages by clap_mangen.

use crate::args::{Cli, Man};
use crate::exit::{Kind, Outcome, failure};
use clap::CommandFactory as _;

pub(crate) fn run(args: &Man) -> anyhow::Result<Outcome> {
    let cannot = |error: std::io::Error| {
        failure(Kind::System, format!("{}: cannot write manual pages: {error}", args.dir.display()))
    };
    for (name, page) in pages().map_err(cannot)? {
        std::fs::write(args.dir.join(name), page).map_err(cannot)?;
    }
    Ok(Outcome::Clean)
}

/// File name and content of each page: `jlctl.1`, `jlctl-inspect.1`, …
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    // No date: the pages are committed and must not change with the day.
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let mut pages = vec![page(&command, "jlctl")?];
    for subcommand in command.get_subcommands() {
        pages.push(page(subcommand, &format!("jlctl-{}", subcommand.get_name()))?);
    }
    Ok(pages)
}

fn page(command: &clap::Command, name: &str) -> std::io::Result<(String, Vec<u8>)> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(name.to_owned())
        .source(concat!("jlctl ", env!("CARGO_PKG_VERSION")))
        .manual("jlctl manual")
        .render(&mut page)?;
    Ok((format!("{name}.1"), page))
}
