//! What a line of the control socket asks for.

use crate::key::Op;
use core::fmt;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// Who answers, and which objects it has.
    Hello,
    /// All keys.
    List,
    /// The report as JSON.
    Report,
    /// A batch: the words of the line, which are operations and keys.
    Batch(&'a [u8]),
}

/// What a batch has to do to one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wish<'a> {
    pub(super) op: Op,
    pub(super) key: Called<'a>,
    /// The count that it must have before.
    pub(super) expected: Option<i32>,
}

/// How a key is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Called<'a> {
    /// By its address in this process.
    Address(usize),
    /// By symbol, path or the end of one.
    Name(&'a [u8]),
}

/// Why a line is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Malformed {
    /// Its first word is none.
    Unknown,
    /// A word follows where none does.
    More,
    /// A batch has no key.
    NoKey,
    /// An address or a count is none.
    Number,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "expected hello, list, report, enable or disable",
            Self::More => "expected nothing behind hello, list and report",
            Self::NoKey => "expected keys behind enable and disable",
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

/// Reads a line, without its end; none if it is blank.
///
/// # Errors
/// Why it is no request.
pub(super) fn parse(line: &[u8]) -> Result<Option<Request<'_>>, Malformed> {
    let mut all = words(line);
    let Some(first) = all.next() else { return Ok(None) };
    let request = match first {
        b"hello" => Request::Hello,
        b"list" => Request::List,
        b"report" => Request::Report,
        word if op(word).is_some() => {
            let mut count = 0usize;
            wishes(line).try_for_each(|wish| wish.map(|_| count += 1))?;
            return if count == 0 { Err(Malformed::NoKey) } else { Ok(Some(Request::Batch(line))) };
        }
        _ => return Err(Malformed::Unknown),
    };
    if all.next().is_some() { Err(Malformed::More) } else { Ok(Some(request)) }
}

/// The wishes of a batch: each key is to be what the last operation before it says.
pub(super) fn wishes(line: &[u8]) -> impl Iterator<Item = Result<Wish<'_>, Malformed>> {
    let mut present = Op::Enable;
    words(line).filter_map(move |word| match op(word) {
        Some(op) => {
            present = op;
            None
        }
        None => Some(called(word).map(|(key, expected)| Wish { op: present, key, expected })),
    })
}

fn called(word: &[u8]) -> Result<(Called<'_>, Option<i32>), Malformed> {
    let Some(digits) = word.strip_prefix(b"0x") else { return Ok((Called::Name(word), None)) };
    let text = core::str::from_utf8(digits).map_err(|_| Malformed::Number)?;
    let (address, count) = text.split_once('=').map_or((text, None), |(a, b)| (a, Some(b)));
    let address = usize::from_str_radix(address, 16).map_err(|_| Malformed::Number)?;
    let count = count.map(str::parse).transpose().map_err(|_| Malformed::Number)?;
    Ok((Called::Address(address), count))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn requests() {
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
        let found: Vec<_> = wishes(b"enable a 0x10=0 disable a::b 0x20 enable c").collect();
        let wish = |op, key, expected| Ok(Wish { op, key, expected });
        assert_eq!(
            found,
            [
                wish(Op::Enable, Called::Name(b"a"), None),
                wish(Op::Enable, Called::Address(0x10), Some(0)),
                wish(Op::Disable, Called::Name(b"a::b"), None),
                wish(Op::Disable, Called::Address(0x20), None),
                wish(Op::Enable, Called::Name(b"c"), None),
            ]
        );
    }

    proptest! {
        #[test]
        fn no_line_is_too_much(line in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some(Request::Batch(words))) = parse(&line) {
                prop_assert!(wishes(words).all(|wish| wish.is_ok()));
            }
        }

        #[test]
        fn what_is_written_is_read(address in any::<usize>(), count in any::<i32>()) {
            let line = std::format!("disable {address:#x}={count}");
            let key = Called::Address(address);
            let wish = Wish { op: Op::Disable, key, expected: Some(count) };
            prop_assert_eq!(wishes(line.as_bytes()).collect::<Vec<_>>(), [Ok(wish)]);
        }
    }
}
