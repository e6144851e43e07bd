//! Writes seeds for the target `lint` into the directory of the first argument.

use jlctl_a64::lint_cases;
use std::fs;
use std::path::PathBuf;

fn main() {
    let directory = PathBuf::from(std::env::args_os().nth(1).expect("a directory as argument"));
    fs::create_dir_all(&directory).expect("the directory can be made");
    for case in lint_cases::all() {
        fs::write(directory.join(&case.name), &case.bytes).expect("the seed can be written");
    }
}
