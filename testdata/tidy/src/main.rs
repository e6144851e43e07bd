//! Prints what breaks a rule of the architecture, or the layers of all folders.

use jlctl_tidy::workspace::{Workspace, root};
use jlctl_tidy::{circles, imports};
use std::io::Write as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    let workspace = match Workspace::read(&root()) {
        Ok(workspace) => workspace,
        Err(error) => {
            eprintln!("jlctl-tidy: {error}");
            return ExitCode::from(3);
        }
    };
    let is_layers = std::env::args().nth(1).as_deref() == Some("layers");
    let violations = if is_layers { Vec::new() } else { workspace.check() };
    let lines: Vec<String> = match is_layers {
        true => layers(&workspace),
        false => violations.iter().map(ToString::to_string).collect(),
    };
    // A reader that goes away ends the output, not the verdict.
    let mut stdout = std::io::stdout().lock();
    let _ = lines.iter().try_for_each(|line| writeln!(stdout, "{line}"));
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A line for each folder: its layers, from the lowest.
fn layers(workspace: &Workspace) -> Vec<String> {
    let of_crate = |of| circles::layers(of, &imports::arrows(of));
    let all = workspace.crates.iter().flat_map(of_crate);
    all.map(|(path, layers)| {
        let layers: Vec<String> = layers.iter().map(|layer| layer.join(" ")).collect();
        format!("{path}: {}", layers.join(" < "))
    })
    .collect()
}
