//! The control socket of a process with the runtime shim: a client of `jlshim.control/1`
//! (`jlctl_shim`'s module `control` has the protocol).

use super::error::ProcessError;
use super::locate::{Bias, bias};
use super::maps::Mapping;
use jlctl_analyzer::image::Image;
use rustix::net::sockopt::socket_peercred;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The first word of a server that speaks the protocol.
const PROTOCOL: &str = "jlshim.control/1";
/// The environment variable with the path of the socket, and the placeholder for the process id in
/// it.
const VARIABLE: &[u8] = b"JLSHIM_CONTROL=";
const PID: &str = "%p";
/// The time limit of one reply: a server gives each client ahead of this one ten seconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// Most bytes of a reply: a million keys with their names.
const LONGEST: u64 = 1 << 28;
/// Most bytes of an environment that are read.
const ENVIRONMENT: u64 = 1 << 22;

/// A connection to a process that flips its own keys.
#[derive(Debug)]
pub struct Control {
    pid: i32,
    path: PathBuf,
    stream: BufReader<UnixStream>,
    objects: Vec<Object>,
}

/// An executable or shared object with a jump table.
#[derive(Debug)]
struct Object {
    bias: u64,
    build_id: Vec<u8>,
}

/// A key of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlKey {
    /// Address of the key at run time.
    pub address: u64,
    /// The key's count.
    pub count: i32,
    /// Number of the key's sites.
    pub sites: usize,
}

/// A change of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlOp {
    /// Address of the key at run time.
    pub address: u64,
    /// Whether the key is switched on.
    pub is_on: bool,
    /// The count that the key must have before.
    pub expected: Option<i32>,
}

/// The result of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlDone {
    /// For each key its address, its old count and its new count.
    pub keys: Vec<(u64, i32, i32)>,
    /// Number of sites that were patched.
    pub sites: usize,
    /// The level of the synchronisation of the other threads, `strict` or `best-effort`, and its
    /// method; `None` where no site was patched.
    pub sync: Option<(String, String)>,
}

/// The control socket that process `pid` was started with, by its environment.
///
/// The path leads through the root directory of the process, so that the socket of a container is
/// found from outside.
#[must_use]
pub fn control_socket(pid: i32) -> Option<PathBuf> {
    let mut environment = Vec::new();
    let file = fs::File::open(format!("/proc/{pid}/environ")).ok()?;
    // A process that has ended has no environment.
    file.take(ENVIRONMENT).read_to_end(&mut environment).ok()?;
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(VARIABLE))?;
    let name = std::str::from_utf8(value).ok().filter(|name| !name.is_empty())?;
    let name = name.replace(PID, &own_pid(pid).to_string());
    let (from, rest) = match name.strip_prefix('/') {
        Some(rest) => ("root", rest),
        // The working directory at the start, unless the process has changed it since.
        None => ("cwd", name.as_str()),
    };
    let seen = PathBuf::from(format!("/proc/{pid}/{from}/{rest}"));
    // The path of a socket has at most 107 bytes, and the longer path may exceed them.
    let is_long = seen.as_os_str().as_bytes().len() > 107;
    Some(if is_long && from == "root" { PathBuf::from(name) } else { seen })
}

/// The id of a process in its own, innermost, PID namespace (`NSpid`, proc_pid_status(5)).
fn own_pid(pid: i32) -> i32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    line.and_then(|ids| ids.split_whitespace().last()?.parse().ok()).unwrap_or(pid)
}

impl Control {
    /// Connects to the socket at `path`, which process `pid` must serve.
    ///
    /// # Errors
    /// If no process listens, another process does, or the server speaks another protocol.
    pub fn connect(pid: i32, path: &Path) -> Result<Self, ProcessError> {
        let failed = |why: String| ProcessError::Control { pid, path: path.to_owned(), why };
        let connect = || -> io::Result<(UnixStream, i32)> {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            let server = socket_peercred(&stream)?.pid.as_raw_nonzero().get();
            Ok((stream, server))
        };
        let (stream, server) = connect().map_err(|error| failed(error.to_string()))?;
        if server != pid {
            return Err(failed(format!("process {server} serves it, and not process {pid}")));
        }
        let (path, objects) = (path.to_owned(), Vec::new());
        let mut control = Self { pid, path, stream: BufReader::new(stream), objects };
        let hello = control.ask("hello")?;
        let first = hello.first().map(String::as_str).unwrap_or_default();
        if first.split(' ').next() != Some(PROTOCOL) {
            return Err(control.failed(format!("expected {PROTOCOL}, found {first:?}")));
        }
        control.objects = hello.iter().filter_map(|line| Object::parse(line)).collect();
        Ok(control)
    }

    /// The process id.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.pid
    }

    /// Path of the socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bias of an image in the process, by its build id; an image without a build id is
    /// recognised as the mapped file itself, `own`. `None` where the process has no table of the
    /// image.
    #[must_use]
    pub fn locate(&self, image: &Image<'_>, own: Option<&Mapping>) -> Option<Bias> {
        let Some(id) = image.build_id() else {
            let bias = bias(image, own?)?;
            let is_it = |object: &Object| object.build_id.is_empty() && object.bias == bias.get();
            return self.objects.iter().any(is_it).then_some(bias);
        };
        let object = self.objects.iter().find(|object| object.build_id == id)?;
        Some(Bias::of_bytes(object.bias))
    }

    /// Lists all keys.
    ///
    /// # Errors
    /// If the process does not answer, or refuses.
    pub fn list(&mut self) -> Result<Vec<ControlKey>, ProcessError> {
        let lines = self.ask("list")?;
        let keys = lines.iter().filter_map(|line| line.strip_prefix("key "));
        keys.map(|line| parse_key(line).ok_or_else(|| self.failed(unexpected(line)))).collect()
    }

    /// Has the process apply a batch: all changes or none.
    ///
    /// # Errors
    /// If the process does not answer, or refuses.
    pub fn apply(&mut self, ops: &[ControlOp]) -> Result<ControlDone, ProcessError> {
        let mut request = String::new();
        for op in ops {
            let word = if op.is_on { "enable" } else { "disable" };
            let _ = write!(request, "{word} {:#x}", op.address);
            if let Some(expected) = op.expected {
                let _ = write!(request, "={expected}");
            }
            request.push(' ');
        }
        let lines = self.ask(&request)?;
        let (last, keys) = lines.split_last().ok_or_else(|| self.failed(unexpected("")))?;
        let done = || {
            let mut words = last.strip_prefix("ok ")?.split(' ');
            let sites = words.next()?.parse().ok()?;
            let (level, method) = (words.next()?, words.next()?);
            let sync = (level != "none").then(|| (level.to_owned(), method.to_owned()));
            let keys = keys.iter().map(|line| parse_change(line)).collect::<Option<_>>()?;
            Some(ControlDone { keys, sites, sync })
        };
        done().ok_or_else(|| self.failed(unexpected(last)))
    }

    /// The lines of the reply to `request`; the last begins with `ok`.
    fn ask(&mut self, request: &str) -> Result<Vec<String>, ProcessError> {
        self.exchange(request).map_err(|error| self.failed(error.to_string()))?.map_err(|why| {
            // Programs read the code, people the text.
            let text = why.split_once(' ').map_or(why.as_str(), |(_, text)| text).to_owned();
            ProcessError::Refused { pid: self.pid, why: text }
        })
    }

    fn exchange(&mut self, request: &str) -> io::Result<Result<Vec<String>, String>> {
        // A server that refuses a client says so and hangs up, perhaps before it has read the
        // request.
        let sent = self.stream.get_mut().write_all(format!("{request}\n").as_bytes());
        let (mut lines, mut reply) = (Vec::new(), (&mut self.stream).take(LONGEST));
        loop {
            let mut line = String::new();
            if reply.read_line(&mut line)? == 0 {
                sent?;
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the server closed the connection",
                ));
            }
            let line = line.trim_end().to_owned();
            if let Some(why) = line.strip_prefix("error ") {
                return Ok(Err(why.to_owned()));
            }
            let is_last = line == "ok" || line.starts_with("ok ");
            lines.push(line);
            if is_last {
                return Ok(Ok(lines));
            }
        }
    }

    fn failed(&self, why: String) -> ProcessError {
        ProcessError::Control { pid: self.pid, path: self.path.clone(), why }
    }
}

impl Object {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.strip_prefix("object ")?.split(' ');
        let bias = hex(words.next()?)?;
        let id = words.next()?.as_bytes().chunks(2);
        // An object without a build id has `-`, which is no number.
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        Some(Self { bias, build_id: id.map(byte).collect::<Option<_>>().unwrap_or_default() })
    }
}

fn hex(word: &str) -> Option<u64> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()
}

fn parse_key(line: &str) -> Option<ControlKey> {
    let mut words = line.split(' ');
    let address = hex(words.next()?)?;
    let (count, sites) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    Some(ControlKey { address, count, sites })
}

fn parse_change(line: &str) -> Option<(u64, i32, i32)> {
    let mut words = line.strip_prefix("key ")?.split(' ');
    Some((hex(words.next()?)?, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
}

fn unexpected(line: &str) -> String {
    format!("expected an answer of {PROTOCOL}, found {line:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_protocol() {
        let key = ControlKey { address: 0x10, count: -1, sites: 33 };
        assert_eq!(parse_key("0x10 -1 33"), Some(key));
        assert_eq!(parse_change("key 0x10 0 1"), Some((0x10, 0, 1)));
        let object = Object::parse("object 0x5500 00ff10 /a path").unwrap();
        assert_eq!((object.bias, &object.build_id[..]), (0x5500, &[0, 0xff, 0x10][..]));
        assert!(Object::parse("object 0x5500 - ").unwrap().build_id.is_empty());
        for line in ["", "key", "key 0x", "key 10 0 1", "0x10 1", "0x10 x 1"] {
            assert!(parse_key(line).is_none() && parse_change(line).is_none(), "{line}");
            assert!(Object::parse(line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_process_without_the_variable_has_no_socket() {
        let pid = std::process::id().cast_signed();
        assert_eq!(own_pid(pid), pid);
        assert_eq!(control_socket(pid), None);
        assert_eq!(control_socket(i32::MAX), None);
    }
}
