//! Functions: runs of NOPs that end in a return, and hold the sites.

use super::Scope;

/// Which code section a function lies in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextSection {
    /// `.text`.
    Text,
    /// `.init.text`.
    Init,
    /// `.exit.text`.
    Exit,
    /// `.text.unlikely`; a linker puts it into `.text`, a module keeps it.
    Unlikely,
}

impl TextSection {
    /// Name of the section.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => ".text",
            Self::Init => ".init.text",
            Self::Exit => ".exit.text",
            Self::Unlikely => ".text.unlikely",
        }
    }
}

/// A function.
#[derive(Debug, Clone)]
pub struct FunctionSpec {
    /// Name of its symbol.
    pub name: String,
    /// Path of the source file that defines it, as DWARF names it.
    pub file: String,
    /// Line of its definition.
    pub line: u32,
    /// Its section.
    pub section: TextSection,
    /// Whether its symbol is global.
    pub global: bool,
    /// Length in units of four bytes (A64 and RISC-V: instructions), the final
    /// return included.
    pub insns: u64,
}

impl FunctionSpec {
    /// A global function in `.text`, defined at line 10 of `file`.
    #[must_use]
    pub fn new(name: &str, file: &str, insns: u64) -> Self {
        Self {
            name: name.to_owned(),
            file: file.to_owned(),
            line: 10,
            section: TextSection::Text,
            global: true,
            insns,
        }
    }

    /// Puts the function into another section.
    #[must_use]
    pub fn in_section(mut self, section: TextSection) -> Self {
        self.section = section;
        self
    }

    /// Sets the line of the definition.
    #[must_use]
    pub fn at_line(mut self, line: u32) -> Self {
        self.line = line;
        self
    }

    /// Makes the symbol local to its file.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.global = false;
        self
    }

    /// Scope of the symbol.
    #[must_use]
    pub fn scope(&self) -> Scope {
        if self.global { Scope::Global } else { Scope::Local(self.file.clone()) }
    }
}
