//! A program changes its own code: through mprotect(2) and through /proc/self/mem.

use std::arch::{asm, global_asm};
use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};

// Two functions that return 1, on separate pages: no other code becomes writable.
global_asm!(
    ".pushsection .text",
    // The compiler may put the functions that call them into another object file.
    ".globl jlctl_guest_through_mprotect, jlctl_guest_through_memory",
    ".hidden jlctl_guest_through_mprotect, jlctl_guest_through_memory",
    ".balign 4096",
    "jlctl_guest_through_mprotect:",
    "mov w0, #1",
    "ret",
    ".balign 4096",
    "jlctl_guest_through_memory:",
    "mov w0, #1",
    "ret",
    ".balign 4096",
    ".popsection",
);

unsafe extern "C" {
    fn jlctl_guest_through_mprotect() -> u32;
    fn jlctl_guest_through_memory() -> u32;
}

/// MOVZ W0, #1 and #2: Arm ARM (DDI 0487) C6.2.
const RETURN_1: u32 = 0x5280_0020;
const RETURN_2: u32 = 0x5280_0040;

/// A function whose first instruction the tests change.
struct Function {
    address: usize,
    call: fn() -> u32,
}

fn through_mprotect() -> Function {
    // SAFETY: the function is the one above, which only returns a number.
    let call = || unsafe { jlctl_guest_through_mprotect() };
    Function { address: jlctl_guest_through_mprotect as *const () as usize, call }
}

fn through_memory() -> Function {
    // SAFETY: as above.
    let call = || unsafe { jlctl_guest_through_memory() };
    Function { address: jlctl_guest_through_memory as *const () as usize, call }
}

impl Function {
    /// The permissions of the page in `/proc/self/maps`: `r-xp`.
    fn permissions(&self) -> String {
        let maps = fs::read_to_string("/proc/self/maps").expect("procfs is mounted");
        let of_line = |line: &str| {
            let (range, rest) = line.split_once(' ')?;
            let (start, end) = range.split_once('-')?;
            let bound = |digits| usize::from_str_radix(digits, 16).ok();
            let covers = (bound(start)?..bound(end)?).contains(&self.address);
            covers.then(|| rest.split(' ').next().unwrap_or_default().to_owned())
        };
        maps.lines().find_map(of_line).expect("a mapping covers the function")
    }

    fn protect(&self, protection: libc::c_int) {
        let page = self.address as *mut libc::c_void;
        // SAFETY: the page holds the function alone, which stays readable and executable.
        let result = unsafe { libc::mprotect(page, 4096, protection) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    /// Makes the change visible to instruction fetch: Arm ARM (DDI 0487) B2.7.4.2.
    fn synchronise(&self) {
        // SAFETY: cache maintenance by address changes no memory; Linux lets programs do it
        // (SCTLR_EL1.UCI).
        unsafe {
            asm!(
                "dc cvau, {0}", "dsb ish", "ic ivau, {0}", "dsb ish", "isb",
                in(reg) self.address, options(nostack)
            );
        }
    }
}

#[test]
fn own_code_can_be_made_writable_and_back() {
    let function = through_mprotect();
    assert_eq!((function.permissions().as_str(), (function.call)()), ("r-xp", 1));
    // SAFETY: the address is aligned; it is only written while the page is writable, and only
    // instruction fetch reads it.
    let word = unsafe { AtomicU32::from_ptr(function.address as *mut u32) };
    for (instruction, result) in [(RETURN_2, 2), (RETURN_1, 1)] {
        function.protect(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
        assert_eq!(function.permissions(), "rwxp");
        word.store(instruction, Ordering::Relaxed);
        function.synchronise();
        function.protect(libc::PROT_READ | libc::PROT_EXEC);
        assert_eq!((function.permissions().as_str(), (function.call)()), ("r-xp", result));
    }
}

#[test]
fn own_code_can_be_written_through_proc_self_mem() {
    let function = through_memory();
    assert_eq!((function.permissions().as_str(), (function.call)()), ("r-xp", 1));
    let memory = fs::OpenOptions::new().read(true).write(true).open("/proc/self/mem");
    let memory = memory.expect("a process may open its own memory");
    for (instruction, result) in [(RETURN_2, 2), (RETURN_1, 1)] {
        let offset = u64::try_from(function.address).expect("addresses have 64 bits");
        memory.write_all_at(&instruction.to_le_bytes(), offset).expect("the kernel writes it");
        function.synchronise();
        assert_eq!((function.permissions().as_str(), (function.call)()), ("r-xp", result));
        let mut bytes = [0; 4];
        memory.read_exact_at(&mut bytes, offset).expect("the kernel reads it");
        assert_eq!(u32::from_le_bytes(bytes), instruction);
    }
}
