//! The system calls of a batch, as strace(1) counts them: one membarrier, two mprotects for each run
//! of pages, and a few others, the same for one site as for a thousand.
#![cfg(target_arch = "x86_64")] // Where these tests run natively; an emulator's calls say nothing.
#![allow(unsafe_code, reason = "marks between system calls")]

use crate::common::arena::Arena;
use crate::common::memory::page;
use crate::common::rerun::{must_run, rerun_under, role, test_path};
use jlctl_shim::abi::JumpLabelType;
use jlctl_shim::{Batch, Op, transform};
use std::collections::BTreeMap;
use std::{env, fs, process, thread};

/// Writes `text` to the trace, by a write to an invalid descriptor.
fn mark(text: &str) {
    // SAFETY: the text is valid during the call.
    unsafe { libc::write(-1, text.as_ptr().cast(), text.len()) };
}

/// Runs `body` between two marks.  The second contains the number that `body` returns.
fn marked(what: &str, body: impl FnOnce() -> usize) {
    mark(&format!("begin {what}"));
    let number = body();
    mark(&format!("end {number}"));
}

/// Distances between sites: in adjacent cache lines, and in separate windows.
const STRIDES: [(&str, usize); 2] = [("near", 64), ("far", 20)];
const COUNTS: [usize; 3] = [1, 33, 1_000];

fn arena(count: usize, (what, stride): (&str, usize)) -> Arena {
    let arena = Arena::new(count, if what == "near" { stride } else { stride * page() });
    // The first batches read the mappings and allocate memory.
    arena.key.enable().unwrap();
    arena.key.disable().unwrap();
    arena
}

fn child() {
    // Without another thread no membarrier is needed.
    thread::spawn(|| {
        loop {
            thread::park();
        }
    });
    for stride in STRIDES {
        for count in COUNTS {
            let arena = arena(count, stride);
            let what = format!("{} {count}", stride.0);
            marked(&format!("enable {what}"), || arena.key.enable().unwrap().page_runs);
            marked(&format!("disable {what}"), || arena.key.disable().unwrap().page_runs);
        }
    }
    let arenas: Vec<Arena> = (0..8).map(|_| arena(5, STRIDES[0])).collect();
    let all = |op| arenas.iter().fold(Batch::new(), |batch, arena| batch.with(arena.key, op));
    let batch = all(Op::Enable);
    batch.apply().unwrap();
    marked("batch none", || batch.apply().unwrap().page_runs);
    let entry = arenas[0].table.entry(0);
    // The first queued patch allocates the list of uncovered patches.
    transform::queue(arenas[1].table.entry(0), JumpLabelType::Nop).unwrap();
    marked("queue one", || transform::queue(entry, JumpLabelType::Nop).map(usize::from).unwrap());
    marked("queue one", || transform::queue(entry, JumpLabelType::Jmp).map(usize::from).unwrap());
    marked("apply none", || transform::apply().map(|_| 0).unwrap());
}

/// The number of a pair of marks, and the counts of the system calls between them.
type Calls = (usize, BTreeMap<String, usize>);

/// The system calls between each pair of marks in `trace`, of the thread that wrote the marks.  If a
/// call of another thread interrupts a line, a second line follows: `<... NAME resumed>`.
fn between_marks(trace: &str) -> Vec<(String, Calls)> {
    let marks = |line: &str| Some(line.split_once("write(-1, \"")?.1.split_once('"')?.0.to_owned());
    let mut found = Vec::new();
    let mut open: Option<(&str, String, BTreeMap<String, usize>)> = None;
    for line in trace.lines() {
        let (thread, call) = line.split_once(char::is_whitespace).expect("a thread's id");
        let call = call.trim_start();
        match (marks(call), &mut open) {
            (Some(mark), None) => {
                let what = mark.strip_prefix("begin ").unwrap().to_owned();
                open = Some((thread, what, BTreeMap::new()));
            }
            (Some(mark), Some(_)) => {
                let number = mark.strip_prefix("end ").unwrap().parse().unwrap();
                let (begun_by, what, calls) = open.take().unwrap();
                assert_eq!(begun_by, thread);
                found.push((what, (number, calls)));
            }
            (None, Some((by, _, calls))) if *by == thread && !call.starts_with("<... ") => {
                let name = call.split_once('(').unwrap_or_else(|| panic!("{line}")).0;
                *calls.entry(name.to_owned()).or_default() += 1;
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none());
    found
}

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs strace")]
fn one_membarrier_and_two_mprotects_for_each_run() {
    if role().is_some() {
        return child();
    }
    let path = env::temp_dir().join(format!("jlshim-trace-{}", process::id()));
    let name = test_path!();
    let version = process::Command::new("strace").arg("-V").output();
    assert!(version.is_ok_and(|output| output.status.success()), "this test needs strace");
    let trace_to = path.to_str().unwrap();
    must_run(&mut rerun_under(
        &["strace", "-f", "-qq", "-s", "64", "-o", trace_to],
        name,
        "traced",
    ));
    let trace = fs::read_to_string(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let found = between_marks(&trace);
    assert_eq!(found.len(), STRIDES.len() * COUNTS.len() * 2 + 4);
    for (what, (number, calls)) in found {
        let words: Vec<&str> = what.split(' ').collect();
        // The lock: blocking and restoring signals, and the ids of thread and process.
        let mut wanted = vec![("getpid", 1), ("gettid", 1), ("rt_sigprocmask", 2)];
        match words[..] {
            ["enable" | "disable", distance, count] => {
                let count: usize = count.parse().unwrap();
                assert_eq!(
                    number,
                    if distance == "near" { (count * 64).div_ceil(20 * page()) } else { count }
                );
                wanted.extend([("futex", 1), ("membarrier", 1), ("mprotect", 2 * number)]);
            }
            ["batch", "none"] => {
                assert_eq!(number, 0);
                // The list of the changes of several keys.
                wanted.extend([("mmap", 1), ("munmap", 1)]);
            }
            ["queue", "one"] => {
                assert_eq!(number, 1, "the site has changed");
                wanted.push(("mprotect", 2));
            }
            ["apply", "none"] => wanted.push(("membarrier", 1)),
            _ => panic!("{what}"),
        }
        let wanted: BTreeMap<String, usize> =
            wanted.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
        assert_eq!(calls, wanted, "{what}");
    }
}

#[test]
fn marks_are_found_in_a_trace() {
    let trace = "7 getpid() = 7\n7 write(-1, \"begin a b\", 9) = -1 EBADF (Bad file descriptor)\n\
        7  mprotect(0x1, 2, PROT_READ) = 0\n7 mprotect(0x1, 2, PROT_READ) = 0\n\
        7 write(-1, \"end 12\", 6) = -1 EBADF (Bad file descriptor)\n7 exit_group(0) = ?\n";
    let calls = BTreeMap::from([("mprotect".to_owned(), 2)]);
    assert_eq!(between_marks(trace), [("a b".to_owned(), (12, calls))]);
}
