//! Filters of system calls, seccomp(2), which answer membarrier(2).

use std::io;
use std::mem::offset_of;

/// The effect of a filtered call.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    /// The call fails with this error number.
    Errno(i32),
    /// The call ends the process.
    Kill,
}

/// Offsets of `struct seccomp_data`.
const NUMBER: usize = offset_of!(libc::seccomp_data, nr);
const FIRST_ARGUMENT: usize = offset_of!(libc::seccomp_data, args);

/// Filters all commands of membarrier(2) from now on, in this thread, its new threads and its
/// children.
pub(crate) fn filter_membarrier(answer: Answer) {
    let action = action(answer);
    install(&[
        load(NUMBER),
        skip_unless(libc::SYS_membarrier as u32, 1),
        give(action),
        give(libc::SECCOMP_RET_ALLOW),
    ]);
}

/// Filters one command of membarrier(2).
pub(crate) fn filter_command(command: u32, answer: Answer) {
    let action = action(answer);
    install(&[
        load(NUMBER),
        skip_unless(libc::SYS_membarrier as u32, 3),
        // The lower half of the argument, on a little-endian machine.
        load(FIRST_ARGUMENT),
        skip_unless(command, 1),
        give(action),
        give(libc::SECCOMP_RET_ALLOW),
    ]);
}

fn action(answer: Answer) -> u32 {
    match answer {
        Answer::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno as u32,
        Answer::Kill => libc::SECCOMP_RET_KILL_PROCESS,
    }
}

fn load(offset: usize) -> libc::sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, offset as u32)
}

fn skip_unless(value: u32, skipped: u8) -> libc::sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, skipped, value)
}

fn give(action: u32) -> libc::sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, 0, action)
}

fn instruction(code: u32, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt: 0, jf, k }
}

fn install(program: &[libc::sock_filter]) {
    let mut program = program.to_vec();
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: no pointers.
    let result = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    assert_eq!(result, 0, "no new privileges: {}", io::Error::last_os_error());
    let (mode, program) = (libc::SECCOMP_MODE_FILTER, &raw const program);
    // SAFETY: the program is valid during the call.
    let result = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, program, 0, 0) };
    assert_eq!(result, 0, "seccomp: {}", io::Error::last_os_error());
}
