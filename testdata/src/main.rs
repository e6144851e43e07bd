//! `jlctl-testdata`: makes the demo image and fetches real ones.

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use jlctl_testdata::corpus::{self, Image};
use jlctl_testdata::demo;
use std::fs;
use std::path::{Path, PathBuf};

/// Test data of jlctl.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Write the demo image.
    Demo {
        /// Where to, instead of the committed image.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Fetch real images through the machine's apt, all unless named.
    Fetch {
        /// Images, as `list` names them.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// List the real images and where they are.
    List,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Action::Demo { output } => write_demo(output),
        Action::Fetch { names } => fetch(&names),
        Action::List => {
            list();
            Ok(())
        }
    }
}

fn write_demo(output: Option<PathBuf>) -> anyhow::Result<()> {
    let committed = || Path::new(env!("CARGO_MANIFEST_DIR")).join(demo::COMMITTED);
    let path = output.unwrap_or_else(committed);
    fs::write(&path, demo::vmlinux())
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}

fn fetch(names: &[String]) -> anyhow::Result<()> {
    let images = if names.is_empty() {
        Image::ALL.to_vec()
    } else {
        names.iter().map(|name| image(name)).collect::<anyhow::Result<_>>()?
    };
    corpus::fetch(&images, &mut |step| eprintln!("{step}"))?;
    for image in images {
        let path = corpus::path(image)
            .with_context(|| format!("{} has disappeared from the cache", image.name()))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn image(name: &str) -> anyhow::Result<Image> {
    if let Some(image) = Image::from_name(name) {
        return Ok(image);
    }
    let known = Image::ALL.map(Image::name).join(", ");
    bail!("no image is called {name:?}; there are {known}");
}

fn list() {
    for image in Image::ALL {
        let source = corpus::version(image).unwrap_or_else(|| image.package());
        let path = corpus::path(image);
        let place = path.map_or("not fetched".to_owned(), |path| path.display().to_string());
        println!("{}\t{source}\t{place}", image.name());
    }
}
