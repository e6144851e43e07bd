//! The path of QEMU, and the machine that it emulates.

use crate::VmError;
use jlctl_corpus as corpus;
use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The emulator of machines.
const SYSTEM: &str = "qemu-system-aarch64";

/// The hint for a missing emulator.
const HINT: &str = "testdata/check installs it, on Debian from the package qemu-system-arm";

/// Every option except those for files. A second serial port carries only records, so that no
/// kernel message can appear between them.
///
/// * `lpa2=off`: 5.10 does not boot with large addresses and 4 KiB pages.
/// * `pauth-impdef=on`: a cheap function signs pointers; QARMA takes longer than everything
///   else together.
/// * `panic=-1` with `-no-reboot`: a kernel that panics ends the emulator.
const OPTIONS: &str = "-machine virt -cpu max,lpa2=off,pauth-impdef=on -smp 4 -m 1G \
    -accel tcg,thread=multi -nodefaults -display none -no-reboot \
    -serial file:console -chardev stdio,id=records,signal=off -device pci-serial,chardev=records \
    -initrd initramfs";

/// The kernel's command line. The kernel's tests of its cryptography would take two seconds.
const COMMAND_LINE: &str = "console=ttyAMA0 loglevel=5 panic=-1 cryptomgr.notests rdinit=/init";

/// Names of files in the emulator's directory.
pub(super) const INITRAMFS: &str = "initramfs";
pub(super) const CONSOLE: &str = "console";
pub(super) const STDERR: &str = "stderr";

/// QEMU's program on the host: from `PATH`, or else from the cache, into which `testdata/check`
/// unpacks it.
#[must_use]
pub fn find() -> PathBuf {
    let directories = env::var_os("PATH").unwrap_or_default();
    let in_cache = corpus::cache_dir().map(|cache| cache.join("tools/bin"));
    let mut candidates = env::split_paths(&directories).chain(in_cache);
    candidates
        .find_map(|directory| Some(directory.join(SYSTEM)).filter(|path| path.is_file()))
        .unwrap_or_else(|| PathBuf::from(SYSTEM))
}

/// A running emulator, which is killed when this value is dropped.
pub(super) struct Emulator(Child);

impl Emulator {
    /// Starts `program` in `directory`, which contains the initial file system.
    pub(super) fn start(program: &Path, kernel: &Path, directory: &Path) -> Result<Self, VmError> {
        let kernel = kernel.canonicalize().map_err(VmError::io("find", kernel))?;
        let log = directory.join(STDERR);
        let stderr = File::create(&log).map_err(VmError::io("create", &log))?;
        let mut command = Command::new(program);
        // Relative file names contain no comma to escape.
        command.current_dir(directory).args(OPTIONS.split_whitespace());
        command.arg("-kernel").arg(kernel).args(["-append", COMMAND_LINE]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let spawn =
            |source| VmError::Spawn { command: program.display().to_string(), hint: HINT, source };
        command.spawn().map(Self).map_err(spawn)
    }

    /// Its standard output; empty if it was taken already.
    pub(super) fn stdout(&mut self) -> impl std::io::Read + Send + use<> {
        self.0.stdout.take().map_or_else(
            || Box::new(std::io::empty()) as Box<dyn std::io::Read + Send>,
            |pipe| Box::new(pipe),
        )
    }

    /// Its exit status; `None` if it still runs at `deadline`.
    pub(super) fn end(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            if let Ok(Some(status)) = self.0.try_wait() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Killing fails only if the emulator has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(
        not(feature = "vm"),
        ignore = "needs QEMU and a kernel, as the tests in the guest do: testdata/check runs them"
    )]
    fn the_emulator_and_the_kernel_are_there() {
        assert!(find().is_file(), "{SYSTEM} is missing: {HINT}");
        assert!(corpus::path(corpus::Image::Vmlinuz612).is_some(), "vmlinuz-6.12 is not fetched");
    }
}
