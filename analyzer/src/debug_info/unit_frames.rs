//! The frames that one unit contributes to a lookup.

use super::budget::UnitFailure;
use super::dwarf::{DebugFault, Dwarf, Slice, Unit, UnitRef, UnitStart};
use super::functions::{InlineSite, UnitFunctions};
use super::lines::{self, LineRow};
use super::names::EntryNames;
use super::split;
use super::units::{Lookup, Probe, UnitStarts};
use foldhash::{HashMap, HashMapExt as _};
use gimli::{AttributeValue, DwLang, LineProgramHeader};
use std::ops::Range;

/// Frames found in one unit.  Strings and frames are indexes into its own lists.
#[derive(Debug, Default)]
pub(super) struct UnitFrames {
    pub(super) strings: Vec<String>,
    /// Frames, each once: chains share most of them.
    pub(super) frames: Vec<LocalFrame>,
    /// Indexes into `frames`.
    pub(super) ids: Vec<u32>,
    /// Index of the address, and the range of its chain in `ids`.
    pub(super) chains: Vec<(usize, Range<usize>)>,
    pub(super) faults: Vec<DebugFault>,
}

/// A frame whose strings are indexes into [`UnitFrames::strings`]; line and column 0 are
/// unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct LocalFrame {
    pub(super) function: Option<u32>,
    pub(super) file: Option<u32>,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// Finds the frames of `probes`, in ascending order of address, in the unit at `start`.
pub(super) fn resolve(lookup: &Lookup<'_>, start: UnitStart, probes: &[Probe]) -> UnitFrames {
    let mut found = UnitFrames::default();
    let fault = |error: String| DebugFault { unit: Some(start.0 as u64), error };
    let header = lookup.dwarf.unit_header(start);
    let unit = match header.and_then(|header| lookup.dwarf.unit(header)) {
        Ok(unit) => unit,
        Err(error) => {
            found.faults.push(fault(error.to_string()));
            return found;
        }
    };
    let addresses: Vec<u64> = probes.iter().map(|probe| probe.address.0).collect();
    let mut failures = Vec::new();
    let (functions, names) = split::with_full_unit(lookup, &unit, |dwarf, unit| {
        functions(lookup, dwarf, unit, &addresses, &mut failures)
    })
    .unwrap_or_else(|error| {
        found.faults.push(fault(error));
        Default::default()
    });
    let header = unit.line_program.as_ref().map(gimli::IncompleteLineProgram::header);
    let rows = header.map_or_else(
        || vec![None; addresses.len()],
        |header| {
            let mut purse = lookup.budget.purse();
            let (rows, failure) = lines::rows_of(header, &addresses, &mut purse);
            failures.extend(failure);
            rows
        },
    );
    found.faults.extend(failures.iter().map(|failure| fault(failure.to_string())));
    let strings = Strings { known: HashMap::new(), all: Vec::new() };
    let unit = UnitRef::new(lookup.dwarf, &unit);
    Assembly { unit, header, files: HashMap::new(), strings, known: HashMap::new(), found }
        .assemble(probes, &functions, &names, &rows)
}

fn functions(
    lookup: &Lookup<'_>,
    dwarf: &Dwarf<'_>,
    unit: &Unit<'_>,
    addresses: &[u64],
    failures: &mut Vec<UnitFailure>,
) -> (UnitFunctions, Vec<String>) {
    // References of a split unit stay in its own file.
    let own = UnitStarts::default();
    let is_split = dwarf.file_type == gimli::DwarfFileType::Dwo;
    let starts = if is_split { &own } else { lookup.starts };
    let mut names = EntryNames::new(dwarf, starts, unit, language(unit));
    let mut purse = lookup.budget.purse();
    let (functions, failure) =
        UnitFunctions::find(UnitRef::new(dwarf, unit), addresses, &mut names, &mut purse);
    failures.extend(failure);
    (functions, names.into_all())
}

/// The language of a unit, which determines how its names are mangled.
fn language(unit: &Unit<'_>) -> Option<DwLang> {
    let mut entries = unit.entries_raw(None).ok()?;
    let abbreviation = entries.read_abbreviation().ok()??;
    abbreviation.attributes().iter().find_map(|spec| {
        match entries.read_attribute(*spec).ok()?.value() {
            AttributeValue::Language(language) => Some(language),
            _ => None,
        }
    })
}

/// Combines functions, calls and rows into frames.
struct Assembly<'a, 'b> {
    unit: UnitRef<'b, 'a>,
    header: Option<&'b LineProgramHeader<Slice<'a>>>,
    /// Paths by file number, each composed once.
    files: HashMap<u64, Option<u32>>,
    strings: Strings,
    known: HashMap<LocalFrame, u32>,
    found: UnitFrames,
}

impl Assembly<'_, '_> {
    fn assemble(
        mut self,
        probes: &[Probe],
        functions: &UnitFunctions,
        names: &[String],
        rows: &[Option<LineRow>],
    ) -> UnitFrames {
        let names: Vec<u32> = names.iter().map(|name| self.strings.intern(name)).collect();
        for (at, probe) in probes.iter().enumerate() {
            let start = self.found.ids.len();
            let row = rows[at].map(|row| InlineSite {
                file: Some(row.file),
                line: row.line,
                column: row.column,
            });
            let mut position = row.unwrap_or_default();
            // The position of an outer frame is that of the call inlined into it.
            for call in functions.chain(at) {
                self.push(call.function.map(|name| names[name.index()]), position);
                position = call.site;
            }
            if self.found.ids.len() == start && row.is_some() {
                self.push(None, position);
            }
            self.found.chains.push((probe.index, start..self.found.ids.len()));
        }
        UnitFrames { strings: self.strings.all, ..self.found }
    }

    fn push(&mut self, function: Option<u32>, InlineSite { file, line, column }: InlineSite) {
        let file = file.and_then(|file| self.path(file));
        let frame = LocalFrame { function, file, line, column };
        let frames = &mut self.found.frames;
        let id = *self.known.entry(frame).or_insert_with(|| {
            let id = u32::try_from(frames.len()).unwrap_or(u32::MAX);
            frames.push(frame);
            id
        });
        self.found.ids.push(id);
    }

    fn path(&mut self, file: u64) -> Option<u32> {
        let Self { unit, header, strings, .. } = self;
        *self
            .files
            .entry(file)
            .or_insert_with(|| Some(strings.intern(&lines::path_of(*unit, (*header)?, file)?)))
    }
}

/// Strings, each once.
struct Strings {
    known: HashMap<String, u32>,
    all: Vec<String>,
}

impl Strings {
    fn intern(&mut self, text: &str) -> u32 {
        if let Some(id) = self.known.get(text) {
            return *id;
        }
        let id = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(text.to_owned());
        self.known.insert(text.to_owned(), id);
        id
    }
}
