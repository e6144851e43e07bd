//! JL001 and the tables of switches: fall-through cases, two switches, and all forms of
//! entries.

use super::case::{Expected, LintCase, pair, sound};
use super::primitives::{demo, kick, patch};
use crate::code::asm::table::{add_entry, and_low, ldrb_post, ldrsw, load_entry};
use crate::code::asm::{
    Cond, add, address, adr, b, b_cond, br, cmp_imm, enter, label, leave_ret, mov, nop, w, x,
};
use crate::code::{Code, Entries, Object, Program, code};

const UNSYNCED: Expected = ("JL001", "error", "demo_patch");

/// `cmp w19, #last; b.hi other`.
fn compare(last: u32, other: &str) -> Code {
    code([cmp_imm(w(19), last), b_cond(Cond::Hi, other)])
}

/// A jump by the entry number w19 of the table `name`; its entries count from `base`.
fn dispatch(name: &str, entries: &Entries, base: &str) -> Code {
    let table = address(x(8), name);
    match entries {
        Entries::FromLabel(_, bytes) => code([
            table,
            load_entry(w(10), x(8), w(19), *bytes),
            adr(x(9), base),
            add_entry(x(9), x(9), w(10), *bytes),
            br(x(9)),
        ]),
        Entries::FromTable => {
            code([table, ldrsw(x(10), x(8), x(19)), add(x(9), x(10), x(8)), br(x(9))])
        }
        Entries::Addresses => code([table, load_entry(x(9), x(8), w(19), 8), br(x(9))]),
    }
}

/// A patch and a switch whose second case, `second`, falls into the third, which does not
/// synchronise: only the table shows that execution can begin there.
fn fallen_into(entries: Entries, second: Code, third: Code) -> Program {
    let body = [
        enter(),
        mov(w(19), w(0)),
        patch(),
        compare(2, "other"),
        b("switch"),
        label("first"),
        kick(),
        b("out"),
        label("switch"),
        dispatch("demo_table", &entries, "second"),
        label("second"),
        second,
        label("third"),
        third,
        b("out"),
        label("other"),
        kick(),
        label("out"),
        leave_ret(),
    ];
    let to = ["first", "second", "third"];
    demo(body).object(Object::branches("demo_table", "demo_patch", entries, &to))
}

fn forms() -> Vec<LintCase> {
    let from = |bytes| Entries::FromLabel("second".to_owned(), bytes);
    let forms = [
        ("byte", "a table of bytes: a case into which another case falls through", from(1)),
        ("half", "the same, a table of halfwords", from(2)),
        ("word", "the same, a table of words", from(4)),
        ("offset", "the same, distances from the table", Entries::FromTable),
        ("address", "the same, addresses of labels", Entries::Addresses),
    ];
    let of_form = |(name, trap, entries): (&str, &'static str, Entries)| {
        let buggy = fallen_into(entries.clone(), kick(), nop());
        let fixed = fallen_into(entries, nop(), kick());
        pair(&format!("jl001-switch-{name}"), trap, UNSYNCED, &buggy, &fixed)
    };
    forms.into_iter().flat_map(of_form).collect()
}

/// Two switches, one after the other: only the cases of the first synchronise.
fn two() -> Program {
    let entries = |base: &str| Entries::FromLabel(base.to_owned(), 1);
    let body = [
        enter(),
        mov(w(19), w(0)),
        patch(),
        and_low(w(19), w(19), 1),
        dispatch("demo_first", &entries("a0"), "a0"),
        label("a0"),
        kick(),
        b("next"),
        label("a1"),
        kick(),
        label("next"),
        compare(1, "out"),
        dispatch("demo_second", &entries("b0"), "b0"),
        label("b0"),
        nop(),
        b("out"),
        label("b1"),
        nop(),
        label("out"),
        leave_ret(),
    ];
    let table =
        |name: &str, to: [&str; 2]| Object::branches(name, "demo_patch", entries(to[0]), &to);
    demo(body).object(table("demo_first", ["a0", "a1"])).object(table("demo_second", ["b0", "b1"]))
}

/// An interpreter: one of its operations patches, and only the operation that ends it
/// synchronises, or not.
fn interpreter(end: Code) -> Program {
    let next = || code([ldrb_post(w(0), x(19)), load_entry(x(9), x(20), x(0), 8), br(x(9))]);
    let body = [
        enter(),
        mov(x(19), x(0)),
        address(x(20), "demo_table"),
        next(),
        label("patch"),
        patch(),
        next(),
        label("nothing"),
        next(),
        label("end"),
        end,
        leave_ret(),
    ];
    let to = ["patch", "nothing", "end"];
    demo(body).object(Object::branches("demo_table", "demo_patch", Entries::Addresses, &to))
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    let mut all = forms();
    all.extend(pair(
        "jl001-switch-interpreter",
        "computed jumps through a table whose address is loop-invariant",
        UNSYNCED,
        &interpreter(nop()),
        &interpreter(kick()),
    ));
    all.push(sound(
        "jl001-switch-two",
        "the cases of another switch are not cases of this one",
        &two(),
    ));
    all
}
