//! The boundary between jlctl and an architecture: everything that depends on the instruction
//! set or on its ELF psABI is a method of [`Architecture`], implemented in one file per
//! architecture.

mod a64;
mod a64_immediate;
mod architecture;
mod relocation;
mod riscv64;
mod x86_64;

pub use architecture::{Architecture, InitBitOnDisk, SiteDecode, SiteInsn};
pub use relocation::{InsnValue, Relocation, RelocationError};

/// All supported architectures.
const ALL: [&dyn Architecture; 3] = [&a64::A64, &x86_64::X86_64, &riscv64::Riscv64];

/// The architecture with the ELF machine number `machine` (`e_machine`, 64-bit images); `None`
/// if it is not supported.
#[must_use]
pub fn of_elf_machine(machine: u16) -> Option<&'static dyn Architecture> {
    ALL.into_iter().find(|arch| arch.elf_machine() == machine)
}

/// Names of all supported architectures, for messages.
#[must_use]
pub fn names() -> String {
    ALL.map(Architecture::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_are_found_by_elf_machine() {
        for (machine, name) in [(183, "arm64"), (62, "x86_64"), (243, "riscv64")] {
            assert_eq!(of_elf_machine(machine).map(Architecture::name), Some(name));
        }
        assert!(of_elf_machine(40).is_none());
        assert_eq!(names(), "arm64, x86_64, riscv64");
    }

    /// Each named relocation is in the table under its number, and enough of them are applied.
    #[test]
    fn relocation_tables_ascend() {
        for arch in ALL {
            let named = (0..2048).filter(|number| arch.relocation_name(*number).is_some());
            let known = named.filter(|number| arch.relocation(*number) != Relocation::Unknown);
            assert!(known.count() >= 10, "{}", arch.name());
            assert_eq!(arch.relocation(0), Relocation::Ignore);
        }
    }
}
