//! The cost of a plan under each strategy, as a table.

use crate::report::style::{Palette, aligned, grouped, heading, right_align, rows};
use jlctl_patch_engine::plan_file::{CostRecord, StrategyRecord};
use std::io::Write;

pub(super) fn write(
    out: &mut dyn Write,
    palette: &Palette,
    cost: &CostRecord,
) -> anyhow::Result<()> {
    heading(out, palette, &format!("Cost on {} CPUs", cost.cpus))?;
    let mut table = aligned(&["strategy", "sync after", "cache ops", "broadcasts", "x CPUs"]);
    for strategy in &cost.strategies {
        table.add_row([
            strategy.sync.0.name().to_owned(),
            when(strategy).to_owned(),
            grouped(strategy.cache_maintenance),
            number(strategy.broadcasts),
            number(strategy.cpu_syncs),
        ]);
    }
    (2..5).for_each(|column| right_align(&mut table, column));
    rows(out, palette, &table)
}

fn when(strategy: &StrategyRecord) -> &'static str {
    match strategy.per.as_deref() {
        None => "never",
        Some("site") => "each site",
        Some("key") => "each key",
        Some(_) => "each batch",
    }
}

fn number(number: u64) -> String {
    grouped(usize::try_from(number).unwrap_or(usize::MAX))
}
