//! A server that reverses lines, and traces them while a static key is on.
//!
//! While the key is off, which is the common case, tracing costs one NOP per request.  A line on
//! the admin port flips the key under load:
//!
//! ```text
//! $ cargo run --release --example server
//! requests on 127.0.0.1:40001, admin on 127.0.0.1:40002
//! $ echo on | nc -N 127.0.0.1 40002
//! on
//! ```
//!
//! After that answer every request is traced, and after the answer to `off` no request is traced,
//! in all threads.  The answer to `count` is the number of traced requests.

use jlctl_shim::{define_static_key_false, static_branch_unlikely};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

define_static_key_false!(static TRACE);

static TRACED: AtomicU64 = AtomicU64::new(0);

#[cold]
fn trace(request: &str) {
    let count = TRACED.fetch_add(1, Ordering::Relaxed) + 1;
    eprintln!("trace {count}: {request}");
}

fn answer(request: &str) -> String {
    if static_branch_unlikely!(TRACE) {
        trace(request);
    }
    request.chars().rev().collect()
}

fn administer(command: &str) -> String {
    let flipped = match command {
        "on" => TRACE.enable(),
        "off" => TRACE.disable(),
        "count" => return TRACED.load(Ordering::Relaxed).to_string(),
        _ => return "on, off or count".to_owned(),
    };
    match flipped {
        Ok(_) => command.to_owned(),
        // The key is unchanged, and the message states the reason.
        Err(error) => format!("error: {error}"),
    }
}

fn serve(connection: TcpStream, handle: fn(&str) -> String) -> io::Result<()> {
    let mut to = connection.try_clone()?;
    for line in BufReader::new(connection).lines() {
        to.write_all((handle(&line?) + "\n").as_bytes())?;
    }
    Ok(())
}

fn listen(port: &TcpListener, handle: fn(&str) -> String) {
    for connection in port.incoming().flatten() {
        // An error of one connection does not concern the others.
        thread::spawn(move || serve(connection, handle));
    }
}

fn main() -> io::Result<()> {
    let requests = TcpListener::bind("127.0.0.1:0")?;
    let admin = TcpListener::bind("127.0.0.1:0")?;
    println!("requests on {}, admin on {}", requests.local_addr()?, admin.local_addr()?);
    thread::spawn(move || listen(&admin, administer));
    listen(&requests, answer);
    Ok(())
}
