//! The independent tools: GNU nm, and the LLVM version that testdata/check installs.

use crate::real::jlctl::{Frame, output, stderr};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// A program of LLVM 19, under Debian's versioned name or the plain name.
pub(crate) fn llvm(name: &str) -> Command {
    let versioned = format!("{name}-19");
    for candidate in [&versioned, name] {
        let mut version = Command::new(candidate);
        if version.arg("--version").output().is_ok_and(|output| output.status.success()) {
            return Command::new(candidate);
        }
    }
    panic!("{versioned} is missing: install the package llvm-19, or run testdata/check as root");
}

/// Runs a command that must succeed; its stdout.
pub(crate) fn run(command: &mut Command) -> String {
    let output = output(command);
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command that must succeed with `input` as standard input; returns its stdout.
fn filter(command: &mut Command, input: &str) -> String {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(input.as_bytes()).expect("a written file");
    std::io::Seek::rewind(&mut file).expect("a rewound file");
    let output = command.stdin(file).env("LC_ALL", "C").output();
    let output = output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    String::from_utf8(output.stdout).unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// A symbol as nm prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Symbol {
    pub(crate) name: String,
    pub(crate) address: u64,
    pub(crate) size: u64,
    /// `FUNC`, `OBJECT`, `NOTYPE`.
    pub(crate) kind: String,
    pub(crate) section: String,
}

/// All symbols of an image by address, without mapping symbols (`$x`, `$d`).
#[derive(Debug)]
pub(crate) struct Nm {
    symbols: Vec<Symbol>,
}

impl Nm {
    pub(crate) fn of(image: &Path) -> Self {
        let text = run(Command::new("nm").args(["--format=sysv", "--defined-only"]).arg(image));
        let mut symbols: Vec<Symbol> = text.lines().filter_map(symbol).collect();
        assert!(symbols.len() > 10_000, "nm found only {} symbols", symbols.len());
        symbols.sort_by_key(|symbol| symbol.address);
        Self { symbols }
    }

    /// The address of the only symbol of this name.
    pub(crate) fn address(&self, name: &str) -> u64 {
        let found: Vec<_> = self.symbols.iter().filter(|symbol| symbol.name == name).collect();
        assert_eq!(found.len(), 1, "nm lists {name} once: {found:?}");
        found[0].address
    }

    /// The addresses of the symbols of a kind.
    pub(crate) fn starts(&self, kind: &str) -> Vec<u64> {
        self.symbols
            .iter()
            .filter(|symbol| symbol.kind == kind)
            .map(|symbol| symbol.address)
            .collect()
    }

    /// The symbols that start at `address`.
    pub(crate) fn at(&self, address: u64) -> &[Symbol] {
        let start = self.symbols.partition_point(|symbol| symbol.address < address);
        let end = self.symbols.partition_point(|symbol| symbol.address <= address);
        &self.symbols[start..end]
    }

    /// The sized symbols of a kind that cover `address`, the innermost first.
    pub(crate) fn covering(&self, kind: &str, address: u64) -> Vec<&Symbol> {
        /// The largest function or object of a kernel is smaller.
        const LARGEST: u64 = 1 << 26;
        let end = self.symbols.partition_point(|symbol| symbol.address <= address);
        let near = self.symbols[..end].iter().rev();
        near.take_while(|symbol| address - symbol.address < LARGEST)
            .filter(|symbol| symbol.kind == kind && address - symbol.address < symbol.size)
            .collect()
    }
}

/// `name |value |class |type |size |line |section`.
fn symbol(line: &str) -> Option<Symbol> {
    let fields: Vec<&str> = line.split('|').map(str::trim).collect();
    let [name, value, _, kind, size, _, section] = fields[..] else { return None };
    let address = u64::from_str_radix(value, 16).ok()?;
    (!name.starts_with('$')).then(|| Symbol {
        name: name.to_owned(),
        address,
        size: u64::from_str_radix(size, 16).unwrap_or_default(),
        kind: kind.to_owned(),
        section: section.to_owned(),
    })
}

/// The output of LLVM's disassembler for each word; a branch without known address shows its
/// displacement: `b #16`.
pub(crate) fn disassemble(words: &[u32]) -> Vec<String> {
    let mut input = String::new();
    for word in words {
        let [a, b, c, d] = word.to_le_bytes();
        writeln!(input, "{a:#04x} {b:#04x} {c:#04x} {d:#04x}")
            .expect("writing to a String cannot fail");
    }
    let text =
        filter(llvm("llvm-mc").args(["--disassemble", "--triple=aarch64-linux-gnu"]), &input);
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('.'));
    let lines: Vec<String> = lines.map(|line| line.replace('\t', " ")).collect();
    assert_eq!(lines.len(), words.len(), "llvm-mc prints one line for each word");
    lines
}

/// The report of llvm-symbolizer for one address.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Symbolized {
    address: String,
    symbol: Vec<SymbolizedFrame>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SymbolizedFrame {
    function_name: String,
    file_name: String,
    line: u32,
    column: u32,
}

/// The inline chain of each address, the innermost frame first; unknown values are `None`.
pub(crate) fn symbolize(image: &Path, addresses: &[u64]) -> BTreeMap<u64, Vec<Frame>> {
    let mut input = String::new();
    for address in addresses {
        writeln!(input, "{address:#x}").expect("writing to a String cannot fail");
    }
    let mut command = llvm("llvm-symbolizer");
    command.args(["--inlines", "--output-style=JSON", "--no-demangle"]);
    command.arg(format!("--obj={}", image.display()));
    let text = filter(&mut command, &input);
    let parse = |line: &str| -> Symbolized {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
    };
    let chains = text.lines().map(parse).map(|found| {
        let frames = found.symbol.into_iter().map(frame).collect();
        (crate::real::address(&found.address), frames)
    });
    chains.collect()
}

fn frame(found: SymbolizedFrame) -> Frame {
    let known = |text: String| (!text.is_empty()).then_some(text);
    let number = |number: u32| (number != 0).then_some(number);
    Frame {
        function: known(found.function_name),
        file: known(found.file_name),
        line: number(found.line),
        column: number(found.column),
    }
}

/// Copies `image` through llvm-objcopy.
pub(crate) fn objcopy(options: &[&str], image: &Path, to: &Path) {
    let mut command = llvm("llvm-objcopy");
    run(command.args(options).arg(image).arg(to));
    let size = fs::metadata(to).expect("llvm-objcopy wrote a file").len();
    assert!(size > 1 << 20, "{} has only {size} bytes", to.display());
}

/// Counts equal strings.
pub(crate) fn count<'a>(items: impl Iterator<Item = &'a str>) -> HashMap<&'a str, usize> {
    let mut counts = HashMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    counts
}
