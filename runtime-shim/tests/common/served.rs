//! This program with a control socket, and a client of that socket.

use super::rerun::rerun;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

/// A directory of a test's own, removed when dropped.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new(test: &str) -> Self {
        // A socket's path is short: without the module.
        let test = test.rsplit("::").next().unwrap_or(test);
        let path = std::env::temp_dir().join(format!("jlshim-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// This program in a role: it prints `ready` and answers lines.
pub(crate) struct Served {
    pub(crate) child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Served {
    pub(crate) fn start(test: &str, role: &str, control: &OsStr) -> Self {
        let mut child = rerun(test, role)
            .env("JLSHIM_CONTROL", control)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let to = child.stdin.take();
        let from = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut served = Self { child, to, from };
        while served.line() != "ready" {}
        served
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.from.read_line(&mut line).expect("an answer");
        assert!(read > 0, "the program has ended");
        let line = line.trim_end();
        // The test runner prints the name of the test before the first line.
        line.rsplit("... ").next().unwrap_or(line).to_owned()
    }

    pub(crate) fn ask(&mut self, what: &str) -> String {
        writeln!(self.to.as_mut().expect("a pipe"), "{what}").expect("the program reads it");
        self.line()
    }

    /// Lets the program end by itself, and returns its standard error.
    pub(crate) fn end(mut self) -> String {
        self.to = None;
        let mut rest = String::new();
        self.from.read_to_string(&mut rest).expect("text");
        assert!(self.child.wait().expect("a child").success(), "{rest}");
        let mut errors = String::new();
        let stderr = self.child.stderr.take();
        stderr.expect("a pipe").read_to_string(&mut errors).expect("text");
        errors
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The body of a role: prints the result of `answer` for each line of standard input.
pub(crate) fn serve(mut answer: impl FnMut(&str) -> String) {
    println!("ready");
    for line in io::stdin().lines() {
        println!("{}", answer(&line.expect("a line")));
    }
}

/// A client of a control socket.
pub(crate) struct Client(BufReader<UnixStream>);

impl Client {
    pub(crate) fn connect(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Lines up to the result, which is the last line of a reply.
    pub(crate) fn reply(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.0.read_line(&mut line).expect("a reply");
            assert!(read > 0, "the server has closed the connection after {lines:?}");
            lines.push(line.trim_end().to_owned());
            if line.starts_with("ok") || line.starts_with("error ") {
                return lines;
            }
        }
    }

    pub(crate) fn ask(&mut self, request: &str) -> Vec<String> {
        // The server may refuse the client and close the connection before this is sent.
        let _ = self.send(format!("{request}\n").as_bytes());
        self.reply()
    }

    /// All bytes until the server closes the connection.
    pub(crate) fn rest(mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }
}
