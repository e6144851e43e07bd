//! Modules, alone and with their kernel.

use super::case::{FIXED, LintCase, pair, sound};
use super::flow::{with_apply, without_apply};
use super::primitives::NOP;
use crate::code::asm::{add_imm, address, bl, enter, leave_ret, load, nop, ret, str, w, x};
use crate::code::{Code, Function, Object, ObjectSection, Program, code};

/// A module that calls the kernel's `static_key_enable()` from one of its operations.
fn user_of_keys() -> Program {
    let open = [enter(), address(x(0), "demo_key"), bl("static_key_enable"), leave_ret()];
    Program::module("demo_keys")
        .functions([Function::new("demo_open", open).local()])
        .object(Object::bytes("demo_key", ObjectSection::Data, &[0; 16]))
        .object(Object::pointers("demo_fops", &["demo_open"]))
}

/// A module that patches with the kernel's primitive and synchronises itself.
fn patcher(sync: Code) -> Program {
    let patch = [
        address(x(0), "demo_mod_target"),
        load(w(1), NOP.into()),
        bl("aarch64_insn_patch_text_nosync"),
    ];
    Program::module("demo_patcher").functions([
        Function::new("demo_mod_target", [nop(), ret()]).local(),
        Function::new("demo_mod_patch", [enter(), code(patch), sync, leave_ret()]),
    ])
}

/// A module that stores to `target`, which the kernel defines.
fn stores_to(target: &str) -> Program {
    let store = [enter(), address(x(8), target), load(w(1), NOP.into()), str(w(1), x(8), 0)];
    Program::module("demo_stores")
        .functions([Function::new("demo_mod_store", [code(store), leave_ret()])])
}

/// A module that patches three words, of which the second may not be modified concurrently.
fn writes_words(second: u32) -> Program {
    let write = |offset: u32, word: u32| {
        let target = code([address(x(0), "demo_mod_target"), add_imm(x(0), x(0), offset)]);
        code([target, load(w(1), word.into()), bl("aarch64_insn_patch_text_nosync")])
    };
    let words = code([write(0, NOP), write(4, second), write(8, NOP)]);
    Program::module("demo_words").functions([
        Function::new("demo_mod_target", [nop(), nop(), nop(), ret()]).local(),
        Function::new("demo_mod_patch", [enter(), words, bl("kick_all_cpus_sync"), leave_ret()]),
    ])
}

/// Every case of this file.
pub(super) fn all() -> Vec<LintCase> {
    let with = |name: &str, kernel: &Program, expected: &[_]| {
        let trap = "the summary of a function that a module calls is in the kernel";
        let kernel = Some(kernel.build());
        LintCase { kernel, ..LintCase::new(name, trap, &user_of_keys(), expected) }
    };
    // The operation is reached through a pointer in data.
    let roots =
        [("JL001", "error", "arch_jump_label_transform"), ("JL001", "warning", "demo_open")];
    let fixed = format!("jl001-module-of-kernel{FIXED}");
    let mut all = vec![
        with("jl001-module-of-kernel", &without_apply(), &roots),
        with(&fixed, &with_apply(), &[]),
        sound("module-without-kernel", "the kernel is not available", &user_of_keys()),
    ];
    let trap = "the primitives are symbols that the module leaves undefined";
    let expected = ("JL001", "error", "demo_mod_patch");
    let (buggy, fixed) = (patcher(nop()), patcher(bl("kick_all_cpus_sync")));
    all.extend(pair("jl001-module", trap, expected, &buggy, &fixed));
    let kernel = Some(with_apply().build());
    let case = |name: &str, target, expected: &[_]| LintCase {
        kernel: kernel.clone(),
        ..LintCase::new(name, "the kernel exports a function", &stores_to(target), expected)
    };
    let expected = ("JL002", "error", "demo_mod_store");
    all.push(case("jl002-module-store", "static_key_enable", &[expected]));
    let fixed = format!("jl002-module-store{FIXED}");
    all.push(case(&fixed, "demo_kernel_data", &[]));
    let trap = "a module writes several words, and synchronises after the last";
    let expected = ("JL007", "error", "demo_mod_patch");
    // ADRP.
    let (buggy, fixed) = (writes_words(0x9000_0000), writes_words(NOP));
    all.extend(pair("jl007-module-words", trap, expected, &buggy, &fixed));
    all
}
