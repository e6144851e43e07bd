//! The sources of the machine's apt: one-line `.list` files and deb822 `.sources` files.

use crate::FetchError;
use std::fs;
use std::path::{Path, PathBuf};

/// Debian's keyring, for a source without a keyring.
const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const APT: &str = "/etc/apt";

/// One archive that apt fetches binary packages from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    uri: String,
    suites: Vec<String>,
    signed_by: Option<String>,
}

impl Source {
    /// A line of a `.list` file that fetches `suite` from this archive instead.
    pub(super) fn line(&self, suite: &str) -> String {
        let keyring = self.signed_by.as_deref().unwrap_or(DEBIAN_KEYRING);
        format!("deb [signed-by={keyring}] {} {suite} main\n", self.uri)
    }
}

/// The machine's sources, in the order in which apt reads them.
pub(super) fn read() -> Result<Vec<Source>, FetchError> {
    let mut files = vec![Path::new(APT).join("sources.list")];
    files.extend(parts(&Path::new(APT).join("sources.list.d"))?);
    let mut sources = Vec::new();
    for file in files.into_iter().filter(|file| file.is_file()) {
        let text = fs::read_to_string(&file).map_err(FetchError::io("read", &file))?;
        let deb822 = file.extension().is_some_and(|extension| extension == "sources");
        sources.extend(if deb822 { parse_deb822(&text) } else { parse_list(&text) });
    }
    Ok(sources)
}

/// The `.list` and `.sources` files of a directory, sorted.
fn parts(directory: &Path) -> Result<Vec<PathBuf>, FetchError> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let error = || FetchError::io("list", directory);
    let entries = fs::read_dir(directory).map_err(error())?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(error())?.path();
        if path.extension().is_some_and(|extension| extension == "list" || extension == "sources") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The first source of `suite`.
pub(super) fn of_suite<'a>(sources: &'a [Source], suite: &str) -> Result<&'a Source, FetchError> {
    sources
        .iter()
        .find(|source| source.suites.iter().any(|found| found == suite))
        .ok_or_else(|| FetchError::NoSource { suite: suite.to_owned() })
}

/// Debian's codename from `/etc/os-release`; an error on another system.
pub(super) fn debian_codename(os_release: &str) -> Result<String, FetchError> {
    let field = |name: &str| {
        let mut lines = os_release.lines().filter_map(|line| line.split_once('='));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"').to_owned())
    };
    match (field("ID").as_deref(), field("VERSION_CODENAME")) {
        (Some("debian"), Some(codename)) => Ok(codename),
        (Some("debian"), None) => {
            Err(FetchError::NotDebian { found: "a Debian without a release name".to_owned() })
        }
        (other, _) => {
            let found = field("PRETTY_NAME").or_else(|| other.map(str::to_owned));
            Err(FetchError::NotDebian { found: found.unwrap_or_else(|| "unknown".to_owned()) })
        }
    }
}

/// Sources of a one-line-style file: `deb [option=value …] uri suite component…`.
fn parse_list(text: &str) -> Vec<Source> {
    text.lines().filter_map(parse_list_line).collect()
}

fn parse_list_line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim();
    let rest = line.strip_prefix("deb").filter(|rest| rest.starts_with([' ', '\t', '[']))?;
    let rest = rest.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let signed_by = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    Some(Source {
        uri: uri.to_owned(),
        suites: vec![suite.to_owned()],
        signed_by: keyring(signed_by),
    })
}

/// Sources of a deb822 file: one a stanza, the first URI of each.
fn parse_deb822(text: &str) -> Vec<Source> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(parse_stanza).collect()
}

fn parse_stanza(lines: &[&str]) -> Option<Source> {
    // A line that starts with a blank continues the field above.
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in lines {
        if line.starts_with([' ', '\t']) {
            let (_, value) = fields.last_mut()?;
            value.push(' ');
            value.push_str(line.trim());
        } else {
            let (name, value) = line.split_once(':')?;
            fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    let field = |name: &str| {
        fields.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    };
    let disabled = field("enabled")
        .is_some_and(|value| ["no", "false", "0", "off", "without", "disable"].contains(&value));
    let binary = field("types")?.split_whitespace().any(|kind| kind == "deb");
    if disabled || !binary {
        return None;
    }
    Some(Source {
        uri: field("uris")?.split_whitespace().next()?.to_owned(),
        suites: field("suites")?.split_whitespace().map(str::to_owned).collect(),
        signed_by: keyring(field("signed-by")),
    })
}

/// A keyring's path; for an inline key, Debian's keyring.
fn keyring(signed_by: Option<&str>) -> Option<String> {
    signed_by.filter(|value| value.starts_with('/')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, suites: &[&str], signed_by: Option<&str>) -> Source {
        Source {
            uri: uri.to_owned(),
            suites: suites.iter().map(|&suite| suite.to_owned()).collect(),
            signed_by: signed_by.map(str::to_owned),
        }
    }

    #[test]
    fn one_line_sources() {
        let text = "# comment\ndeb-src http://a.example/debian bookworm main\n\
            deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main # note\n\
            deb\thttp://b.example/sec bookworm-security main\n\ndebris x y\n";
        let want = [
            source("http://a.example/debian", &["bookworm"], Some("/k.gpg")),
            source("http://b.example/sec", &["bookworm-security"], None),
        ];
        assert_eq!(parse_list(text), want);
    }

    #[test]
    fn deb822_sources() {
        let text = "Types: deb deb-src\n# a comment\nURIs: http://a.example/debian\n \
            http://c.example/debian\nSuites: bookworm\n bookworm-updates\nComponents: main\n\
            Signed-By: /k.gpg\n\nTypes: deb\nEnabled: no\nURIs: http://x.example\nSuites: bookworm\n\
            \n\nTypes: deb\nURIs: http://b.example/sec\nSuites: bookworm-security\nSigned-By:\n \
            -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n";
        let want = [
            source("http://a.example/debian", &["bookworm", "bookworm-updates"], Some("/k.gpg")),
            source("http://b.example/sec", &["bookworm-security"], None),
        ];
        assert_eq!(parse_deb822(text), want);
    }

    #[test]
    fn a_suite_is_replaced() {
        let sources = [source("http://a.example/debian", &["bookworm"], None)];
        let line = of_suite(&sources, "bookworm").expect("the suite is there").line("bullseye");
        assert_eq!(
            line,
            format!("deb [signed-by={DEBIAN_KEYRING}] http://a.example/debian bullseye main\n")
        );
        assert!(matches!(of_suite(&sources, "sid"), Err(FetchError::NoSource { .. })));
    }

    #[test]
    fn another_system_than_debian_is_an_error() {
        let debian = "PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_CODENAME=bookworm\n";
        assert_eq!(debian_codename(debian).expect("it is Debian"), "bookworm");
        let error = debian_codename("ID=fedora\nPRETTY_NAME=\"Fedora 40\"\n").unwrap_err();
        assert!(error.to_string().contains("Fedora 40"), "{error}");
    }
}
