//! The targets of BRs.  Each case of a switch begins with a MOV of its number, which identifies the
//! target.

use jlctl_a64::code::asm::table::{add_entry, and_low, ldrsw, load_entry};
use jlctl_a64::code::asm::{
    Cond, SP, XZR, add, add_imm, address, adr, b, b_cond, bl, br, bti_j, cbnz, cbz, cmp_imm, label,
    ldr, load, mov, movz, nop, quad, ret, str, sub_imm, ubfx, w, word, x,
};
use jlctl_a64::code::{Code, Entries, Function, Object, ObjectSection, Program, code};
use jlctl_analyzer::addr::{AddrRange, Svma};
use jlctl_analyzer::image::Image;
use jlctl_analyzer::program::{BranchTable, Cfg, RecoveredProgram};

/// The results for the BRs of the function `demo`, by address.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    /// The numbers of the cases.
    cases: Vec<u16>,
    entries: u64,
    is_guess: bool,
}

fn tables(bytes: &[u8]) -> (Vec<BranchTable>, Vec<Found>, usize) {
    let image = Image::parse(bytes).expect("an image");
    let mut program = RecoveredProgram::recover(&image, None);
    program.resolve_jumps(&image);
    let number = |at: &Svma| {
        // MOVZ after an optional BTI.
        let first = program.word(*at).expect("code");
        let at = if first == 0xd503_249f { at.wrapping_add(4) } else { *at };
        let word = program.word(at).expect("code");
        assert_eq!(word & 0xffe0_001f, 0x5280_0000, "{at}: {word:#x}");
        u16::try_from((word >> 5) & 0xffff).expect("sixteen bits")
    };
    let found = program.branch_tables().iter().map(|table| Found {
        cases: table.targets.iter().map(number).collect(),
        entries: table.entries.map_or(0, AddrRange::size),
        is_guess: table.is_guess,
    });
    let found = found.collect();
    (program.branch_tables().to_vec(), found, program.jumps().count())
}

/// The cases 0 to `count`, one after the other, each with a label.
fn cases(count: u16) -> Code {
    let case = |number: u16| code([label(&format!("case{number}")), movz(w(0), number, 0), ret()]);
    (0..count).map(case).fold(Code::default(), |all, case| code([all, case]))
}

/// The function `demo`: `before`, a jump by the entry number w1 of a table of halfwords,
/// and eight cases.
fn switch<const N: usize>(before: [Code; N]) -> Function {
    let dispatch = [
        address(x(8), "table"),
        load_entry(w(9), x(8), w(1), 2),
        adr(x(10), "case0"),
        add_entry(x(9), x(10), w(9), 2),
        br(x(9)),
    ];
    Function::new("demo", [code(before), code(dispatch), cases(8), label("other"), ret()])
}

fn names(count: u16) -> Vec<String> {
    (0..count).map(|number| format!("case{number}")).collect()
}

fn table(entries: Entries, count: u16) -> Object {
    let names = names(count);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Object::branches("table", "demo", entries, &names)
}

fn halves(count: u16) -> Object {
    table(Entries::FromLabel("case0".to_owned(), 2), count)
}

fn program(function: Function, table: Object) -> Vec<u8> {
    let program = Program::kernel().functions([function, Function::new("next", [ret()])]);
    program.object(table).build()
}

/// The result for the only BR, with a table of `count` halfwords.
fn only<const N: usize>(before: [Code; N], count: u16) -> Vec<Found> {
    tables(&program(switch(before), halves(count))).1
}

fn exactly(count: u16, bytes: u64) -> Vec<Found> {
    let entries = u64::from(count) * bytes;
    vec![Found { cases: (0..count).collect(), entries, is_guess: false }]
}

#[test]
fn comparisons_and_masks_bound_tables() {
    let other = |last: u32, condition| code([cmp_imm(w(1), last), b_cond(condition, "other")]);
    let higher = other(4, Cond::Hi);
    // The table and its object have eight entries; a smaller bound wins.
    assert_eq!(only([higher.clone()], 8), exactly(5, 2));
    assert_eq!(only([higher.clone(), mov(w(0), w(2)), mov(w(1), w(1))], 8), exactly(5, 2));
    let lower = [cmp_imm(w(1), 6), b_cond(Cond::Lo, "on"), ret(), label("on")];
    assert_eq!(only(lower, 8), exactly(6, 2));
    let first = [sub_imm(w(1), w(0), 3), higher.clone(), cbz(x(2), "other")];
    assert_eq!(only(first, 8), exactly(5, 2));
    assert_eq!(only([and_low(w(1), w(0), 3)], 8), exactly(4, 2));
    assert_eq!(only([ubfx(x(1), x(0), 7, 2)], 8), exactly(4, 2));
    // The tighter of two bounds.
    assert_eq!(only([and_low(w(1), w(0), 7), higher.clone()], 8), exactly(5, 2));
    // The compared register was overwritten: the object bounds the table.
    assert_eq!(only([higher.clone(), ldr(w(1), x(0), 0)], 7), exactly(7, 2));
    // The flags come from another comparison.
    let others = [cmp_imm(w(1), 1), cmp_imm(w(2), 0), b_cond(Cond::Hi, "other")];
    assert_eq!(only(others, 7), exactly(7, 2));
    // Two paths, each with a bound.
    let ways =
        [cbz(x(0), "second"), higher, b("on"), label("second"), other(2, Cond::Hi), label("on")];
    assert_eq!(only(ways, 8), exactly(5, 2));
}

/// Each turn of the loop adds another number to the pointer at its start.
#[test]
fn a_pointer_that_a_loop_counts_up_is_unknown() {
    let counts = [
        mov(x(1), x(3)),
        label("count"),
        add_imm(x(1), x(1), 8),
        sub_imm(w(2), w(2), 1),
        cbnz(w(2), "count"),
        br(x(1)),
    ];
    let demo = Function::new("demo", [code(counts), cases(2)]);
    assert_eq!(tables(&program(demo, halves(2))).1, []);
}

#[test]
fn table_addresses_are_traced_to_their_origin() {
    let body = |before: Code, again: Code| {
        let dispatch = [
            label("again"),
            ldr(w(1), x(0), 0),
            cmp_imm(w(1), 2),
            b_cond(Cond::Hi, "other"),
            again,
            load_entry(w(9), x(8), w(1), 2),
            adr(x(10), "case0"),
            add_entry(x(9), x(10), w(9), 2),
            br(x(9)),
        ];
        let case = |name: &str, number| code([label(name), movz(w(0), number, 0), b("again")]);
        let cases = [case("case0", 0), case("case1", 1), case("case2", 2)];
        Function::new("demo", [before, code(dispatch), code(cases), label("other"), ret()])
    };
    let found = |function| tables(&program(function, halves(3))).1;
    assert_eq!(found(body(address(x(8), "table"), nop())), exactly(3, 2));
    // The table's address is saved on the stack across comparisons and calls.
    let spilled = code([address(x(8), "table"), str(x(8), SP, 16)]);
    let again = code([word(0xeb40_103f), bl("next"), ldr(x(8), SP, 16)]);
    let again = code([again, ldr(w(1), x(19), 0), and_low(w(1), w(1), 1)]);
    assert_eq!(found(body(spilled, again)), exactly(2, 2));
    // A call clobbers x8.
    assert_eq!(found(body(address(x(8), "table"), bl("next"))), []);
    // Two paths with different tables.
    let two = code([address(x(8), "table"), cbz(x(1), "again"), address(x(8), "demo")]);
    assert_eq!(found(body(two, nop())), []);
    // The stack pointer moved.
    let moved = code([address(x(8), "table"), str(x(8), SP, 16)]);
    let again = code([sub_imm(SP, SP, 16), ldr(x(8), SP, 16)]);
    assert_eq!(found(body(moved, again)), []);
}

#[test]
fn every_form_of_entry_is_read() {
    let bound = || code([cmp_imm(w(1), 3), b_cond(Cond::Hi, "other"), address(x(8), "table")]);
    let found = |load: Code, entries: Entries| {
        let function =
            Function::new("demo", [bound(), load, br(x(9)), cases(4), label("other"), ret()]);
        tables(&program(function, table(entries, 4))).1
    };
    for bytes in [1, 2, 4] {
        let load = code([
            load_entry(w(9), x(8), w(1), bytes),
            adr(x(10), "case2"),
            add_entry(x(9), x(10), w(9), bytes),
        ]);
        let entries = Entries::FromLabel("case2".to_owned(), bytes);
        assert_eq!(found(load, entries), exactly(4, bytes), "some are negative");
    }
    let offsets = code([ldrsw(x(9), x(8), x(1)), add(x(9), x(9), x(8))]);
    assert_eq!(found(offsets, Entries::FromTable), exactly(4, 4));
    let addresses = load_entry(x(9), x(8), x(1), 8);
    assert_eq!(found(addresses, Entries::Addresses), exactly(4, 8));
    // The address of the entry first, then the entry.
    let slot = code([
        // add x8, x8, w1, uxtw #3
        word(0x8b21_4d08),
        ldr(x(9), x(8), 0),
    ]);
    assert_eq!(found(slot, Entries::Addresses), exactly(4, 8));
}

/// The number of entries is unknown.  The next object begins after them, in a file without sizes of
/// symbols.
#[test]
fn a_table_without_a_bound_ends_at_the_next_object() {
    let demo = switch([]);
    let program = Program::kernel().functions([demo, Function::new("next", [ret()])]);
    let mut elf = program
        .object(halves(6))
        .object(Object::bytes("behind", ObjectSection::ReadOnly, &[0; 16]))
        .link();
    elf.symbols.retain(|symbol| symbol.name != "table");
    let guess = |count: u16| Found {
        cases: (0..count).collect(),
        entries: u64::from(count) * 2,
        is_guess: true,
    };
    let found = |bytes: &[u8]| tables(bytes).1;
    let [found_one] = &found(&elf.write())[..] else { panic!("one") };
    // Six entries, and two of the padding before the next object, which are zero: case 0.
    assert_eq!(found_one, &Found { entries: 16, ..guess(6) });
    let image = elf.write();
    let parsed = Image::parse(&image).expect("an image");
    let mut recovered = RecoveredProgram::recover(&parsed, None);
    recovered.resolve_jumps(&parsed);
    let demo = recovered.ids().find(|id| recovered.function(*id).range.size() > 64);
    assert!(Cfg::new(&recovered, demo.expect("the function exists")).has_guessed_edges);
}

/// In code with BTI, an address without BTI is no target.
#[test]
fn tables_of_bti_code_end_at_the_first_target_without_bti() {
    let case = |number: u16| {
        code([label(&format!("case{number}")), bti_j(), movz(w(0), number, 0), ret()])
    };
    let dispatch = [
        address(x(8), "table"),
        load_entry(w(9), x(8), w(1), 2),
        adr(x(10), "case0"),
        add_entry(x(9), x(10), w(9), 2),
        br(x(9)),
    ];
    let plain = code([label("case2"), movz(w(0), 2, 0), ret()]);
    let body = [code(dispatch), case(0), case(1), plain];
    let program = Program::kernel().functions([Function::new("demo", body)]);
    let mut elf = program.object(halves(3)).link();
    elf.symbols.retain(|symbol| symbol.name != "table");
    let guess = Found { cases: vec![0, 1], entries: 4, is_guess: true };
    assert_eq!(tables(&elf.write()).1, [guess]);
}

#[test]
fn branches_to_constants_are_resolved() {
    let jump = Function::new("demo", [address(x(16), "next"), br(x(16))]);
    let literal = Function::new(
        "far",
        [jlctl_a64::code::asm::ldr_literal(x(16), "pool"), br(x(16)), label("pool"), quad("next")],
    );
    let program = Program::kernel().functions([jump, literal, Function::new("next", [ret()])]);
    let bytes = program.build();
    let image = Image::parse(&bytes).expect("an image");
    let mut recovered = RecoveredProgram::recover(&image, None);
    recovered.resolve_jumps(&image);
    let next = image.symbols().named("next").next().expect("the file is there").1.address;
    let tables = recovered.branch_tables();
    assert_eq!(tables.len(), 2, "{tables:?}");
    assert!(tables.iter().all(|table| table.targets == [next] && table.entries.is_none()));
    let next = recovered.starting_at(next).expect("a function");
    assert_eq!(recovered.callers(next).count(), 2, "tail calls");
}

/// Tables that lead outside the function, are unreadable, or have an absurd number of entries.
#[test]
fn damaged_tables_are_rejected() {
    let bounded = |last: u32| code([cmp_imm(w(1), last), b_cond(Cond::Hi, "other")]);
    let data = |bytes: &[u8]| Object::bytes("table", ObjectSection::ReadOnly, bytes);
    // One entry of five leads out of the function.
    let out = data(&[0, 0, 2, 0, 0xff, 0x70, 0, 0, 0, 0]);
    assert_eq!(tables(&program(switch([bounded(4)]), out)).1, []);
    // More entries than the section has.
    let bytes = program(switch([bounded(4000)]), data(&[0; 8]));
    let (found, _, jumps) = tables(&bytes);
    assert!(found.iter().all(|table| table.entries.is_none_or(|entries| entries.size() <= 8)));
    assert_eq!(jumps, 1);
    // Outside all sections, at the end of the address space, over the code.
    for table in [0, u64::MAX - 1, u64::MAX - 4095] {
        let function = Function::new(
            "demo",
            [
                bounded(4),
                load(x(8), table),
                load_entry(w(9), x(8), w(1), 2),
                adr(x(10), "case0"),
                add_entry(x(9), x(10), w(9), 2),
                br(x(9)),
                cases(2),
                label("other"),
                ret(),
            ],
        );
        assert_eq!(tables(&program(function, data(&[0; 8]))).1, [], "{table:#x}");
    }
    let itself = Function::new(
        "demo",
        [
            bounded(4),
            address(x(8), "demo"),
            load_entry(x(9), x(8), x(1), 8),
            br(x(9)),
            label("other"),
            ret(),
        ],
    );
    assert_eq!(tables(&program(itself, data(&[0; 8]))).1, []);
    // The zero register as the index.
    let zero = Function::new(
        "demo",
        [
            address(x(8), "table"),
            load_entry(w(9), x(8), XZR, 2),
            adr(x(10), "demo"),
            add_entry(x(9), x(10), w(9), 2),
            br(x(9)),
        ],
    );
    assert_eq!(tables(&program(zero, data(&[0; 8]))).1, []);
}
