//! The serial port of the records.

use jlctl_guest::{PORT, Record};
use rustix::termios::{self, OptionalActions};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// The port; threads share it, and each record is written as a whole.
pub(super) struct Port(Mutex<File>);

impl Port {
    /// Opens the port in raw mode, so that the terminal layer changes no byte.
    pub(super) fn open() -> io::Result<Self> {
        let wrong = |error| io::Error::other(format!("cannot open {PORT}: {error}"));
        let file = OpenOptions::new().read(true).write(true).open(PORT).map_err(wrong)?;
        let mut settings = termios::tcgetattr(&file)?;
        settings.make_raw();
        termios::tcsetattr(&file, OptionalActions::Now, &settings)?;
        Ok(Self(Mutex::new(file)))
    }

    /// Sends a record.
    pub(super) fn send(&self, record: &Record) -> io::Result<()> {
        let mut line = record.to_line();
        line.push('\n');
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes())
    }

    /// Waits until the last byte is sent.
    pub(super) fn drain(&self) -> io::Result<()> {
        Ok(termios::tcdrain(&*self.0.lock().unwrap_or_else(PoisonError::into_inner))?)
    }
}
