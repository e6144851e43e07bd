//! Progress on a terminal, and the time of each phase with `--verbose`.

use crate::args::Global;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The time before a progress bar appears.
const PATIENCE: Duration = Duration::from_millis(500);

/// Shows the progress of phases on standard error.
pub(crate) struct Progress {
    started: Instant,
    draws: bool,
    quiet: bool,
    verbose: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Progress {
    pub(crate) fn new(global: &Global) -> Self {
        let draws = !global.quiet && std::io::stderr().is_terminal();
        let (quiet, verbose) = (global.quiet, global.verbose);
        Self { started: Instant::now(), draws, quiet, verbose, bar: Mutex::new(None) }
    }

    /// Shows nothing: for one of several tasks whose common progress is shown.
    pub(crate) fn none() -> Self {
        let bar = Mutex::new(None);
        Self { started: Instant::now(), draws: false, quiet: true, verbose: false, bar }
    }

    /// Prints a warning, which does not affect the result.
    pub(crate) fn warn(&self, text: &str) {
        self.clear();
        if !self.quiet {
            anstream::eprintln!("jlctl: warning: {text}");
        }
    }

    /// Runs `work` as a phase of `total` units; `work` reports completed units through its
    /// argument.
    pub(crate) fn phase<T>(
        &self,
        name: &'static str,
        total: usize,
        work: impl FnOnce(&(dyn Fn(usize) + Sync)) -> T,
    ) -> T {
        let start = Instant::now();
        let done = std::sync::atomic::AtomicUsize::new(0);
        let result = work(&|units| {
            let done = done.fetch_add(units, std::sync::atomic::Ordering::Relaxed) + units;
            self.show(name, done, total);
        });
        self.clear();
        self.took(name, start.elapsed());
        result
    }

    /// Prints the time of a phase, if verbose.
    pub(crate) fn took(&self, name: &str, time: Duration) {
        if self.verbose {
            let milliseconds = time.as_secs_f64() * 1e3;
            anstream::eprintln!("{milliseconds:8.1} ms  {name}");
        }
    }

    fn show(&self, name: &'static str, done: usize, total: usize) {
        if !self.draws || self.started.elapsed() < PATIENCE {
            return;
        }
        let Ok(mut bar) = self.bar.lock() else { return };
        let bar = bar.get_or_insert_with(|| {
            let bar =
                ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr());
            let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len}");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_message(name)
        });
        bar.set_position(done as u64);
    }

    fn clear(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }
}
