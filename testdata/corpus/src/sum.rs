//! SHA-256 of files and of directories.

use crate::FetchError;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

/// The sum of a file, or of a directory: that of the lines `sum  path` that
/// `sha256sum` prints for all regular files below it, sorted by the bytes of the
/// paths, which are relative to the directory.
pub(super) fn sha256(path: &Path) -> Result<String, FetchError> {
    if !path.is_dir() {
        return file_sum(path);
    }
    let mut files = files(path)?;
    // By bytes: a `Path` orders by components, in which `a/b` precedes `a-b`.
    files.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    let mut hasher = Sha256::new();
    for file in files {
        let sum = file_sum(&path.join(&file))?;
        hasher.update(format!("{sum}  {}\n", file.display()));
    }
    Ok(hex(hasher))
}

/// The sum of `path`, which must equal `expected` if it is given.
pub(super) fn verify(path: &Path, expected: Option<&str>) -> Result<String, FetchError> {
    let found = sha256(path)?;
    match expected {
        Some(expected) if expected != found => Err(FetchError::WrongSum {
            path: path.to_owned(),
            found,
            expected: expected.to_owned(),
        }),
        _ => Ok(found),
    }
}

/// The regular files below `root`, relative to it, without links.
pub(super) fn files(root: &Path) -> Result<Vec<PathBuf>, FetchError> {
    let mut files = Vec::new();
    collect(root, Path::new(""), &mut files)?;
    Ok(files)
}

/// Adds the regular files of `root/below`, relative to `root`.
fn collect(root: &Path, below: &Path, files: &mut Vec<PathBuf>) -> Result<(), FetchError> {
    let directory = root.join(below);
    let error = || FetchError::io("list", &directory);
    for entry in fs::read_dir(&directory).map_err(error())? {
        let entry = entry.map_err(error())?;
        let kind = entry.file_type().map_err(error())?;
        let name = below.join(entry.file_name());
        if kind.is_dir() {
            collect(root, &name, files)?;
        } else if kind.is_file() {
            files.push(name);
        }
    }
    Ok(())
}

fn file_sum(file: &Path) -> Result<String, FetchError> {
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
    Ok(hex(hasher))
}

fn hex(hasher: Sha256) -> String {
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_directory_is_the_list_of_its_files() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let root = directory.path();
        for file in ["a/b", "a-b", "c"] {
            let file = root.join(file);
            fs::create_dir_all(file.parent().expect("it has one")).expect("a directory");
            fs::write(file, "").expect("an empty file");
        }
        // find . -type f -printf '%P\n' | LC_ALL=C sort | xargs sha256sum | sha256sum
        let list = format!("{EMPTY}  a-b\n{EMPTY}  a/b\n{EMPTY}  c\n");
        let expected = hex(Sha256::new_with_prefix(list));
        assert_eq!(sha256(root).expect("a sum"), expected);
        assert_eq!(verify(&root.join("c"), Some(EMPTY)).expect("the empty sum"), EMPTY);
        let error = verify(root, Some(EMPTY)).unwrap_err();
        assert!(matches!(error, FetchError::WrongSum { .. }), "{error}");
    }
}
