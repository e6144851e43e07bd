//! `membarrier(2)`, which makes other CPUs synchronise their instruction streams.

use std::io;

// include/uapi/linux/membarrier.h of Linux 6.12.
const QUERY: libc::c_int = 0;
const REGISTER_PRIVATE_EXPEDITED: libc::c_int = 1 << 4;
const PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 5;
const REGISTER_PRIVATE_EXPEDITED_SYNC_CORE: libc::c_int = 1 << 6;

/// The result of `membarrier(command, 0, 0)`: a mask for [`QUERY`], else 0.
fn membarrier(command: libc::c_int) -> io::Result<libc::c_long> {
    // SAFETY: no command accesses memory of the process.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

#[test]
fn sync_core_is_offered() {
    let commands = membarrier(QUERY).expect("the kernel has membarrier");
    println!("membarrier commands {commands:#x}");
    for command in [
        REGISTER_PRIVATE_EXPEDITED,
        PRIVATE_EXPEDITED_SYNC_CORE,
        REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
    ] {
        assert_ne!(commands & libc::c_long::from(command), 0, "{command:#x} of {commands:#x}");
    }
}

// One test, since a process stays registered: no other test here may register it.
#[test]
fn sync_core_works_after_registration() {
    let unregistered =
        membarrier(PRIVATE_EXPEDITED_SYNC_CORE).map_err(|error| error.raw_os_error());
    assert_eq!(unregistered, Err(Some(libc::EPERM)));
    // The registration for PRIVATE_EXPEDITED does not include SYNC_CORE.
    membarrier(REGISTER_PRIVATE_EXPEDITED).expect("PRIVATE_EXPEDITED is registered");
    let half = membarrier(PRIVATE_EXPEDITED_SYNC_CORE).map_err(|error| error.raw_os_error());
    assert_eq!(half, Err(Some(libc::EPERM)));
    for _ in 0..2 {
        let registered = membarrier(REGISTER_PRIVATE_EXPEDITED_SYNC_CORE);
        assert_eq!(registered.expect("it is registered"), 0);
        let done = membarrier(PRIVATE_EXPEDITED_SYNC_CORE);
        assert_eq!(done.expect("a registered process may"), 0);
    }
}
