//! What only a module has.

/// What a module has beside the keys, functions and sites of every image.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModuleSpec {
    /// Name, as `.modinfo` and `.gnu.linkonce.this_module` state it.
    pub name: String,
    /// Symbols that the module uses and another image defines.
    pub undefined: Vec<String>,
    /// RISC-V: 32-bit fields by one `R_RISCV_32_PCREL` each, as newer assemblers
    /// write them, instead of `R_RISCV_ADD32` and `R_RISCV_SUB32`.
    pub pcrel32: bool,
    /// RISC-V: an `R_RISCV_RELAX` beside each `R_RISCV_JAL`, as in a module
    /// that was built without `-mno-relax`.
    pub relax: bool,
    /// `sh_addr` of `.data`: 0 in the modules of Debian's 5.10, another value in
    /// those of its 6.12.  Symbol values and relocation offsets count from the
    /// section's start in both.
    pub data_address: u64,
}
