//! The control socket: its clients, its replies, and its file.
#![allow(unsafe_code, reason = "sites, forks and user ids")]

use crate::common::emulator::rounds;
use crate::common::refetch::refetch;
use crate::common::rerun::{alone, rerun, role, test_path};
use crate::common::served::{Client, Directory, Served, serve};
use crate::common::sites::{resolve, table};
use jlctl_shim::{define_static_key_false, define_static_key_true};
use jlctl_shim::{static_branch_likely, static_branch_unlikely};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;

define_static_key_false!(static CONTROL_OFF);
define_static_key_true!(static CONTROL_ON);

#[inline(never)]
fn sees() -> [bool; 4] {
    [
        static_branch_unlikely!(CONTROL_OFF),
        static_branch_likely!(CONTROL_OFF),
        static_branch_unlikely!(CONTROL_ON),
        static_branch_likely!(CONTROL_ON),
    ]
}

fn seen() -> String {
    let keys = [CONTROL_OFF.is_enabled(), CONTROL_ON.is_enabled()];
    format!("{:?} {:?}", sees().map(u8::from), keys.map(u8::from))
}

const BEFORE: &str = "[0, 0, 1, 1] [0, 1]";
const FLIPPED: &str = "[1, 1, 0, 0] [1, 0]";

/// A user without privileges.
const NOBODY: u32 = 65_534;

/// The address of the key `name` in the reply to `list`.
fn address(list: &[String], name: &str) -> String {
    let is_it = |line: &&String| line.starts_with("name ") && line.contains(name);
    let line = list.iter().find(is_it).unwrap_or_else(|| panic!("{name} in {list:?}"));
    line.split(' ').nth(1).expect("an address").to_owned()
}

#[test]
fn keys_are_listed_and_flipped() {
    let name = test_path!();
    if role().is_some() {
        return serve(|_| seen());
    }
    let directory = Directory::new(name);
    let mut program = Served::start(name, "serve", directory.path("%p").as_os_str());
    let path = directory.path(&program.child.id().to_string());
    let mode = fs::metadata(&path).expect("the socket exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "only the owner has access");
    let mut client = Client::connect(&path).expect("the server listens");
    let hello = client.ask("hello");
    assert_eq!(hello[0], format!("jlshim.control/1 {}", program.child.id()));
    assert!(hello[1].starts_with("sync "), "{hello:?}");
    assert!(hello[2].starts_with("object 0x"), "{hello:?}");
    let list = client.ask("list");
    // The other process runs this program, and so has the same table.
    let keys: BTreeSet<usize> = table().iter().map(|entry| resolve(entry).key).collect();
    let listed = list.iter().filter(|line| line.starts_with("key 0x")).count();
    assert_eq!(listed, keys.len(), "{list:?}");
    let (off, on) = (address(&list, "CONTROL_OFF"), address(&list, "CONTROL_ON"));
    assert!(list.contains(&format!("key {off} 0 2")) && list.contains(&format!("key {on} 1 2")));
    // Both keys in one batch, by address and by name.
    assert_eq!(program.ask("?"), BEFORE);
    let done = client.ask(&format!("enable {off}=0 disable control::CONTROL_ON"));
    assert_eq!(done[..2], [format!("key {off} 0 1"), format!("key {on} 1 0")]);
    assert!(done[2].starts_with("ok 4 strict "), "{done:?}");
    assert_eq!(program.ask("?"), FLIPPED);
    // A key that has the wanted state is not flipped.
    assert_eq!(client.ask("enable CONTROL_OFF")[1], "ok 0 none none");
    // All or nothing.
    for (request, error) in [
        (format!("disable {off} enable {on}=1"), "error 16 the key"),
        (format!("disable {off} enable 0x1"), "error 2 there is no key at 0x1"),
        (
            format!("disable {off} enable CONTROL_NONE"),
            "error 2 CONTROL_NONE: no key has this name",
        ),
        ("disable".to_owned(), "error 22 expected keys"),
        ("flip".to_owned(), "error 22 expected hello"),
    ] {
        let refused = client.ask(&request);
        assert!(refused.len() == 1 && refused[0].starts_with(error), "{request}: {refused:?}");
        assert_eq!(program.ask("?"), FLIPPED);
    }
    let report = client.ask("report");
    let report: serde_json::Value =
        serde_json::from_str(&report[..report.len() - 1].concat()).expect("JSON");
    assert_eq!(report["control_batches"], 2, "{report}");
    assert_eq!(report["control_requests"], 10, "{report}");
    assert_eq!(report["control_refused"], 0, "{report}");
    // Several lines in one packet, and one line in pieces.
    client.send(b"\n enable CONTROL_ON\r\ndisable ").expect("the server listens");
    assert!(client.reply().last().is_some_and(|line| line.starts_with("ok 2 ")));
    client.send(b"CONTROL_OFF\n").expect("the server listens");
    assert!(client.reply().last().is_some_and(|line| line.starts_with("ok 2 ")));
    assert_eq!(program.ask("?"), BEFORE);
    assert_eq!(program.end(), "", "no error is printed");
    assert!(!path.exists(), "the socket is removed at the end");
}

#[test]
fn a_file_exists_at_the_path() {
    let name = test_path!();
    if role().is_some() {
        return serve(|_| seen());
    }
    let directory = Directory::new(name);
    let errors = |socket: &str| {
        let program = Served::start(name, "serve", directory.path(socket).as_os_str());
        program.end()
    };
    // A stale socket, on which no process listens, is replaced.
    drop(UnixListener::bind(directory.path("stale")).expect("a socket"));
    let program = Served::start(name, "serve", directory.path("stale").as_os_str());
    Client::connect(&directory.path("stale")).expect("the server listens").ask("hello");
    program.end();
    // A socket on which a process listens is not replaced.
    let live = UnixListener::bind(directory.path("live")).expect("a socket");
    assert!(errors("live").contains("on which another process listens (put %p into the path)"));
    assert!(directory.path("live").exists());
    drop(live);
    fs::write(directory.path("file"), "text").expect("a file");
    assert!(errors("file").contains("a file that is not a socket"));
    assert_eq!(fs::read(directory.path("file")).expect("the file exists"), b"text");
    std::os::unix::fs::symlink(directory.path("file"), directory.path("link")).expect("a link");
    assert!(errors("link").contains("a file that is not a socket"));
    assert!(errors("nowhere/socket").contains("ENOENT"));
    assert!(errors(&"long".repeat(30)).contains("at most 107 bytes"));
    // A socket that has replaced the program's is not removed.
    let path = directory.path("moved");
    let program = Served::start(name, "serve", path.as_os_str());
    fs::remove_file(&path).expect("the file exists");
    let _other = UnixListener::bind(&path).expect("a socket");
    program.end();
    assert!(path.exists());
}

#[test]
fn misbehaving_clients() {
    let name = test_path!();
    if role().is_some() {
        return serve(|_| seen());
    }
    let directory = Directory::new(name);
    let path = directory.path("socket");
    let mut program = Served::start(name, "serve", path.as_os_str());
    // A silent client is disconnected after a while, and the next client is served.
    let silent = Client::connect(&path).expect("the server listens");
    let mut next = Client::connect(&path).expect("the server listens");
    assert_eq!(next.ask("enable CONTROL_OFF").len(), 2);
    assert_eq!(silent.rest(), "");
    drop(next);
    // Bytes that are not text, an endless line, and a client that does not wait for the reply.
    let mut garbage = Client::connect(&path).expect("the server listens");
    garbage.send(&(0..=255u8).rev().collect::<Vec<_>>()).expect("the server listens");
    garbage.send(b"\n").expect("the server listens");
    assert!(garbage.reply()[0].starts_with("error 22 "));
    drop(garbage);
    let mut endless = Client::connect(&path).expect("the server listens");
    let _ = endless.send(&vec![b'x'; 3 << 20]);
    let said = endless.rest();
    assert!(said.is_empty() || said.starts_with("error 75 a line has more than"), "{said}");
    let mut hasty = Client::connect(&path).expect("the server listens");
    hasty.send(b"list\nlist\nlist\ndisable CONTROL_OFF\n").expect("the server listens");
    drop(hasty);
    Client::connect(&path).expect("the server listens").ask("hello");
    let off = Client::connect(&path).expect("the server listens").ask("list");
    assert!(off.iter().any(|line| line.starts_with("key ")), "{off:?}");
    program.ask("?");
    // The program ends although a silent client is connected.
    let _silent = Client::connect(&path).expect("the server listens");
    program.end();
}

/// Changes the user of all threads, by the function of the C library.
fn become_nobody() {
    // SAFETY: no pointers.
    let failed = unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) };
    assert_eq!(failed, 0, "{}", io::Error::last_os_error());
}

/// Connects as another user, and returns the reply.
fn as_user(test: &str, user: u32, path: &std::path::Path) -> String {
    let mut command: Command = rerun(test, "client");
    let output = command
        .env("JLSHIM_TEST_SOCKET", path)
        .uid(user)
        .output()
        .expect("only root can test this");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let at = said.find("said ").unwrap_or_else(|| panic!("{output:?}"));
    said[at + 5..].lines().next().unwrap_or_default().to_owned()
}

#[test]
#[cfg_attr(not(feature = "privileged"), ignore = "needs root")]
fn other_users_are_refused() {
    let name = test_path!();
    match role().as_deref() {
        Some("client") => {
            let path = std::env::var_os("JLSHIM_TEST_SOCKET").expect("a path");
            let said = match Client::connect(path.as_ref()) {
                Ok(mut client) => client.ask("enable CONTROL_OFF").concat(),
                Err(error) => error.to_string(),
            };
            println!("said {said}");
            return;
        }
        Some(_) => {
            return serve(|line| {
                if line == "drop" {
                    become_nobody();
                }
                seen()
            });
        }
        None => {}
    }
    // SAFETY: geteuid takes nothing.
    let user = unsafe { libc::geteuid() };
    assert_eq!(user, 0, "this test needs two users, and so root");
    let directory = Directory::new(name);
    fs::set_permissions(directory.path("."), fs::Permissions::from_mode(0o755))
        .expect("the owner changes the mode");
    let path = directory.path("socket");
    let mut program = Served::start(name, "serve", path.as_os_str());
    assert_eq!(fs::metadata(&path).expect("the file exists").uid(), 0);
    // The permissions of the file refuse another user; without them, the server does.
    assert!(as_user(name, NOBODY, &path).contains("Permission denied"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666))
        .expect("the owner changes the mode");
    assert_eq!(
        as_user(name, NOBODY, &path),
        "error 1 user 65534 may not control a process of user 0"
    );
    assert_eq!(program.ask("?"), BEFORE);
    // A program that drops privileges drops those of the serving thread too.  Its new user may
    // then connect, and root.
    assert_eq!(program.ask("drop"), BEFORE);
    let status = fs::read_dir(format!("/proc/{}/task", program.child.id())).expect("threads");
    let users: Vec<u32> = status
        .map(|task| task.expect("a thread").metadata().expect("the thread exists").uid())
        .collect();
    assert!(users.len() > 1 && users.iter().all(|user| *user == NOBODY || *user == 0), "{users:?}");
    assert!(as_user(name, NOBODY, &path).contains("ok 2 strict "));
    assert_eq!(
        as_user(name, NOBODY - 1, &path),
        "error 1 user 65533 may not control a process of user 65534"
    );
    assert!(
        Client::connect(&path).expect("the server listens").ask("enable CONTROL_OFF")[1]
            .starts_with("ok 0")
    );
    assert_eq!(program.ask("?"), "[1, 1, 1, 1] [1, 1]");
    let mut client = Client::connect(&path).expect("the server listens");
    let report = client.ask("report").concat();
    assert!(report.contains("\"control_refused\": 2,"), "{report}");
    drop(client);
    drop(program);
    // A program removes its socket when it ends, also if the mode of the file has changed.
    let program = Served::start(name, "serve", path.as_os_str());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640))
        .expect("the owner changes the mode");
    program.end();
    assert!(!path.exists());
}

#[test]
fn a_child_does_not_serve() {
    let name = test_path!();
    if role().is_some() {
        return serve(|_| {
            let (mut from, to) = io::pipe().expect("a pipe");
            // SAFETY: the child writes a byte and waits.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // Fork handlers have run.
                let _ = (&to).write_all(b"x");
                loop {
                    // SAFETY: no pointers.
                    unsafe { libc::pause() };
                }
            }
            from.read_exact(&mut [0]).expect("the child has started");
            child.to_string()
        });
    }
    let directory = Directory::new(name);
    let path = directory.path("socket");
    let mut program = Served::start(name, "serve", path.as_os_str());
    let child: i32 = program.ask("fork").parse().expect("a pid");
    Client::connect(&path).expect("the server listens").ask("hello");
    program.child.kill().expect("the program runs");
    program.child.wait().expect("the program ends");
    let refused = Client::connect(&path).map(drop).expect_err("no process listens");
    // SAFETY: no pointers.
    unsafe { libc::kill(child, libc::SIGKILL) };
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
}

#[test]
fn a_program_serves_again_after_exec() {
    let name = test_path!();
    if let Some(role) = role() {
        if role == "first" {
            let error = rerun(name, "second")
                .env("JLSHIM_CONTROL", std::env::var_os("JLSHIM_CONTROL").expect("a path"))
                .exec();
            panic!("{error}");
        }
        return serve(|_| seen());
    }
    let directory = Directory::new(name);
    let path = directory.path("socket");
    let mut program = Served::start(name, "first", path.as_os_str());
    Client::connect(&path).expect("the server listens").ask("enable CONTROL_OFF");
    assert_eq!(program.ask("?"), "[1, 1, 1, 1] [1, 1]");
    assert_eq!(program.end(), "");
}

/// The number of times that the main thread has asked the others for the sides that they take.
static ASKED: AtomicU64 = AtomicU64::new(0);
const WORKERS: usize = 7;

fn work(answers: &mpsc::Sender<[bool; 4]>) {
    let mut answered = 0;
    loop {
        let asked = ASKED.load(Ordering::Acquire);
        let seen = sees();
        if asked != answered && answers.send(seen).is_err() {
            return;
        }
        answered = asked;
    }
}

#[test]
fn ten_thousand_flips_under_load() {
    let name = test_path!();
    if role().is_some() {
        let (to, answers) = mpsc::channel();
        for _ in 0..WORKERS {
            let to = to.clone();
            thread::spawn(move || work(&to));
        }
        return serve(|_| {
            refetch(&[&CONTROL_OFF, &CONTROL_ON]);
            ASKED.fetch_add(1, Ordering::Release);
            let stale = answers.iter().take(WORKERS).filter(|other| *other != sees()).count();
            format!("{} {stale} stale", seen())
        });
    }
    alone(name, || {
        let directory = Directory::new(name);
        let path = directory.path("socket");
        let mut program = Served::start(name, "serve", path.as_os_str());
        let mut client = Client::connect(&path).expect("the server listens");
        let list = client.ask("list");
        let (off, on) = (address(&list, "CONTROL_OFF"), address(&list, "CONTROL_ON"));
        let requests = [
            (format!("enable {off}=0 disable {on}=1"), FLIPPED),
            (format!("disable {off}=1 enable {on}=0"), BEFORE),
        ];
        for flip in 0..rounds(10_000, 20) {
            let (request, wanted) = &requests[flip % 2];
            let done = client.ask(request);
            assert!(done[2].starts_with("ok 4 strict "), "{flip}: {done:?}");
            if flip % 100 < 2 {
                assert_eq!(program.ask("?"), format!("{wanted} 0 stale"), "after {flip} flips");
            }
        }
        drop(client);
        program.end();
    });
}
