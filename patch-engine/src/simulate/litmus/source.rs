//! Splits a litmus file into header, initial state, columns and condition.

use super::error::{Fault, LitmusError};

/// A part of the text, with its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) line: usize,
    pub(super) text: String,
}

/// The parts of a test.
#[derive(Debug)]
pub(super) struct LitmusSource {
    pub(super) name: String,
    /// Metadata, `Key=Value`.
    pub(super) metadata: Vec<(String, String)>,
    pub(super) init: Vec<Piece>,
    /// Rows of cells, one cell per process.
    pub(super) rows: Vec<Vec<Piece>>,
    pub(super) condition: Piece,
}

/// Words that begin the condition.
const QUANTIFIERS: [&str; 5] = ["locations", "filter", "exists", "~exists", "forall"];

/// Replaces comments by blanks, and keeps the numbers of lines.
fn without_comments(text: &str) -> Result<String, LitmusError> {
    let mut out = String::with_capacity(text.len());
    let mut depth = 0usize;
    let (mut line, mut began) = (1, 1);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let pair = (c, rest.peek().copied());
        if c == '\n' {
            line += 1;
        }
        match pair {
            ('(', Some('*')) => {
                began = if depth == 0 { line } else { began };
                depth += 1;
                rest.next();
            }
            ('*', Some(')')) if depth > 0 => {
                depth -= 1;
                rest.next();
                out.push(' ');
            }
            _ if depth == 0 || c == '\n' => out.push(c),
            _ => {}
        }
    }
    if depth > 0 {
        return Err(Fault::expected("the end of the comment", "").at(began));
    }
    Ok(out)
}

/// Splits at `separator`, and keeps the numbers of lines.
fn pieces(text: &str, first_line: usize, separator: char) -> Vec<Piece> {
    let mut line = first_line;
    text.split(separator)
        .map(|part| {
            let blank = part.len() - part.trim_start().len();
            let at = line + part[..blank].matches('\n').count();
            line += part.matches('\n').count();
            Piece { line: at, text: part.trim().to_owned() }
        })
        .collect()
}

impl LitmusSource {
    pub(super) fn parse(text: &str) -> Result<Self, LitmusError> {
        let text = without_comments(text)?;
        let blank = text.len() - text.trim_start().len();
        let line_of = |at: usize| 1 + text[..at].matches('\n').count();
        let (head, _) = text[blank..].split_once('\n').unwrap_or((&text[blank..], ""));
        let name = match head.trim().split_once(char::is_whitespace) {
            Some(("AArch64", name)) if !name.trim().is_empty() => name.trim().to_owned(),
            _ => {
                return Err(
                    Fault::Header(head.trim().chars().take(40).collect()).at(line_of(blank))
                );
            }
        };
        let missing =
            |what, at: usize| Fault::expected(what, "the end of the file").at(line_of(at));
        let open = text.find('{').ok_or_else(|| missing("{ and the initial state", text.len()))?;
        let close =
            text[open..].find('}').ok_or_else(|| missing("} after the initial state", open))?;
        let close = open + close;
        let metadata = text[(blank + head.len()).min(open)..open].lines().filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            Some((key.trim().to_owned(), value.trim().to_owned()))
        });
        let init = pieces(&text[open + 1..close], line_of(open), ';');
        let body = &text[close + 1..];
        let end = condition_start(body)
            .ok_or_else(|| missing("exists, ~exists or forall", text.len()))?;
        let start = close + 1;
        let mut rows = Vec::new();
        for row in pieces(&body[..end], line_of(start), ';') {
            if !row.text.is_empty() {
                rows.push(pieces(&row.text, row.line, '|'));
            }
        }
        let condition = pieces(&body[end..], line_of(start + end), '\0').into_iter().next();
        Ok(Self {
            name,
            metadata: metadata.collect(),
            init: init.into_iter().filter(|piece| !piece.text.is_empty()).collect(),
            rows,
            condition: condition.unwrap_or(Piece { line: 1, text: String::new() }),
        })
    }
}

/// The start of the condition: the first word of a line that is a quantifier.
fn condition_start(body: &str) -> Option<usize> {
    let mut at = 0;
    for line in body.split_inclusive('\n') {
        let word = line.trim_start();
        let is = QUANTIFIERS.iter().any(|known| {
            word.strip_prefix(known).is_some_and(|rest| {
                !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            })
        });
        if is {
            return Some(at + line.len() - word.len());
        }
        at += line.len();
    }
    None
}
