//! Which packages of the workspace a package may depend on.

use crate::violation::Violation;
use std::collections::BTreeMap;

const DIRECTION: &str = "packages depend on each other in one direction";
const TYPED: &str = "libraries have typed errors, not anyhow";

/// What is shipped: each may depend on those before it.
const SHIPPED: [&str; 4] = ["runtime-shim", "analyzer", "patch-engine", "cli"];
/// Test data: packages here may depend on each other and on the ABI.
const TESTDATA: &str = "testdata/";

/// A package of the workspace.
#[derive(Debug, Clone)]
pub struct Package {
    /// From the workspace's root.
    pub folder: String,
    pub name: String,
    /// The text of `Cargo.toml`.
    pub text: String,
    pub manifest: toml::Table,
}

/// A kind of dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Of the library or program, or of its build.
    Shipped,
    /// Of tests, benchmarks and examples alone.
    Tests,
}

impl Package {
    /// Reads the manifest of the package in `folder`.
    ///
    /// # Errors
    /// If the manifest is not TOML or has no name.
    pub fn new(folder: &str, text: &str) -> Result<Self, String> {
        let manifest: toml::Table =
            text.parse().map_err(|error| format!("{folder}/Cargo.toml: {error}"))?;
        let name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
        let name = name.ok_or_else(|| format!("{folder}/Cargo.toml: the package has no name"))?;
        let (folder, name, text) = (folder.to_owned(), name.to_owned(), text.to_owned());
        Ok(Self { folder, name, text, manifest })
    }

    /// The dependencies, with those of single targets.
    fn dependencies(&self) -> Vec<(Kind, &str)> {
        let targets = self.manifest.get("target").and_then(toml::Value::as_table);
        let of_targets = targets.into_iter().flat_map(toml::Table::values);
        let tables =
            std::iter::once(&self.manifest).chain(of_targets.filter_map(toml::Value::as_table));
        let mut found = Vec::new();
        for table in tables {
            for (name, kind) in [
                ("dependencies", Kind::Shipped),
                ("build-dependencies", Kind::Shipped),
                ("dev-dependencies", Kind::Tests),
            ] {
                let of_kind = table.get(name).and_then(toml::Value::as_table);
                let names = of_kind.into_iter().flat_map(toml::Table::keys);
                found.extend(names.map(|name| (kind, name.as_str())));
            }
        }
        found
    }

    /// The line of the manifest that names a dependency.
    fn line_of(&self, dependency: &str) -> usize {
        let names = |line: &str| {
            let line = line.trim_start_matches(['[', '"', ' ']);
            let name = line.split(['=', '.', ']', '"', ' ']).next();
            name == Some(dependency) || line.ends_with(&format!("dependencies.{dependency}]"))
        };
        self.text.lines().position(names).map_or(1, |at| at + 1)
    }
}

/// Dependencies that the packages must not have.
#[must_use]
pub fn check(packages: &[Package]) -> Vec<Violation> {
    let folders: BTreeMap<&str, &str> =
        packages.iter().map(|package| (&*package.name, &*package.folder)).collect();
    let mut found = Vec::new();
    for package in packages {
        for (kind, name) in package.dependencies() {
            let rule = match folders.get(name) {
                Some(on) if !may_depend(&package.folder, on, kind) => DIRECTION,
                None if name == "anyhow" && !has_programs(&package.folder) => TYPED,
                _ => continue,
            };
            found.push(Violation {
                path: format!("{}/Cargo.toml", package.folder),
                line: package.line_of(name),
                rule,
                what: format!("{} must not depend on {name}", package.folder),
            });
        }
    }
    found
}

fn may_depend(from: &str, on: &str, kind: Kind) -> bool {
    let rank = |folder: &str| {
        let top = folder.split('/').next().unwrap_or(folder);
        SHIPPED.iter().position(|shipped| *shipped == top)
    };
    match (rank(from), rank(on)) {
        (Some(from), Some(on)) => on <= from,
        // Only tests use the test data.
        (Some(_), None) => kind == Kind::Tests,
        (None, Some(on)) => on == 0 || kind == Kind::Tests,
        (None, None) => true,
    }
}

fn has_programs(folder: &str) -> bool {
    folder == "cli" || folder.starts_with(TESTDATA)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(folder: &str, dependencies: &str) -> Vec<usize> {
        let name = |folder: &str| format!("jlctl-{}", folder.replace('/', "-"));
        let manifest = |of: &str| {
            let dependencies = if of == folder { dependencies } else { "" };
            let text = format!("[package]\nname = \"{}\"\n{dependencies}", name(of));
            Package::new(of, &text).expect("the manifest is sound")
        };
        let folders =
            ["runtime-shim", "analyzer", "patch-engine", "cli", "testdata/a64", "testdata/vm"];
        let packages: Vec<Package> = folders.into_iter().map(manifest).collect();
        check(&packages).into_iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn the_wrong_direction_is_found() {
        let text = "[dependencies]\njlctl-analyzer.workspace = true\nobject = \"1\"\n";
        for (folder, found) in [
            ("patch-engine", &[][..]),
            ("cli", &[]),
            ("runtime-shim", &[4]),
            ("testdata/a64", &[4]),
            ("testdata/vm", &[4]),
        ] {
            assert_eq!(lines(folder, text), found, "{folder}");
        }
        assert_eq!(lines("testdata/vm", "[dependencies]\njlctl-testdata-a64 = \"1\"\n"), []);
    }

    #[test]
    fn only_tests_may_use_the_test_data() {
        let text = "[dev-dependencies]\njlctl-testdata-a64 = { path = \"../testdata/a64\" }\n\
            [dependencies.jlctl-testdata-a64]\nworkspace = true\n";
        assert_eq!(lines("cli", text).len(), 1);
        let text = "[target.'cfg(unix)'.dependencies]\njlctl-testdata-a64.workspace = true\n";
        assert_eq!(lines("cli", text), [4]);
        let text = "[dev-dependencies]\njlctl-testdata-a64.workspace = true\n";
        assert_eq!(lines("cli", text), []);
    }

    #[test]
    fn anyhow_is_for_programs() {
        let text = "[dependencies]\nanyhow.workspace = true\n";
        assert_eq!((lines("cli", text), lines("analyzer", text)), (vec![], vec![4]));
    }
}
