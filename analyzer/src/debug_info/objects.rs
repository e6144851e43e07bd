//! Objects that hold static keys: the path to the key, and the types, read from a unit of code
//! that uses the key.
//!
//! The index of addresses (`.debug_aranges`) lists code only, so that finding the unit that
//! defines a variable would take a walk over all units.  But code that uses a key was compiled
//! with the complete type of the object that holds it.  So every unit with a site of the key
//! has a variable of that name, at least a declaration.

use super::budget::{Budget, UnitFailure};
use super::dwarf::{DebugFault, Dwarf, Unit, UnitRef, UnitStart};
use super::entries::{DebugEntry, Entries, EntryId};
use super::key_path::MemberPaths;
use super::lines;
use super::split;
use super::units::{CANDIDATES, Lookup, UnitIndex, UnitStarts};
use super::variables::{self, WantedVariable};
use crate::addr::Svma;
use foldhash::{HashMap, HashMapExt as _, HashSet, HashSetExt as _};
use gimli::UnitOffset;
use rayon::prelude::*;
use std::path::Path;

/// A static key, as the symbol table and the jump table describe it.
#[derive(Debug, Clone, Copy)]
pub struct ObjectQuery<'q> {
    /// Symbol of the object that the key is or lies in.
    pub name: &'q str,
    /// Where the object starts.
    pub address: Svma,
    /// Bytes from the start of the object to the key.
    pub offset: u64,
    /// Addresses of all known code that uses the key.  The more are given, the fewer units
    /// answer many queries.
    pub sites: &'q [Svma],
    /// The initial state of the key, if it is known; it selects among the members of a union.
    pub initially_true: Option<bool>,
}

/// The debug information of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectPath {
    /// The path to the key, as C writes it after the object's name: `.key`, `[5]`,
    /// `.key.dd_key_false`; empty if the object itself is the key.
    pub path: String,
    /// The object's type as C would write it, `struct tracepoint` or
    /// `struct static_key_false[77]`; `None` if it has no name.
    pub object_type: Option<String>,
    /// The type at the end of the path: `static_key`, `static_key_true` or `static_key_false`.
    pub key_type: String,
    /// The position of the object's definition or, if another unit defines it, of its
    /// declaration.
    pub declared: Option<Declaration>,
}

/// A position in a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// Path of the file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// The debug information of a list of keys.
#[derive(Debug, Default)]
pub struct ObjectPaths {
    /// One for each query, in their order; `None` if nothing is known.
    pub paths: Vec<Option<ObjectPath>>,
    /// Units that could not be read completely.
    pub faults: Vec<DebugFault>,
}

/// Answers all `queries`.
pub(super) fn find_paths(
    dwarf: &Dwarf<'_>,
    queries: &[ObjectQuery<'_>],
    image: &Path,
) -> ObjectPaths {
    let budget = Budget::new(dwarf);
    let starts = UnitStarts::default();
    let shared = Lookup { dwarf, starts: &starts, budget: &budget, image };
    let mut found = ObjectPaths { paths: vec![None; queries.len()], faults: Vec::new() };
    let index = UnitIndex::from_aranges(dwarf).unwrap_or_else(|error| {
        found.faults.push(DebugFault { unit: None, error: error.to_string() });
        UnitIndex::default()
    });
    ask(&shared, &index, queries, &mut found);
    // Units that are missing from .debug_aranges are found by their roots.
    let is_open = |query: usize| found.paths[query].is_none() && !queries[query].sites.is_empty();
    if (0..queries.len()).any(is_open) {
        let (roots, faults) = UnitIndex::from_roots(dwarf, &index, &budget);
        found.faults.extend(faults);
        ask(&shared, &roots, queries, &mut found);
    }
    found
}

/// Asks the units of `index`, round by round, until every query is answered or has no unit
/// left.
fn ask(
    shared: &Lookup<'_>,
    index: &UnitIndex,
    queries: &[ObjectQuery<'_>],
    found: &mut ObjectPaths,
) {
    let mut candidates: Vec<(usize, Vec<usize>)> = (0..queries.len())
        .filter(|query| found.paths[*query].is_none())
        .map(|query| (query, units_of(index, queries[query].sites)))
        .collect();
    for _ in 0..CANDIDATES {
        candidates.retain(|(query, units)| found.paths[*query].is_none() && !units.is_empty());
        let work = assign(&mut candidates);
        if work.is_empty() {
            break;
        }
        let answers: Vec<_> =
            work.par_iter().map(|(unit, asked)| ask_unit(shared, *unit, asked, queries)).collect();
        for answer in answers {
            found.faults.extend(answer.faults);
            for (query, path) in answer.paths {
                found.paths[query] = Some(path);
            }
        }
    }
}

/// The units that cover any of `sites`, each once.
fn units_of(index: &UnitIndex, sites: &[Svma]) -> Vec<usize> {
    let mut units: Vec<usize> = sites
        .iter()
        .flat_map(|site| index.covering(site.0).take(CANDIDATES))
        .map(|unit| unit.0)
        .collect();
    units.sort_unstable();
    units.dedup();
    units
}

/// Takes one unit from the candidates of each query so that few units are chosen.  Queries with
/// the fewest candidates go first; the others prefer a unit that is already chosen, then the
/// unit that most queries name.
fn assign(candidates: &mut [(usize, Vec<usize>)]) -> Vec<(UnitStart, Vec<usize>)> {
    let mut named: HashMap<usize, usize> = HashMap::new();
    for unit in candidates.iter().flat_map(|(_, units)| units) {
        *named.entry(*unit).or_default() += 1;
    }
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_key(|at| candidates[*at].1.len());
    let mut chosen: HashSet<usize> = HashSet::new();
    let mut pairs: Vec<(usize, usize)> = Vec::with_capacity(candidates.len());
    for at in order {
        let (query, units) = &mut candidates[at];
        let preference = |unit: &usize| (chosen.contains(unit), named.get(unit).copied());
        let best = (0..units.len()).max_by_key(|index| preference(&units[*index]));
        let Some(best) = best else { continue };
        let unit = units.remove(best);
        chosen.insert(unit);
        pairs.push((unit, *query));
    }
    pairs.sort_unstable();
    let groups = pairs.chunk_by(|(a, _), (b, _)| a == b);
    groups
        .map(|group| {
            let queries = group.iter().map(|(_, query)| *query).collect();
            (gimli::DebugInfoOffset(group[0].0), queries)
        })
        .collect()
}

/// The answer of one unit.
#[derive(Default)]
struct UnitAnswer {
    paths: Vec<(usize, ObjectPath)>,
    faults: Vec<DebugFault>,
}

/// Answers those of `queries` whose indexes are in `asked` from the unit at `start`.
fn ask_unit(
    shared: &Lookup<'_>,
    start: UnitStart,
    asked: &[usize],
    queries: &[ObjectQuery<'_>],
) -> UnitAnswer {
    let mut answer = UnitAnswer::default();
    let fault = |error: String| DebugFault { unit: Some(start.0 as u64), error };
    let header = shared.dwarf.unit_header(start);
    let unit = match header.and_then(|header| shared.dwarf.unit(header)) {
        Ok(unit) => unit,
        Err(error) => {
            answer.faults.push(fault(error.to_string()));
            return answer;
        }
    };
    let read = split::with_full_unit(shared, &unit, |dwarf, unit| {
        let own = UnitStarts::default();
        // References of a split unit stay in its own file.
        let is_split = dwarf.file_type == gimli::DwarfFileType::Dwo;
        let starts = if is_split { &own } else { shared.starts };
        read_unit(shared, dwarf, starts, unit, asked, queries)
    });
    match read {
        Ok((paths, errors)) => {
            answer.paths = paths;
            answer.faults.extend(errors.into_iter().map(fault));
        }
        Err(error) => answer.faults.push(fault(error)),
    }
    answer
}

fn read_unit(
    shared: &Lookup<'_>,
    dwarf: &Dwarf<'_>,
    starts: &UnitStarts,
    unit: &Unit<'_>,
    asked: &[usize],
    queries: &[ObjectQuery<'_>],
) -> (Vec<(usize, ObjectPath)>, Vec<String>) {
    let mut purse = shared.budget.purse();
    let wanted: Vec<WantedVariable<'_>> = asked
        .iter()
        .map(|query| &queries[*query])
        .map(|query| WantedVariable { symbol: query.name, address: query.address.0 })
        .collect();
    let (variables, failure) = variables::find(UnitRef::new(dwarf, unit), &wanted, &mut purse);
    let mut failures: Vec<String> = failure.iter().map(ToString::to_string).collect();
    let entries = Entries::new(dwarf, starts, unit, &mut purse);
    let mut reader =
        ObjectReader { entries, members: MemberPaths::default(), files: HashMap::new() };
    let mut paths = Vec::new();
    for (query, variable) in asked.iter().zip(variables) {
        let Some(variable) = variable else { continue };
        match reader.path(variable, &queries[*query]) {
            Ok(path) => paths.extend(path.map(|path| (*query, path))),
            Err(failure) => failures.push(failure.to_string()),
        }
    }
    // Many keys share one damaged type.
    failures.dedup();
    (paths, failures)
}

/// Reads objects of one unit.
struct ObjectReader<'a, 'b, 'c> {
    entries: Entries<'a, 'b, 'c>,
    members: MemberPaths,
    /// Paths by file number, of the unit itself.
    files: HashMap<u64, Option<String>>,
}

impl<'a> ObjectReader<'a, '_, '_> {
    /// The path to the key of `query` in the variable at `variable`; `None` if its type has no
    /// key at that offset.
    fn path(
        &mut self,
        variable: UnitOffset<usize>,
        query: &ObjectQuery<'_>,
    ) -> Result<Option<ObjectPath>, UnitFailure> {
        let entries = &mut self.entries;
        let Some(entry) = entries.read(EntryId::own(variable))? else { return Ok(None) };
        let chain = entries.with_origins(entry)?;
        let mut object_type = None;
        for entry in &chain {
            object_type = entries.type_of(entry)?;
            if object_type.is_some() {
                break;
            }
        }
        let Some(object_type) = object_type else { return Ok(None) };
        let (offset, state) = (query.offset, query.initially_true);
        let Some(member) = self.members.key_at(entries, object_type, offset, state)? else {
            return Ok(None);
        };
        let object_type = self.members.describe(entries, object_type)?;
        let declared = self.declaration(&chain);
        Ok(Some(ObjectPath { path: member.path, object_type, key_type: member.key_type, declared }))
    }

    /// File and line, each from the first entry of `chain` that has it: a definition omits the
    /// attributes that its declaration has.
    fn declaration(&mut self, chain: &[DebugEntry<'a>]) -> Option<Declaration> {
        let line = chain.iter().find_map(|entry| entry.line)?;
        let (entry, file) = chain.iter().find_map(|entry| Some((entry, entry.file?)))?;
        let unit = self.entries.unit_of(entry.id);
        let path = || {
            let header = unit.line_program.as_ref().map(gimli::IncompleteLineProgram::header);
            lines::path_of(unit, header?, file)
        };
        let file = match entry.id.is_own() {
            true => self.files.entry(file).or_insert_with(path).clone(),
            false => path(),
        };
        Some(Declaration { file: file?, line })
    }
}
