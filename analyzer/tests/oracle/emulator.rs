//! The oracle: single words under qemu-aarch64.

use crate::random::Random;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Address of the word before the word. As in `execute_word.c`, and so are the others.
const CODE: u64 = 0x20_0000_0000;
/// Address of the word.
pub(crate) const WORD: u64 = CODE + 4;
/// Address of the only memory that words may reach.
pub(crate) const WINDOW: u64 = CODE + 0x4_0000;
pub(crate) const WINDOW_BYTES: u32 = 2048;

pub(crate) const NOP: u32 = 0xd503_201f;
const SIGTRAP: u64 = 5;

/// General-purpose registers, the stack pointer as the last, and the flags in bits 31:28.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) x: [u64; 32],
    pub(crate) nzcv: u64,
}

/// A word to execute, in a state.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    /// What is executed before the word.
    pub(crate) before: u32,
    pub(crate) word: u32,
    pub(crate) state: State,
}

/// Where execution arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At the next word.
    Next,
    /// The word, or the one before, did not complete.
    Trapped,
    /// Somewhere else.
    At(u64),
}

/// What a word did.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) end: End,
    pub(crate) state: State,
    /// The window.
    pub(crate) memory: Vec<u8>,
}

/// The contents of the window before each word.
pub(crate) fn window() -> Vec<u8> {
    let mut random = Random(7);
    (0..WINDOW_BYTES / 8).flat_map(|_| random.next().to_le_bytes()).collect()
}

/// Executes all records.
pub(crate) fn run(records: &[Record]) -> Vec<Answer> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let program = build(directory.path());
    let input = directory.path().join("records");
    let mut bytes = window();
    records.iter().for_each(|record| encode(record, &mut bytes));
    fs::write(&input, bytes).expect("the records are written");
    let output = Command::new("qemu-aarch64")
        .args(["-cpu", "max"])
        .arg(program)
        .stdin(File::open(input).expect("the records can be read"))
        .stderr(Stdio::inherit())
        .output()
        .expect("qemu-aarch64 runs");
    let answers: Vec<Answer> = output.stdout.chunks_exact(ANSWER_BYTES).map(decode).collect();
    let next = records.get(answers.len()).map(|record| record.word);
    assert!(output.status.success(), "{}: next is {next:08x?}", output.status);
    assert_eq!(answers.len(), records.len());
    answers
}

fn build(directory: &Path) -> PathBuf {
    let program = directory.join("execute_word");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/execute_word.c");
    let status = Command::new("aarch64-linux-gnu-gcc")
        .args(["-O2", "-Wall", "-Wextra", "-Werror", "-static", "-fno-stack-protector", "-o"])
        .args([&program, &source])
        .status()
        .expect("aarch64-linux-gnu-gcc runs");
    assert!(status.success(), "{status}");
    program
}

fn encode(record: &Record, to: &mut Vec<u8>) {
    to.extend(record.before.to_le_bytes());
    to.extend(record.word.to_le_bytes());
    to.extend(record.state.x.iter().flat_map(|value| value.to_le_bytes()));
    to.extend(record.state.nzcv.to_le_bytes());
}

const ANSWER_BYTES: usize = 8 * (2 + 32 + 1) + WINDOW_BYTES as usize;

fn decode(bytes: &[u8]) -> Answer {
    let (words, _) = bytes.as_chunks::<8>();
    let word = |at: usize| u64::from_le_bytes(words[at]);
    let end = match (word(0), word(1)) {
        (SIGTRAP, pc) if pc == WORD + 4 => End::Next,
        (_, CODE | WORD) => End::Trapped,
        (_, pc) => End::At(pc),
    };
    let state = State { x: std::array::from_fn(|at| word(2 + at)), nzcv: word(34) };
    Answer { end, state, memory: bytes[35 * 8..].to_vec() }
}
