//! The one boot that all tests share.

use crate::chain;
use jlctl_corpus::{self as corpus, Image};
use jlctl_vm::libtest::{self, Verdict};
use jlctl_vm::{self as vm, Boot, Ending, ListedTest, Machine, Program, Run, Suite, VmError};
use libtest_mimic::{Arguments, Failed, Trial};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The kernel that is booted.
const KERNEL: Image = Image::Vmlinuz612;

/// The time limit for all tests of a program: about five times what the slowest program takes
/// on two idle CPUs of the host.
const LIMIT: Duration = Duration::from_secs(900);

/// Informs tests that the machine is emulated, so that they run fewer rounds.
const EMULATED: (&str, &str) = ("JLSHIM_TEST_EMULATED_MACHINE", "1");

/// The machine, the programs to run, and the result of the boot once a test has needed it.
pub(crate) struct Guest {
    machine: Machine,
    programs: Vec<Program>,
    /// Whether ignored tests run too.
    ignored_too: bool,
    /// Whether the output of tests that pass is shown.
    shows_output: bool,
    boot: OnceLock<Result<Boot, String>>,
}

/// A test program in the guest.
pub(crate) struct Tests {
    /// Its index among the guest's programs.
    program: usize,
    name: String,
    tests: Vec<ListedTest>,
}

impl Guest {
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, VmError> {
        let kernel = corpus::path(KERNEL).ok_or(VmError::NoKernel { name: KERNEL.name() })?;
        Ok(Self {
            machine: Machine::new(kernel, vm::init()?),
            programs: Vec::new(),
            ignored_too: arguments.ignored || arguments.include_ignored,
            shows_output: arguments.nocapture,
            boot: OnceLock::new(),
        })
    }

    /// Appends `program` to those to run; returns its index.
    pub(crate) fn add(&mut self, program: Program) -> usize {
        self.programs.push(program);
        self.programs.len() - 1
    }

    /// Builds the programs of `suite`, and appends them.
    pub(crate) fn add_suite(&mut self, suite: &Suite) -> Result<Vec<Tests>, VmError> {
        let vm::Built { tests, files } = vm::tests(suite)?;
        let add = |built: vm::TestProgram| {
            let tests = vm::list(&built.path, suite.filter)?;
            let mut program = Program::new(built.path)
                .arguments(["--test-threads=1", "--show-output"])
                .arguments(suite.filter.iter().copied())
                .limit(LIMIT);
            program.environment.push((EMULATED.0.to_owned(), EMULATED.1.to_owned()));
            program.files.clone_from(&files);
            if self.ignored_too {
                program = program.arguments(["--include-ignored"]);
            }
            Ok(Tests { program: self.add(program), name: built.name, tests })
        };
        tests.into_iter().map(add).collect()
    }

    /// The result of a program that ran to its end.
    pub(crate) fn run(&self, program: usize) -> Result<(&Run, &Ending), Failed> {
        let boot = self.boot.get_or_init(|| self.start()).as_ref()?;
        let run = boot.runs.get(program).ok_or("there is no such program")?;
        let failure = || boot.failure.as_ref().map_or("it has no result".to_owned(), |e| chain(e));
        Ok((run, run.ending.as_ref().ok_or_else(failure)?))
    }

    fn start(&self) -> Result<Boot, String> {
        let boot = self.machine.run(&self.programs, &mut |_| {}).map_err(|error| chain(&error))?;
        if let Some(up) = &boot.up {
            let (release, cpus) = (&up.release, up.cpus);
            let [up, all] = [up.after, boot.duration].map(|time| time.as_secs_f32());
            eprintln!("guest: Linux {release}, {cpus} CPUs, up in {up:.1} s, off after {all:.1} s");
        }
        for (program, run) in self.programs.iter().zip(&boot.runs) {
            let name = program.path.file_name().unwrap_or_default().display();
            eprintln!("guest: {name}: {:.1} s", run.duration.as_secs_f32());
        }
        Ok(boot)
    }
}

impl Tests {
    /// A trial for each test, and one for the end of the program.
    pub(crate) fn trials(self, guest: &Arc<Guest>) -> Vec<Trial> {
        let Self { program, name, tests } = self;
        let (of_all, expected) = (Arc::clone(guest), tests.len());
        let end = Trial::test(format!("{name} runs to its end"), move || {
            check_end(&of_all, program, expected)
        });
        let trial = |test: ListedTest| {
            let guest = Arc::clone(guest);
            Trial::test(format!("{name}::{}", test.name), move || {
                check(&guest, program, &test.name)
            })
            .with_ignored_flag(test.is_ignored)
        };
        tests.into_iter().map(trial).chain([end]).collect()
    }
}

/// Passes if the test passed in the guest.
fn check(guest: &Guest, program: usize, test: &str) -> Result<(), Failed> {
    let (run, ending) = guest.run(program)?;
    let report = libtest::parse(&String::from_utf8_lossy(&run.stdout));
    let stderr = indented(&String::from_utf8_lossy(&run.stderr));
    let result = report.of(test);
    match result.map(|result| result.verdict) {
        Some(Verdict::Passed) => {}
        Some(Verdict::Failed) => {
            return Err(indented(result.map_or("", |result| &result.output)).into());
        }
        Some(Verdict::Unfinished) => {
            return Err(format!("the program ended in this test: {ending:?}\n{stderr}").into());
        }
        Some(Verdict::Ignored) => return Err("the guest ignored it".into()),
        None => {
            return Err(format!("the program ended before this test: {ending:?}\n{stderr}").into());
        }
    }
    if let Some(result) = result.filter(|result| guest.shows_output && !result.output.is_empty()) {
        println!("{}", indented(&result.output));
    }
    Ok(())
}

/// Passes if the program's report is complete and agrees with its exit status.
fn check_end(guest: &Guest, program: usize, expected: usize) -> Result<(), Failed> {
    let (run, ending) = guest.run(program)?;
    let stdout = String::from_utf8_lossy(&run.stdout);
    let report = libtest::parse(&stdout);
    let failed = report.results.iter().any(|result| result.verdict == Verdict::Failed);
    // Status 101 means that tests failed, which have reports of their own.
    let status = if failed { 101 } else { 0 };
    let ran = report.results.len();
    if *ending != Ending::Exit(status) || !report.is_complete || ran != expected {
        let output = indented(&(stdout.into_owned() + &String::from_utf8_lossy(&run.stderr)));
        let what = format!("it ended by {ending:?} after {ran} of {expected} tests");
        return Err(format!("{what}\n{output}").into());
    }
    Ok(())
}

/// Indents lines of the guest, whose summaries could be taken for those of this program.
fn indented(text: &str) -> String {
    text.trim().lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
