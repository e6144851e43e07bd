//! The workspace as the rules read it.

use crate::manifest::{self, Package};
use crate::modules::Crate;
use crate::source::Source;
use crate::violation::Violation;
use crate::{circles, confinement, imports, names, prose};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the workspace that this package is in.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A workspace.
pub struct Workspace {
    pub packages: Vec<Package>,
    /// All Rust files of the packages, tests and examples too.
    pub sources: Vec<Source>,
    /// All libraries and programs.
    pub crates: Vec<Crate>,
    /// Path and text of what people read: the Rust files and the documents.
    pub texts: Vec<(String, String)>,
}

impl Workspace {
    /// Reads the workspace in `root`.
    ///
    /// # Errors
    /// If a file cannot be read, or is not what its name says.
    pub fn read(root: &Path) -> Result<Self, String> {
        let read = |path: &str| fs::read_to_string(root.join(path)).ok();
        let demand = |path: &str| read(path).ok_or_else(|| format!("{path}: cannot be read"));
        let manifest: toml::Table =
            demand("Cargo.toml")?.parse().map_err(|error| format!("Cargo.toml: {error}"))?;
        let members = manifest.get("workspace").and_then(|all| all.get("members")?.as_array());
        let members: Vec<&str> =
            members.into_iter().flatten().filter_map(toml::Value::as_str).collect();
        let package =
            |folder: &&str| Package::new(folder, &demand(&format!("{folder}/Cargo.toml"))?);
        let packages: Vec<Package> = members.iter().map(package).collect::<Result<_, _>>()?;
        let mut paths = Vec::new();
        collect(root, Path::new(""), &mut paths)?;
        let is_ours =
            |path: &&String| members.iter().any(|member| path.starts_with(&format!("{member}/")));
        let rust = |path: &&String| path.ends_with(".rs");
        let sources = paths.iter().filter(rust).filter(is_ours);
        let sources = sources.map(|path| Source::new(path, &demand(path)?));
        let sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
        let mut crates = Vec::new();
        for root in packages.iter().flat_map(|package| roots(package, &paths)) {
            crates.push(Crate::read(&root, &read)?);
        }
        let texts = paths.iter().map(|path| Ok((path.clone(), demand(path)?)));
        let texts = texts.collect::<Result<_, String>>()?;
        Ok(Self { packages, sources, crates, texts })
    }

    /// All that breaks a rule.
    #[must_use]
    pub fn check(&self) -> Vec<Violation> {
        let mut found = manifest::check(&self.packages);
        found.extend(self.sources.iter().flat_map(confinement::check));
        found.extend(self.sources.iter().flat_map(confinement::check_unsafe));
        for of in &self.crates {
            found.extend(circles::check(of, &imports::arrows(of)));
            found.extend(names::check(of));
        }
        // The list of phrases itself has them all.
        let is_read = |path: &str| !path.ends_with("tidy/src/prose.rs");
        let texts = self.texts.iter().filter(|(path, _)| is_read(path));
        found.extend(texts.flat_map(|(path, text)| prose::check(path, text)));
        found.sort();
        found
    }
}

/// The files that crates of a package begin with: its library and its programs.
fn roots(package: &Package, paths: &[String]) -> Vec<String> {
    let declared = |table: &str| {
        let value = package.manifest.get(table);
        let tables = value.and_then(toml::Value::as_array).cloned();
        let tables = tables.unwrap_or_else(|| value.cloned().into_iter().collect());
        tables.into_iter().filter_map(|table| Some(table.get("path")?.as_str()?.to_owned()))
    };
    let usual = ["src/lib.rs", "src/main.rs"].map(str::to_owned);
    let all = usual.into_iter().chain(declared("lib")).chain(declared("bin"));
    let mut found: Vec<String> = all
        .map(|path| format!("{}/{path}", package.folder))
        .filter(|path| paths.contains(path))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The Rust files and documents below `folder`.
fn collect(root: &Path, folder: &Path, paths: &mut Vec<String>) -> Result<(), String> {
    let entries = fs::read_dir(root.join(folder))
        .map_err(|error| format!("{}: cannot be listed: {error}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| format!("{}: {error}", folder.display()))?;
        names.push(entry.file_name());
    }
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let is_hidden = name.as_encoded_bytes().starts_with(b".");
        if root.join(&path).is_dir() {
            if name != "target" && !is_hidden {
                collect(root, &path, paths)?;
            }
        } else if path.extension().is_some_and(|end| end == "rs" || end == "md") {
            let path = path.to_str().ok_or_else(|| format!("{}: not UTF-8", path.display()))?;
            paths.push(path.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, since to read the workspace takes longer than to check it.
    #[test]
    fn the_workspace_breaks_no_rule() {
        let workspace = Workspace::read(&root()).expect("the workspace is sound");
        let files: usize = workspace.crates.iter().map(|of| of.files.len()).sum();
        let packages = workspace.packages.len();
        assert!(packages > 8 && files > 400, "{packages} packages, {files} files of crates");
        assert_eq!(files_outside(&workspace), [""; 0], "files that no root leads to");
        let found: Vec<String> = workspace.check().iter().map(ToString::to_string).collect();
        assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
    }

    /// Shipped files that are no module of any crate, so that no rule of crates sees them.
    fn files_outside(workspace: &Workspace) -> Vec<&str> {
        let is_read = |path: &str| {
            let is_file = |of: &Crate| of.files.iter().any(|file| file.path == path);
            let is_test = |of: &Crate| of.tests.iter().any(|test| test == path);
            workspace.crates.iter().any(|of| is_file(of) || is_test(of))
        };
        let shipped = workspace
            .sources
            .iter()
            .filter(|source| source.is_in_src() && !source.shipped.is_empty());
        shipped.map(|source| &*source.path).filter(|path| !is_read(path)).collect()
    }
}
