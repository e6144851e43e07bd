//! Writes seeds for the target `kallsyms` into the directory of the first argument.

use jlctl_synthetic::kallsyms::{AddressStyle, KallsymsSpec, Release};
use std::fs;
use std::path::PathBuf;

fn main() {
    let directory = PathBuf::from(std::env::args_os().nth(1).expect("a directory as argument"));
    fs::create_dir_all(&directory).expect("the directory can be made");
    for release in Release::ALL {
        for addresses in [AddressStyle::Relative, AddressStyle::AbsolutePercpu, AddressStyle::Absolute] {
            for relocation in [None, Some(1027), Some(3)] {
                let spec =
                    KallsymsSpec { addresses, relocation, ..KallsymsSpec::new(release, 780) };
                let bytes = KallsymsSpec { before: 64, ..spec }.build();
                let name = format!("{release:?}-{addresses:?}-{relocation:?}");
                fs::write(directory.join(name), bytes).expect("the seed can be written");
            }
        }
    }
}
