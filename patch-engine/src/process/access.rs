//! Why the kernel denies access to a process (ptrace(2), "Ptrace access mode checking").

use super::error::ProcessError;
use std::fs;
use std::io;

/// The setting of the Yama security module (`Documentation/admin-guide/LSM/Yama.rst`).
const YAMA: &str = "/proc/sys/kernel/yama/ptrace_scope";

/// The error for `what`, tried on `pid`, with the reason that the kernel does not give.
pub(super) fn refused(pid: i32, what: &'static str, error: io::Error) -> ProcessError {
    match error.kind() {
        io::ErrorKind::NotFound => ProcessError::Gone { pid },
        io::ErrorKind::PermissionDenied => {
            ProcessError::NotAllowed { pid, what, why: why(pid, &error) }
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => {
            ProcessError::Gone { pid }
        }
        _ => ProcessError::System { pid, what: what.to_owned(), error },
    }
}

fn why(pid: i32, error: &io::Error) -> String {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let own = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let scope = fs::read_to_string(YAMA).ok().and_then(|text| text.trim().parse().ok());
    explain(&status, &own, scope, &tracer_name(&status)).unwrap_or_else(|| error.to_string())
}

fn tracer_name(status: &str) -> String {
    let tracer = field(status, "TracerPid:").unwrap_or("0");
    let name = fs::read_to_string(format!("/proc/{tracer}/comm")).unwrap_or_default();
    name.trim().to_owned()
}

/// The first number after `name` in /proc/PID/status.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()
}

/// The reason for a denial, from the status of both processes and the setting of Yama.
fn explain(status: &str, own: &str, scope: Option<u32>, tracer: &str) -> Option<String> {
    let is_root = field(own, "Uid:") == Some("0");
    match field(status, "TracerPid:") {
        Some("0") | None => {}
        Some(id) => {
            return Some(format!("process {id} ({tracer}) traces it already: detach that tracer"));
        }
    }
    let (theirs, ours) = (field(status, "Uid:")?, field(own, "Uid:")?);
    if theirs != ours && !is_root {
        return Some(format!(
            "the process belongs to user id {theirs}, and this one to user id {ours}: run jlctl as that user or root"
        ));
    }
    match scope? {
        0 => None,
        1 if !is_root => Some(format!(
            "{YAMA} is 1, and the process is no child of this one: run jlctl as root, or set it to 0"
        )),
        2 => Some(format!(
            "{YAMA} is 2: only a process with CAP_SYS_PTRACE, such as root's, may trace"
        )),
        3 => Some(format!("{YAMA} is 3: no process may trace until the machine is rebooted")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_reported() {
        let status = |uid: u32, tracer: u32| format!("TracerPid:\t{tracer}\nUid:\t{uid}\t{uid}\n");
        let reported = |theirs: &str, own: &str, scope| explain(theirs, own, scope, "gdb");
        let (root, user) = (status(0, 0), status(1000, 0));
        let traced = reported(&status(0, 77), &root, None).unwrap();
        assert!(traced.contains("process 77 (gdb) traces it"), "{traced}");
        let other = reported(&status(5, 0), &user, Some(1)).unwrap();
        assert!(other.contains("user id 5") && other.contains("user id 1000"), "{other}");
        for (own, scope, words) in [
            (&user, Some(1), "ptrace_scope is 1"),
            (&user, Some(2), "is 2: only a process with CAP_SYS_PTRACE"),
            (&root, Some(3), "is 3: no process may"),
        ] {
            let text = reported(own, own, scope).unwrap();
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(reported(&root, &root, Some(1)), None, "root may");
        assert_eq!(reported(&user, &user, None), None);
    }
}
