//! One client of the control socket after the other.

use super::keys::{self, Refused};
use super::request::{self, Request};
use crate::error::Error;
use crate::report::{self, CONTROL_BATCHES, CONTROL_REFUSED, CONTROL_REQUESTS};
use crate::sys::page_vec::PageVec;
use crate::sync::Allowed;
use crate::sync;
use crate::sys::errno::Errno;
use crate::sys::socket::{self, Peer, Socket};
use crate::sys::{loaded, process, thread};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

/// The protocol, as `hello` says it.
pub(super) const PROTOCOL: &str = "jlshim.control/1";
/// How long a client may say nothing, or take nothing, before another has its turn; in seconds.
const PATIENCE: i64 = 5;
/// How long it may take for one line, or for one reply.
const LONGEST: i64 = 10;
/// Bytes of a line.
const LINE: usize = 1 << 20;

/// Whether the thread is to end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Has [`serve`] return, wherever it is.
pub(super) fn end() {
    ENDING.store(true, Ordering::SeqCst);
    socket::shut_down_all();
}

fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// Why a client is let go.
enum End {
    /// It has nothing more to say.
    Done,
    /// It failed, or was too slow.
    Failed,
}

/// Serves until [`end`].
pub(super) fn serve(listener: &Socket) {
    while !is_ending() {
        match listener.accept() {
            Ok(client) => {
                let mut client = Client::of(client);
                if !is_ending() {
                    let _ = client.serve();
                }
            }
            Err(Errno(libc::EINTR | libc::ECONNABORTED)) => {}
            // It was shut down, or closed.
            Err(Errno(libc::EINVAL | libc::EBADF | libc::ENOTSOCK)) => return,
            // There are no descriptors or no memory now.
            Err(_) => thread::sleep_100_ms(),
        }
    }
}

struct Client {
    socket: Socket,
    /// What has come and was not answered.
    lines: PageVec<u8>,
    reply: Reply,
}

impl Client {
    const fn of(socket: Socket) -> Self {
        Self { socket, lines: PageVec::new(), reply: Reply::new() }
    }

    fn serve(&mut self) -> Result<End, Errno> {
        self.socket.set_timeout(PATIENCE)?;
        if let Some(peer) = stranger(self.socket.peer()?) {
            CONTROL_REFUSED.add();
            let (own, user) = (process::user(), peer.user);
            self.fail(Errno(libc::EPERM), &format_args!("user {user} may not control a process of user {own}"));
            self.send();
            return Ok(End::Failed);
        }
        loop {
            let Some(end) = self.line()? else { return Ok(End::Done) };
            self.answer(end);
            if !self.send() || is_ending() {
                return Ok(End::Failed);
            }
            self.forget(end + 1);
        }
    }

    /// Waits for a whole line: where it ends.
    fn line(&mut self) -> Result<Option<usize>, Errno> {
        let (began, mut seen) = (thread::monotonic_seconds(), 0);
        loop {
            let rest = self.lines.as_slice().get(seen..).unwrap_or_default();
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(seen + at));
            }
            seen = self.lines.as_slice().len();
            if seen > LINE {
                self.fail(Errno(libc::EOVERFLOW), &format_args!("a line has more than {LINE} bytes"));
                self.send();
                return Ok(None);
            }
            let mut buffer = [0; 4096];
            match self.socket.receive(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    bytes.iter().try_for_each(|byte| self.lines.push(*byte))?;
                }
                Err(Errno(libc::EINTR)) => {}
                Err(error) => return Err(error),
            }
            if thread::monotonic_seconds() - began > LONGEST {
                return Ok(None);
            }
        }
    }

    /// Lets go of the first `len` bytes.
    fn forget(&mut self, len: usize) {
        let all = self.lines.as_mut_slice();
        let rest = all.len().saturating_sub(len);
        all.copy_within(len.min(all.len()).., 0);
        self.lines.truncate(rest);
    }

    /// Answers the line that ends at `end`.
    fn answer(&mut self, end: usize) {
        let Self { lines, reply, .. } = self;
        let line = lines.as_slice().get(..end).unwrap_or_default();
        reply.clear();
        let written = match request::parse(line) {
            Ok(None) => return,
            Ok(Some(request)) => {
                CONTROL_REQUESTS.add();
                answer(&request, reply)
            }
            Err(malformed) => {
                CONTROL_REQUESTS.add();
                refused(reply, &Refused::Malformed(malformed))
            }
        };
        if written.is_err() {
            let text = "there is no memory for the reply; what was asked for may be done";
            self.fail(Errno(libc::ENOMEM), &text);
        }
    }

    fn fail(&mut self, errno: Errno, text: &dyn fmt::Display) {
        self.reply.clear();
        let _ = error(&mut self.reply, errno, text);
    }

    /// Sends the reply; whether all of it was taken.
    fn send(&self) -> bool {
        let (began, mut rest) = (thread::monotonic_seconds(), self.reply.bytes());
        while !rest.is_empty() {
            match self.socket.send(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno(libc::EINTR)) => {}
                Err(_) => return false,
            }
            if thread::monotonic_seconds() - began > LONGEST {
                return false;
            }
        }
        true
    }
}

/// The lines of a reply.
struct Reply(PageVec<u8>);

impl Reply {
    const fn new() -> Self {
        Self(PageVec::new())
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds `bytes` as far as they are printable; they stand between others that are.
    fn push_printable(&mut self, bytes: &[u8]) -> fmt::Result {
        let printable = |byte: &u8| if byte.is_ascii_control() { b'?' } else { *byte };
        bytes.iter().map(printable).try_for_each(|byte| self.0.push(byte)).map_err(|_| fmt::Error)
    }
}

impl Write for Reply {
    /// An error says that there is no memory.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.0.push(byte)).map_err(|_| fmt::Error)
    }
}

/// The peer, if it may control nothing here.
fn stranger(peer: Peer) -> Option<Peer> {
    (peer.user != 0 && peer.user != process::user()).then_some(peer)
}

fn error(reply: &mut Reply, errno: Errno, text: &dyn fmt::Display) -> fmt::Result {
    writeln!(reply, "error {} {text}", errno.0)
}

fn refused(reply: &mut Reply, refused: &Refused<'_>) -> fmt::Result {
    error(reply, refused.errno(), refused)
}

fn answer(request: &Request<'_>, reply: &mut Reply) -> fmt::Result {
    match request {
        Request::Hello => hello(reply),
        Request::List => list(reply),
        Request::Report => send_report(reply),
        Request::Batch(line) => batch(line, reply),
    }
}

/// Who answers: `jlshim.control/1 PID`, then a line for each object with a table:
/// `object BIAS BUILDID PATH`.
fn hello(reply: &mut Reply) -> fmt::Result {
    writeln!(reply, "{PROTOCOL} {}", process::id())?;
    match sync::choose(Allowed::in_process()) {
        Ok(level) => {
            let strength = if level.is_strict() { "strict" } else { "best-effort" };
            writeln!(reply, "sync {strength} {}", level.method())?;
        }
        Err(refusal) => writeln!(reply, "sync refused {refusal}")?,
    }
    let listed = match keys::list() {
        Ok(listed) => listed,
        Err(why) => return failed(reply, why),
    };
    for of_table in listed.as_slice().chunk_by(|a, b| a.table == b.table) {
        let Some(object) = of_table.first().and_then(|first| loaded::containing(first.table))
        else {
            continue;
        };
        write!(reply, "object {:#x} ", object.bias)?;
        match object.build_id() {
            [] => reply.write_str("-")?,
            id => id.iter().try_for_each(|byte| write!(reply, "{byte:02x}"))?,
        }
        reply.write_str(" ")?;
        // The program itself is called nothing.
        reply.push_printable(object.name())?;
        reply.write_str("\n")?;
    }
    reply.write_str("ok\n")
}

/// `key ADDRESS COUNT SITES` for each key, then `name ADDRESS NAME` for what is known.
fn list(reply: &mut Reply) -> fmt::Result {
    let listed = match keys::list() {
        Ok(listed) => listed,
        Err(why) => return failed(reply, why),
    };
    for key in listed.as_slice() {
        writeln!(reply, "key {:#x} {} {}", key.key, key.count, key.sites)?;
    }
    let mut written = Ok(());
    let named = keys::for_each_name(listed.as_slice(), &mut |key, name| {
        written = written
            .and_then(|()| write!(reply, "name {key:#x} "))
            .and_then(|()| reply.push_printable(name))
            .and_then(|()| reply.write_str("\n"));
    });
    written?;
    named.map_err(|_| fmt::Error)?;
    reply.write_str("ok\n")
}

/// The report, then `ok`.
fn send_report(reply: &mut Reply) -> fmt::Result {
    match report::Known::now() {
        Ok(known) => report::write_json(reply, &known)?,
        Err(why) => return failed(reply, why),
    }
    reply.write_str("ok\n")
}

/// `key ADDRESS BEFORE COUNT` for each key, then `ok SITES LEVEL METHOD`: how many sites were
/// patched, and by what the other threads were synchronised; `none none` where nothing was.
fn batch(line: &[u8], reply: &mut Reply) -> fmt::Result {
    let mut changed = PageVec::new();
    let applied = match keys::apply(line, &mut changed) {
        Ok(applied) => applied,
        Err(why) => return refused(reply, &why),
    };
    CONTROL_BATCHES.add();
    for key in changed.as_slice() {
        writeln!(reply, "key {:#x} {} {}", key.key, key.before, key.count)?;
    }
    match applied.sync {
        None => writeln!(reply, "ok {} none none", applied.sites),
        Some(level) => {
            let strength = if level.is_strict() { "strict" } else { "best-effort" };
            writeln!(reply, "ok {} {strength} {}", applied.sites, level.method())
        }
    }
}

fn failed(reply: &mut Reply, why: Error) -> fmt::Result {
    reply.clear();
    refused(reply, &Refused::Runtime(why))
}
