//! Both tables, prepared for matching: names split into parts, functions as numbers.

use super::matching::FunctionCounts;
use super::model::TableModel;
use super::stable_name::{NameParts, function_base};
use foldhash::HashMap;

/// A function, as a number that both tables share.
pub(super) type FunctionId = u32;

/// Names of functions of both tables, without numbering.
#[derive(Debug, Default)]
pub(super) struct FunctionNames<'a> {
    names: Vec<&'a str>,
    ids: HashMap<&'a str, FunctionId>,
    /// Whether each of the two tables has sites in the function.
    tables: Vec<[bool; 2]>,
}

impl<'a> FunctionNames<'a> {
    pub(super) fn name(&self, id: FunctionId) -> &'a str {
        self.names[id as usize]
    }

    /// Whether both tables have sites in the function, which then was not renamed.
    pub(super) fn is_in_both(&self, id: FunctionId) -> bool {
        self.tables[id as usize] == [true; 2]
    }

    fn id(&mut self, name: &'a str, table: usize) -> FunctionId {
        let id = *self.ids.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.tables.push([false; 2]);
            u32::try_from(self.names.len() - 1).unwrap_or(u32::MAX)
        });
        self.tables[id as usize][table] = true;
        id
    }
}

/// One table.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) model: &'a TableModel<'a>,
    /// The name of each key.
    pub(super) names: Vec<NameParts<'a>>,
    /// The sites of each key, sorted by address.
    pub(super) sites: Vec<Vec<usize>>,
    /// The number of sites of each key in each known function.
    pub(super) counts: Vec<FunctionCounts>,
    /// The function of each site.
    pub(super) function_of: Vec<Option<FunctionId>>,
}

impl<'a> Prepared<'a> {
    /// `table` is 0 for the first table and 1 for the second.
    pub(super) fn new(
        model: &'a TableModel<'a>,
        table: usize,
        functions: &mut FunctionNames<'a>,
    ) -> Self {
        let function_of: Vec<Option<FunctionId>> = model
            .sites
            .iter()
            .map(|site| {
                let base = function_base(site.function.as_deref()?);
                Some(functions.id(base, table))
            })
            .collect();
        let mut sites = vec![Vec::new(); model.keys.len()];
        for (index, site) in model.sites.iter().enumerate() {
            if let Some(sites) = sites.get_mut(site.key) {
                sites.push(index);
            }
        }
        let names = model.keys.iter().map(|key| NameParts::parse(&key.name)).collect();
        let counts = sites.iter().map(|sites| count(sites, &function_of)).collect();
        Self { model, names, sites, counts, function_of }
    }

    /// The functions and branch senses of a key's sites; `None` if a function is not known,
    /// because the sites then distinguish nothing.
    pub(super) fn signature(&self, key: usize) -> Option<Vec<(FunctionId, bool)>> {
        let sites = self.sites[key].iter();
        let mut all: Vec<(FunctionId, bool)> = sites
            .map(|site| Some((self.function_of[*site]?, self.model.sites[*site].branch)))
            .collect::<Option<_>>()?;
        all.sort_unstable();
        Some(all).filter(|all| !all.is_empty())
    }
}

fn count(sites: &[usize], function_of: &[Option<FunctionId>]) -> FunctionCounts {
    let mut all: Vec<FunctionId> = sites.iter().filter_map(|site| function_of[*site]).collect();
    all.sort_unstable();
    all.chunk_by(|a, b| a == b).map(|same| (same[0], same.len())).collect()
}
