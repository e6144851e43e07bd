//! Modules, alone and with their kernel.

use super::case::{FIXED, LintCase, pair, sound};
use super::flow::{with_apply, without_apply};
use super::primitives::NOP;
use crate::code::asm::{address, bl, enter, leave_ret, load, nop, ret, w, x};
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
    all
}
