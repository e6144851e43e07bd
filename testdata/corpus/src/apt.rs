//! apt with separate lists, cache and sources, for any architecture and suite, independent of
//! the machine's configuration.

use crate::command::output;
use crate::image::{Package, Suite, Wanted};
use crate::{FetchError, Release, sources};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Maximum number of attempts to read the lists: the archive may be in the middle of an update.
const ATTEMPTS: u32 = 3;
/// The delay between attempts.
const PAUSE: Duration = Duration::from_secs(5);

/// apt for one architecture and suite.
pub(super) struct Apt {
    work: PathBuf,
    options: Vec<String>,
}

impl Apt {
    /// Sets up apt in the directory `work` and reads the lists of `suite`, with several
    /// attempts; calls `progress` with each step.
    pub(super) fn new(
        work: &Path,
        architecture: &str,
        suite: Suite,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, FetchError> {
        let directory = |name: &str| {
            let path = work.join(name);
            fs::create_dir_all(path.join("partial")).map_err(FetchError::io("create", &path))?;
            Ok(path.display().to_string())
        };
        let file = |name: &str, text: &str| {
            let path = work.join(name);
            fs::write(&path, text).map_err(FetchError::io("write", &path))?;
            Ok(path.display().to_string())
        };
        let options = [
            ("APT::Architecture", architecture.to_owned()),
            ("APT::Architectures", architecture.to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
            ("Acquire::Retries", "3".to_owned()),
            ("Dir::State::Lists", directory("lists")?),
            ("Dir::State::Status", file("status", "")?),
            ("Dir::Cache", directory("cache")?),
            ("Dir::Etc::SourceList", file("sources.list", &source_line(suite)?)?),
            ("Dir::Etc::SourceParts", "/dev/null".to_owned()),
        ];
        let options = options.map(|(name, value)| format!("-o{name}={value}"));
        let apt = Self { work: work.to_owned(), options: options.into() };
        for attempt in 1.. {
            progress(&format!("reading the lists of {}", suite.name()));
            match output(apt.command("apt-get").arg("update")) {
                Ok(_) => break,
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(_) => {
                    let seconds = PAUSE.as_secs();
                    progress(&format!("{}: failed; again in {seconds} s", suite.name()));
                    std::thread::sleep(PAUSE);
                }
            }
        }
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options).current_dir(&self.work).env("LC_ALL", "C");
        command
    }

    /// The `wanted` releases of which the archive has both packages in the same version, the
    /// newest last.
    pub(super) fn releases(&self, wanted: Wanted) -> Result<Vec<Release>, FetchError> {
        let names = match wanted {
            Wanted::Pinned(release) => vec![release.to_owned()],
            Wanted::Newest { prefix, suffix } => {
                let prefix = Package::Image.name(prefix);
                let known = output(self.command("apt-cache").args(["pkgnames", &prefix]))?;
                numbered(&known, &prefix, suffix)
            }
        };
        let packages = names.iter().flat_map(|release| Package::ALL.map(|kind| kind.name(release)));
        let packages: Vec<String> = packages.collect();
        if packages.is_empty() {
            return Ok(Vec::new());
        }
        let list = output(self.command("apt-cache").arg("madison").args(packages))?;
        Ok(complete(&names, &list))
    }

    /// The newest version of a package; `None` if the archive does not have it.
    pub(super) fn newest(&self, package: &str) -> Result<Option<String>, FetchError> {
        let list = output(self.command("apt-cache").args(["madison", package]))?;
        Ok(newest(package, &list))
    }

    /// Downloads a package and returns its file.
    pub(super) fn download(&self, package: &str, version: &str) -> Result<PathBuf, FetchError> {
        let exact = format!("{package}={version}");
        output(self.command("apt-get").args(["download", &exact]))?;
        let entries =
            fs::read_dir(&self.work).map_err(FetchError::io("list", self.work.clone()))?;
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or_else(|| FetchError::NoPackage { package: exact, suite: "just read".to_owned() })
    }
}

/// The source of `suite`: the machine's own archive, with the suite replaced.
fn source_line(suite: Suite) -> Result<String, FetchError> {
    let os_release = Path::new("/etc/os-release");
    let text = fs::read_to_string(os_release)
        .map_err(|_| FetchError::NotDebian { found: "unknown (no /etc/os-release)".to_owned() })?;
    let codename = sources::debian_codename(&text)?;
    let all = sources::read()?;
    let own = match suite {
        Suite::Main(_) => codename,
        Suite::Security(_) => format!("{codename}-security"),
    };
    Ok(sources::of_suite(&all, &own)?.line(suite.name()))
}

/// The releases with a number, or numbers with dots, between `prefix` and `suffix`,
/// the highest last, from the names of packages.
fn numbered(packages: &str, prefix: &str, suffix: &str) -> Vec<String> {
    let release = |package: &str| {
        let numbers = package.strip_prefix(prefix)?.strip_suffix(suffix)?;
        let numbers: Result<Vec<u32>, _> = numbers.split('.').map(str::parse).collect();
        Some((numbers.ok()?, package.strip_prefix("linux-image-")?.to_owned()))
    };
    let mut found: Vec<_> = packages.lines().filter_map(release).collect();
    found.sort();
    found.into_iter().map(|(_, release)| release).collect()
}

/// The two first fields of a line `package | version | origin` of `apt-cache madison`.
fn fields(line: &str) -> Option<(String, String)> {
    let mut fields = line.split('|').map(|field| field.trim().to_owned());
    Some((fields.next()?, fields.next()?))
}

/// The version of `package` in lines of `apt-cache madison`, which has the newest first.
fn newest(package: &str, list: &str) -> Option<String> {
    let mut versions = list.lines().filter_map(fields).filter(|(name, _)| name == package);
    versions.next().map(|(_, version)| version)
}

/// Those of `releases` that have every package in one version, according to the lines `package
/// | version | origin` of `apt-cache madison`. apt also lists packages that other packages only
/// mention, and a package can be published later than its debug package.
fn complete(releases: &[String], list: &str) -> Vec<Release> {
    let published: Vec<(String, String)> = list.lines().filter_map(fields).collect();
    let release = |name: &String| {
        let package = Package::Image.name(name);
        let versions = published.iter().filter(|(other, _)| *other == package);
        let mut in_all = versions.map(|(_, version)| version).filter(|version| {
            Package::ALL
                .iter()
                .all(|kind| published.contains(&(kind.name(name), (*version).clone())))
        });
        Some(Release { name: name.clone(), version: in_all.next()?.clone() })
    };
    releases.iter().filter_map(release).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_number_is_last() {
        let names = "linux-image-6.12.9+deb12-arm64\nlinux-image-6.12.117+deb12-arm64\n\
            linux-image-6.12.22+deb12-rt-arm64\nlinux-image-6.12.22+deb12.1-arm64\nother\n";
        let found = numbered(names, "linux-image-6.12.", "+deb12-arm64");
        assert_eq!(found, ["6.12.9+deb12-arm64", "6.12.117+deb12-arm64"]);
        assert!(numbered("other\n", "linux-image-6.12.", "+deb12-arm64").is_empty());
        let names = "linux-image-7.10.1+deb14-riscv64\nlinux-image-7.2.13+deb14-riscv64\n\
            linux-image-7.10.1+deb14-riscv64-dbg\nlinux-image-riscv64\n";
        let found = numbered(names, "linux-image-", "+deb14-riscv64");
        assert_eq!(found, ["7.2.13+deb14-riscv64", "7.10.1+deb14-riscv64"]);
    }

    #[test]
    fn the_newest_version_is_first() {
        let list = " libffi8 | 3.4.4-1+b1 | origin\n libffi8 | 3.4.4-1 | origin\n";
        assert_eq!(newest("libffi8", list), Some("3.4.4-1+b1".to_owned()));
        assert_eq!(newest("libffi", list), None);
    }

    #[test]
    fn a_release_has_both_packages_in_one_version() {
        let list = " linux-image-a | 1-1 | origin\n linux-image-b | 2-1 | origin\n\
            linux-image-b-dbg | 2-2 | origin\n linux-image-b-dbg | 2-1 | origin\n\
            linux-image-c-dbg | 3-1 | origin\n linux-image-d | 4-1 | origin\n\
            linux-image-d-dbg | 4-2 | origin\n";
        let names = ["a", "b", "c", "d"].map(str::to_owned);
        let expected = Release { name: "b".to_owned(), version: "2-1".to_owned() };
        assert_eq!(complete(&names, list), [expected]);
    }
}
