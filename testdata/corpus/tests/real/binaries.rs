//! Fetched programs and libraries are what their names state.

use crate::{self as corpus, Binary};
use jlctl_analyzer::image::Image;
use jlctl_synthetic::elf::Endian;
use object::read::elf::ElfFile64;
use object::{Architecture, Object, ObjectSection, ObjectSymbol};
use std::fs;

fn bytes(binary: Binary) -> Vec<u8> {
    let path = corpus::binary_path(binary).unwrap_or_else(|| {
        let name = binary.name();
        panic!("{name} is not in the cache: run `cargo run -p jlctl-corpus -- fetch {name}`")
    });
    fs::read(path).expect("it is readable")
}

#[test]
#[cfg_attr(not(feature = "real-images"), ignore = "needs real kernels: testdata/check runs it")]
fn binaries_are_stripped_programs_for_arm64() {
    for binary in Binary::ALL {
        let name = binary.name();
        let bytes = bytes(binary);
        let file = ElfFile64::<Endian>::parse(&*bytes).expect("an ELF file");
        assert_eq!(file.architecture(), Architecture::Aarch64, "{name}");
        assert_eq!(file.symbols().count(), 0, "{name} has a .symtab");
        assert!(file.section_by_name(".eh_frame").is_some(), "{name}");
        let text = file.section_by_name(".text").map_or(0, |text| text.size());
        let exported = file.dynamic_symbols().filter(ObjectSymbol::is_definition).count();
        println!("{}: {text} bytes, {exported} exported", version(binary));
        assert!(text > 0 && exported > 0, "{name}");
        let image = Image::parse(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!image.is_kernel() && image.faults().is_empty(), "{name}: {:?}", image.faults());
    }
}

fn version(binary: Binary) -> String {
    let version = corpus::binary_version(binary).expect("it is recorded");
    assert!(version.starts_with(&format!("{} ", binary.package())), "{version}");
    version
}
