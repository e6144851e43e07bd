//! The assembler, compared with the words of the manual and with LLVM's assembler.

use jlctl_a64::code::asm::*;
use jlctl_a64::code::{Code, Form, Insn, code, refer};
use std::io::Write;
use std::process::{Command, Stdio};

/// The code, its word, and the assembler's text. An instruction with a reference is at address
/// 0.
fn table() -> Vec<(Code, u32, &'static str)> {
    vec![
        (nop(), 0xd503_201f, "nop"),
        (ret(), 0xd65f_03c0, "ret"),
        (retaa(), 0xd65f_0bff, "retaa"),
        (bti_c(), 0xd503_245f, "bti c"),
        (bti_j(), 0xd503_249f, "bti j"),
        (paciasp(), 0xd503_233f, "paciasp"),
        (autiasp(), 0xd503_23bf, "autiasp"),
        (isb(), 0xd503_3fdf, "isb"),
        (dsb(Domain::Sy), 0xd503_3f9f, "dsb sy"),
        (dsb(Domain::Ish), 0xd503_3b9f, "dsb ish"),
        (dsb(Domain::Ishst), 0xd503_3a9f, "dsb ishst"),
        (dsb(Domain::Osh), 0xd503_339f, "dsb osh"),
        (dsb(Domain::Nsh), 0xd503_379f, "dsb nsh"),
        (dmb(Domain::Sy), 0xd503_3fbf, "dmb sy"),
        (dmb(Domain::Ish), 0xd503_3bbf, "dmb ish"),
        (dmb(Domain::Ishst), 0xd503_3abf, "dmb ishst"),
        (dmb(Domain::Ishld), 0xd503_39bf, "dmb ishld"),
        (eret(), 0xd69f_03e0, "eret"),
        (ic_iallu(), 0xd508_751f, "ic iallu"),
        (ic_ialluis(), 0xd508_711f, "ic ialluis"),
        (table::load_entry(w(0), x(1), w(2), 1), 0x3862_4820, "ldrb w0, [x1, w2, uxtw]"),
        (table::load_entry(w(0), x(1), x(2), 2), 0x7862_7820, "ldrh w0, [x1, x2, lsl #1]"),
        (table::load_entry(w(0), x(1), w(2), 4), 0xb862_5820, "ldr w0, [x1, w2, uxtw #2]"),
        (table::load_entry(x(0), x(1), x(2), 8), 0xf862_7820, "ldr x0, [x1, x2, lsl #3]"),
        (table::ldrsw(x(0), x(1), x(2)), 0xb8a2_7820, "ldrsw x0, [x1, x2, lsl #2]"),
        (table::ldrb_post(w(0), x(1)), 0x3840_1420, "ldrb w0, [x1], #1"),
        (table::add_entry(x(0), x(1), w(2), 1), 0x8b22_8820, "add x0, x1, w2, sxtb #2"),
        (table::add_entry(x(0), x(1), w(2), 4), 0x8b22_c820, "add x0, x1, w2, sxtw #2"),
        (table::and_low(w(0), w(1), 7), 0x1200_0820, "and w0, w1, #7"),
        (table::and_low(x(0), x(1), 7), 0x9240_0820, "and x0, x1, #7"),
        (br(x(3)), 0xd61f_0060, "br x3"),
        (blr(x(3)), 0xd63f_0060, "blr x3"),
        (blraa(x(3), x(4)), 0xd73f_0864, "blraa x3, x4"),
        (dc_cvau(x(5)), 0xd50b_7b25, "dc cvau, x5"),
        (ic_ivau(x(6)), 0xd50b_7526, "ic ivau, x6"),
        (mrs_ctr(x(7)), 0xd53b_0027, "mrs x7, ctr_el0"),
        (msr_sgi1r(x(7)), 0xd518_cba7, "msr icc_sgi1r_el1, x7"),
        (svc(3), 0xd400_0061, "svc #3"),
        (brk(0x800), 0xd421_0000, "brk #0x800"),
        (udf(0), 0, "udf #0"),
        (movz(w(0), 0x11b, 0), 0x5280_2360, "mov w0, #0x11b"),
        (movz(x(1), 0x1234, 16), 0xd2a2_4681, "movz x1, #0x1234, lsl #16"),
        (movk(w(1), 0xd280, 16), 0x72ba_5001, "movk w1, #0xd280, lsl #16"),
        (movk(x(1), 0x8000, 48), 0xf2f0_0001, "movk x1, #0x8000, lsl #48"),
        (mov(x(19), x(0)), 0xaa00_03f3, "mov x19, x0"),
        (mov(w(2), w(30)), 0x2a1e_03e2, "mov w2, w30"),
        (mov(x(29), SP), 0x9100_03fd, "mov x29, sp"),
        (add_imm(x(1), x(2), 0x10), 0x9100_4041, "add x1, x2, #0x10"),
        (add_imm(w(1), w(2), 1), 0x1100_0441, "add w1, w2, #1"),
        (sub_imm(SP, SP, 0x20), 0xd100_83ff, "sub sp, sp, #0x20"),
        (subs_imm(x(3), x(3), 1), 0xf100_0463, "subs x3, x3, #1"),
        (cmp_imm(w(0), 3), 0x7100_0c1f, "cmp w0, #3"),
        (cmp(x(1), x(2)), 0xeb02_003f, "cmp x1, x2"),
        (add(x(1), x(2), x(3)), 0x8b03_0041, "add x1, x2, x3"),
        (add_shifted(x(9), x(9), x(10), 2), 0x8b0a_0929, "add x9, x9, x10, lsl #2"),
        (sub(x(1), x(2), x(3)), 0xcb03_0041, "sub x1, x2, x3"),
        (bic(x(1), x(2), x(3)), 0x8a23_0041, "bic x1, x2, x3"),
        (lsl(x(1), x(2), x(3)), 0x9ac3_2041, "lsl x1, x2, x3"),
        (orr_shifted(x(1), x(2), x(3), 32), 0xaa03_8041, "orr x1, x2, x3, lsl #32"),
        (ubfx(x(3), x(2), 16, 4), 0xd350_4c43, "ubfx x3, x2, #16, #4"),
        (ldr(w(1), x(2), 8), 0xb940_0841, "ldr w1, [x2, #8]"),
        (ldr(x(1), x(2), 8), 0xf940_0441, "ldr x1, [x2, #8]"),
        (str(w(1), x(2), 0), 0xb900_0041, "str w1, [x2]"),
        (str(x(1), SP, 16), 0xf900_0be1, "str x1, [sp, #16]"),
        (str(w(31), x(1), 4), 0xb900_043f, "str wzr, [x1, #4]"),
        (str_post(w(1), x(2), 4), 0xb800_4441, "str w1, [x2], #4"),
        (ldar(x(1), x(2)), 0xc8df_fc41, "ldar x1, [x2]"),
        (ldar(w(1), x(2)), 0x88df_fc41, "ldar w1, [x2]"),
        (stlr(x(1), x(2)), 0xc89f_fc41, "stlr x1, [x2]"),
        (ldrb(w(10), x(8), x(0)), 0x3860_690a, "ldrb w10, [x8, x0]"),
        (stp_pre((FP, LR), SP, -32), 0xa9be_7bfd, "stp x29, x30, [sp, #-32]!"),
        (stp((x(19), x(20)), SP, 16), 0xa901_53f3, "stp x19, x20, [sp, #16]"),
        (ldp((x(19), x(20)), SP, 16), 0xa941_53f3, "ldp x19, x20, [sp, #16]"),
        (ldp_post((FP, LR), SP, 32), 0xa8c2_7bfd, "ldp x29, x30, [sp], #32"),
        (b("8"), 0x1400_0002, "b #8"),
        (bl("-8"), 0x97ff_fffe, "bl #-8"),
        (b_cond(Cond::Eq, "8"), 0x5400_0040, "b.eq #8"),
        (b_cond(Cond::Ne, "8"), 0x5400_0041, "b.ne #8"),
        (b_cond(Cond::Lo, "8"), 0x5400_0043, "b.lo #8"),
        (b_cond(Cond::Hi, "-8"), 0x54ff_ffc8, "b.hi #-8"),
        (cbz(x(1), "12"), 0xb400_0061, "cbz x1, #12"),
        (cbnz(w(1), "-12"), 0x35ff_ffa1, "cbnz w1, #-12"),
        (tbz(x(1), 33, "16"), 0xb608_0081, "tbz x1, #33, #16"),
        (tbnz(w(1), 3, "-16"), 0x371f_ff81, "tbnz w1, #3, #-16"),
        (adr(x(2), "6"), 0x5000_0022, "adr x2, #6"),
        (adrp(x(2), "12288"), 0xf000_0002, "adrp x2, #12288"),
        (add_lo12(x(2), x(3), "1110"), 0x9111_5862, "add x2, x3, #1110"),
        (ldr_literal(x(3), "8"), 0x5800_0043, "ldr x3, #8"),
        (ldr_literal(w(3), "8"), 0x1800_0043, "ldr w3, #8"),
    ]
}

/// The word of `code`, in which a symbol's name is its distance.
fn encode(code: &Code) -> u32 {
    match code.insns() {
        [Insn::Word(word)] => *word,
        [Insn::Refer { word, form, to }] => {
            let distance: i64 = to.parse().expect("a number");
            refer(*word, *form, 0, distance.cast_unsigned())
        }
        other => panic!("{other:?} is not one instruction"),
    }
}

#[test]
fn words_are_those_of_the_manual() {
    for (code, word, text) in table() {
        assert_eq!(encode(&code), word, "{text}: {:#010x}", encode(&code));
    }
}

/// llvm-mc assembles the texts to the same words.
#[test]
#[cfg_attr(not(feature = "tools"), ignore = "needs LLVM: testdata/check runs it")]
fn words_are_those_of_an_assembler() {
    let mut command = Command::new("llvm-mc-19");
    command.args(["-triple=aarch64", "-mattr=+v8.5a,+pauth", "-show-encoding"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut assembler = command.spawn().expect("llvm-mc-19 is there: install the package llvm-19");
    let texts: String = table().iter().map(|(.., text)| format!("{text}\n")).collect();
    let mut stdin = assembler.stdin.take().expect("it is piped");
    stdin.write_all(texts.as_bytes()).expect("it reads");
    drop(stdin);
    let output = assembler.wait_with_output().expect("it ends");
    assert!(output.status.success());
    let output = String::from_utf8(output.stdout).expect("it is text");
    let encoding = |line: &str| {
        let (_, bytes) = line.split_once("encoding: [")?;
        let bytes = bytes.split(']').next()?.split(',');
        bytes.rev().try_fold(0, |word, byte| {
            Some(word << 8 | u32::from_str_radix(byte.strip_prefix("0x")?, 16).ok()?)
        })
    };
    let words: Vec<u32> = output.lines().filter_map(encoding).collect();
    let wanted: Vec<u32> = table().iter().map(|(_, word, _)| *word).collect();
    assert_eq!(words, wanted);
}

#[test]
fn adrp_counts_from_the_page_of_the_instruction() {
    let adrp = |at, to| refer(0x9000_0000, Form::Page, at, to);
    assert_eq!(adrp(0x1ffc, 0x2000), 0xb000_0000);
    assert_eq!(adrp(0x2000, 0x1ffc), 0xf0ff_ffe0);
    assert_eq!(adrp(0x2ffc, 0x2008), 0x9000_0000);
}

#[test]
fn a_constant_takes_as_many_words_as_it_needs() {
    assert_eq!(load(w(1), 0xd503_201f), code([movz(w(1), 0x201f, 0), movk(w(1), 0xd503, 16)]));
    assert_eq!(load(w(1), 5), movz(w(1), 5, 0));
    assert_eq!(load(x(1), 1 << 48), code([movz(x(1), 0, 0), movk(x(1), 1, 48)]));
}
