//! Builds a program from the parts of a litmus file.

use super::assemble::{assemble, number};
use super::condition::{Observable, Proposition, parse, register};
use super::error::{Fault, LitmusError};
use super::judge::{Litmus, Wanted};
use super::source::{LitmusSource, Piece};
use crate::simulate::encoding::encode;
use crate::simulate::insn::{Insn, REGS};
use crate::simulate::program::{Line, Loc, Location, ModelProgram, Start};
use crate::simulate::rules::CacheType;
use std::collections::BTreeMap;

/// Most processes of a test.
const MAX_PES: usize = 4;
/// Most instructions of a test.
const MAX_CODE: usize = 1024;
/// Most data of a test.
const MAX_DATA: usize = 32;

/// The labels and data of a test.
struct Symbols {
    /// Position of each label, by process and name.
    labels: BTreeMap<(usize, String), u16>,
    /// Data, in the order of their first mention.
    data: Vec<String>,
    values: BTreeMap<String, u64>,
}

impl Litmus {
    /// Parses a test.
    ///
    /// # Errors
    /// If the text is no litmus test, or has something that is not modelled.
    pub fn parse(text: &str) -> Result<Self, LitmusError> {
        build(LitmusSource::parse(text)?)
    }
}

fn build(source: LitmusSource) -> Result<Litmus, LitmusError> {
    let (cells, pes) = columns(&source)?;
    let mut symbols =
        Symbols { labels: BTreeMap::new(), data: Vec::new(), values: BTreeMap::new() };
    let (texts, starts) = lay_out(&cells, pes, &mut symbols)?;
    let (mut code, mut lines) = (Vec::new(), Vec::new());
    for (process, piece) in &texts {
        lines.push(piece.as_ref().map_or(1, |piece| piece.line));
        let at = u16::try_from(code.len()).unwrap_or(u16::MAX);
        code.push(match piece {
            None => Insn::End,
            Some(piece) => assemble(&piece.text, &|label| symbols.target(*process, label, at))
                .map_err(|fault| fault.at(piece.line))?,
        });
    }
    let mut regs = vec![[0; REGS]; pes];
    for piece in &source.init {
        symbols.init(piece, &mut regs)?;
    }
    let condition = parse(&source.condition)?.map(&mut |piece: Piece| {
        let value = symbols
            .value(&piece.text)
            .ok_or_else(|| Fault::Value(piece.text.clone()).at(piece.line))?;
        Ok::<_, LitmusError>((piece.line, value))
    })?;
    let condition = symbols.locate(condition, code.len())?;
    let mut places = Vec::new();
    condition.places(&mut places);
    if places.iter().any(|place| matches!(place, Observable::Register(pe, _) if *pe >= pes)) {
        let fault = Fault::expected("a register of one of the processes", "another");
        return Err(fault.at(source.condition.line));
    }
    let words = code.iter().enumerate().map(|(at, insn)| {
        let place = u16::try_from(at).unwrap_or(u16::MAX);
        (format!("instruction {at}"), encode(insn, place).map(u64::from))
    });
    let data = symbols
        .data
        .iter()
        .map(|name| (name.clone(), Some(symbols.values.get(name).copied().unwrap_or(0))));
    let locations = words.chain(data).enumerate().map(|(at, (name, value))| {
        let line = Line(u16::try_from(at).unwrap_or(u16::MAX));
        Location { name, value, line }
    });
    let pcs = starts.iter().zip(regs);
    let program = ModelProgram {
        locations: locations.collect(),
        pes: pcs.map(|(pc, regs)| Start { pc: *pc, regs }).collect(),
        indirect: indirect(&code, &symbols, &source),
        code,
        sites: Vec::new(),
        observers: Vec::new(),
    };
    let cache = cache_type(&source);
    Ok(Litmus { name: source.name, cache, program, lines, condition })
}

/// The possible targets of indirect branches: every address that a register or location can hold.
fn indirect(code: &[Insn], symbols: &Symbols, source: &LitmusSource) -> Vec<u16> {
    let mut all: Vec<u16> = Vec::new();
    for (at, insn) in code.iter().enumerate() {
        match insn {
            Insn::Bl { .. } | Insn::Br { link: true, .. } => {
                all.extend(u16::try_from(at + 1).ok());
            }
            Insn::Const { value, .. } => {
                all.extend(
                    symbols
                        .labels
                        .values()
                        .filter(|place| ModelProgram::code_address(**place) == *value),
                );
            }
            _ => {}
        }
    }
    for piece in &source.init {
        if let Some((_, value)) = piece.text.split_once('=')
            && let Some(value) = symbols.value(value)
        {
            all.extend(
                symbols
                    .labels
                    .values()
                    .filter(|place| ModelProgram::code_address(**place) == value),
            );
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

fn cache_type(source: &LitmusSource) -> Option<CacheType> {
    let (_, value) = source.metadata.iter().find(|(key, _)| key == "CacheType")?;
    Some(match (value.contains("DIC"), value.contains("IDC")) {
        (true, _) => CacheType::Dic1Idc1,
        (false, true) => CacheType::Dic0Idc1,
        (false, false) => CacheType::Dic0Idc0,
    })
}

/// The cells of each process, without the row of their names.
fn columns(source: &LitmusSource) -> Result<(Vec<Vec<Piece>>, usize), LitmusError> {
    let Some((head, rows)) = source.rows.split_first() else {
        return Err(Fault::expected("processes: P0 | P1 ;", "").at(source.condition.line));
    };
    let line = head.first().map_or(1, |cell| cell.line);
    for (at, cell) in head.iter().enumerate() {
        if cell.text != format!("P{at}") {
            return Err(
                Fault::expected("the names of processes: P0 | P1 ;", &cell.text).at(cell.line)
            );
        }
    }
    if head.len() > MAX_PES {
        return Err(Fault::TooMany { what: "processes", limit: MAX_PES }.at(line));
    }
    let mut columns = vec![Vec::new(); head.len()];
    for row in rows {
        if row.len() > head.len() {
            let line = row.first().map_or(line, |cell| cell.line);
            let fault = Fault::expected("a cell for each process", "more cells than processes");
            return Err(fault.at(line));
        }
        for (column, cell) in columns.iter_mut().zip(row) {
            column.push(cell.clone());
        }
    }
    Ok((columns, head.len()))
}

/// The text of each instruction, with its process; `None` at the end of a process.
type Texts = Vec<(usize, Option<Piece>)>;

fn lay_out(
    columns: &[Vec<Piece>],
    pes: usize,
    symbols: &mut Symbols,
) -> Result<(Texts, Vec<u16>), LitmusError> {
    let mut texts: Texts = Vec::new();
    let mut starts = Vec::with_capacity(pes);
    for (process, column) in columns.iter().enumerate() {
        starts.push(place(texts.len(), 1)?);
        for cell in column {
            let mut rest = cell.text.trim();
            while let Some((label, after)) = rest.split_once(':') {
                let label = label.trim();
                if !is_name(label) {
                    break;
                }
                let key = (process, label.to_owned());
                if symbols.labels.insert(key, place(texts.len(), cell.line)?).is_some() {
                    return Err(Fault::Twice(label.to_owned()).at(cell.line));
                }
                rest = after.trim();
            }
            if !rest.is_empty() {
                place(texts.len(), cell.line)?;
                texts.push((process, Some(Piece { line: cell.line, text: rest.to_owned() })));
            }
        }
        texts.push((process, None));
    }
    Ok((texts, starts))
}

fn place(at: usize, line: usize) -> Result<u16, LitmusError> {
    let too_many = Fault::TooMany { what: "instructions", limit: MAX_CODE };
    u16::try_from(at).ok().filter(|_| at < MAX_CODE).ok_or_else(|| too_many.at(line))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
}

impl Symbols {
    /// Position of `label`, the target of a branch at position `at`: a label of the same process,
    /// or `.+4`.
    fn target(&self, process: usize, label: &str, at: u16) -> Option<u16> {
        if let Some(offset) = label.strip_prefix('.') {
            let to = i64::from(at) + number(offset.trim_start_matches('+'))? / 4;
            return u16::try_from(to).ok();
        }
        self.labels.get(&(process, label.to_owned())).copied()
    }

    /// Position of a label written `P1:f`.
    fn label(&self, text: &str) -> Option<u16> {
        let (process, label) = text.split_once(':')?;
        let process = process.trim().strip_prefix('P')?.parse().ok()?;
        self.labels.get(&(process, label.trim().to_owned())).copied()
    }

    /// A value: a number, an instruction, or the address of a label or datum.
    fn value(&self, text: &str) -> Option<u64> {
        let text = text.trim();
        if let Some(value) = number(text) {
            return Some(value.cast_unsigned());
        }
        let quoted = |text: &str| text.trim().trim_matches('"').to_owned();
        if let Some(rest) = text.strip_prefix("instr:") {
            // Far from both ends, so that every offset fits.
            let middle = u16::MAX / 2;
            let insn = assemble(&quoted(rest), &|label| self.target(0, label, middle)).ok()?;
            return encode(&insn, middle).map(u64::from);
        }
        if let Some(rest) = text.strip_prefix("label:") {
            return self.label(&quoted(rest)).map(ModelProgram::code_address);
        }
        if text == "NOP" {
            return encode(&Insn::Nop, 0).map(u64::from);
        }
        if let Some(place) = self.label(text) {
            return Some(ModelProgram::code_address(place));
        }
        let datum = self.data.iter().position(|name| name == text)?;
        u16::try_from(datum).ok().map(ModelProgram::data_address)
    }

    /// The datum of that name, which is added if it is new.
    fn datum(&mut self, name: &str, line: usize) -> Result<u16, LitmusError> {
        let at = match self.data.iter().position(|known| known == name) {
            Some(at) => at,
            None => {
                self.data.push(name.to_owned());
                self.data.len() - 1
            }
        };
        let too_many = Fault::TooMany { what: "locations", limit: MAX_DATA };
        u16::try_from(at).ok().filter(|_| at < MAX_DATA).ok_or_else(|| too_many.at(line))
    }

    /// An assignment of the initial state.
    fn init(&mut self, piece: &Piece, regs: &mut [[u64; REGS]]) -> Result<(), LitmusError> {
        let (place, value) = match piece.text.split_once('=') {
            Some((place, value)) => (place.trim(), Some(value.trim())),
            None => (piece.text.as_str(), None),
        };
        // A type may precede the name.
        let name = place.rsplit(|c: char| c.is_whitespace() || c == '*').next().unwrap_or(place);
        let name = name.trim_start_matches('[').trim_end_matches(']');
        let bad = |text: &str| Fault::Value(text.to_owned()).at(piece.line);
        if let Some(value) = value
            && self.value(value).is_none()
            && is_name(value)
        {
            self.datum(value, piece.line)?;
        }
        let value = match value {
            Some(value) => self.value(value).ok_or_else(|| bad(value))?,
            None => 0,
        };
        if let Some((process, reg)) = name.split_once(':') {
            let process: usize = process.trim().parse().map_err(|_| bad(place))?;
            let reg = register(reg).ok_or_else(|| bad(place))?;
            let place = regs.get_mut(process).and_then(|regs| regs.get_mut(usize::from(reg)));
            *place.ok_or_else(|| bad(name))? = value;
            return Ok(());
        }
        if !is_name(name) {
            return Err(
                Fault::expected("REGISTER=VALUE or LOCATION=VALUE", &piece.text).at(piece.line)
            );
        }
        self.datum(name, piece.line)?;
        self.values.insert(name.to_owned(), value);
        Ok(())
    }

    /// Finds the locations that a condition names.
    fn locate(
        &self,
        condition: Proposition<(usize, u64)>,
        code: usize,
    ) -> Result<Proposition<Wanted>, LitmusError> {
        Ok(match condition {
            Proposition::Is(place, (line, value)) => {
                let loc = match &place {
                    Observable::Register(..) => None,
                    Observable::Location(name) => {
                        let datum = self.data.iter().position(|known| known == name);
                        let loc = self.label(name).map(usize::from).or(datum.map(|at| code + at));
                        let loc = loc.and_then(|loc| u16::try_from(loc).ok());
                        Some(Loc(loc.ok_or_else(|| Fault::Value(name.clone()).at(line))?))
                    }
                };
                Proposition::Is(place, Wanted { loc, value })
            }
            Proposition::Not(inner) => Proposition::Not(Box::new(self.locate(*inner, code)?)),
            Proposition::All(parts) => Proposition::All(self.locate_all(parts, code)?),
            Proposition::Any(parts) => Proposition::Any(self.locate_all(parts, code)?),
        })
    }

    fn locate_all(
        &self,
        parts: Vec<Proposition<(usize, u64)>>,
        code: usize,
    ) -> Result<Vec<Proposition<Wanted>>, LitmusError> {
        parts.into_iter().map(|part| self.locate(part, code)).collect()
    }
}
