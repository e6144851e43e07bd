//! Tracing under the settings of the security module Yama.  The tests change the setting of the
//! machine, and are built for the virtual machine alone.

use crate::command::{Run, jlctl, run};
use crate::process::{OFF, ON, Process, shim_keys};
use std::fs;
use std::os::unix::process::CommandExt as _;

/// `Documentation/admin-guide/LSM/Yama.rst`, Linux 6.12.
const SETTING: &str = "/proc/sys/kernel/yama/ptrace_scope";
/// A user who owns nothing.
const NOBODY: u32 = 65_534;

fn flip(target: &Process, scope: u32) -> Run {
    fs::write(SETTING, scope.to_string()).expect("the test needs root and a kernel with Yama");
    let mut command = jlctl(&["ctl", &target.pid(), "enable", "LIVE_FALSE"]);
    run(command.uid(NOBODY).gid(NOBODY))
}

#[test]
fn yama_s_setting_is_named_where_it_forbids_tracing() {
    let mut target =
        Process::start_ready(shim_keys().env("JLCTL_TEST_KEEPS_YAMA", "1").uid(NOBODY).gid(NOBODY));
    for (scope, words) in [
        (1, "ptrace_scope is 1, and the process is no child of this one: run jlctl as root"),
        (2, "ptrace_scope is 2: only a process with CAP_SYS_PTRACE"),
    ] {
        let refused = flip(&target, scope);
        assert_eq!((refused.code, refused.stdout.as_str()), (5, ""), "{refused:?}");
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
    }
    assert_eq!(target.ask("?"), OFF);
    let flipped = flip(&target, 0);
    assert_eq!((flipped.code, flipped.stderr.as_str()), (0, ""), "{flipped:?}");
    assert_eq!(target.ask("?"), ON);
}
