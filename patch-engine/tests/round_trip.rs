//! Random images and random wishes: a plan checks, applies, takes effect, and reverses to the same
//! bytes.

use jlctl_analyzer::addr::{FileOffset, Svma};
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::container::Limits;
use jlctl_analyzer::image::{Image, ImageFile};
use jlctl_analyzer::jump_table::{JumpTable, KeyDescriptions};
use jlctl_patch_engine::apply::{ApplyError, ByteWrite, ByteWrites, Patch, in_place};
use jlctl_patch_engine::check::{Finding, check};
use jlctl_patch_engine::digest::{Digests, Sum};
use jlctl_patch_engine::images::ReadImage;
use jlctl_patch_engine::key_set::KeySet;
use jlctl_patch_engine::plan::{self, PlanOptions};
use jlctl_patch_engine::plan_file::{self, PlanAddress, PlanDocument};
use jlctl_patch_engine::reason::Reason;
use jlctl_patch_engine::wish::Wish;
use jlctl_synthetic::broken;
use jlctl_synthetic::elf::Endian;
use jlctl_synthetic::spec::{
    DataSection, FunctionSpec, ImageSpec, KeySpec, Machine, SiteSpec, TextSection,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::path::Path;

/// Reads the image at `path` and passes it to `then`.
fn with_image<T>(path: &Path, then: impl FnOnce(&ReadImage<'_>, Digests) -> T) -> T {
    let file = ImageFile::open(path, Limits::default()).unwrap();
    let image = Image::parse(file.bytes()).unwrap();
    let table = JumpTable::read(&image).ok();
    let keys = table
        .as_ref()
        .map(|table| KeyDescriptions::of_table(&image, table, None))
        .unwrap_or_default();
    let read = ReadImage { file: &file, image: &image, table: table.as_ref(), keys: &keys };
    then(&read, Digests::of(file.file_bytes()))
}

fn document(
    read: &ReadImage<'_>,
    sums: Digests,
    wishes: &BTreeMap<usize, Wish>,
    queue: Option<usize>,
) -> PlanDocument {
    let images = [*read];
    let set = KeySet::new(&images);
    let options = PlanOptions { queue: queue.and_then(NonZeroUsize::new), cpus: 4 };
    let plan = plan::plan(&images, &set, wishes, options).unwrap();
    plan_file::compose(&plan, &images, &set, |_| sums, |_, _| None)
}

/// The plan, checked, and read back from its file.
fn checked_plan(path: &Path, wishes: &BTreeMap<usize, Wish>, queue: Option<usize>) -> PlanDocument {
    with_image(path, |read, sums| {
        let document = document(read, sums, wishes, queue);
        assert_eq!(check(&document, &[*read], &[sums]), [], "planner and checker agree");
        let mut file = Vec::new();
        plan_file::write(&document, &mut file).unwrap();
        assert_eq!(plan_file::read(&file).unwrap(), document);
        document
    })
}

fn writes(document: &PlanDocument) -> ByteWrites {
    let ops = document.ops.iter().map(|op| (op.file_offset, &op.old.0, &op.new.0));
    let keys = document
        .key_writes
        .iter()
        .filter_map(|write| Some((write.file_offset?, &write.old.0, &write.new.0)));
    let write = |(offset, old, new): (u64, &Vec<u8>, &Vec<u8>)| ByteWrite {
        offset: FileOffset(offset),
        old: old.clone(),
        new: new.clone(),
    };
    ByteWrites::new(ops.chain(keys).map(write).collect()).unwrap()
}

fn apply(path: &Path, document: &PlanDocument, reverse: bool) {
    let forward = writes(document);
    let backward = forward.reversed();
    let image = &document.images[0];
    let patch = Patch {
        image: path,
        length: image.size,
        sum: Sum::Xxh3(image.xxh3.0),
        writes: if reverse { &backward } else { &forward },
        is_reverse: reverse,
        cut_to: None,
    };
    in_place::<ApplyError>(&patch, || Ok(())).unwrap();
}

/// A key is its initial state and its storage; a site is its key, branch sense and distance.
type Recipe = (Vec<(bool, u8)>, Vec<(usize, bool, u8)>);

fn spec(machine: Machine, big_endian: bool, (keys, sites): &Recipe) -> ImageSpec {
    let mut spec = ImageSpec::kernel().on(machine);
    if big_endian && machine == Machine::Aarch64 {
        spec.endian = Endian::Big;
    }
    // The linker of test images needs content in each section.
    spec = spec
        .key(KeySpec::new("spare"))
        .function(FunctionSpec::new("spare_text", "random.c", 4))
        .function(FunctionSpec::new("spare_init", "random.c", 4).in_section(TextSection::Init));
    for (at, (on, section)) in keys.iter().enumerate() {
        let key = KeySpec::new(&format!("key_{at}"));
        spec = spec.key(match section % 3 {
            // Keys without bytes are false.
            0 => key.in_section(DataSection::Bss),
            1 if *on => key.in_section(DataSection::RoAfterInit).initially_true(),
            _ if *on => key.initially_true(),
            _ => key,
        });
    }
    for (at, (key, likely, distance)) in sites.iter().enumerate() {
        let section = match distance % 5 {
            0 => TextSection::Init,
            1 => TextSection::Exit,
            _ => TextSection::Text,
        };
        let function = format!("function_{at}");
        spec = spec.function(FunctionSpec::new(&function, "random.c", 64).in_section(section));
        let target = u32::from(*distance) % 60 * 4;
        let code = 120;
        let site = SiteSpec::new(
            format!("{function}+{code:#x}").as_str(),
            format!("{function}+{target:#x}").as_str(),
            format!("key_{}", key % keys.len()).as_str(),
        );
        spec = spec.site(if *likely { site.likely() } else { site });
    }
    spec
}

fn recipe() -> impl Strategy<Value = Recipe> {
    (
        proptest::collection::vec((any::<bool>(), any::<u8>()), 1..6),
        proptest::collection::vec((any::<usize>(), any::<bool>(), any::<u8>()), 1..24),
    )
}

fn wish(number: u8) -> Option<Wish> {
    Wish::ALL.get(usize::from(number % 4)).copied()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn wanted_states_are_planned_applied_seen_and_taken_back(
        recipe in recipe(),
        machine in prop_oneof![Just(Machine::Aarch64), Just(Machine::X86_64), Just(Machine::Riscv64)],
        big_endian in any::<bool>(),
        wanted in proptest::collection::vec(any::<u8>(), 6),
        queue in proptest::option::of(1usize..8),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vmlinux");
        let original = spec(machine, big_endian, &recipe).build();
        std::fs::write(&path, &original).unwrap();
        let keys = with_image(&path, |read, _| read.table.map_or(0, |table| table.keys().len()));
        let wishes: BTreeMap<usize, Wish> = (0..keys)
            .filter_map(|key| Some((key, wish(*wanted.get(key % 6)?)?)))
            .collect();
        if wishes.is_empty() {
            return Ok(());
        }
        let document = checked_plan(&path, &wishes, queue);
        for batch in &document.batches {
            prop_assert!(queue.is_none_or(|queue| batch.ops <= queue));
        }
        let before: HashMap<u64, bool> = states(&path);
        apply(&path, &document, false);
        let after = states(&path);
        with_image(&path, |read, _| {
            let table = read.table.unwrap();
            for (at, key) in table.keys().iter().enumerate() {
                let on = match wishes.get(&at) {
                    None => before[&key.address.0],
                    Some(wish) => wish.state(Some(before[&key.address.0])).unwrap(),
                };
                for site in &key.sites {
                    let jumps = matches!(table.site(*site).insn, SiteInsn::Jmp { .. });
                    assert_eq!(jumps, on ^ table.entry(*site).branch, "the code follows the wish");
                }
                // The counter follows if the file has its bytes.
                assert_eq!(after[&key.address.0], key.is_file_backed() && on);
            }
        });
        // A second plan for the same states has no ops.
        let again: BTreeMap<usize, Wish> = wishes
            .iter()
            .map(|(key, wish)| (*key, match (wish, before_at(&path, *key, &before)) {
                (Wish::Flip, true) => Wish::Disable,
                (Wish::Flip, false) => Wish::Enable,
                (other, _) => *other,
            }))
            .collect();
        prop_assert_eq!(checked_plan(&path, &again, queue).ops.len(), 0);
        apply(&path, &document, true);
        prop_assert_eq!(std::fs::read(&path).unwrap(), original);
    }

    /// With damaged images, the planner and the checker neither panic nor disagree.
    #[test]
    fn planner_and_checker_agree_on_damaged_images(which in any::<prop::sample::Index>(), number in any::<u8>()) {
        let all = broken::all();
        let (name, bytes) = which.get(&all);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let Ok(file) = ImageFile::open(&path, Limits::default()) else { return Ok(()) };
        if Image::parse(file.bytes()).is_err() {
            return Ok(());
        }
        let keys = with_image(&path, |read, _| {
            read.table.map_or(0, |table| table.keys().len().min(64))
        });
        if keys == 0 {
            return Ok(());
        }
        let wish = wish(number % 3).unwrap();
        let wishes = (0..keys).map(|key| (key, wish)).collect();
        with_image(&path, |read, sums| {
            if read.table.is_some() {
                let document = document(read, sums, &wishes, None);
                assert_eq!(check(&document, &[*read], &[sums]), [], "{name}");
            }
        });
    }
}

/// Whether each key is on, by address.
fn states(path: &Path) -> HashMap<u64, bool> {
    with_image(path, |read, _| {
        let keys = read.table.unwrap().keys();
        keys.iter().map(|key| (key.address.0, key.is_on().unwrap())).collect()
    })
}

fn before_at(path: &Path, key: usize, before: &HashMap<u64, bool>) -> bool {
    with_image(path, |read, _| before[&read.table.unwrap().keys()[key].address.0])
}

/// The refusals of flipping all keys of an image.
fn refusals(bytes: &[u8]) -> Vec<Reason> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("image");
    std::fs::write(&path, bytes).unwrap();
    let keys = with_image(&path, |read, _| read.table.unwrap().keys().len());
    let wishes = (0..keys).map(|key| (key, Wish::Flip)).collect();
    let document = checked_plan(&path, &wishes, None);
    let mut reasons: Vec<Reason> = document.refusals.iter().map(|refusal| refusal.code.0).collect();
    // Sites of several keys are refused for each of them.
    reasons.dedup();
    reasons
}

#[test]
fn refusals_have_their_reason() {
    use broken::sites;
    for (bytes, reason) in [
        (sites::site_in_data(), Reason::NotExecutable),
        (sites::site_outside_sections(), Reason::NotExecutable),
        (sites::site_holds_ret(), Reason::UnexpectedBytes),
        (sites::jump_elsewhere(), Reason::UnexpectedBytes),
        (sites::target_out_of_range(), Reason::Unencodable),
        (sites::target_misaligned(), Reason::Unencodable),
        (sites::key_outside_sections(), Reason::KeyUnreadable),
        (sites::key_in_text(), Reason::KeyUnreadable),
        (sites::two_keys_at_one_site(), Reason::SharedSite),
        (sites::same_entry_twice(), Reason::Overlap),
    ] {
        assert_eq!(refusals(&bytes), [reason], "{reason:?}");
    }
    let base = || {
        let function = FunctionSpec::new("function", "one.c", 16);
        ImageSpec::kernel().function(function).site(SiteSpec::new(
            "function+8",
            "function+32",
            "key",
        ))
    };
    let mut counted = KeySpec::new("key").initially_true();
    counted.enabled = 2;
    assert_eq!(refusals(&base().key(counted.clone()).build()), [Reason::Count]);
    counted.enabled = -1;
    assert_eq!(refusals(&base().key(counted).build()), [Reason::Count]);
    let key = |section| base().key(KeySpec::new("key").in_section(section)).build();
    assert_eq!(refusals(&key(DataSection::Bss)), [Reason::ZeroFilled]);
    assert_eq!(refusals(&key(DataSection::RoAfterInit)), [Reason::ReadOnlyAfterInit]);
    assert_eq!(refusals(&key(DataSection::Data)), []);
}

#[test]
fn a_module_is_refused_sites_that_its_loader_rewrites() {
    let base = |machine, target: &str| {
        ImageSpec::module("some")
            .on(machine)
            .key(KeySpec::new("key"))
            .function(FunctionSpec::new("function", "one.c", 16))
            .function(FunctionSpec::new("cold", "one.c", 16).in_section(TextSection::Unlikely))
            .site(SiteSpec::new("function+8", target, "key"))
            .build()
    };
    assert_eq!(refusals(&base(Machine::Aarch64, "function+32")), []);
    assert_eq!(refusals(&base(Machine::Aarch64, "cold+4")), [Reason::OtherSection]);
    assert_eq!(refusals(&base(Machine::X86_64, "function+32")), [Reason::LoaderVerifies]);
    let likely = ImageSpec::module("some")
        .key(KeySpec::new("key"))
        .function(FunctionSpec::new("function", "one.c", 16))
        .function(FunctionSpec::new("cold", "one.c", 16).in_section(TextSection::Unlikely))
        .site(SiteSpec::new("function+8", "cold+4", "key").likely())
        .build();
    assert_eq!(refusals(&likely), [Reason::SiteRelocated]);
}

/// Changes one field of a plan and returns the findings of the checker.
fn tampered(change: impl FnOnce(&mut PlanDocument)) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vmlinux-demo");
    std::fs::write(&path, jlctl_synthetic::demo::vmlinux()).unwrap();
    let keys = with_image(&path, |read, _| read.table.unwrap().keys().len());
    let wishes = (0..keys).map(|key| (key, Wish::Flip)).collect();
    let mut document = checked_plan(&path, &wishes, Some(5));
    change(&mut document);
    with_image(&path, |read, sums| {
        check(&document, &[*read], &[sums]).iter().map(Finding::to_string).collect()
    })
}

/// The checker finds each wrong claim of a plan and names its field.
#[test]
fn every_claim_is_checked() {
    type Change = fn(&mut PlanDocument);
    let cases: [(&str, Change); 36] = [
        ("world", |plan| plan.world.0 = jlctl_patch_engine::target::World::User),
        ("arch", |plan| plan.arch = "riscv64".to_owned()),
        ("images[0].sha256", |plan| plan.images[0].sha256.0[0] ^= 1),
        ("images[0].xxh3", |plan| plan.images[0].xxh3.0[0] ^= 1),
        ("images[0].size", |plan| plan.images[0].size += 1),
        ("images[0].build_id", |plan| plan.images[0].build_id = None),
        ("images[0].release", |plan| plan.images[0].release = Some("5.10".to_owned())),
        ("images[0].signed", |plan| plan.images[0].signed = true),
        ("sync", |plan| plan.sync.0 = jlctl_patch_engine::sync::SyncMethod::Nosync),
        ("keys[0].old_enabled", |plan| plan.keys[0].old_enabled = Some(0)),
        ("keys[0].new_enabled", |plan| plan.keys[0].new_enabled = Some(1)),
        ("keys[0].sites", |plan| plan.keys[0].sites += 1),
        ("keys[0].ops", |plan| plan.keys[0].ops += 1),
        ("keys[0].symbol", |plan| plan.keys[0].symbol = Some("other".to_owned())),
        ("keys[1].address", |plan| plan.keys[1].address = plan.keys[0].address.clone()),
        ("ops[0].site", |plan| plan.ops[0].site = 1000),
        ("ops[0].address", |plan| plan.ops[0].address = PlanAddress::Stated(Svma(0x1000))),
        ("ops[0].file_offset", |plan| plan.ops[0].file_offset += 4),
        ("ops[0].target", |plan| plan.ops[0].target = PlanAddress::Stated(Svma(0x1000))),
        ("ops[0].function", |plan| plan.ops[0].function = None),
        ("ops[0].branch", |plan| plan.ops[0].branch.0 ^= true),
        ("ops[0].old", |plan| plan.ops[0].old.0[0] ^= 1),
        ("ops[0].new", |plan| plan.ops[0].new.0[0] ^= 1),
        ("ops[0].to", |plan| plan.ops[0].to = plan.ops[0].from),
        ("ops[6].batch", |plan| plan.ops[6].batch = 0),
        ("ops[1].key", |plan| plan.ops.swap(0, 1)),
        ("key_writes[0].address", |plan| plan.key_writes[0].address = PlanAddress::Stated(Svma(8))),
        ("key_writes[0].new", |plan| plan.key_writes[0].new.0[0] = 9),
        ("key_writes[0].after_batch", |plan| plan.key_writes[0].after_batch = Some(2)),
        ("batches[0].ops", |plan| plan.queue = Some(4)),
        ("batches[0].pages", |plan| plan.batches[0].pages += 1),
        ("refusals: expected the refusal zero-filled", |plan| {
            plan.refusals.retain(|refusal| refusal.code.0 != Reason::ZeroFilled);
        }),
        ("refusals[0].targets", |plan| plan.refusals[0].targets.clear()),
        ("deferrals: expected ops[1] deferred for init", |plan| drop(plan.deferrals.remove(0))),
        ("cost.strategies[1].broadcasts", |plan| plan.cost.strategies[1].broadcasts = 0),
        ("keys[2].ops: expected an op for site", |plan| {
            let at = plan.ops.iter().position(|op| op.key == 2).unwrap();
            plan.ops.remove(at);
            plan.keys[2].ops -= 1;
        }),
    ];
    for (place, change) in cases {
        let found = tampered(change);
        assert!(found.iter().any(|finding| finding.starts_with(place)), "{place}: {found:?}");
    }
    assert_eq!(tampered(|_| ()), [""; 0]);
}

/// Findings have no blanks, no Rust notation, and units where a number alone says too little.
#[test]
fn findings_are_in_words() {
    type Change = fn(&mut PlanDocument);
    let cases: [(&str, Change); 6] = [
        (
            "ops[0].old: expected bytes at file offset 0x7fffffff, found the end of the file",
            |plan| {
                plan.ops[0].file_offset = 0x7fff_ffff;
            },
        ),
        (", found no bytes", |plan| plan.ops[0].new.0.clear()),
        ("ops[0].new: expected 1 byte, found 4", |plan| plan.ops[0].old.0.truncate(1)),
        ("ops[0].new: expected 4 bytes, found 0", |plan| plan.ops[0].new.0.clear()),
        ("refusals[0].sites: expected no sites, found 999", |plan| {
            plan.refusals[0].sites = vec![999];
        }),
        ("ops in all batches, found a sum that overflows", |plan| {
            plan.batches[0].ops = usize::MAX;
        }),
    ];
    for (text, change) in cases {
        let found = tampered(change);
        assert!(found.iter().any(|finding| finding.contains(text)), "{text}: {found:?}");
    }
}
