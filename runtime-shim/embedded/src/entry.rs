//! The entry, to which the kernel passes control: it relocates the image, runs the runtime, and
//! jumps to the program's entry.
//!
//! It is in assembly, since no code that depends on relocations may run before they are applied.

#![allow(unsafe_code, reason = "the entry of a program")]

use super::config::jlshim_embedded_config;
use super::process;
use jlctl_shim::embed::Embedded;

/// The message if the image cannot relocate itself.
macro_rules! no_runtime {
    () => {
        "jlshim: mprotect failed: the program runs without its runtime"
    };
}

/// An entry that consists of the given lines of assembly, with the operands of all architectures.
macro_rules! entry {
    ($($line:expr),+ $(,)?) => {
        core::arch::naked_asm!(
            $($line,)+
            config = sym jlshim_embedded_config,
            run = sym process::run,
            data = const Embedded::DATA,
            data_len = const Embedded::DATA_LEN,
            base = const Embedded::BASE,
            relocations = const Embedded::RELOCATIONS,
            relocations_count = const Embedded::RELOCATIONS_COUNT,
            program = const Embedded::PROGRAM,
            len = const no_runtime!().len() + 1,
        )
    };
}

// The stack pointer points at argc (System V ABI, "Process Initialization").  RDX holds a word
// that the program's entry must receive.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn jlshim_embedded_entry() {
    entry!(
        "endbr64",
        "push rdx",
        "push rdx",
        "lea rbx, [rip + {config}]",
        // mprotect(data, data_len, PROT_READ | PROT_WRITE)
        "mov rdi, [rbx + {data}]",
        "add rdi, rbx",
        "mov rsi, [rbx + {data_len}]",
        "mov edx, 3",
        "mov eax, 10",
        "syscall",
        "test rax, rax",
        "jnz 3f",
        "mov r8, [rbx + {base}]",
        "add r8, rbx",
        "mov r9, [rbx + {relocations}]",
        "add r9, rbx",
        "mov rcx, [rbx + {relocations_count}]",
        "test rcx, rcx",
        "jz 2f",
        "1: mov rax, [r9]",
        "mov rdx, [r9 + 16]",
        "add rdx, r8",
        "mov [r8 + rax], rdx",
        "add r9, 24",
        "dec rcx",
        "jnz 1b",
        "2: lea rdi, [rsp + 16]",
        "call {run}",
        "4: mov rax, [rbx + {program}]",
        "add rax, rbx",
        "pop rdx",
        "pop rdx",
        "jmp rax",
        // write(2, text, its length)
        "3: mov eax, 1",
        "mov edi, 2",
        "lea rsi, [rip + 5f]",
        "mov edx, {len}",
        "syscall",
        "jmp 4b",
        concat!("5: .ascii \"", no_runtime!(), "\\n\""),
    )
}

// Likewise, with the word in X0.  Relocations change data only, so that no instruction cache
// maintenance is needed.
#[cfg(target_arch = "aarch64")]
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn jlshim_embedded_entry() {
    entry!(
        "hint 34", // BTI c
        "mov x20, x0",
        "adrp x19, {config}",
        "add x19, x19, :lo12:{config}",
        // mprotect(data, data_len, PROT_READ | PROT_WRITE)
        "ldr x0, [x19, {data}]",
        "add x0, x0, x19",
        "ldr x1, [x19, {data_len}]",
        "mov x2, 3",
        "mov x8, 226",
        "svc 0",
        "cbnz x0, 3f",
        "ldr x1, [x19, {base}]",
        "add x1, x1, x19",
        "ldr x2, [x19, {relocations}]",
        "add x2, x2, x19",
        "ldr x3, [x19, {relocations_count}]",
        "cbz x3, 2f",
        "1: ldr x4, [x2]",
        "ldr x5, [x2, 16]",
        "add x5, x5, x1",
        "str x5, [x1, x4]",
        "add x2, x2, 24",
        "sub x3, x3, 1",
        "cbnz x3, 1b",
        "2: mov x0, sp",
        "bl {run}",
        "4: ldr x16, [x19, {program}]",
        "add x16, x16, x19",
        "mov x0, x20",
        "br x16",
        // write(2, text, its length)
        "3: mov x0, 2",
        "adr x1, 5f",
        "mov x2, {len}",
        "mov x8, 64",
        "svc 0",
        "b 4b",
        concat!("5: .ascii \"", no_runtime!(), "\\n\""),
        ".p2align 2",
    )
}
