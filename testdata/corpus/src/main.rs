//! `jlctl-corpus`: fetches and lists real kernels and programs.

use anyhow::{Context, anyhow};
use clap::{Parser, Subcommand};
use jlctl_corpus::{self as corpus, Binary, Image};
use std::path::PathBuf;

/// Real kernels and programs for the tests of jlctl.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Fetch real images through the machine's apt: all, or those named.
    Fetch {
        /// Images, as `list` names them.
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },
    /// List the real images and their paths.
    List,
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Action::Fetch { names } => fetch(&names),
        Action::List => {
            list();
            Ok(())
        }
    }
}

fn fetch(names: &[String]) -> anyhow::Result<()> {
    let (mut images, mut binaries) = (Vec::new(), Vec::new());
    for name in names {
        match (Image::from_name(name), Binary::from_name(name)) {
            (Some(image), _) => images.push(image),
            (None, Some(binary)) => binaries.push(binary),
            (None, None) => return Err(unknown(name)),
        }
    }
    if names.is_empty() {
        (images, binaries) = (Image::ALL.to_vec(), Binary::ALL.to_vec());
    }
    let mut progress = |step: &str| eprintln!("{step}");
    let kernels = corpus::fetch(&images, &mut progress);
    let programs = corpus::fetch_binaries(&binaries, &mut progress);
    kernels?;
    programs?;
    let paths = images.into_iter().map(|image| (image.name(), corpus::path(image)));
    let others = binaries.into_iter().map(|binary| (binary.name(), corpus::binary_path(binary)));
    for (name, path) in paths.chain(others) {
        let path = path.with_context(|| format!("{name} is no longer in the cache"))?;
        println!("{}", path.display());
    }
    Ok(())
}

fn unknown(name: &str) -> anyhow::Error {
    let known = Image::ALL.map(Image::name).into_iter().chain(Binary::ALL.map(Binary::name));
    let known: Vec<&str> = known.collect();
    anyhow!("no image has the name {name:?}; the names are {}", known.join(", "))
}

fn list() {
    let line = |name: &str, source: String, path: Option<PathBuf>| {
        let location = path.map_or("not fetched".to_owned(), |path| path.display().to_string());
        println!("{name}\t{source}\t{location}");
    };
    for image in Image::ALL {
        let source = corpus::version(image).unwrap_or_else(|| image.package());
        line(image.name(), source, corpus::path(image));
    }
    for binary in Binary::ALL {
        let source = corpus::binary_version(binary).unwrap_or_else(|| binary.package().to_owned());
        line(binary.name(), source, corpus::binary_path(binary));
    }
}
