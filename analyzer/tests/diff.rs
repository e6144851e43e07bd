//! Differences between tables: each kind of difference alone, on hand-made models, and the
//! properties of any two tables.

use jlctl_analyzer::jump_table::diff::{
    KeyMatch, KeyModel, KeyPair, SiteModel, SiteState, StorageKind, TableDiff, TableModel,
};
use proptest::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// A model from lines `key: function function!…`, where `!` makes the branch likely.  The addresses of
/// keys are 0x10 apart.
fn table(lines: &[&'static str]) -> TableModel<'static> {
    let mut table = TableModel::default();
    for (index, line) in lines.iter().enumerate() {
        let (name, functions) = line.split_once(": ").unwrap_or((line, ""));
        table.keys.push(key(name, 0x1000 + 0x10 * index));
        for function in functions.split_whitespace() {
            table.sites.push(site(index, function));
        }
    }
    table
}

fn key(name: &'static str, address: usize) -> KeyModel<'static> {
    KeyModel {
        name: Cow::Borrowed(name),
        kind: None,
        address: format!("{address:#x}"),
        section: Some(".data"),
        storage: StorageKind::File,
        enabled: Some(0),
        initial: Some(false),
    }
}

fn site(key: usize, function: &'static str) -> SiteModel<'static> {
    let branch = function.ends_with('!');
    let function = Some(Cow::Borrowed(function.trim_end_matches('!')));
    let insn = if branch { SiteState::Jmp } else { SiteState::Nop };
    SiteModel { key, function, offset: 0, branch, insn }
}

/// The diff, with a line for each key that differs.
fn changes(a: &TableModel<'_>, b: &TableModel<'_>) -> Vec<String> {
    let diff = TableDiff::new(a, b);
    let mut lines: Vec<String> = Vec::new();
    lines.extend(diff.removed.iter().map(|key| format!("-{}", a.keys[*key].name)));
    lines.extend(diff.added.iter().map(|key| format!("+{}", b.keys[*key].name)));
    lines.extend(diff.pairs.iter().filter(|pair| pair.is_different()).map(|pair| line(a, b, pair)));
    assert_eq!(diff.is_different(), !lines.is_empty());
    lines
}

fn line(a: &TableModel<'_>, b: &TableModel<'_>, pair: &KeyPair) -> String {
    let (key_a, key_b) = (&a.keys[pair.a], &b.keys[pair.b]);
    let mut line = format!("{:?} {}", pair.identity, key_a.name);
    if key_a.name != key_b.name {
        line += &format!(" > {}", key_b.name);
    }
    let what = pair.changes;
    for (is, name) in [
        (what.initial, "initial"),
        (what.enabled, "enabled"),
        (what.storage, "storage"),
        (what.kind, "kind"),
        (what.position, "place"),
    ] {
        line += &if is { format!(" {name}") } else { String::new() };
    }
    let function = |table: &TableModel<'_>, site: usize| {
        table.sites[site].function.as_deref().unwrap_or("?").to_owned()
    };
    for site in &pair.sites.pairs {
        if site.is_moved {
            line += &format!(" {}>{}", function(a, site.a), function(b, site.b));
        }
        if site.is_turned {
            line += &format!(" {}!", function(a, site.a));
        }
    }
    let removed = pair.sites.removed.iter().map(|site| format!(" -{}", function(a, *site)));
    let added = pair.sites.added.iter().map(|site| format!(" +{}", function(b, *site)));
    line + &removed.chain(added).collect::<String>()
}

fn demand(a: &[&'static str], b: &[&'static str], wanted: &[&str]) {
    assert_eq!(changes(&table(a), &table(b)), wanted, "{a:?} {b:?}");
}

#[test]
fn added_and_removed_keys_are_found() {
    demand(&["x: f", "y: g"], &["x: f", "y: g"], &[]);
    demand(&["x: f", "y: g"], &["x: f"], &["-y"]);
    demand(&["x: f"], &["x: f", "y: g"], &["+y"]);
    demand(&[], &["y: g"], &["+y"]);
    demand(&[], &[], &[]);
}

#[test]
fn the_order_of_keys_is_no_difference() {
    demand(&["x: f", "y: g"], &["y: g", "x: f"], &[]);
}

#[test]
fn changes_of_state_storage_and_kind_are_found() {
    let old = table(&["x: f"]);
    for (change, wanted) in [
        ((|key| key.initial = Some(true)) as fn(&mut KeyModel<'_>), "initial"),
        (|key| key.enabled = Some(1), "enabled"),
        (|key| key.section = Some(".bss"), "storage"),
        (|key| key.storage = StorageKind::ZeroFilled, "storage"),
    ] {
        let mut new = old.clone();
        change(&mut new.keys[0]);
        assert_eq!(changes(&old, &new), [format!("Name x {wanted}")]);
    }
    let (mut a, mut b) = (old.clone(), old.clone());
    (a.keys[0].kind, b.keys[0].kind) = (Some("plain"), Some("tracepoint"));
    assert_eq!(changes(&a, &b), ["Name x kind"]);
    b.keys[0].kind = None;
    (b.keys[0].initial, b.keys[0].enabled, b.keys[0].section) = (None, None, None);
    assert_eq!(changes(&a, &b), [""; 0], "the unknown is no difference");
}

#[test]
fn added_removed_turned_and_moved_sites_are_found() {
    demand(&["x: f g"], &["x: f f g"], &["Name x +f"]);
    demand(&["x: f f g"], &["x: f g"], &["Name x -f"]);
    demand(&["x: f g"], &["x: f g!"], &["Name x g!"]);
    demand(&["x: f g!"], &["x: g! f"], &[]);
    demand(&["x: f g"], &["x: f h"], &["Name x g>h"]);
    demand(&["x: f f"], &["x: h k"], &["Name x f>h f>k"]);
    demand(&["x: f f g"], &["x: f k"], &["Name x -f -g +k"]);
    demand(&["x: f f! f"], &["x: f! f f"], &[]);
}

#[test]
fn sites_move_to_the_function_with_a_similar_name() {
    demand(
        &["x: accept many_notify other"],
        &["x: many __accept"],
        &["Name x accept>__accept many_notify>many -other"],
    );
}

/// Both tables have sites in both functions, so that neither function replaced the other.
#[test]
fn sites_do_not_move_between_functions_that_both_images_have() {
    let other = "y: task_stop task_dl";
    demand(
        &["x: task_stop task_stop", other],
        &["x: task_dl", other],
        &["Name x -task_stop -task_stop +task_dl"],
    );
    demand(
        &["x: __free_slab f g"],
        &["x: __slab_free"],
        &["Name x -__free_slab -f -g +__slab_free"],
    );
}

#[test]
fn system_calls_are_matched_across_architectures() {
    demand(&["x: __arm64_sys_brk"], &["x: __do_sys_brk"], &[]);
}

#[test]
fn a_key_is_no_element_of_the_array_that_replaced_it() {
    demand(
        &["enabled: f g h"],
        &["enabled[0]: k", "enabled[1]: f g"],
        &["-enabled", "+enabled[0]", "+enabled[1]"],
    );
}

#[test]
fn parts_and_clones_count_as_their_function() {
    demand(&["x: f g"], &["x: f.cold g.isra.0.part.1"], &[]);
}

#[test]
fn compiler_numbers_in_names_are_ignored() {
    demand(
        &["__UNIQUE_ID_ddebug12.3+0x28: f", "__UNIQUE_ID_ddebug13.2+0x28: g"],
        &["__UNIQUE_ID_ddebug99.2+0x28: g", "__UNIQUE_ID_ddebug98.3+0x28: f"],
        &[],
    );
    demand(&["___once_key.0: f"], &["___once_key.4: f"], &[]);
    demand(
        &["once.0: f", "once.1: g", "once.2: h"],
        &["once.0: h", "once.1: new", "once.2: f", "once.3: g"],
        &["+once.1"],
    );
    demand(&["once.0: f", "once.1: g"], &["once.0: k", "once.1: g"], &["-once.0", "+once.0"]);
}

#[test]
fn repeated_names_are_matched_by_sites_then_by_file() {
    demand(&["a.c:x: f", "b.c:x: f"], &["b.c:x: f", "a.c:x: f"], &[]);
    let (a, b) = (table(&["a.c:x: f", "b.c:x: f g"]), table(&["b.c:x: f", "a.c:x: f"]));
    let pairs: BTreeSet<(usize, usize)> =
        TableDiff::new(&a, &b).pairs.iter().map(|pair| (pair.a, pair.b)).collect();
    assert_eq!(pairs, [(0, 1), (1, 0)].into());
}

#[test]
fn shifted_elements_of_an_array_are_matched() {
    demand(
        &["feat[0]: f", "feat[1]: g g", "feat[2]: h"],
        &["feat[0]: new", "feat[1]: f", "feat[2]: g g", "feat[3]: h h"],
        &[
            "+feat[0]",
            "Sites feat[0] > feat[1] place",
            "Sites feat[1] > feat[2] place",
            "Sites feat[2] > feat[3] place +h",
        ],
    );
    demand(&["feat[0]: f", "feat[1]: g"], &["feat[0]: f", "feat[1]: k"], &["Position feat[1] g>k"]);
    // Other elements moved, so that the position is no evidence.
    demand(
        &["feat[0]: f", "feat[1]: g"],
        &["feat[1]: k", "feat[2]: f"],
        &["-feat[1]", "+feat[1]", "Sites feat[0] > feat[2] place"],
    );
}

#[test]
fn renamed_keys_are_matched() {
    // The same layout, in which another key has the address.
    demand(&["x: f", "old: g"], &["x: f", "new: h"], &["RenamedByAddress old > new g>h"]);
    // Another layout: the same sites and a similar name, or several functions.
    let shifted = |lines: &[&'static str]| {
        let mut table = table(lines);
        for (index, key) in table.keys.iter_mut().enumerate() {
            key.address = format!("{:#x}", 0x9008 + 0x20 * index);
        }
        table
    };
    for (a, b, wanted) in [
        ("kmem_enabled: g", "kmem_online: g", &["RenamedBySites kmem_enabled > kmem_online"][..]),
        ("old: g h", "new: g h", &["RenamedBySites old > new"]),
        ("old: g", "new: g", &["-old", "+new"]),
        ("kmem_enabled: g g g g g g", "kmem_online: g", &["-kmem_enabled", "+kmem_online"]),
    ] {
        assert_eq!(changes(&table(&["x: f", a]), &shifted(&["x: f", b])), wanted);
    }
    // A single key, matched by its address and its sites together.
    demand(&["old: g"], &["new: g"], &["RenamedByAddress old > new"]);
    demand(&["old: g"], &["new: h"], &["-old", "+new"]);
}

#[test]
fn tables_without_symbols_match_by_address() {
    let mut a = table(&["0x1000", "0x1010"]);
    a.sites = vec![site(0, ""), site(1, "")];
    a.sites.iter_mut().for_each(|site| site.function = None);
    let diff = TableDiff::new(&a, &a);
    assert!(!diff.is_different());
}

#[test]
fn a_site_without_a_key_is_skipped() {
    let mut a = table(&["x: f"]);
    a.sites.push(site(77, "g"));
    assert!(!TableDiff::new(&a, &table(&["x: f"])).is_different());
}

/// Damaged tables may have any keys and sites, so that no step may be quadratic.
#[test]
fn work_is_bounded() {
    const MANY: usize = 20_000;
    let one_function = |keys: usize| {
        let mut table = TableModel::default();
        for index in 0..keys {
            table.keys.push(key("once.0", 0x10 * index));
            table
                .sites
                .extend([site(index, "f"), site(index, if index % 2 == 0 { "g" } else { "h" })]);
            table.sites.extend((0..index % 3).map(|_| site(index, "f")));
        }
        table
    };
    let diff = TableDiff::new(&one_function(MANY), &one_function(MANY / 2));
    assert_eq!((diff.removed.len(), diff.added.len()), (MANY / 2, 0));
    let one_key = |prefix: &str| {
        let mut table = table(&["x"]);
        table.sites.extend((0..MANY).map(|index| SiteModel {
            function: Some(Cow::Owned(format!("{prefix}_{index}_a_b_c_d_e_f_g_h"))),
            ..site(0, "")
        }));
        table
    };
    let diff = TableDiff::new(&one_key("f"), &one_key("g"));
    assert_eq!((diff.pairs.len(), diff.pairs[0].sites.removed.len()), (1, MANY));
}

const NAMES: [&str; 12] = [
    "x", "y", "x_key", "once.0", "once.1", "once.2", "feat[0]", "feat[1]", "feat[2]", "a.c:x",
    "0x1000", "feat+0x8",
];
const FUNCTIONS: [&str; 8] = ["f", "g", "f.cold", "f_many", "f_many_notify", "g!", "h", "h!"];

fn any_table() -> impl Strategy<Value = TableModel<'static>> {
    let sites = prop::collection::vec(0..FUNCTIONS.len() + 1, 1..6);
    prop::collection::vec((0..NAMES.len(), sites, any::<bool>(), 0..20usize), 0..10).prop_map(
        |keys| {
            let mut table = TableModel::default();
            for (index, (name, sites, initial, address)) in keys.into_iter().enumerate() {
                table.keys.push(KeyModel {
                    initial: Some(initial),
                    ..key(NAMES[name], 0x1000 + 0x10 * address)
                });
                for function in sites {
                    let mut model = site(index, FUNCTIONS.get(function).unwrap_or(&""));
                    model.function = model.function.filter(|name| !name.is_empty());
                    table.sites.push(model);
                }
            }
            table
        },
    )
}

fn demand_one_to_one(pairs: impl Iterator<Item = (usize, usize)>, a: &[usize], b: &[usize]) {
    let (mut in_a, mut in_b) = (a.to_vec(), b.to_vec());
    pairs.for_each(|(a, b)| {
        in_a.push(a);
        in_b.push(b);
    });
    for side in [in_a, in_b] {
        let distinct: BTreeSet<usize> = side.iter().copied().collect();
        assert_eq!(distinct.len(), side.len(), "each is in one place");
    }
}

proptest! {
    #[test]
    fn a_table_is_the_same_as_itself(a in any_table()) {
        let diff = TableDiff::new(&a, &a);
        prop_assert!(!diff.is_different(), "{diff:?}");
    }

    #[test]
    fn the_mirror_image(a in any_table(), b in any_table()) {
        let (there, back) = (TableDiff::new(&a, &b), TableDiff::new(&b, &a));
        prop_assert_eq!(&there.removed, &back.added);
        prop_assert_eq!(&there.added, &back.removed);
        let mut mirrored = back.pairs;
        for pair in &mut mirrored {
            (pair.a, pair.b) = (pair.b, pair.a);
            let sites = &mut pair.sites;
            std::mem::swap(&mut sites.removed, &mut sites.added);
            sites.pairs.iter_mut().for_each(|site| (site.a, site.b) = (site.b, site.a));
            sites.pairs.sort_unstable();
        }
        mirrored.sort_unstable_by_key(|pair| pair.a);
        prop_assert_eq!(there.pairs, mirrored);
    }

    #[test]
    fn matching_is_one_to_one(a in any_table(), b in any_table()) {
        let diff = TableDiff::new(&a, &b);
        demand_one_to_one(
            diff.pairs.iter().map(|pair| (pair.a, pair.b)),
            &diff.removed,
            &diff.added,
        );
        prop_assert_eq!(diff.pairs.len() + diff.removed.len(), a.keys.len());
        prop_assert_eq!(diff.pairs.len() + diff.added.len(), b.keys.len());
        for pair in &diff.pairs {
            let KeyPair { sites, .. } = pair;
            let pairs = sites.pairs.iter().map(|site| (site.a, site.b));
            demand_one_to_one(pairs, &sites.removed, &sites.added);
            let count = |table: &TableModel<'_>, key| {
                table.sites.iter().filter(|site| site.key == key).count()
            };
            prop_assert_eq!(sites.pairs.len() + sites.removed.len(), count(&a, pair.a));
            prop_assert_eq!(sites.pairs.len() + sites.added.len(), count(&b, pair.b));
            if matches!(pair.identity, KeyMatch::Name) {
                prop_assert!(!pair.changes.position);
            }
        }
    }
}
