//! Code that must not compile: branches on an expression that is not a typed key, or on a key
//! whose address the linker does not know.

use crate::compile::{CLANG, CLANGXX, GCC, GXX, compile, refusal};
use crate::library::{Library, Target};
use std::fs;

const BEFORE: &str = "#include <jlctl/jump_label.h>\n\
    DEFINE_STATIC_KEY_FALSE(key);\n\
    static struct static_key untyped;\n\
    static int number;\n\
    int f(struct static_key_false *pointer, struct static_key *base);\n\
    int f(struct static_key_false *pointer, struct static_key *base)\n\
    {\n\
    \t(void)pointer, (void)base, (void)&untyped, (void)&number;\n";

/// Correct code compiles, so that the wrong code fails for the intended reason.
const RIGHT: [&str; 4] = [
    "return static_branch_unlikely(&key) ? 1 : 0;",
    "return static_branch_likely(&key) ? 1 : 0;",
    "return static_branch_enable(&key);",
    "return static_key_enable(base) | static_key_enable(&pointer->key);",
];

const WRONG: [&str; 10] = [
    "return static_branch_unlikely(&number);",
    "return static_branch_likely(&number);",
    "return static_branch_unlikely(number);",
    "return static_branch_unlikely(key);",
    "return static_branch_unlikely(&untyped);",
    "return static_branch_unlikely(base);",
    "return static_branch_unlikely(&key.key);",
    // A typed key, but a variable: no site can name it.
    "return static_branch_unlikely(pointer);",
    "return static_branch_enable(&number);",
    "return static_branch_enable(base);",
];

#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs compilers and linkers: testdata/check runs it")]
fn only_typed_keys_of_known_address_make_a_branch() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let source = directory.path().join("misuse.c");
    for compiler in [GCC, CLANG, GXX, CLANGXX] {
        for body in RIGHT {
            fs::write(&source, format!("{BEFORE}\t{body}\n}}\n")).expect("a source");
            let mut command = compiler.command(&library);
            compile(command.args(["-O2", "-S", "-o", "/dev/null"]).arg(&source));
        }
        for body in WRONG {
            fs::write(&source, format!("{BEFORE}\t{body}\n}}\n")).expect("a source");
            let said = refusal(compiler, &library, &source);
            assert!(said.contains("error: "), "{} reports {said} for {body}", compiler.program);
        }
    }
}
