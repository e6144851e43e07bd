//! Why the kernel lets nobody look at a process (ptrace(2), "Ptrace access mode checking").

use super::error::ProcessError;
use std::fs;
use std::io;

/// The setting of the Yama security module (`Documentation/admin-guide/LSM/Yama.rst`).
const YAMA: &str = "/proc/sys/kernel/yama/ptrace_scope";

/// `error`, raised when `what` was tried on `pid`, with what stands behind it.
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

/// The first number behind `name` in /proc/PID/status.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()
}

/// What stands against it, out of both processes' status and the setting of Yama.
fn explain(status: &str, own: &str, scope: Option<u32>, tracer: &str) -> Option<String> {
    let is_root = field(own, "Uid:") == Some("0");
    match field(status, "TracerPid:") {
        Some("0") | None => {}
        Some(id) => return Some(format!("process {id} ({tracer}) traces it already: end that")),
    }
    let (theirs, ours) = (field(status, "Uid:")?, field(own, "Uid:")?);
    if theirs != ours && !is_root {
        return Some(format!(
            "it belongs to user id {theirs}, this is user id {ours}: run jlctl as that user or root"
        ));
    }
    match scope? {
        0 => None,
        1 if !is_root => Some(format!(
            "{YAMA} is 1, and it is no child of this process: run jlctl as root, or set it to 0"
        )),
        2 => Some(format!("{YAMA} is 2: only with CAP_SYS_PTRACE, as root has it")),
        3 => Some(format!("{YAMA} is 3: nobody may, until the machine is started again")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told() {
        let status = |uid: u32, tracer: u32| format!("TracerPid:\t{tracer}\nUid:\t{uid}\t{uid}\n");
        let told = |theirs: &str, own: &str, scope| explain(theirs, own, scope, "gdb");
        let (root, user) = (status(0, 0), status(1000, 0));
        let traced = told(&status(0, 77), &root, None).unwrap();
        assert!(traced.contains("process 77 (gdb) traces it"), "{traced}");
        let other = told(&status(5, 0), &user, Some(1)).unwrap();
        assert!(other.contains("user id 5") && other.contains("user id 1000"), "{other}");
        for (own, scope, words) in [
            (&user, Some(1), "ptrace_scope is 1"),
            (&user, Some(2), "is 2: only with CAP_SYS_PTRACE"),
            (&root, Some(3), "is 3: nobody may"),
        ] {
            let text = told(own, own, scope).unwrap();
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(told(&root, &root, Some(1)), None, "root may");
        assert_eq!(told(&user, &user, None), None);
    }
}
