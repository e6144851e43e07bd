//! The CPUs, and CTR_EL0, the register that describes their caches.

use std::arch::asm;
use std::fs;
use std::thread;

/// Number of CPUs of the machine.
const CPUS: usize = 4;

/// Binds the calling thread to `cpu`.
fn bind_to(cpu: usize) {
    // SAFETY: all zeros are a valid, empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cpu` is one of four, and the set has room for a thousand.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the set is valid and has the stated size.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    assert_eq!(result, 0, "CPU {cpu}: {}", std::io::Error::last_os_error());
}

/// The result of `read` on each CPU.
fn on_each<T: Send>(read: fn() -> T) -> Vec<T> {
    let on = |cpu: usize| {
        bind_to(cpu);
        read()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CPUS).map(|cpu| scope.spawn(move || on(cpu))).collect();
        threads.into_iter().map(|thread| thread.join().expect("the thread ends well")).collect()
    })
}

#[test]
fn four_cpus_are_online_and_run_threads() {
    let online = fs::read_to_string("/sys/devices/system/cpu/online").expect("sysfs is mounted");
    assert_eq!(online.trim(), "0-3");
    assert_eq!(thread::available_parallelism().expect("it is known").get(), CPUS);
    // SAFETY: sysconf only reads.
    let current = || unsafe { libc::sched_getcpu() };
    assert_eq!(on_each(current), [0, 1, 2, 3]);
}

/// CTR_EL0, Cache Type Register: Arm ARM (DDI 0487) D24.2.34.
fn read_ctr() -> u64 {
    let value: u64;
    // SAFETY: Linux lets programs read the register (SCTLR_EL1.UCT), which has no effect.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) value, options(nomem, nostack)) };
    value
}

#[test]
fn programs_can_read_the_cache_type() {
    let ctr = read_ctr();
    let field = |shift: u32, bits: u32| (ctr >> shift) & ((1 << bits) - 1);
    // IminLine and DminLine are logarithms of words of 4 bytes.
    let (instruction, data) = (4 << field(0, 4), 4 << field(16, 4));
    let (idc, dic) = (field(28, 1), field(29, 1));
    println!(
        "CTR_EL0 {ctr:#x}: lines of {instruction} (I) and {data} (D) bytes, IDC {idc}, DIC {dic}"
    );
    assert_eq!(field(31, 1), 1, "bit 31 is one");
    for line in [instruction, data] {
        assert!((16..=2048).contains(&line), "{line}");
    }
    // L1Ip: 0b10 is VIPT and 0b11 PIPT; the others are for VPIPT and reserved.
    assert!(field(14, 2) >= 2, "{ctr:#x}");
    // The kernel presents the same value on all CPUs, or emulates the register where they
    // differ.
    assert_eq!(on_each(read_ctr), [ctr; CPUS]);
}
