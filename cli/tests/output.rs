//! Options of every command: output files, colour, progress, and the default image.

use crate::command::{DEMO, inspect, jlctl, report, root, run, utf8, wait};
use crate::directory::Directory;
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, SiteSpec};
use std::fs::{self, File};
use std::io::{Read as _, Write as _, pipe};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("the file is readable")
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is listed");
    let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("the text is UTF-8");
    let mut names: Vec<String> = entries.map(|e| name(e.expect("readable"))).collect();
    names.sort();
    names
}

#[test]
fn a_file_gets_the_bytes_of_standard_output() {
    let directory = Directory::new();
    let path = directory.path("report");
    for args in [&[][..], &["--sites"], &["--format", "json"], &["--format", "csv"]] {
        let wanted = report(args);
        let silent = report(&[args, &["-o", utf8(&path)]].concat());
        assert_eq!((silent.as_str(), read(&path)), ("", wanted), "{args:?}");
        assert_eq!(names(directory.root()), ["report"]);
    }
}

#[test]
fn a_failure_keeps_the_old_file_and_leaves_no_other() {
    let directory = Directory::new();
    let path = directory.path("report");
    fs::write(&path, "old").expect("the file is written");
    for args in [&["no-such-image"][..], &["Cargo.toml"], &[DEMO, "--key", "no_such_key"]] {
        let run = inspect(&[args, &["-o", utf8(&path)]].concat());
        assert!(run.code > 1, "{run:?}");
        assert_eq!((read(&path).as_str(), names(directory.root())), ("old", vec!["report".into()]));
    }
}

#[test]
fn a_replaced_file_keeps_its_mode_and_its_links() {
    let directory = Directory::new();
    let (path, link) = (directory.path("report"), directory.path("link"));
    fs::write(&path, "old").expect("the file is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("the file is ours");
    symlink("report", &link).expect("a link is made");
    report(&["-o", utf8(&link)]);
    assert_eq!(read(&path), report(&[]));
    assert!(fs::symlink_metadata(&link).expect("the file is there").is_symlink());
    let mode = fs::metadata(&path).expect("the file is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(names(directory.root()), ["link", "report"]);
}

#[test]
fn a_pipe_or_device_is_written_to_and_not_replaced() {
    let directory = Directory::new();
    let fifo = directory.path("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs").success());
    let reading = fifo.clone();
    let reader = std::thread::spawn(move || read(&reading));
    report(&["-o", utf8(&fifo)]);
    assert_eq!(reader.join().expect("the reader ends"), report(&[]));
    assert!(fs::metadata(&fifo).expect("the file is there").file_type().is_fifo());
    assert_eq!(report(&["-o", "/dev/stdout"]), report(&[]));
}

#[test]
fn a_full_device_is_an_error() {
    for args in [&["inspect", DEMO][..], &["inspect", DEMO, "--format", "json"]] {
        let full = File::options().write(true).open("/dev/full").expect("the device is there");
        let mut command = jlctl(args);
        let mut child =
            command.stdout(full).stderr(Stdio::piped()).spawn().expect("the program starts");
        assert_eq!(wait(&mut child, "writing to /dev/full"), 5);
        let mut message = String::new();
        let stderr = child.stderr.as_mut().expect("the stream is a pipe");
        stderr.read_to_string(&mut message).expect("the file is readable");
        assert!(message.contains("No space left"), "{message}");
    }
}

/// A table whose reports are longer than the buffer of a pipe.
fn many_sites() -> tempfile::NamedTempFile {
    let function = FunctionSpec::new("demo_fn", "kernel/demo.c", 1000);
    let spec = ImageSpec::kernel().key(KeySpec::new("demo_key")).function(function);
    let site = |spec: ImageSpec, at: usize| {
        spec.site(SiteSpec::new(
            format!("demo_fn+{:#x}", 4 * at).as_str(),
            "demo_fn+0xf00",
            "demo_key",
        ))
    };
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&(0..900).fold(spec, site).build()).expect("the file is written");
    file
}

#[test]
fn a_pipe_that_is_closed_midway_is_no_error() {
    let file = many_sites();
    for format in ["text", "json", "jsonl", "csv"] {
        let (mut reader, writer) = pipe().expect("a pipe");
        let mut command = jlctl(&["inspect", utf8(file.path()), "--sites", "--format", format]);
        let mut child =
            command.stdout(writer).stderr(Stdio::piped()).spawn().expect("the program starts");
        // The command holds a write end until it is dropped.
        drop(command);
        reader.read_exact(&mut [0; 1]).expect("something is written");
        drop(reader);
        assert_eq!(wait(&mut child, "writing to a pipe that closes"), 0, "{format}");
    }
}

/// As in `jlctl … | head`, whose reader exits early.
#[test]
fn a_closed_pipe_is_no_error() {
    for args in [
        &["inspect", DEMO][..],
        &["inspect", DEMO, "--sites"],
        &["inspect", DEMO, "--format", "json"],
        &["inspect", DEMO, "--format", "jsonl"],
        &["inspect", DEMO, "--format", "csv"],
        &["completions", "bash"],
        &["inspect", "--help"],
    ] {
        let (reader, writer) = pipe().expect("a pipe");
        drop(reader);
        let mut command = jlctl(args);
        let mut child =
            command.stdout(writer).stderr(Stdio::piped()).spawn().expect("the program starts");
        assert_eq!(wait(&mut child, "writing to a closed pipe"), 0, "{args:?}");
        let mut message = String::new();
        let stderr = child.stderr.as_mut().expect("the stream is a pipe");
        stderr.read_to_string(&mut message).expect("the file is readable");
        assert_eq!(message, "", "{args:?}");
    }
}

#[test]
fn colour_is_written_only_on_request() {
    const ESCAPE: char = '\u{1b}';
    let with = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = jlctl(&["inspect", DEMO]);
        let run = run(command.args(args).envs(env.iter().copied()));
        assert_eq!(run.code, 0);
        run.stdout
    };
    // Standard output is a pipe here, not a terminal.
    for (args, env) in [
        (&[][..], &[][..]),
        (&["--color", "auto"], &[]),
        (&["--color", "never"], &[("CLICOLOR_FORCE", "1")]),
        (&[], &[("NO_COLOR", "1")]),
        (&["--color", "always", "--format", "json"], &[]),
        (&["--color", "always", "--format", "csv"], &[]),
    ] {
        assert!(!with(args, env).contains(ESCAPE), "{args:?} {env:?}");
    }
    for env in [&[][..], &[("NO_COLOR", "1")]] {
        let coloured = with(&["--color", "always", "--keys"], env);
        assert!(coloured.contains(ESCAPE), "{env:?}");
        // Nothing but colour differs.
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once(ESCAPE) {
            plain.push_str(before);
            rest = after.split_once('m').map_or("", |(_, after)| after);
        }
        assert_eq!(plain + rest, report(&["--keys"]));
    }
}

#[test]
fn verbose_gives_the_time_of_each_phase() {
    let run = inspect(&[DEMO, "--sites", "-v"]);
    assert_eq!((run.code, run.stdout), (0, report(&["--sites"])));
    let phases: Vec<&str> = run
        .stderr
        .lines()
        .map(|line| {
            let (time, phase) = line.split_once(" ms  ").unwrap_or_else(|| panic!("{line}"));
            assert!(time.trim().parse::<f64>().is_ok_and(|time| time >= 0.0), "{line}");
            phase
        })
        .collect();
    for wanted in ["read the image", "read the jump table", "look up source lines"] {
        assert!(phases.contains(&wanted), "{phases:?}");
    }
    let without = inspect(&[DEMO, "--sites", "--no-source", "-v"]);
    assert!(!without.stderr.contains("source"), "no debug information is read");
}

#[test]
fn quiet_keeps_errors() {
    let run = inspect(&[DEMO, "-q"]);
    assert_eq!((run.code, run.stderr.as_str(), run.stdout), (0, "", report(&[])));
    let run = inspect(&["no-such-image", "-q"]);
    assert!(run.code == 3 && run.stderr.contains("no-such-image"), "{run:?}");
}

#[test]
fn the_image_comes_from_the_argument_or_the_environment_or_the_directory() {
    let directory = Directory::new();
    let demo = root().join(DEMO);
    let first_line = |command: &mut Command| {
        let run = run(command);
        assert_eq!(run.code, 0, "{}", run.stderr);
        run.stdout.lines().next().unwrap_or_default().to_owned()
    };
    let here = |args: &[&str]| {
        let mut command = jlctl(&["inspect"]);
        command.args(args).current_dir(directory.root());
        command
    };
    let by_environment = first_line(here(&[]).env("JLCTL_IMAGE", &demo));
    assert!(by_environment.ends_with(utf8(&demo)), "{by_environment}");
    fs::copy(&demo, directory.path("vmlinux")).expect("the file is copied");
    assert!(first_line(&mut here(&[])).ends_with("vmlinux"));
    let by_environment = first_line(here(&[]).env("JLCTL_IMAGE", &demo));
    assert!(by_environment.ends_with(utf8(&demo)), "before ./vmlinux: {by_environment}");
    let by_argument = first_line(here(&["vmlinux"]).env("JLCTL_IMAGE", "no-such-image"));
    assert!(by_argument.ends_with("vmlinux"), "before JLCTL_IMAGE: {by_argument}");
}
