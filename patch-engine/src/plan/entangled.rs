//! Sites that cannot be patched alone: their bytes are another's too.

use crate::reason::Reason;
use jlctl_analyzer::jump_table::{JumpTable, SiteId};
use std::collections::BTreeMap;

/// The sites of `table` that share bytes, and how: with an entry of another key at
/// the same address, or with any other site.
pub(super) fn entangled(table: &JumpTable<'_>) -> BTreeMap<SiteId, Reason> {
    let mut by_code: Vec<SiteId> = table.site_ids().collect();
    by_code.sort_by_key(|site| (table.entry(*site).code, *site));
    // Of a site whose length is not known, one byte is taken.
    let end =
        |site: SiteId| u128::from(table.entry(site).code.0) + table.site(site).len.max(1) as u128;
    let mut found = BTreeMap::new();
    let mut farthest: Option<SiteId> = None;
    for &site in &by_code {
        if let Some(before) = farthest
            && u128::from(table.entry(site).code.0) < end(before)
        {
            found.extend([(site, Reason::Overlap), (before, Reason::Overlap)]);
        }
        if farthest.is_none_or(|before| end(site) > end(before)) {
            farthest = Some(site);
        }
    }
    for group in by_code.chunk_by(|a, b| table.entry(*a).code == table.entry(*b).code) {
        let key = table.entry(group[0]).key;
        if group.iter().any(|site| table.entry(*site).key != key) {
            found.extend(group.iter().map(|site| (*site, Reason::SharedSite)));
        }
    }
    found
}
