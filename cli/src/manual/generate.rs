//! `jlctl man` and `jlctl completions`: pages by clap_mangen, scripts by clap_complete.

use super::sections;
use crate::args::{Completions, Global, Man};
use crate::terminal::exit::{Kind, Outcome, failure};
use crate::terminal::output;
use clap_mangen::roff::{Roff, bold, roman};

/// The pages that are written by hand in `man/src/`, rendered: file name and content.
const WRITTEN: [(&str, &str); 7] = [
    ("jlctl-formats.5", include_str!("../../../man/jlctl-formats.5")),
    ("jlctl-glossary.7", include_str!("../../../man/jlctl-glossary.7")),
    ("jlctl-guide.7", include_str!("../../../man/jlctl-guide.7")),
    ("jlctl-lint-rules.7", include_str!("../../../man/jlctl-lint-rules.7")),
    ("jlctl-names.7", include_str!("../../../man/jlctl-names.7")),
    ("jlshim.3", include_str!("../../../man/jlshim.3")),
    ("jlshim.7", include_str!("../../../man/jlshim.7")),
];

pub(crate) fn man(args: &Man) -> anyhow::Result<Outcome> {
    let cannot = |error: std::io::Error| {
        failure(Kind::System, format!("{}: cannot write manual pages: {error}", args.dir.display()))
    };
    for (name, page) in pages().map_err(cannot)? {
        std::fs::write(args.dir.join(name), page).map_err(cannot)?;
    }
    Ok(Outcome::Clean)
}

/// File name and content of each page: `jlctl.1`, `jlctl-inspect.1`, `jlctl-ctl-list.1`, …,
/// and those that are written by hand.
fn pages() -> std::io::Result<Vec<(String, Vec<u8>)>> {
    let mut command = sections::command().disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    add_pages(&command, "jlctl", &mut pages)?;
    pages.extend(WRITTEN.map(|(name, page)| (name.to_owned(), page.as_bytes().to_vec())));
    Ok(pages)
}

/// Adds the page of a command, and the pages of its subcommands.
fn add_pages(
    command: &clap::Command,
    name: &str,
    pages: &mut Vec<(String, Vec<u8>)>,
) -> std::io::Result<()> {
    pages.push(page(command, name)?);
    let mut subcommands = command.get_subcommands();
    subcommands.try_for_each(|sub| add_pages(sub, &format!("{name}-{}", sub.get_name()), pages))
}

fn page(command: &clap::Command, name: &str) -> std::io::Result<(String, Vec<u8>)> {
    let mut page = Vec::new();
    // The sections below replace the help texts made from them. The page has no date: pages are
    // committed, and must not change from day to day.
    let bare = command.clone().after_long_help("").after_help("");
    let man = clap_mangen::Man::new(bare.bin_name(invocation(command)))
        .title(name.to_owned())
        .source(concat!("jlctl ", env!("CARGO_PKG_VERSION")))
        .manual("jlctl manual");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    for section in sections::sections_of(command.get_name()) {
        let mut roff = Roff::new();
        roff.control("SH", [section.heading.to_uppercase().as_str()]);
        for (term, text) in section.items {
            roff.control("TP", []).text([bold(term)]).text([roman(text)]);
        }
        roff.to_writer(&mut page)?;
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(sections::see_also(command.get_name()).join(", "))]);
    roff.to_writer(&mut page)?;
    Ok((format!("{name}.1"), page))
}

/// The invocation of a command, up to its own options: `jlctl ctl <PID> enable`.
fn invocation(command: &clap::Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    usage.split(" [").next().unwrap_or(usage).to_owned()
}

pub(crate) fn completions(global: &Global, args: &Completions) -> anyhow::Result<Outcome> {
    // The generator panics if a write fails; a write to memory does not.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut sections::command(), "jlctl", &mut script);
    output::write_result(global, |sink| Ok(sink.writer.write_all(&script)?))?;
    Ok(Outcome::Clean)
}
