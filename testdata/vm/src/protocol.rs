//! The protocol between host and guest (`jlctl-guest`), read back as it is written.

use jlctl_guest::escape::{decode, decode_text, push};
use jlctl_guest::{Ending, Job, Record, Stream};
use std::time::Duration;

#[test]
fn records_are_read_back() {
    let end = |ending| Record::End { job: 2, ending, duration: Duration::from_millis(70) };
    let output = |stream, bytes: &[u8]| Record::Output { job: 0, stream, bytes: bytes.into() };
    for (record, line) in [
        (Record::Ready { release: "6.12 x".to_owned(), cpus: 4 }, "ready 4 6.12%20x"),
        (Record::Start(7), "start 7"),
        (output(Stream::Stdout, b"end 0\n"), "stdout 0 end%200%0A"),
        (output(Stream::Stderr, b"\xff\0"), "stderr 0 %FF%00"),
        (end(Ending::Exit(101)), "end 2 70 exit 101"),
        (end(Ending::Signal(4)), "end 2 70 signal 4"),
        (end(Ending::TimedOut), "end 2 70 timed-out"),
        (end(Ending::NotStarted("no file".to_owned())), "end 2 70 not-started no%20file"),
        (Record::Off, "off"),
    ] {
        assert_eq!(record.to_line(), line);
        assert_eq!(Record::parse(line), Some(record));
    }
}

#[test]
fn a_line_that_is_not_a_record_is_refused() {
    for line in ["", "ready", "start", "start x", "stdout 0", "end 0 1", "end 0 1 exit", "off 1"] {
        assert_eq!(Record::parse(line), None, "{line:?}");
    }
}

#[test]
fn a_job_is_read_back() {
    let job = Job {
        program: "/programs/0".to_owned(),
        arguments: vec!["--exact".to_owned(), String::new(), "a b".to_owned()],
        environment: vec![("A".to_owned(), "1 = 2".to_owned()), ("B".to_owned(), String::new())],
        limit: Duration::from_millis(1500),
    };
    assert_eq!(job.to_line(), "1500 3 /programs/0 --exact  a%20b A 1%20=%202 B ");
    assert_eq!(Job::parse(&job.to_line()), Some(job));
}

#[test]
fn a_line_that_is_not_a_job_is_refused() {
    for line in ["", "1", "x 0 p", "1 0", "1 2 p a", "1 0 p NAME", "1 18446744073709551616 p"] {
        assert_eq!(Job::parse(line), None, "{line:?}");
    }
}

fn word(bytes: &[u8]) -> String {
    let mut line = String::new();
    push(&mut line, bytes);
    line
}

#[test]
fn only_printable_ascii_is_not_escaped() {
    assert_eq!(word(b""), " ");
    assert_eq!(word(b"a-~!"), " a-~!");
    assert_eq!(word(b"5% of\n\xff"), " 5%25%20of%0A%FF");
}

#[test]
fn every_byte_is_read_back() {
    let all: Vec<u8> = (0..=255).collect();
    let word = word(&all);
    assert!(!word[1..].contains([' ', '\n', '\r']), "{word}");
    assert_eq!(decode(&word[1..]), Some(all));
}

#[test]
fn text_that_is_not_escaped_is_refused() {
    for text in ["%", "%4", "%g0", "%0g", "%aa", "a b", "a\n", "ü"] {
        assert_eq!(decode(text), None, "{text:?}");
    }
    assert_eq!(decode_text("%FF"), None);
    assert_eq!(decode_text("%C3%BC"), Some("ü".to_owned()));
}
