//! Progress on a terminal, and the time of each phase with `--verbose`.

use crate::args::Global;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// How long work goes on before a bar appears.
const PATIENCE: Duration = Duration::from_millis(500);

/// Shows what is going on, on standard error.
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

    /// Shows nothing: for one of many pieces of work whose progress is shown.
    pub(crate) fn none() -> Self {
        let bar = Mutex::new(None);
        Self { started: Instant::now(), draws: false, quiet: true, verbose: false, bar }
    }

    /// Says what a person should know though the result does not depend on it.
    pub(crate) fn warn(&self, text: &str) {
        self.clear();
        if !self.quiet {
            anstream::eprintln!("jlctl: warning: {text}");
        }
    }

    /// Runs `work`, which reports units done through the function that it is
    /// given; `total` units make the phase.
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

    /// Says how long a phase took.
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
