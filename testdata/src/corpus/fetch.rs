//! Fetching: separate apt lists in a temporary directory of the cache, one
//! package, one member of it, verified and renamed into place.

use super::command::{output, pipe};
use super::{FILE, FetchError, Image, Package, RECORD, Suite, cache_dir, image_dir, path, sources};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The architecture of every image.
const ARCHITECTURE: &str = "arm64";

/// Fetches `image` unless the cache has it, and returns its path.
///
/// `progress` is told what happens.
///
/// # Errors
/// [`FetchError`] if the machine is no Debian, a command fails or a sum is wrong.
pub fn fetch(image: Image, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, FetchError> {
    if let Some(path) = path(image) {
        progress(&format!("{}: already complete", image.name()));
        return Ok(path);
    }
    let cache = cache_dir().ok_or(FetchError::NoCache)?;
    let target = image_dir(image).ok_or(FetchError::NoCache)?;
    if target.exists() {
        return Err(FetchError::Incomplete { path: target });
    }
    let (suite, package) = image.recipe();
    let source = source_line(suite)?;
    let images = cache.join("images");
    fs::create_dir_all(&images).map_err(FetchError::io("create", &images))?;
    let work = tempfile::Builder::new()
        .prefix(".fetch-")
        .tempdir_in(&cache)
        .map_err(FetchError::io("create a directory in", &cache))?;
    let apt = Apt::new(work.path(), &source)?;
    progress(&format!("{}: reading the lists of {}", image.name(), suite.name()));
    output(apt.command("apt-get").arg("update"))?;
    let name = apt.choose(suite, package)?;
    progress(&format!("{}: downloading {name}", image.name()));
    let deb = apt.download(&name)?;
    let staged = work.path().join("staged");
    fs::create_dir(&staged).map_err(FetchError::io("create", &staged))?;
    progress(&format!("{}: verifying and unpacking", image.name()));
    unpack(&deb, &name, package, &staged)?;
    match fs::rename(&staged, &target) {
        Ok(()) => {}
        // Another fetch was faster; its image is as good.
        Err(_) if path(image).is_some() => {}
        Err(error) => return Err(FetchError::io("rename to", &target)(error)),
    }
    path(image).ok_or(FetchError::Incomplete { path: target })
}

impl Suite {
    fn name(self) -> &'static str {
        match self {
            Self::Main(suite) | Self::Security(suite) => suite,
        }
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

/// apt with lists, cache and sources of its own.
struct Apt {
    work: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(work: &Path, source: &str) -> Result<Self, FetchError> {
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
            ("APT::Architecture", ARCHITECTURE.to_owned()),
            ("APT::Architectures", ARCHITECTURE.to_owned()),
            ("APT::Sandbox::User", "root".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
            ("Dir::State::Lists", directory("lists")?),
            ("Dir::State::Status", file("status", "")?),
            ("Dir::Cache", directory("cache")?),
            ("Dir::Etc::SourceList", file("sources.list", source)?),
            ("Dir::Etc::SourceParts", "/dev/null".to_owned()),
        ];
        let options = options.map(|(name, value)| format!("-o{name}={value}"));
        Ok(Self { work: work.to_owned(), options: options.into() })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options).current_dir(&self.work).env("LC_ALL", "C");
        command
    }

    /// The name of the package to download.
    fn choose(&self, suite: Suite, package: Package) -> Result<String, FetchError> {
        let (prefix, suffix) = match package {
            Package::Pinned { name, .. } => return Ok(name.to_owned()),
            Package::Newest { prefix, suffix } => (prefix, suffix),
        };
        let names = output(self.command("apt-cache").args(["pkgnames", prefix]))?;
        newest(&names, prefix, suffix).ok_or_else(|| FetchError::NoPackage {
            package: format!("{prefix}N{suffix}"),
            suite: suite.name().to_owned(),
        })
    }

    /// Downloads a package and returns its file.
    fn download(&self, name: &str) -> Result<PathBuf, FetchError> {
        output(self.command("apt-get").args(["download", name]))?;
        let entries =
            fs::read_dir(&self.work).map_err(FetchError::io("list", self.work.clone()))?;
        entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or_else(|| FetchError::NoPackage {
                package: name.to_owned(),
                suite: "just read".to_owned(),
            })
    }
}

/// The name with the highest number between `prefix` and `suffix`.
fn newest(names: &str, prefix: &str, suffix: &str) -> Option<String> {
    let numbered = names.lines().filter_map(|name| {
        let number = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
        Some((number.parse::<u32>().ok()?, name))
    });
    numbered.max().map(|(_, name)| name.to_owned())
}

/// Unpacks the kernel of `deb` into `staged`, deletes `deb`, records its source.
fn unpack(deb: &Path, name: &str, package: Package, staged: &Path) -> Result<(), FetchError> {
    if let Package::Pinned { deb_sha256, .. } = package {
        verify(deb, deb_sha256)?;
    }
    let mut query = Command::new("dpkg-deb");
    let version = output(query.arg("--field").arg(deb).arg("Version"))?;
    let release = name.trim_start_matches("linux-image-").trim_end_matches("-dbg");
    let member = format!("usr/lib/debug/boot/vmlinux-{release}");
    let mut left = Command::new("dpkg-deb");
    let mut right = Command::new("tar");
    left.arg("--fsys-tarfile").arg(deb);
    right.arg("-x").arg("-C").arg(staged).arg(format!("./{member}"));
    pipe(&mut left, &mut right)?;
    fs::remove_file(deb).map_err(FetchError::io("remove", deb))?;
    let file = staged.join(FILE);
    fs::rename(staged.join(member), &file).map_err(FetchError::io("rename to", &file))?;
    fs::remove_dir_all(staged.join("usr")).map_err(FetchError::io("remove", staged.join("usr")))?;
    let sum = match package {
        Package::Pinned { file_sha256, .. } => verify(&file, file_sha256)?,
        Package::Newest { .. } => sha256(&file)?,
    };
    let record = staged.join(RECORD);
    let text = format!("{name} {}\nsha256 {sum}\n", version.trim());
    fs::write(&record, text).map_err(FetchError::io("write", &record))
}

fn verify(file: &Path, expected: &str) -> Result<String, FetchError> {
    let found = sha256(file)?;
    if found == expected {
        return Ok(found);
    }
    Err(FetchError::WrongSum { path: file.to_owned(), found, expected: expected.to_owned() })
}

fn sha256(file: &Path) -> Result<String, FetchError> {
    let error = || FetchError::io("read", file);
    let mut reader = File::open(file).map_err(error())?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer).map_err(error())? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::newest;

    #[test]
    fn the_highest_number_wins() {
        let names = "k-6.12.9+deb12-dbg\nk-6.12.117+deb12-dbg\nk-6.12.22+deb12-rt-dbg\nother\n";
        assert_eq!(newest(names, "k-6.12.", "+deb12-dbg").as_deref(), Some("k-6.12.117+deb12-dbg"));
        assert_eq!(newest("other\n", "k-6.12.", "+deb12-dbg"), None);
    }
}
