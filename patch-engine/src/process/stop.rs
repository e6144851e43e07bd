//! All threads of a process, stopped by ptrace(2).
//!
//! A thread that is stopped is in the kernel, and goes on in the program through a return from
//! an exception.  That return synchronises the context of its CPU: on arm64 an ERET is a
//! context synchronisation event (Arm ARM DDI 0487, D1.4, "Exception return", and B2.2.5: then
//! nothing that was fetched before is executed), on x86-64 the kernel returns to a thread that
//! was stopped by IRET, a serialising instruction (Intel SDM volume 3, 9.3), and on riscv64
//! the writes to memory end in a flush of all instruction caches.  So that what is written
//! while all are stopped is what each executes from then on: the stop is the synchronisation.
//!
//! Threads are seized, not attached to: no SIGSTOP is sent, and nobody's job control sees
//! anything.  A system call that sleeps is begun again by the kernel, but for those that end
//! with EINTR after any stop (signal(7), "Interruption of system calls", by stop signals).
//! Should this process be killed, the kernel lets all threads go.
//!
//! Not stopped are other processes with the same memory (vfork(2), CLONE_VM without
//! CLONE_THREAD).

use super::access::refused;
use super::detach::detach;
use super::error::ProcessError;
use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::unistd::Pid;
use rustix::process::{WaitOptions, WaitStatus, waitpid};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

/// How long a thread may take to stop, in seconds.
const LIMIT: u64 = 5;
/// How long it is asked for again at once, and then after a pause; and how long that is.
const SPIN: Duration = Duration::from_micros(300);
const PAUSE: Duration = Duration::from_micros(100);
/// `__WALL`: threads of other processes too (waitpid(2)).
const ALL: u32 = 0x4000_0000;

/// A process all of whose threads are stopped until this is dropped.
///
/// All calls must come from the thread that stopped them (ptrace(2)).
#[derive(Debug)]
pub struct Stopped {
    pid: i32,
    threads: Vec<Thread>,
    /// When the first thread was asked to stop.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Thread {
    id: Pid,
    /// The number of a signal that it was about to get, and gets when it goes on; or 0.
    signal: i32,
}

impl Stopped {
    /// Stops all threads of `pid`, those too that begin meanwhile.
    ///
    /// # Errors
    /// If that is not allowed, or one does not stop; the others go on then.
    pub fn stop(pid: i32) -> Result<Self, ProcessError> {
        let mut stopped = Self { pid, threads: Vec::new(), since: None };
        let mut known = BTreeSet::new();
        loop {
            // Once all known threads are stopped nobody is left to begin another.
            let new: Vec<Pid> =
                tasks(pid)?.into_iter().filter(|thread| known.insert(*thread)).collect();
            if new.is_empty() {
                break;
            }
            let mut seized = Vec::with_capacity(new.len());
            for thread in new {
                seized.extend(seize(pid, thread)?.then_some(thread));
            }
            stopped.since.get_or_insert_with(Instant::now);
            for thread in &seized {
                // Only fails if it has ended.
                let _ = ptrace::interrupt(*thread);
            }
            for thread in seized {
                stopped.threads.extend(wait(pid, thread)?);
            }
        }
        if stopped.threads.is_empty() {
            return Err(ProcessError::Gone { pid });
        }
        Ok(stopped)
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// How many threads are stopped.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// For each thread its id and the address at which it goes on; none where no site can be
    /// in use halfway, since every site is one aligned word.
    ///
    /// # Errors
    /// If the kernel does not say.
    #[cfg(target_arch = "x86_64")]
    pub fn program_counters(&self) -> Result<Vec<(i32, u64)>, ProcessError> {
        let of = |thread: &Thread| match ptrace::getregs(thread.id) {
            Ok(registers) => Some(Ok((thread.id.as_raw(), registers.rip))),
            // It was killed, and goes on nowhere.
            Err(Errno::ESRCH) => None,
            Err(error) => Some(Err(ProcessError::System {
                pid: self.pid,
                what: format!("read the registers of thread {}", thread.id),
                error: error.into(),
            })),
        };
        self.threads.iter().filter_map(of).collect()
    }

    /// As on x86-64.
    ///
    /// # Errors
    /// None.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn program_counters(&self) -> Result<Vec<(i32, u64)>, ProcessError> {
        Ok(Vec::new())
    }

    /// Lets all threads go on; from the first that was asked to stop until now.
    #[must_use]
    pub fn resume(mut self) -> Duration {
        self.detach();
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    fn detach(&mut self) {
        for thread in self.threads.drain(..) {
            detach(thread.id, thread.signal);
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        self.detach();
    }
}

/// The threads of a process that have not ended.
fn tasks(pid: i32) -> Result<Vec<Pid>, ProcessError> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .map_err(|error| refused(pid, "list its threads", error))?;
    let id = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(id).map(Pid::from_raw).collect())
}

/// Whether the thread is traced now; it is not if it has ended.
fn seize(pid: i32, thread: Pid) -> Result<bool, ProcessError> {
    match ptrace::seize(thread, Options::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        // So says the kernel of a thread that has ended and not been waited for, too.
        Err(Errno::EPERM) if has_ended(pid, thread) => Ok(false),
        Err(error) => {
            let error = match error {
                Errno::EPERM => io::Error::from(io::ErrorKind::PermissionDenied),
                error => error.into(),
            };
            Err(refused(pid, "trace it", error))
        }
    }
}

fn has_ended(pid: i32, thread: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")).unwrap_or_default();
    // The state stands behind the name, which ends in the last parenthesis.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    matches!(state, None | Some('Z' | 'X'))
}

/// Waits until a thread has stopped; `None` if it has ended.
fn wait(pid: i32, thread: Pid) -> Result<Option<Thread>, ProcessError> {
    let begun = Instant::now();
    let flags = WaitOptions::NOHANG | WaitOptions::from_bits_retain(ALL);
    loop {
        match waitpid(rustix::process::Pid::from_raw(thread.as_raw()), flags) {
            Ok(None) => {}
            Ok(Some((_, status))) => return Ok(stopped(thread, status)),
            Err(rustix::io::Errno::CHILD) => return Ok(None),
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => {
                let what = format!("wait for thread {thread}");
                return Err(ProcessError::System { pid, what, error: error.into() });
            }
        }
        let waited = begun.elapsed();
        if waited > Duration::from_secs(LIMIT) {
            return Err(ProcessError::StillRuns { pid, thread: thread.as_raw(), seconds: LIMIT });
        }
        if waited > SPIN {
            std::thread::sleep(PAUSE);
        } else {
            // Threads wait for this CPU too.
            std::thread::yield_now();
        }
    }
}

/// The thread that stopped with `status`; `None` if it has ended.
fn stopped(thread: Pid, status: WaitStatus) -> Option<Thread> {
    let signal = signal_of(status.as_raw());
    status.stopped().then_some(Thread { id: thread, signal })
}

/// The number of the signal that a stopped thread was about to get, by its status; 0 if it
/// was asked to stop or job control has stopped it, which PTRACE_EVENT_STOP in bits 16 to 23
/// says (ptrace(2), waitpid(2)).
fn signal_of(status: i32) -> i32 {
    match status.cast_unsigned() >> 16 {
        0 => (status >> 8) & 0xff,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};
    use std::sync::atomic::{AtomicBool, Ordering};

    /// A program that answers each real-time signal gets every one, though it is stopped all
    /// the time.
    #[test]
    #[cfg_attr(not(feature = "tools"), ignore = "needs perl: testdata/check runs it")]
    fn no_signal_is_lost() {
        const SIGNALS: usize = 60;
        const LIMIT: Duration = Duration::from_secs(120);
        let program = "$| = 1; $SIG{RTMIN} = sub { print qq(got\n) }; print qq(up\n); \
                       sleep 1 while 1";
        let mut child = Command::new("perl")
            .args(["-e", program])
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs perl");
        let id = child.id();
        let mut answers = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        assert_eq!(answers.next().unwrap().unwrap(), "up");
        let is_over = AtomicBool::new(false);
        let stops = std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..SIGNALS {
                    let kill = Command::new("perl")
                        .args(["-e", "kill 'RTMIN', shift", &id.to_string()])
                        .status();
                    assert!(kill.is_ok_and(|status| status.success()));
                    assert_eq!(answers.next().unwrap().unwrap(), "got");
                }
                is_over.store(true, Ordering::Relaxed);
            });
            let (mut stops, begun) = (0, Instant::now());
            while !is_over.load(Ordering::Relaxed) {
                let stopped = Stopped::stop(id.cast_signed()).unwrap();
                assert_eq!(stopped.threads(), 1);
                let _ = stopped.resume();
                stops += 1;
                if begun.elapsed() > LIMIT {
                    // Who waits for an answer gets none, and fails.
                    child.kill().unwrap();
                    break;
                }
            }
            stops
        });
        assert!(stops > SIGNALS, "{stops}");
        // It may have been killed.
        let _ = child.kill();
        child.wait().unwrap();
    }

    #[test]
    fn signals_of_any_number_are_kept() {
        for signal in [10, 32, 33, 34, 64] {
            assert_eq!(signal_of(signal << 8 | 0x7f), signal, "about to be delivered");
        }
        assert_eq!(signal_of(128 << 16 | 5 << 8 | 0x7f), 0, "asked to stop");
        assert_eq!(signal_of(128 << 16 | 19 << 8 | 0x7f), 0, "stopped by SIGSTOP before");
    }
}
