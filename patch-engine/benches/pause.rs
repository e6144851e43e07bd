//! How long a process of 8 threads is stopped while the 33 sites of a key are patched by
//! ptrace: `cargo bench -p jlctl-patch-engine --bench pause`.
//!
//! This program starts itself as the process: threads that pass the sites all the time (busy),
//! or that sleep for 100 microseconds after each pass (idle).  The sites are patched on and
//! off; every pause is from the first thread that is asked to stop until the last goes on.

use jlctl_patch_engine::process::{Memory, MemoryEdit, MemoryEdits, apply};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, thread};

const ROLE: &str = "JLCTL_BENCH_TARGET";
const THREADS: usize = 8;
const SITES: usize = 33;
const FLIPS: usize = 1_000;

/// Stand-ins for a key's sites: words of data on one page, as far apart as sites in code.
/// Writing code takes the same path through the kernel.
static WORDS: [[u8; 64]; SITES] = [[0x90; 64]; SITES];

fn serve(is_busy: bool) {
    for _ in 1..THREADS {
        thread::spawn(move || {
            loop {
                std::hint::black_box(&WORDS);
                if !is_busy {
                    thread::sleep(Duration::from_micros(100));
                }
            }
        });
    }
    println!("{:x}", WORDS.as_ptr().addr());
    loop {
        thread::park();
    }
}

fn pauses(kind: &str) -> Vec<Duration> {
    let exe = env::current_exe().expect("this program");
    let mut child =
        Command::new(exe).env(ROLE, kind).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    let out = child.stdout.take().expect("a pipe");
    BufReader::new(out).read_line(&mut line).expect("an address");
    let first = u64::from_str_radix(line.trim(), 16).expect("an address");
    let memory = Memory::open(child.id().cast_signed(), true).expect("it may");
    let edits = |from: u8, to: u8| MemoryEdits {
        code: (0..SITES as u64)
            .map(|site| MemoryEdit {
                address: first + site * 64,
                old: vec![from; 5],
                new: vec![to; 5],
            })
            .collect(),
        words: Vec::new(),
    };
    let (on, off) = (edits(0x90, 0xe9), edits(0xe9, 0x90));
    let mut pauses: Vec<Duration> = (0..FLIPS)
        .map(|flip| {
            let pause = apply(&memory, if flip % 2 == 0 { &on } else { &off }, &|| false);
            let pause = pause.expect("it is written");
            assert_eq!(pause.threads, THREADS);
            pause.time
        })
        .collect();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    pauses.sort_unstable();
    pauses
}

fn main() {
    if let Ok(kind) = env::var(ROLE) {
        serve(kind == "busy");
        return;
    }
    for kind in ["idle", "busy"] {
        let pauses = pauses(kind);
        let at = |share: usize| pauses[(pauses.len() - 1) * share / 100].as_micros();
        println!(
            "{THREADS} threads, {kind}, {SITES} sites, {FLIPS} flips: pause median {} µs, 99 % {} µs, longest {} µs",
            at(50),
            at(99),
            at(100)
        );
    }
}
