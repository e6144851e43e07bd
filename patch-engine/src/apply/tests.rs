//! Crashes at every operation, and other failures of files.

use super::disk::{Disk, Real};
use super::in_place::{in_place_on, recover_on};
use super::*;
use crate::digest::{Sum, xxh3};
use jlctl_analyzer::addr::FileOffset;
use proptest::prelude::*;
use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Held for writing by a test that starts processes.  Until a child executes its program, it holds
/// all files that are open in this process, and the locks on those of other tests with them.
static CHILDREN: RwLock<()> = RwLock::new(());

struct Bench {
    _no_children: Option<RwLockReadGuard<'static, ()>>,
    directory: tempfile::TempDir,
    old: Vec<u8>,
    new: Vec<u8>,
    writes: ByteWrites,
    cut_to: Option<u64>,
}

impl Bench {
    fn new(cut: u8) -> Self {
        let no_children = CHILDREN.read().unwrap_or_else(PoisonError::into_inner);
        Self { _no_children: Some(no_children), ..Self::with_children(cut) }
    }

    /// A bench for a test that holds [`CHILDREN`].
    fn with_children(cut: u8) -> Self {
        let old: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let mut new = old.clone();
        let mut writes = Vec::new();
        for at in [0usize, 4, 4094, 9_000] {
            new[at..at + 4].copy_from_slice(b"\x1f\x20\x03\xd5");
            let (old, new) = (old[at..at + 4].to_vec(), new[at..at + 4].to_vec());
            writes.push(ByteWrite { offset: FileOffset(at as u64), old, new });
        }
        let cut_to = (cut > 0).then_some(10_000 - u64::from(cut));
        new.truncate(10_000 - usize::from(cut));
        let bench = Self {
            _no_children: None,
            directory: tempfile::tempdir().unwrap(),
            old,
            new,
            writes: ByteWrites::new(writes).unwrap(),
            cut_to,
        };
        bench.reset();
        bench
    }

    fn reset(&self) {
        for entry in fs::read_dir(self.directory.path()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fs::write(self.image(), &self.old).unwrap();
    }

    fn image(&self) -> PathBuf {
        self.directory.path().join("vmlinux")
    }

    fn out(&self) -> PathBuf {
        self.directory.path().join("out")
    }

    fn patch<'a>(&'a self, image: &'a Path) -> Patch<'a> {
        Patch {
            image,
            length: self.old.len() as u64,
            sum: Sum::Xxh3(xxh3(&self.old)),
            writes: &self.writes,
            is_reverse: false,
            cut_to: self.cut_to,
        }
    }

    fn files(&self) -> Vec<String> {
        let name =
            |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut files: Vec<String> =
            fs::read_dir(self.directory.path()).unwrap().map(name).collect();
        files.sort();
        files
    }
}

fn nothing() -> Result<(), ApplyError> {
    Ok(())
}

fn apply(disk: &dyn Disk, bench: &Bench) -> Result<ApplyReport, ApplyError> {
    in_place_on(disk, &bench.patch(&bench.image()), nothing)
}

/// A disk that ignores every operation from some operation on, as if the process had been killed
/// there. The first ignored operation does not happen, or, if it is a write, is cut off halfway.
struct Dying {
    left: Cell<u32>,
    torn: bool,
    kill: bool,
}

impl Dying {
    fn after(operations: u32, torn: bool) -> Self {
        Self { left: Cell::new(operations), torn, kill: false }
    }

    fn step(&self) -> io::Result<()> {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None if self.kill => {
                let me = rustix::process::getpid();
                rustix::process::kill_process(me, rustix::process::Signal::KILL)?;
                unreachable!("SIGKILL cannot be survived")
            }
            None => Err(io::Error::other("dead")),
        }
    }
}

impl Disk for Dying {
    fn create(&self, path: &Path) -> io::Result<File> {
        self.step().and_then(|()| Real.create(path))
    }

    fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.torn && self.left.get() == 0 {
            Real.write(file, &bytes[..bytes.len() / 2], offset)?;
        }
        self.step().and_then(|()| Real.write(file, bytes, offset))
    }

    fn set_len(&self, file: &File, len: u64) -> io::Result<()> {
        self.step().and_then(|()| Real.set_len(file, len))
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.step().and_then(|()| Real.sync(file))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| Real.sync_directory(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step().and_then(|()| Real.rename(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step().and_then(|()| Real.remove(path))
    }
}

/// Asserts that the image is the old one, the new one, or one that `recover` restores.
fn is_safe(bench: &Bench, place: &str) {
    let now = fs::read(bench.image()).unwrap();
    if journal_path(&bench.image()).exists() {
        let recovered = recover(&bench.image()).unwrap();
        assert!(matches!(recovered, Recovery::Restored { .. }), "{place}");
        assert_eq!(fs::read(bench.image()).unwrap(), bench.old, "{place}");
    } else {
        assert!(now == bench.old || now == bench.new, "{place}: neither old nor new");
    }
    assert_eq!(recover(&bench.image()).unwrap(), Recovery::NoJournal, "{place}");
    assert_eq!(bench.files(), ["vmlinux"], "{place}");
}

#[test]
fn a_crash_at_any_operation_leaves_the_old_image_the_new_one_or_a_recoverable_one() {
    for (cut, torn) in [(0, false), (0, true), (50, false), (50, true)] {
        let bench = Bench::new(cut);
        let mut ended = false;
        for operations in 0..100 {
            bench.reset();
            let disk = Dying::after(operations, torn);
            let result = apply(&disk, &bench);
            is_safe(&bench, &format!("cut {cut}, torn {torn}, {operations} operations"));
            if result.is_ok() {
                ended = true;
                assert!(operations > 8, "{operations}: too few to be all");
                break;
            }
        }
        assert!(ended);
    }
}

#[test]
fn a_crash_at_any_operation_of_a_recovery_can_be_recovered() {
    let bench = Bench::new(50);
    // Up to the last write, before the journal is removed.
    for dead_at in 6..11 {
        for torn in [false, true] {
            for operations in 0..40 {
                bench.reset();
                apply(&Dying::after(dead_at, torn), &bench).unwrap_err();
                assert!(journal_path(&bench.image()).exists(), "{dead_at}");
                let result = recover_on(&Dying::after(operations, torn), &bench.image());
                is_safe(&bench, &format!("{dead_at}, torn {torn}, {operations} operations"));
                if result.is_ok() {
                    break;
                }
            }
        }
    }
}

/// The same with a process that is killed by SIGKILL: the test runs itself as a child.
#[test]
fn a_kill_at_any_operation_leaves_the_old_image_the_new_one_or_a_recoverable_one() {
    const AT: &str = "JLCTL_TEST_KILL_AT";
    const DIRECTORY: &str = "JLCTL_TEST_DIRECTORY";
    let _children = CHILDREN.write().unwrap_or_else(PoisonError::into_inner);
    let bench = Bench::with_children(50);
    if let (Ok(at), Some(directory)) = (std::env::var(AT), std::env::var_os(DIRECTORY)) {
        let image = Path::new(&directory).join("vmlinux");
        let disk = Dying { left: Cell::new(at.parse().unwrap()), torn: true, kill: true };
        in_place_on(&disk, &bench.patch(&image), nothing).unwrap();
        return;
    }
    for operations in 0..100 {
        bench.reset();
        let name = std::thread::current().name().unwrap().to_owned();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name])
            .env(AT, operations.to_string())
            .env(DIRECTORY, bench.directory.path())
            .output()
            .unwrap();
        is_safe(&bench, &format!("{operations} operations"));
        if child.status.success() {
            assert!(operations > 8, "{operations}");
            assert_eq!(fs::read(bench.image()).unwrap(), bench.new);
            return;
        }
        use std::os::unix::process::ExitStatusExt as _;
        assert_eq!(child.status.signal(), Some(9), "{}", String::from_utf8_lossy(&child.stdout));
    }
    panic!("it never came to an end");
}

#[test]
fn an_interrupted_image_is_not_patched_again() {
    let bench = Bench::new(0);
    apply(&Dying::after(7, true), &bench).unwrap_err();
    let error = apply(&Real, &bench).unwrap_err();
    assert!(error.to_string().contains("apply --recover"), "{error}");
    assert_eq!(error.class(), FailureClass::Refused);
}

#[test]
fn a_journal_restores_only_the_file_that_it_was_written_for() {
    let bench = Bench::new(0);
    apply(&Dying::after(7, false), &bench).unwrap_err();
    let mut changed = fs::read(bench.image()).unwrap();
    changed[4095] ^= 0x40;
    fs::write(bench.image(), &changed).unwrap();
    let error = recover(&bench.image()).unwrap_err();
    assert!(matches!(error, ApplyError::JournalOfAnotherFile { .. }), "{error}");
    assert_eq!(fs::read(bench.image()).unwrap(), changed);
    fs::write(journal_path(&bench.image()), b"JLCTLJNL\x01\0\0\0 not a journal at all, that is")
        .unwrap();
    let error = recover(&bench.image()).unwrap_err();
    assert!(matches!(error, ApplyError::JournalDamaged { .. }), "{error}");
}

#[test]
fn every_difference_is_reported_and_nothing_is_written() {
    let bench = Bench::new(0);
    let mut other = bench.old.clone();
    (other[1], other[9_001]) = (0xff, 0xff);
    fs::write(bench.image(), &other).unwrap();
    let error = apply(&Real, &bench).unwrap_err();
    let ApplyError::OldBytes { differences, .. } = &error else { panic!("{error}") };
    let places: Vec<u64> = differences.iter().map(|found| found.offset.0).collect();
    assert_eq!(places, [0, 9_000]);
    // A changed byte outside of all writes shows another file just as well.
    let mut other = bench.old.clone();
    other[5_000] = 0xff;
    fs::write(bench.image(), &other).unwrap();
    assert!(matches!(apply(&Real, &bench), Err(ApplyError::Digest { .. })));
    fs::write(bench.image(), &bench.old[1..]).unwrap();
    assert!(matches!(apply(&Real, &bench), Err(ApplyError::Length { .. })));
    assert_eq!(bench.files(), ["vmlinux"]);
}

#[test]
fn a_copy_leaves_the_image_unchanged_and_no_temporary_file() {
    use std::os::unix::fs::PermissionsExt as _;
    for durability in [Durability::Disk, Durability::Cache] {
        let bench = Bench::new(50);
        fs::set_permissions(bench.image(), fs::Permissions::from_mode(0o640)).unwrap();
        let (image, out) = (bench.image(), bench.out());
        let report = copy(&bench.patch(&image), &out, durability, nothing).unwrap();
        assert_eq!(fs::read(&out).unwrap(), bench.new);
        assert_eq!(fs::read(&image).unwrap(), bench.old);
        assert_eq!(bench.files(), ["out", "vmlinux"]);
        assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!((report.writes, report.bytes_written, report.new_length), (4, 16, 9_950));
    }
}

#[test]
fn a_refused_copy_leaves_the_output_unchanged() {
    let bench = Bench::new(0);
    fs::write(bench.out(), b"precious").unwrap();
    let (image, out) = (bench.image(), bench.out());
    let refuse = || Err(ApplyError::Busy { path: PathBuf::new() });
    copy(&bench.patch(&image), &out, Durability::Disk, refuse).unwrap_err();
    assert_eq!(fs::read(&out).unwrap(), b"precious");
    assert_eq!(bench.files(), ["out", "vmlinux"]);
}

#[test]
fn an_output_that_is_the_image_is_refused_under_every_name() {
    let bench = Bench::new(0);
    let image = bench.image();
    let link = bench.directory.path().join("link");
    std::os::unix::fs::symlink(&image, &link).unwrap();
    let hard = bench.directory.path().join("hard");
    fs::hard_link(&image, &hard).unwrap();
    for out in [&image, &link, &hard] {
        let error = copy(&bench.patch(&image), out, Durability::Disk, nothing).unwrap_err();
        assert!(matches!(error, ApplyError::SameFile { .. }), "{error}");
    }
    let error = copy(&bench.patch(&image), bench.directory.path(), Durability::Disk, nothing);
    assert!(matches!(error, Err(ApplyError::NotAFile { is_image: false, .. })));
    // A change in place would be seen under both names.
    assert!(matches!(apply(&Real, &bench), Err(ApplyError::HardLinked { names: 2, .. })));
}

#[test]
fn concurrent_applies_to_one_image_are_refused() {
    let bench = Bench::new(0);
    let image = bench.image();
    let meanwhile = || match apply(&Real, &bench) {
        Err(ApplyError::Busy { .. }) => Ok(()),
        other => panic!("{other:?}"),
    };
    in_place::<ApplyError>(&bench.patch(&image), meanwhile).unwrap();
    assert_eq!(fs::read(&image).unwrap(), bench.new);
}

#[test]
fn each_way_of_failing_to_open_has_its_error() {
    let bench = Bench::new(0);
    let missing = bench.directory.path().join("missing");
    let error = dry_run(&bench.patch(&missing)).unwrap_err();
    assert_eq!(error.class(), FailureClass::Unreadable, "{error}");
    let error = dry_run(&bench.patch(bench.directory.path())).unwrap_err();
    assert_eq!(error.class(), FailureClass::Unreadable, "{error}");
    let nowhere = missing.join("out");
    let image = bench.image();
    let error = copy(&bench.patch(&image), &nowhere, Durability::Disk, nothing).unwrap_err();
    assert_eq!(error.class(), FailureClass::System, "{error}");
}

proptest! {
    /// Any writes, followed by their reverse, restore every byte.
    #[test]
    fn reversed_writes_restore_every_byte(places in proptest::collection::btree_set(0u16..400, 1..20), cut in 0u8..2) {
        let bench = Bench::new(0);
        let write = |at: &u16| {
            let offset = usize::from(*at) * 16;
            let old = bench.old[offset..offset + 8].to_vec();
            let new = old.iter().map(|byte| byte ^ at.to_le_bytes()[0] ^ 0x55).collect();
            ByteWrite { offset: FileOffset(offset as u64), old, new }
        };
        let writes = ByteWrites::new(places.iter().map(write).collect()).unwrap();
        let image = bench.image();
        let patch = Patch { writes: &writes, ..bench.patch(&image) };
        let reversed = writes.reversed();
        if cut == 0 {
            in_place::<ApplyError>(&patch, nothing).unwrap();
            let back = Patch { writes: &reversed, is_reverse: true, ..patch };
            in_place::<ApplyError>(&back, nothing).unwrap();
            prop_assert_eq!(fs::read(&image).unwrap(), bench.old.clone());
        } else {
            copy::<ApplyError>(&patch, &bench.out(), Durability::Cache, nothing).unwrap();
            let (out, again) = (bench.out(), bench.directory.path().join("again"));
            let back = Patch { image: &out, writes: &reversed, is_reverse: true, ..patch };
            copy::<ApplyError>(&back, &again, Durability::Cache, nothing).unwrap();
            prop_assert_eq!(fs::read(&again).unwrap(), bench.old.clone());
        }
    }
}
