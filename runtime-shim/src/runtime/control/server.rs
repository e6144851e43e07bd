//! The server of the control socket: one client at a time.

use super::keys::{self, BatchError};
use super::request::{self, Request};
use crate::runtime::error::Error;
use crate::runtime::report::{self, CONTROL_BATCHES, CONTROL_REFUSED, CONTROL_REQUESTS};
use crate::runtime::sync::{self, Allowed};
use crate::runtime::sys::errno::Errno;
use crate::runtime::sys::page_vec::PageVec;
use crate::runtime::sys::socket::{self, Peer, Socket};
use crate::runtime::sys::{loaded, process, thread};
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, Ordering};

/// The protocol, as in the reply to `hello`.
pub(super) const PROTOCOL: &str = "jlshim.control/1";
/// The longest time in seconds in which a client may send or receive nothing.
const IDLE_SECONDS: i64 = 5;
/// The longest time in seconds for one line or one reply.
const TRANSFER_SECONDS: i64 = 10;
/// The longest line, in bytes.
const LONGEST_LINE: usize = 1 << 20;

/// Whether the thread must end.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Makes [`serve`] return, also while it waits.
pub(super) fn end() {
    ENDING.store(true, Ordering::SeqCst);
    socket::shut_down_all();
}

fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

/// The reason why the connection to a client ends.
enum End {
    /// The client has closed it.
    Done,
    /// The client failed or was too slow.
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
            // The socket was shut down or closed.
            Err(Errno(libc::EINVAL | libc::EBADF | libc::ENOTSOCK)) => return,
            // No descriptor or no memory is free now.
            Err(_) => thread::sleep_100_ms(),
        }
    }
}

struct Client {
    socket: Socket,
    /// Bytes that were received and not yet answered.
    lines: PageVec<u8>,
    reply: Reply,
}

impl Client {
    const fn of(socket: Socket) -> Self {
        Self { socket, lines: PageVec::new(), reply: Reply::new() }
    }

    fn serve(&mut self) -> Result<End, Errno> {
        self.socket.set_timeout(IDLE_SECONDS)?;
        if let Some(peer) = unauthorised(self.socket.peer()?) {
            CONTROL_REFUSED.add();
            let (own, user) = (process::user(), peer.user);
            self.fail(
                Errno(libc::EPERM),
                &format_args!("user {user} may not control a process of user {own}"),
            );
            self.send();
            return Ok(End::Failed);
        }
        loop {
            let Some(end) = self.line()? else { return Ok(End::Done) };
            self.answer(end);
            if !self.send() || is_ending() {
                return Ok(End::Failed);
            }
            self.consume(end + 1);
        }
    }

    /// Receives until the buffer has a whole line, and returns the offset of its end.
    fn line(&mut self) -> Result<Option<usize>, Errno> {
        let (began, mut seen) = (thread::monotonic_seconds(), 0);
        loop {
            let rest = self.lines.as_slice().get(seen..).unwrap_or_default();
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(seen + at));
            }
            seen = self.lines.as_slice().len();
            if seen > LONGEST_LINE {
                self.fail(
                    Errno(libc::EOVERFLOW),
                    &format_args!("a line has more than {LONGEST_LINE} bytes"),
                );
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
            if thread::monotonic_seconds() - began > TRANSFER_SECONDS {
                return Ok(None);
            }
        }
    }

    /// Removes the first `len` bytes.
    fn consume(&mut self, len: usize) {
        let all = self.lines.as_mut_slice();
        let rest = all.len().saturating_sub(len);
        all.copy_within(len.min(all.len()).., 0);
        self.lines.truncate(rest);
    }

    /// Makes the reply to the line that ends at `end`.
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
                refused(reply, &BatchError::Malformed(malformed))
            }
        };
        if written.is_err() {
            let text = "not enough memory for the reply; the request may have been carried out";
            self.fail(Errno(libc::ENOMEM), &text);
        }
    }

    fn fail(&mut self, errno: Errno, text: &dyn fmt::Display) {
        self.reply.clear();
        let _ = error(&mut self.reply, errno, text);
    }

    /// Sends the reply.  Returns whether the client has received all of it.
    fn send(&self) -> bool {
        let (began, mut rest) = (thread::monotonic_seconds(), self.reply.bytes());
        while !rest.is_empty() {
            match self.socket.send(rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(Errno(libc::EINTR)) => {}
                Err(_) => return false,
            }
            if thread::monotonic_seconds() - began > TRANSFER_SECONDS {
                return false;
            }
        }
        true
    }
}

/// The lines of a reply.  A reply is sent when it is complete, so that no lock is held while a
/// client is slow.
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

    /// Appends `bytes`, with `?` for each control character.
    fn push_printable(&mut self, bytes: &[u8]) -> fmt::Result {
        let printable = |byte: &u8| if byte.is_ascii_control() { b'?' } else { *byte };
        bytes.iter().map(printable).try_for_each(|byte| self.0.push(byte)).map_err(|_| fmt::Error)
    }
}

impl Write for Reply {
    /// An error means that no memory is left.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().try_for_each(|byte| self.0.push(byte)).map_err(|_| fmt::Error)
    }
}

/// The peer, if its user may not control this process.
fn unauthorised(peer: Peer) -> Option<Peer> {
    (peer.user != 0 && peer.user != process::user()).then_some(peer)
}

fn error(reply: &mut Reply, errno: Errno, text: &dyn fmt::Display) -> fmt::Result {
    writeln!(reply, "error {} {text}", errno.0)
}

fn refused(reply: &mut Reply, refused: &BatchError<'_>) -> fmt::Result {
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

/// `jlshim.control/1 PID`, the synchronisation, then `object BIAS BUILDID PATH` for each object
/// with a table.
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
        // The name of the program is empty.
        reply.push_printable(object.name())?;
        reply.write_str("\n")?;
    }
    reply.write_str("ok\n")
}

/// `key ADDRESS COUNT SITES` for each key, then `name ADDRESS NAME` for each known name.
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
    match report::Snapshot::take() {
        Ok(snapshot) => report::write_json(reply, &snapshot)?,
        Err(why) => return failed(reply, why),
    }
    reply.write_str("ok\n")
}

/// `key ADDRESS BEFORE COUNT` for each key, then `ok SITES LEVEL METHOD`: the number of patched
/// sites, and the synchronisation of the other threads, `none none` if no site was patched.
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
    refused(reply, &BatchError::Runtime(why))
}
