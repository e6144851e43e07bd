//! The guest's initial file system: its init, the programs and the jobs.

use crate::VmError;
use crate::cpio::Archive;
use crate::program::Program;
use jlctl_guest::{JOBS, Job};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// The environment of every program.
const ENVIRONMENT: [(&str, &str); 3] =
    [("HOME", "/tmp"), ("PATH", "/programs"), ("TMPDIR", "/tmp")];

/// The archive for `init` and `programs`; a program that runs twice is in it once.
pub(super) fn build(init: &Path, programs: &[Program]) -> Result<Vec<u8>, VmError> {
    let mut archive = Archive::default();
    archive.directory("/dev")?;
    // The console of init: the kernel opens it before anything is mounted.
    archive.device("/dev/console", 5, 1)?;
    archive.file("/init", &read(init)?)?;
    archive.directory("/programs")?;
    let mut places: HashMap<&Path, String> = HashMap::new();
    let mut jobs = String::new();
    for program in programs {
        let place = match places.get(program.path.as_path()) {
            Some(place) => place.clone(),
            None => {
                let place = place(places.len(), &program.path);
                archive.file(&place, &read(&program.path)?)?;
                places.insert(&program.path, place.clone());
                place
            }
        };
        jobs.push_str(&job(place, program).to_line());
        jobs.push('\n');
    }
    archive.file(JOBS, jobs.as_bytes())?;
    add_files(&mut archive, programs)?;
    archive.finish()
}

/// Adds the files that `programs` need, each once, after its directories.
fn add_files(archive: &mut Archive, programs: &[Program]) -> Result<(), VmError> {
    let files: BTreeSet<&Path> =
        programs.iter().flat_map(|program| &program.files).map(PathBuf::as_path).collect();
    let parents = files.iter().flat_map(|file| file.ancestors().skip(1));
    let directories: BTreeSet<&Path> = parents.filter(|path| path.parent().is_some()).collect();
    // A directory sorts before its content.
    for directory in directories {
        archive.directory(&directory.to_string_lossy())?;
    }
    for file in files {
        archive.file(&file.to_string_lossy(), &read(file)?)?;
    }
    Ok(())
}

/// Programs of the same name get different paths.
fn place(number: usize, path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!("/programs/{number}-{name}")
}

fn job(place: String, program: &Program) -> Job {
    let mut environment: Vec<(String, String)> =
        ENVIRONMENT.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    environment.extend(program.environment.iter().cloned());
    let Program { arguments, limit, .. } = program.clone();
    Job { program: place, arguments, environment, limit }
}

fn read(path: &Path) -> Result<Vec<u8>, VmError> {
    fs::read(path).map_err(VmError::io("read", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_in_the_archive_once() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("tests");
        fs::write(&path, "PROGRAM").expect("a file");
        let programs = [Program::new(&path), Program::new(&path).arguments(["-x"])];
        let bytes = build(&path, &programs).expect("all is there");
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("PROGRAM").count(), 2, "as init and as program: {text}");
        let environment = "HOME /tmp PATH /programs TMPDIR /tmp";
        let jobs = format!(
            "60000 0 /programs/0-tests {environment}\n60000 1 /programs/0-tests -x {environment}\n"
        );
        assert!(text.contains(&jobs), "{text}");
    }

    #[test]
    fn a_file_comes_once_after_its_directories() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("init");
        fs::write(&path, "FILE").expect("a file");
        let mut program = Program::new(&path);
        program.files = vec![path.clone()];
        let bytes = build(&path, &[program.clone(), program]).expect("all is there");
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(text.matches("FILE").count(), 3, "as init, program and file: {text}");
        let position = |path: &Path| {
            let name = path.strip_prefix("/").expect("it is absolute").to_str().expect("UTF-8");
            let found: Vec<_> = text.match_indices(&format!("{name}\0")).collect();
            assert_eq!(found.len(), 1, "{name}");
            found[0].0
        };
        let parent = directory.path().parent().expect("it has one");
        assert!(position(parent) < position(directory.path()));
        assert!(position(directory.path()) < position(&path));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = build(Path::new("/no/init"), &[]).expect_err("there is none");
        assert_eq!(error.to_string(), "cannot read /no/init");
    }
}
