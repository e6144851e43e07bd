//! Boots the guest, and follows its records.

use crate::VmError;
use crate::console;
use crate::emulator::{self, CONSOLE, Emulator, INITRAMFS, STDERR};
use crate::initramfs;
use crate::program::{Program, Run};
use crate::results::Results;
use jlctl_guest::Record;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// Time limit of booting: twenty times the time on two CPUs of the host.
const BOOT: Duration = Duration::from_secs(120);

/// Maximum length of a record: init sends at most an escaped kilobyte.
const MAX_RECORD: u64 = 64 << 10;

/// Maximum output of the guest.
const MAX_OUTPUT: usize = 64 << 20;

/// A virtual machine: four arm64 CPUs under a real kernel.
#[derive(Debug, Clone)]
pub struct Machine {
    /// QEMU's program.
    pub emulator: PathBuf,
    /// The kernel's boot image.
    pub kernel: PathBuf,
    /// The guest's first process.
    pub init: PathBuf,
    /// Time limit, in addition to those of the programs.
    pub limit: Duration,
}

/// The state of the guest after booting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Up {
    /// The kernel's release.
    pub release: String,
    /// Number of CPUs.
    pub cpus: usize,
    /// Time since the start of the emulator.
    pub after: Duration,
}

/// The result of a boot and of all programs.
#[derive(Debug)]
pub struct Boot {
    /// The state after booting, if it booted.
    pub up: Option<Up>,
    /// The result of each program, in order.
    pub runs: Vec<Run>,
    /// Why a program did not run to its end.
    pub failure: Option<VmError>,
    /// Total time by the host's clock.
    pub duration: Duration,
}

impl Machine {
    /// The machine with the emulator of this host ([`emulator::find`]) and a limit of two
    /// minutes.
    #[must_use]
    pub fn new(kernel: impl Into<PathBuf>, init: impl Into<PathBuf>) -> Self {
        let (kernel, init) = (kernel.into(), init.into());
        Self { emulator: emulator::find(), kernel, init, limit: BOOT }
    }

    /// Boots, runs `programs` one after another, and switches off. `watch` gets each record as
    /// it arrives.
    ///
    /// # Errors
    ///
    /// If the emulator cannot be started. A later failure is in [`Boot::failure`].
    pub fn run(
        &self,
        programs: &[Program],
        watch: &mut dyn FnMut(&Record),
    ) -> Result<Boot, VmError> {
        let directory = tempfile::tempdir().map_err(VmError::io("create", "a directory"))?;
        let initramfs = directory.path().join(INITRAMFS);
        fs::write(&initramfs, initramfs::build(&self.init, programs)?)
            .map_err(VmError::io("write", &initramfs))?;
        let start = Instant::now();
        let limit = self.limit + programs.iter().map(|program| program.limit).sum::<Duration>();
        let mut emulator = Emulator::start(&self.emulator, &self.kernel, directory.path())?;
        let (sender, lines) = mpsc::sync_channel(64);
        let stdout = emulator.stdout();
        // The thread ends with the emulator, whose output it reads.
        thread::spawn(move || forward(stdout, &sender));
        let mut guest = Guest {
            directory: directory.path(),
            programs,
            start,
            limit,
            up: None,
            results: Results::new(programs.len()),
        };
        let failure = guest.follow(&lines, &mut emulator, watch).err();
        let Guest { up, results, .. } = guest;
        Ok(Boot { up, runs: results.runs, failure, duration: start.elapsed() })
    }
}

/// Sends each line of `stdout`.
fn forward(stdout: impl Read, lines: &SyncSender<Vec<u8>>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match reader.by_ref().take(MAX_RECORD).read_until(b'\n', &mut line) {
            Ok(length) if length > 0 && lines.send(line).is_ok() => {}
            _ => return,
        }
    }
}

/// A running guest.
struct Guest<'a> {
    /// The emulator's files.
    directory: &'a Path,
    programs: &'a [Program],
    start: Instant,
    limit: Duration,
    up: Option<Up>,
    results: Results,
}

impl Guest<'_> {
    /// Processes all records until the emulator ends.
    fn follow(
        &mut self,
        lines: &Receiver<Vec<u8>>,
        emulator: &mut Emulator,
        watch: &mut dyn FnMut(&Record),
    ) -> Result<(), VmError> {
        let deadline = self.start + self.limit;
        let mut length = 0_usize;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match lines.recv_timeout(left) {
                Ok(line) => {
                    length = length.saturating_add(line.len());
                    self.take(&line, length, watch)?;
                }
                Err(RecvTimeoutError::Timeout) => return Err(self.timed_out()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        match emulator.end(deadline) {
            Some(_) if self.results.off => Ok(()),
            Some(status) => Err(self.ended_early(status.to_string())),
            None => Err(self.timed_out()),
        }
    }

    fn take(
        &mut self,
        line: &[u8],
        length: usize,
        watch: &mut dyn FnMut(&Record),
    ) -> Result<(), VmError> {
        if length > MAX_OUTPUT {
            return Err(VmError::TooMuch { limit: MAX_OUTPUT });
        }
        let text = String::from_utf8_lossy(line);
        let record = Record::parse(text.trim_end()).filter(|record| self.results.add(record));
        // A truncated line is the last one: the exit of the emulator is the better diagnostic.
        let Some(record) = record else {
            if line.ends_with(b"\n") {
                return Err(VmError::Protocol { line: text.trim_end().to_owned() });
            }
            return Ok(());
        };
        if let Record::Ready { release, cpus } = &record {
            let after = self.start.elapsed();
            self.up = Some(Up { release: release.clone(), cpus: *cpus, after });
        }
        watch(&record);
        Ok(())
    }

    fn timed_out(&self) -> VmError {
        let doing = match (&self.up, self.results.running) {
            (None, _) => "before its init was up".to_owned(),
            (Some(_), None) => "with no program running".to_owned(),
            (Some(_), Some(job)) => {
                let program = self.programs.get(job).map(|program| program.path.display());
                program.map_or_else(String::new, |path| format!("running {path}"))
            }
        };
        VmError::TimedOut { limit: self.limit, doing, console: console::tail(&self.console()) }
    }

    fn ended_early(&self, status: String) -> VmError {
        let console = self.console();
        let shown = console::tail(&console);
        match console::panic(&console) {
            Some(message) => VmError::Panicked { message, console: shown },
            None => VmError::EndedEarly { status, emulator: self.read(STDERR), console: shown },
        }
    }

    fn console(&self) -> String {
        self.read(CONSOLE)
    }

    /// A file of the emulator; empty if the emulator did not create it.
    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.directory.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

#[cfg(test)]
mod tests;
