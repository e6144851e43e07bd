//! The example servers: built as their comments describe, started, and flipped while other
//! connections make requests.

use crate::cargo::{Crate, Options, Project};
use crate::compile::{CLANG, GCC, compile};
use crate::library::{Library, Target};
use crate::rust::plain;
use crate::sites::{Expected, Nop, Off, Unlikely, check, last_part};
use crate::tools::{run, workspace};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// A server that is killed at the end of the test.
struct Server {
    child: Child,
    requests: String,
    admin: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts `command` with its messages written to `log`.
    fn start(mut command: Command, log: &Path) -> Self {
        let log = File::create(log).expect("a log");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("a started server");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let addresses = line.trim().strip_prefix("requests on ").expect("where it listens");
        let (requests, admin) = addresses.split_once(", admin on ").expect("where it listens");
        Self { requests: requests.to_owned(), admin: admin.to_owned(), child }
    }
}

/// A connection to one of its ports.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
        stream.set_nodelay(true).expect("small packets");
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, line: &str) -> String {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).expect("a sent line");
        let mut answer = String::new();
        self.0.read_line(&mut answer).expect("an answer");
        answer.trim_end().to_owned()
    }

    /// A request, whose answer must be right.
    fn request(&mut self, text: &str) {
        assert_eq!(self.ask(text), text.chars().rev().collect::<String>());
    }
}

/// The time limit of an answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Number of times that the key is flipped on and off.
const ROUNDS: usize = 40;
const CLIENTS: usize = 4;

/// Flips the key while clients make requests: a request after the answer `on` is traced, and a
/// request after `off` is not. The requests use another connection and so another thread.
fn flip_under_load(command: Command, log: &Path) {
    let server = Server::start(command, log);
    let (is_over, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut admin = Connection::open(&server.admin);
    let mut probe = Connection::open(&server.requests);
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (address, is_over, made) = (&server.requests, &is_over, &made);
            scope.spawn(move || {
                let mut connection = Connection::open(address);
                while !is_over.load(Ordering::Relaxed) {
                    connection.request(&format!("client {client}"));
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let rounds = thread::Builder::new().spawn_scoped(scope, || {
            for round in 0..ROUNDS {
                probe.request(&format!("off {round}."));
                assert_eq!(admin.ask("on"), "on");
                probe.request(&format!("on {round}."));
                let before = made.load(Ordering::Relaxed);
                let limit = Instant::now() + PATIENCE;
                while made.load(Ordering::Relaxed) == before {
                    assert!(Instant::now() < limit, "no client receives an answer");
                    thread::yield_now();
                }
                assert_eq!(admin.ask("off"), "off");
            }
            probe.request("off for good.");
            assert!(admin.ask("count").parse::<usize>().expect("a number") >= ROUNDS);
            assert_eq!(admin.ask("?"), "on, off or count");
        });
        let result = rounds.expect("a thread").join();
        is_over.store(true, Ordering::Relaxed);
        result.expect("all rounds are well");
    });
    drop(server);
    let log = fs::read_to_string(log).expect("a log");
    for round in 0..ROUNDS {
        assert_eq!(log.matches(&format!(": on {round}.\n")).count(), 1, "round {round}");
    }
    assert!(!log.contains(": off "), "a request was traced after the key was off");
    assert!(log.contains(": client "), "requests were made meanwhile");
}

#[test]
fn in_rust() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let example = workspace().join("runtime-shim/examples/server.rs");
    let server = Crate { name: "server", source: &example, kind: "bin", uses: &[] };
    let built = Project::new("server", &[server])
        .build(Options { profile: "release", ..Options::default() });
    let program = built.join("server");
    let site: Expected<'_> = ("server::answer", "server::TRACE", Off, Unlikely, Nop);
    check(&program, &[site], plain);
    flip_under_load(Command::new(program), &directory.path().join("log"));
}

#[test]
#[cfg_attr(
    not(feature = "tools"),
    ignore = "needs compilers and pkg-config: testdata/check runs it"
)]
fn in_c() {
    let library = Library::of(Target::Native);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let example = workspace().join("runtime-shim/examples/server.c");
    let program = directory.path().join("server");
    let mut flags = Command::new("pkg-config");
    flags.args(["--cflags", "--libs", "jlshim"]);
    let flags = run(flags.env("PKG_CONFIG_LIBDIR", library.lib().join("pkgconfig")));
    for compiler in [GCC, CLANG] {
        // As the example's comment describes, and without a warning.
        let mut command = Command::new(compiler.program);
        command.args(["-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]).arg(&example);
        command.args(flags.split_whitespace()).args(["-pthread", "-o"]).arg(&program);
        compile(&mut command);
        check(&program, &[("answer", "tracing", Off, Unlikely, Nop)], last_part);
        let mut command = Command::new(&program);
        command.env("LD_LIBRARY_PATH", library.lib());
        flip_under_load(command, &directory.path().join("log"));
    }
}
