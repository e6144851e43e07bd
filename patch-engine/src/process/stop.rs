//! Stops all threads of a process by ptrace(2): the stop is the synchronisation.
//!
//! A stopped thread is in the kernel, and returns to the program by an exception return, which
//! synchronises the context of its CPU. On arm64 an ERET is a context synchronisation event (Arm
//! ARM DDI 0487, D1.4, "Exception return", and B2.2.5: no instruction that was fetched before is
//! executed after it). On x86-64 the kernel returns to a stopped thread by IRET, a serialising
//! instruction (Intel SDM volume 3, 9.3). On riscv64 the writes to memory end in a flush of all
//! instruction caches. So after it returns, each thread executes the new code.
//!
//! Threads are seized, not attached to: no SIGSTOP is sent, and job control sees nothing. The
//! kernel restarts a sleeping system call, except for those that end with EINTR after any stop
//! (signal(7), "Interruption of system calls", by stop signals). If this process is killed, the
//! kernel resumes all threads.
//!
//! Other processes that share the memory (vfork(2), CLONE_VM without CLONE_THREAD) are not stopped.
//!
//! ptrace is that of the crate nix, which is safe and small.

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

/// Time limit for a thread to stop, in seconds.
const LIMIT: u64 = 5;
/// Time for which the status is polled without a pause, and the pause after that.
const SPIN: Duration = Duration::from_micros(300);
const PAUSE: Duration = Duration::from_micros(100);
/// `__WALL`: also threads of other processes (waitpid(2)).
const ALL: u32 = 0x4000_0000;

/// A process whose threads are all stopped until this value is dropped.
///
/// All calls must come from the thread that stopped the process (ptrace(2)).
#[derive(Debug)]
pub struct Stopped {
    pid: i32,
    threads: Vec<Thread>,
    /// The time of the first request to stop.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Thread {
    id: Pid,
    /// Number of a signal that was about to be delivered, and is delivered at the resume; or 0.
    signal: i32,
}

impl Stopped {
    /// Stops all threads of `pid`, including those that are created in the meantime.
    ///
    /// # Errors
    /// If access is denied, or a thread does not stop; the others are resumed then.
    pub fn stop(pid: i32) -> Result<Self, ProcessError> {
        let mut stopped = Self { pid, threads: Vec::new(), since: None };
        let mut known = BTreeSet::new();
        loop {
            // Once all known threads are stopped, no thread is left that could create another.
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
                // The call fails only if the thread has ended.
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

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Number of stopped threads.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads.len()
    }

    /// For each thread its id and the address at which it resumes; empty where no site can be in
    /// use halfway, since every site is one aligned word.
    ///
    /// # Errors
    /// If the kernel does not report the registers.
    #[cfg(target_arch = "x86_64")]
    pub fn program_counters(&self) -> Result<Vec<(i32, u64)>, ProcessError> {
        let of = |thread: &Thread| match ptrace::getregs(thread.id) {
            Ok(registers) => Some(Ok((thread.id.as_raw(), registers.rip))),
            // The thread was killed, and does not resume.
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
    /// Never.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn program_counters(&self) -> Result<Vec<(i32, u64)>, ProcessError> {
        Ok(Vec::new())
    }

    /// Resumes all threads; returns the time since the first request to stop.
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

/// Whether the thread is traced now; false if it has ended.
fn seize(pid: i32, thread: Pid) -> Result<bool, ProcessError> {
    match ptrace::seize(thread, Options::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        // The kernel reports the same for a zombie thread.
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
    // The state follows the name, which ends with the last parenthesis.
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
            // The thread that is waited for may need this CPU.
            std::thread::yield_now();
        }
    }
}

/// The thread that stopped with `status`; `None` if it has ended.
fn stopped(thread: Pid, status: WaitStatus) -> Option<Thread> {
    let signal = signal_of(status.as_raw());
    status.stopped().then_some(Thread { id: thread, signal })
}

/// Number of the signal that a stopped thread was about to get, from its status; 0 if the thread
/// was asked to stop or was stopped by job control: then bits 16 to 23 are PTRACE_EVENT_STOP
/// (ptrace(2), waitpid(2)).
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

    /// A program that answers each real-time signal gets every signal, though it is stopped again
    /// and again.
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
                    // The thread that waits for an answer gets none, and fails.
                    child.kill().unwrap();
                    break;
                }
            }
            stops
        });
        assert!(stops > SIGNALS, "{stops}");
        // The child may have been killed already.
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
