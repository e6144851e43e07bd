//! Requests: the lines that a client of the control socket sends.

use crate::runtime::key::Op;
use core::fmt;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// Asks for the process and its objects.
    Hello,
    /// Asks for all keys.
    List,
    /// Asks for the report as JSON.
    Report,
    /// A batch: the line, whose words are operations and keys.
    Batch(&'a [u8]),
}

/// An operation of a batch on one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct KeyOp<'a> {
    pub(super) op: Op,
    pub(super) key: KeyName<'a>,
    /// The count that the key must have before the batch.
    pub(super) expected: Option<i32>,
}

/// The name by which a request refers to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyName<'a> {
    /// Its address in this process.
    Address(usize),
    /// Its symbol, its path, or the end of its path.
    Name(&'a [u8]),
}

/// The reason why a line is not a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Its first word is not a request.
    Unknown,
    /// More words follow than the request has.
    More,
    /// A batch has no key.
    NoKey,
    /// An address or a count is not a number.
    Number,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "expected hello, list, report, enable or disable",
            Self::More => "expected no word after hello, list or report",
            Self::NoKey => "expected keys after enable or disable",
            Self::Number => "expected 0xADDRESS, 0xADDRESS=COUNT or a name",
        })
    }
}

fn words(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty())
}

const fn op(word: &[u8]) -> Option<Op> {
    match word {
        b"enable" => Some(Op::Enable),
        b"disable" => Some(Op::Disable),
        _ => None,
    }
}

/// Parses a line, without its end; `None` for a blank line.
///
/// # Errors
/// The reason why the line is not a request.
pub(super) fn parse(line: &[u8]) -> Result<Option<Request<'_>>, Malformed> {
    let mut all = words(line);
    let Some(first) = all.next() else { return Ok(None) };
    let request = match first {
        b"hello" => Request::Hello,
        b"list" => Request::List,
        b"report" => Request::Report,
        word if op(word).is_some() => {
            let mut count = 0usize;
            key_ops(line).try_for_each(|key_op| key_op.map(|_| count += 1))?;
            return if count == 0 { Err(Malformed::NoKey) } else { Ok(Some(Request::Batch(line))) };
        }
        _ => return Err(Malformed::Unknown),
    };
    if all.next().is_some() { Err(Malformed::More) } else { Ok(Some(request)) }
}

/// The operations of a batch: the word `enable` or `disable` applies to all keys that follow it.
pub(super) fn key_ops(line: &[u8]) -> impl Iterator<Item = Result<KeyOp<'_>, Malformed>> {
    let mut present = Op::Enable;
    words(line).filter_map(move |word| match op(word) {
        Some(op) => {
            present = op;
            None
        }
        None => Some(key_name(word).map(|(key, expected)| KeyOp { op: present, key, expected })),
    })
}

fn key_name(word: &[u8]) -> Result<(KeyName<'_>, Option<i32>), Malformed> {
    let Some(digits) = word.strip_prefix(b"0x") else { return Ok((KeyName::Name(word), None)) };
    let text = core::str::from_utf8(digits).map_err(|_| Malformed::Number)?;
    let (address, count) = text.split_once('=').map_or((text, None), |(a, b)| (a, Some(b)));
    let address = usize::from_str_radix(address, 16).map_err(|_| Malformed::Number)?;
    let count = count.map(str::parse).transpose().map_err(|_| Malformed::Number)?;
    Ok((KeyName::Address(address), count))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn lines_are_parsed() {
        for (line, found) in [
            ("", Ok(None)),
            (" \t\r", Ok(None)),
            ("hello", Ok(Some(Request::Hello))),
            (" list ", Ok(Some(Request::List))),
            ("report\r", Ok(Some(Request::Report))),
            ("enable a", Ok(Some(Request::Batch(b"enable a")))),
            ("list a", Err(Malformed::More)),
            ("enable", Err(Malformed::NoKey)),
            ("enable disable", Err(Malformed::NoKey)),
            ("enable 0x", Err(Malformed::Number)),
            ("enable 0x1=", Err(Malformed::Number)),
            ("enable 0x1=x", Err(Malformed::Number)),
            ("enable 0x11111111111111111", Err(Malformed::Number)),
            ("flip a", Err(Malformed::Unknown)),
            ("\u{fffd}", Err(Malformed::Unknown)),
        ] {
            assert_eq!(parse(line.as_bytes()), found, "{line}");
        }
    }

    #[test]
    fn a_batch_of_several_operations() {
        let found: Vec<_> = key_ops(b"enable a 0x10=0 disable a::b 0x20 enable c").collect();
        let key_op = |op, key, expected| Ok(KeyOp { op, key, expected });
        assert_eq!(
            found,
            [
                key_op(Op::Enable, KeyName::Name(b"a"), None),
                key_op(Op::Enable, KeyName::Address(0x10), Some(0)),
                key_op(Op::Disable, KeyName::Name(b"a::b"), None),
                key_op(Op::Disable, KeyName::Address(0x20), None),
                key_op(Op::Enable, KeyName::Name(b"c"), None),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_line_is_parsed(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(Request::Batch(words))) = parse(&line) {
                prop_assert!(key_ops(words).all(|key_op| key_op.is_ok()));
            }
        }

        #[test]
        fn a_written_operation_is_parsed(address in any::<usize>(), count in any::<i32>()) {
            let line = std::format!("disable {address:#x}={count}");
            let key = KeyName::Address(address);
            let key_op = KeyOp { op: Op::Disable, key, expected: Some(count) };
            prop_assert_eq!(key_ops(line.as_bytes()).collect::<Vec<_>>(), [Ok(key_op)]);
        }
    }
}
