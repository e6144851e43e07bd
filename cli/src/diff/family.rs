//! Groups of keys that text shows as one line: arrays, repeated names, names with a common prefix.

use jlctl_analyzer::jump_table::diff::{NameParts, TableModel};
use std::collections::BTreeMap;

/// Minimum number of holders with a common prefix in a family.
const MIN_FAMILY: usize = 8;

/// Keys that are shown as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Family {
    /// The key's name, or a glob for several.
    pub(super) name: String,
    /// Indexes of the keys.
    pub(super) keys: Vec<usize>,
}

/// The families of keys: the keys of one holder, and of holders with a common prefix.
pub(super) fn families(model: &TableModel<'_>, keys: &[usize]) -> Vec<Family> {
    let mut of_holder: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &key in keys {
        of_holder.entry(NameParts::parse(&model.keys[key].name).holder).or_default().push(key);
    }
    let mut of_prefix: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for holder in of_holder.keys() {
        of_prefix.entry(prefix(holder)).or_default().push(holder);
    }
    let mut families = Vec::new();
    for (prefix, holders) in of_prefix {
        if holders.len() >= MIN_FAMILY && !prefix.is_empty() {
            let name = format!("{}*", common_prefix(&holders));
            let keys = holders.iter().filter_map(|holder| of_holder.get(holder));
            families.push(Family { name, keys: keys.flatten().copied().collect() });
            continue;
        }
        for holder in holders {
            let keys = of_holder.remove(holder).unwrap_or_default();
            families.extend(of_one_holder(model, holder, keys));
        }
    }
    families
}

fn of_one_holder(model: &TableModel<'_>, holder: &str, keys: Vec<usize>) -> Vec<Family> {
    // Without a symbol keys have nothing in common.
    if keys.len() == 1 || holder.is_empty() {
        let single =
            |key: usize| Family { name: model.keys[key].name.to_string(), keys: vec![key] };
        return keys.into_iter().map(single).collect();
    }
    vec![Family { name: format!("{holder}*"), keys }]
}

/// The words by which holders are grouped: the first word of a tracepoint, otherwise the first two
/// words, or the whole of a shorter name.
fn prefix(holder: &str) -> &str {
    let words = if holder.starts_with("__tracepoint_") { 1 } else { 2 };
    let skip = holder.len() - holder.trim_start_matches('_').len();
    let mut underscores = holder.match_indices('_').filter(|(at, _)| *at >= skip);
    underscores.nth(words - 1).map_or("", |(at, _)| &holder[..=at])
}

/// The longest common prefix that ends at the end of a word.
fn common_prefix<'a>(names: &[&'a str]) -> &'a str {
    let Some((first, rest)) = names.split_first() else { return "" };
    let common = rest.iter().fold(first.len(), |length, name| {
        let common = first.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        length.min(common)
    });
    let end = first.as_bytes()[..common].iter().rposition(|byte| *byte == b'_');
    end.map_or("", |end| &first[..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes() {
        for (holder, wanted) in [
            ("__tracepoint_sched_switch", "__tracepoint_"),
            ("security_hook_active_x_1", "security_hook_"),
            ("rps_needed", ""),
            ("__UNIQUE_ID_ddebug", "__UNIQUE_ID_"),
            ("", ""),
        ] {
            assert_eq!(prefix(holder), wanted);
        }
        assert_eq!(common_prefix(&["hook_active_a_1", "hook_active_ab_1"]), "hook_active_");
        assert_eq!(common_prefix(&["größe_a", "größe_b"]), "größe_");
    }
}
