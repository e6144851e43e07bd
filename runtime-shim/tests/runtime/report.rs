//! The report at exit (`JLSHIM_REPORT`), and other variables of the environment.

#![allow(unsafe_code, reason = "processes")]

use crate::common::arena::Arena;
use crate::common::child::must_succeed;
use crate::common::elf;
use crate::common::emulator;
use crate::common::rerun::{must_run, rerun, role, test_path};
use crate::common::sites::{Site, entries_of, resolve, table};
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::{Error, WritePolicy, define_static_key_false, report, sync_level, transform};
use jlctl_shim::{static_branch_likely, static_branch_unlikely};
use serde_json::Value;
use std::hint::black_box;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs, io, process, ptr, thread};

define_static_key_false!(static FLIPPED);
define_static_key_false!(static QUEUED);

/// Not inlined, so that each site exists once.
#[inline(never)]
fn sites() -> [bool; 4] {
    [
        static_branch_unlikely!(FLIPPED),
        static_branch_likely!(FLIPPED),
        static_branch_unlikely!(QUEUED),
        static_branch_likely!(QUEUED),
    ]
}

/// A directory that is removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("jlshim-{name}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The report of `command`, and the id of its process.
fn report_of(command: &mut Command, folder: &Folder) -> (Value, u32) {
    let path = folder.file("report.json");
    command.env("JLSHIM_REPORT", &path).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    let pid = child.id();
    assert!(child.wait().unwrap().success(), "{command:?}");
    let report = read(&path);
    fs::remove_file(path).unwrap();
    (report, pid)
}

fn count(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("{name} of {report}"))
}

fn address(value: &Value) -> usize {
    let text = value.as_str().unwrap_or_else(|| panic!("{value} is not a string"));
    usize::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

const FIELDS: [&str; 26] = [
    "schema",
    "pid",
    "sync_level",
    "sync_method",
    "sync_refusal",
    "tables",
    "sites",
    "batches",
    "failed_batches",
    "patches",
    "strict_syncs",
    "best_effort_syncs",
    "failed_syncs",
    "open_pages",
    "uncovered",
    "forgotten",
    "icache_calls",
    "icache_syncs",
    "icache_shared",
    "icache_failed",
    "control_requests",
    "control_batches",
    "control_refused",
    "startup_flipped",
    "startup_unknown",
    "uncovered_patches",
];

#[test]
fn a_report_of_covered_patches() {
    if role().is_some() {
        let (flipped, before) = (FLIPPED.enable().unwrap(), report().unwrap());
        assert_eq!((flipped.sites, before.batches), (2, 1));
        FLIPPED.decrement().unwrap();
        FLIPPED.decrement().unwrap_err();
        assert_eq!(black_box(sites()), [false; 4]);
        return;
    }
    let folder = Folder::new("covered");
    let (report, pid) = report_of(&mut rerun(test_path!(), ""), &folder);
    let mut names: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    let mut wanted = FIELDS.to_vec();
    names.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(names, wanted);
    assert_eq!(report["schema"], "jlshim.report/1");
    assert_eq!(count(&report, "pid"), u64::from(pid));
    let method =
        if cfg!(target_arch = "riscv64") { "riscv-flush-icache" } else { "membarrier-sync-core" };
    assert_eq!((&report["sync_level"], &report["sync_method"]), (&"strict".into(), &method.into()));
    assert_eq!(
        (&report["sync_refusal"], &report["uncovered_patches"]),
        (&Value::Null, &Value::Array(vec![]))
    );
    for (name, wanted) in [
        ("tables", 1),
        ("sites", table().len() as u64),
        ("batches", 2),
        ("failed_batches", 1),
        ("patches", 4),
        ("strict_syncs", 2),
        ("best_effort_syncs", 0),
        ("failed_syncs", 0),
        ("open_pages", 0),
        ("uncovered", 0),
        ("forgotten", 0),
    ] {
        assert_eq!(count(&report, name), wanted, "{name}");
    }
}

/// The report gives the SVMA of each site without a synchronisation, as in the program's file.
#[test]
fn uncovered_patches_are_listed() {
    if role().is_some() {
        for entry in entries_of(&QUEUED) {
            transform::queue(entry, JumpLabelType::wanted(true, resolve(entry).is_likely)).unwrap();
        }
        return;
    }
    let folder = Folder::new("uncovered");
    let (report, _) = report_of(&mut rerun(test_path!(), ""), &folder);
    let in_file = elf::table();
    assert_eq!(in_file.len(), table().len());
    let key = ptr::from_ref(&*QUEUED).addr();
    let wanted: Vec<Site> = table()
        .iter()
        .zip(&in_file)
        .filter(|(entry, _)| resolve(entry).key == key)
        .map(|(_, site)| *site)
        .collect();
    assert_eq!((count(&report, "uncovered"), wanted.len()), (2, 2));
    let listed = report["uncovered_patches"].as_array().unwrap();
    assert_eq!(listed.len(), 2);
    for (patch, site) in listed.iter().zip(wanted) {
        assert_eq!(patch["why"], "queued");
        assert_eq!(
            (address(&patch["site_svma"]), address(&patch["key_svma"])),
            (site.code, site.key)
        );
        let bias = address(&patch["site"]) - site.code;
        assert_eq!(address(&patch["key"]) - site.key, bias);
        assert!(bias.is_multiple_of(crate::common::memory::page()), "{bias:#x}");
        // The name of the program in the C library's list.
        let object = patch["object"].as_str().unwrap();
        assert!(["", "/proc/self/exe"].contains(&object), "{object}");
    }
}

/// More patches than the buffer holds, in code without a file.
#[test]
fn a_list_longer_than_the_buffer() {
    const SITES: usize = 500;
    if role().is_some() {
        let arena = Arena::new(SITES, 64);
        for index in 0..SITES {
            assert_eq!(transform::queue(arena.table.entry(index), JumpLabelType::Jmp), Ok(true));
        }
        // The table must stay registered until the report is written.
        std::mem::forget(arena);
        return;
    }
    let folder = Folder::new("long");
    let (report, _) = report_of(&mut rerun(test_path!(), ""), &folder);
    assert_eq!((count(&report, "uncovered"), count(&report, "tables")), (SITES as u64, 2));
    let listed = report["uncovered_patches"].as_array().unwrap();
    let first = address(&listed[0]["site"]);
    for (index, patch) in listed.iter().enumerate() {
        assert_eq!(address(&patch["site"]), first + 64 * index);
        for name in ["site_svma", "key_svma", "object"] {
            assert_eq!(patch[name], Value::Null, "{name}");
        }
    }
    assert_eq!(listed.len(), SITES);
}

/// A child process writes a report of its own if the path contains `%p`, and no report otherwise.
/// Here it ends after its parent.
#[test]
fn the_child_of_a_fork() {
    if role().is_some() {
        FLIPPED.enable().unwrap();
        // SAFETY: no pointers.
        let parent = unsafe { libc::getpid() };
        // SAFETY: the child uses only the allocator and the runtime, which have fork handlers.
        if unsafe { libc::fork() } == 0 {
            FLIPPED.disable().unwrap();
            // SAFETY: no pointers.
            while unsafe { libc::getppid() } == parent {
                thread::yield_now();
            }
            // SAFETY: no pointers; exit runs the destructors, which write the report.
            unsafe { libc::exit(0) };
        }
        return;
    }
    let folder = Folder::new("fork");
    let path = folder.file("report.json");
    // `output` waits until both processes have closed the pipes.
    let start = |path: &Path| must_run(rerun(test_path!(), "").env("JLSHIM_REPORT", path));
    start(&path);
    assert_eq!(count(&read(&path), "batches"), 1, "the report of the parent");
    start(&folder.file("%p-%p.json"));
    let mut batches = Vec::new();
    for entry in fs::read_dir(&folder.0).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let report = read(&file);
        if name != "report.json" {
            let pid = count(&report, "pid");
            assert_eq!(name, format!("{pid}-{pid}.json"));
            batches.push(count(&report, "batches"));
        }
    }
    batches.sort_unstable();
    assert_eq!(batches, [1, 2]);
}

/// A report that cannot be written is left out, and the program does not fail.
#[test]
fn a_path_that_cannot_be_written() {
    if role().is_some() {
        FLIPPED.enable().unwrap();
        return;
    }
    let folder = Folder::new("path");
    let (target, link) = (folder.file("target"), folder.file("link"));
    fs::write(&target, "mine").unwrap();
    symlink(&target, &link).unwrap();
    let long = PathBuf::from("x".repeat(10_000));
    for path in [
        &folder.file("none/report.json"),
        &folder.0,
        Path::new("/dev/full"),
        Path::new(""),
        &long,
        &link,
    ] {
        must_run(rerun(test_path!(), "").env("JLSHIM_REPORT", path));
    }
    assert_eq!(fs::read_to_string(target).unwrap(), "mine", "symbolic links are not followed");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 2);
}

/// Starts a thread that runs until the process ends.
fn start_thread() {
    thread::spawn(|| {
        loop {
            thread::park();
        }
    });
}

#[cfg(not(target_arch = "riscv64"))]
#[test]
fn a_refusal_is_reported() {
    if role().is_some() {
        start_thread();
        assert!(matches!(FLIPPED.enable(), Err(Error::NoSync(_))));
        return;
    }
    let folder = Folder::new("refusal");
    let mut command = rerun(test_path!(), "");
    let (report, _) = report_of(command.env("JLSHIM_NO_MEMBARRIER", "1"), &folder);
    assert_eq!((&report["sync_level"], &report["sync_method"]), (&"refused".into(), &Value::Null));
    let refusal = report["sync_refusal"].as_str().unwrap();
    assert!(refusal.contains("JLSHIM_NO_MEMBARRIER"), "{refusal}");
    assert_eq!((count(&report, "failed_batches"), count(&report, "patches")), (1, 0));
}

#[cfg(not(target_arch = "riscv64"))]
#[test]
fn a_best_effort_is_reported() {
    if role().is_some() {
        start_thread();
        assert_eq!(FLIPPED.enable().unwrap().sites, 2);
        return;
    }
    if emulator::leaves_out("filters of system calls") {
        return;
    }
    let folder = Folder::new("best-effort");
    let mut command = rerun(test_path!(), "");
    command.env("JLSHIM_BEST_EFFORT", "1");
    // SAFETY: between fork and exec, in a child with one thread.
    unsafe {
        command.pre_exec(|| {
            let refused = crate::common::filter::Answer::Errno(libc::EINVAL);
            crate::common::filter::filter_command(1 << 6, refused);
            Ok(())
        })
    };
    let (report, _) = report_of(&mut command, &folder);
    let (level, method) = (&report["sync_level"], &report["sync_method"]);
    assert_eq!((level, method), (&"best-effort".into(), &"membarrier-global".into()));
    for (name, wanted) in [("best_effort_syncs", 1), ("strict_syncs", 0), ("uncovered", 2)] {
        assert_eq!(count(&report, name), wanted, "{name}");
    }
    let listed = report["uncovered_patches"].as_array().unwrap();
    assert!(listed.len() == 2 && listed.iter().all(|patch| patch["why"] == "best-effort"));
}

#[test]
fn proc_mem_by_the_environment() {
    if let Some(role) = role() {
        // The test runner has another thread.
        return must_succeed(|| {
            const PR_SET_MDWE: i32 = 65;
            // SAFETY: no pointers.
            let result = unsafe { libc::prctl(PR_SET_MDWE, 1, 0, 0, 0) };
            assert_eq!(result, 0, "PR_SET_MDWE: {}", io::Error::last_os_error());
            match (role.as_str(), FLIPPED.enable()) {
                ("allowed", Ok(applied)) => assert_eq!((applied.sites, applied.page_runs), (2, 0)),
                ("denied", Err(Error::Protect { policy: Some(WritePolicy::Mdwe), .. })) => {}
                (role, result) => panic!("{role}: {result:?}"),
            }
            assert_eq!(black_box(sites())[..2], [role == "allowed"; 2]);
        });
    }
    if emulator::leaves_out("PR_SET_MDWE, /proc/self/mem") {
        return;
    }
    let name = test_path!();
    must_run(rerun(name, "allowed").env("JLSHIM_PROC_MEM", "1"));
    must_run(rerun(name, "denied").env("JLSHIM_PROC_MEM", "0"));
    must_run(&mut rerun(name, "denied"));
}

/// A program with more privileges than its user ignores the environment.
#[test]
#[cfg_attr(not(feature = "privileged"), ignore = "needs root")]
fn a_privileged_process_ignores_the_environment() {
    const NOBODY: u32 = 65534;
    if let Some(role) = role() {
        start_thread();
        let has_effect = role == "plain";
        // SAFETY: getauxval reads the auxiliary vector.
        let is_privileged = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
        assert_eq!(is_privileged, !has_effect);
        assert_eq!(sync_level().is_err(), has_effect && !cfg!(target_arch = "riscv64"));
        return;
    }
    if emulator::leaves_out("AT_SECURE") {
        return;
    }
    // SAFETY: no pointers.
    let user = unsafe { libc::geteuid() };
    assert_eq!(user, 0, "only root can create a program with root's privileges");
    let folder = Folder::new("secure");
    fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o777)).unwrap();
    let (program, path) = (folder.file("program"), folder.file("report.json"));
    // A child process copies the file: a child of another test, forked meanwhile, would hold the
    // file open for writing, so that it could not be executed.
    must_succeed(|| {
        fs::copy(env::current_exe().unwrap(), &program).unwrap();
    });
    for (role, mode) in [("plain", 0o755), ("privileged", 0o4755)] {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        let like = rerun(test_path!(), role);
        let mut command = Command::new(&program);
        command.args(like.get_args()).uid(NOBODY).current_dir("/");
        for (name, value) in like.get_envs() {
            value.map(|value| command.env(name, value));
        }
        must_run(command.env("JLSHIM_REPORT", &path).env("JLSHIM_NO_MEMBARRIER", "1"));
        assert_eq!(path.exists(), role == "plain", "{role}");
        let _ = fs::remove_file(&path);
    }
}
