//! The final condition of a litmus test.

use super::error::{Fault, LitmusError};
use super::source::Piece;

/// A register or location that a condition names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Observable {
    /// A register of a process.
    Register(usize, u8),
    /// A location of data, or of code as `P:label`.
    Location(String),
}

/// A proposition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proposition<V> {
    Is(Observable, V),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// Most levels of nesting.
const DEEPEST: usize = 64;

/// A parser of propositions, with its position.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
    depth: usize,
}

/// Parses a condition. `exists`, `~exists` and `forall` are equivalent here: the question is
/// whether an execution satisfies the proposition.
pub(super) fn parse(piece: &Piece) -> Result<Proposition<Piece>, LitmusError> {
    let mut reader = Reader { rest: &piece.text, line: piece.line, depth: 0 };
    loop {
        if reader.word("locations") {
            let list = reader.rest.find(']');
            let Some(end) = list else {
                return Err(Fault::expected("] after the locations", "").at(reader.line));
            };
            reader.skip(end + 1);
        } else if reader.word("filter") {
            return Err(Fault::expected("exists, ~exists or forall", "filter").at(reader.line));
        } else if reader.word("~exists") || reader.word("exists") || reader.word("forall") {
            break;
        } else {
            return Err(Fault::expected("exists, ~exists or forall", reader.rest).at(reader.line));
        }
    }
    let proposition = reader.any()?;
    reader.blanks();
    let rest = reader.rest.trim_start_matches(';').trim();
    if !rest.is_empty() {
        return Err(Fault::expected("the end of the condition", rest).at(reader.line));
    }
    Ok(proposition)
}

impl Reader<'_> {
    fn skip(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at(bytes);
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }

    fn blanks(&mut self) {
        self.skip(self.rest.len() - self.rest.trim_start().len());
    }

    fn word(&mut self, word: &str) -> bool {
        self.blanks();
        let is = self.rest.starts_with(word);
        if is {
            self.skip(word.len());
        }
        is
    }

    fn any(&mut self) -> Result<Proposition<Piece>, LitmusError> {
        let mut parts = vec![self.all()?];
        while self.word("\\/") {
            parts.push(self.all()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Proposition::Any(parts) })
    }

    fn all(&mut self) -> Result<Proposition<Piece>, LitmusError> {
        let mut parts = vec![self.one()?];
        while self.word("/\\") {
            parts.push(self.one()?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Proposition::All(parts) })
    }

    fn one(&mut self) -> Result<Proposition<Piece>, LitmusError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let fault = Fault::TooMany { what: "nested propositions", limit: DEEPEST };
            return Err(fault.at(self.line));
        }
        let result = self.nested();
        self.depth -= 1;
        result
    }

    fn nested(&mut self) -> Result<Proposition<Piece>, LitmusError> {
        if self.word("~") || self.word("not ") {
            return Ok(Proposition::Not(Box::new(self.one()?)));
        }
        if self.word("(") {
            let inner = self.any()?;
            if !self.word(")") {
                return Err(Fault::expected(")", self.rest).at(self.line));
            }
            return Ok(inner);
        }
        self.blanks();
        let line = self.line;
        let place = self.until(|c| c == '=' || c == '<' || c == '!');
        let equal = self.word("=");
        if !equal && !self.word("<>") && !self.word("!=") {
            return Err(Fault::expected("=", self.rest).at(self.line));
        }
        self.blanks();
        let value = self.value();
        if place.is_empty() || value.is_empty() {
            return Err(Fault::expected("LOCATION=VALUE", &format!("{place}={value}")).at(line));
        }
        let place = place_of(&place)
            .ok_or_else(|| Fault::expected("a register or location", &place).at(line))?;
        let is = Proposition::Is(place, Piece { line, text: value });
        Ok(if equal { is } else { Proposition::Not(Box::new(is)) })
    }

    fn until(&mut self, stop: impl Fn(char) -> bool) -> String {
        let end = self.rest.find(stop).unwrap_or(self.rest.len());
        let text = self.rest[..end].trim().to_owned();
        self.skip(end);
        text
    }

    /// A value; quoted text may contain any character.
    fn value(&mut self) -> String {
        let mut quoted = false;
        let end = self.rest.find(|c: char| {
            quoted ^= c == '"';
            !quoted && (c.is_whitespace() || matches!(c, ')' | '/' | '\\' | ';'))
        });
        let end = end.unwrap_or(self.rest.len());
        let text = self.rest[..end].trim().to_owned();
        self.skip(end);
        text
    }
}

fn place_of(text: &str) -> Option<Observable> {
    let text = text.trim().trim_start_matches('[').trim_end_matches(']').trim();
    if let Some((process, reg)) = text.split_once(':')
        && let Ok(process) = process.trim().parse()
    {
        return register(reg).map(|reg| Observable::Register(process, reg));
    }
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':' | '.');
    (!text.is_empty() && text.chars().all(is_name)).then(|| Observable::Location(text.to_owned()))
}

/// `X5` or `W5`.
pub(super) fn register(text: &str) -> Option<u8> {
    let number = text.trim().strip_prefix(['X', 'W', 'x', 'w'])?.parse().ok()?;
    (number <= 30).then_some(number)
}

impl<V> Proposition<V> {
    /// Resolves the values.
    pub(super) fn map<U, E>(
        self,
        f: &mut dyn FnMut(V) -> Result<U, E>,
    ) -> Result<Proposition<U>, E> {
        Ok(match self {
            Self::Is(place, value) => Proposition::Is(place, f(value)?),
            Self::Not(inner) => Proposition::Not(Box::new(inner.map(f)?)),
            Self::All(parts) => Proposition::All(
                parts.into_iter().map(|part| part.map(f)).collect::<Result<_, E>>()?,
            ),
            Self::Any(parts) => Proposition::Any(
                parts.into_iter().map(|part| part.map(f)).collect::<Result<_, E>>()?,
            ),
        })
    }

    /// Whether the proposition holds, where `is` decides its atoms.
    pub(super) fn holds(&self, is: &dyn Fn(&Observable, &V) -> bool) -> bool {
        match self {
            Self::Is(place, value) => is(place, value),
            Self::Not(inner) => !inner.holds(is),
            Self::All(parts) => parts.iter().all(|part| part.holds(is)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(is)),
        }
    }

    /// All registers and locations of the proposition.
    pub(super) fn places(&self, all: &mut Vec<Observable>) {
        match self {
            Self::Is(place, _) => all.push(place.clone()),
            Self::Not(inner) => inner.places(all),
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.places(all)),
        }
    }
}
