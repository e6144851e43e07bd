//! Functions and objects of a program.

use super::insn::{Code, Insn};
use jlctl_synthetic::spec::{Scope, TextSection};

/// A function.
#[derive(Debug, Clone)]
pub struct Function {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) section: TextSection,
    pub(crate) is_local: bool,
    pub(crate) is_exported: bool,
    pub(crate) align: u64,
    pub(crate) aliases: Vec<String>,
    pub(crate) body: Code,
}

impl Function {
    /// A global function in `.text`, from `demo.c`.
    #[must_use]
    pub fn new(name: &str, body: impl IntoIterator<Item = Code>) -> Self {
        Self {
            name: name.to_owned(),
            file: "demo.c".to_owned(),
            section: TextSection::Text,
            is_local: false,
            is_exported: false,
            align: 8,
            aliases: Vec::new(),
            body: Code(body.into_iter().flat_map(|part| part.0).collect()),
        }
    }

    /// Makes its symbol local to `demo.c`.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.is_local = true;
        self
    }

    /// Makes its symbol local to another file; functions of that file call it by its name,
    /// other functions by `FILE:NAME`.
    #[must_use]
    pub fn local_to(mut self, file: &str) -> Self {
        self.is_local = true;
        self.in_file(file)
    }

    /// Sets the source file.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        self.file = file.to_owned();
        self
    }

    /// Exports it: to modules (`__ksymtab_NAME`), or to other programs (`.dynsym`).
    #[must_use]
    pub fn exported(mut self) -> Self {
        self.is_exported = true;
        self
    }

    /// Puts it into another section.
    #[must_use]
    pub fn in_section(mut self, section: TextSection) -> Self {
        self.section = section;
        self
    }

    /// Aligns its start to `align` bytes.
    #[must_use]
    pub fn aligned(mut self, align: u64) -> Self {
        self.align = align;
        self
    }

    /// Adds a symbol, which precedes the function's own.
    #[must_use]
    pub fn alias(mut self, name: &str) -> Self {
        self.aliases.push(name.to_owned());
        self
    }

    /// All its names, in the order of the symbol table.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.aliases.iter().map(String::as_str).chain([self.name.as_str()])
    }

    /// Scope of its symbols.
    pub(crate) fn scope(&self) -> Scope {
        if self.is_local { Scope::Local(self.file.clone()) } else { Scope::Global }
    }

    /// Bytes of its body.
    pub(crate) fn size(&self) -> u64 {
        self.body.0.iter().map(Insn::size).sum()
    }

    /// Bytes from its start to a label.
    pub(crate) fn label(&self, name: &str) -> Option<u64> {
        let label = Insn::Label(name.to_owned());
        let position = self.body.0.iter().position(|insn| *insn == label)?;
        Some(self.body.0[..position].iter().map(Insn::size).sum())
    }

    /// The elements of its body with their offsets.
    pub(crate) fn insns(&self) -> impl Iterator<Item = (u64, &Insn)> {
        self.body.0.iter().scan(0, |next, insn| {
            let at = *next;
            *next += insn.size();
            Some((at, insn))
        })
    }
}

/// The section of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectSection {
    /// `.rodata`.
    ReadOnly,
    /// `.data`.
    Data,
}

impl ObjectSection {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => ".rodata",
            Self::Data => ".data",
        }
    }
}

/// The content of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Literal bytes.
    Bytes(Vec<u8>),
    /// Addresses of functions or objects.
    Pointers(Vec<String>),
    /// The targets of a `switch`: labels of a function, and the form of the entries.
    Branches { function: String, entries: Entries, to: Vec<String> },
}

/// The form of the entries of a branch table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entries {
    /// Distances from a label, counted in instructions, of so many bytes each: 1, 2 or 4.
    FromLabel(String, u64),
    /// Distances from the table, counted in bytes, of four bytes each.
    FromTable,
    /// Addresses.
    Addresses,
}

impl Entries {
    fn bytes(&self) -> u64 {
        match self {
            Self::FromLabel(_, bytes) => *bytes,
            Self::FromTable => 4,
            Self::Addresses => 8,
        }
    }
}

/// An object in data.
#[derive(Debug, Clone)]
pub struct Object {
    pub(crate) name: String,
    pub(crate) section: ObjectSection,
    pub(crate) content: Content,
}

impl Object {
    fn new(name: &str, section: ObjectSection, content: Content) -> Self {
        Self { name: name.to_owned(), section, content }
    }

    /// Bytes as they are.
    #[must_use]
    pub fn bytes(name: &str, section: ObjectSection, bytes: &[u8]) -> Self {
        Self::new(name, section, Content::Bytes(bytes.to_vec()))
    }

    /// A table of pointers in `.data`; an empty name is a null pointer.
    #[must_use]
    pub fn pointers(name: &str, to: &[&str]) -> Self {
        let to = to.iter().map(|name| (*name).to_owned()).collect();
        Self::new(name, ObjectSection::Data, Content::Pointers(to))
    }

    /// The table of a `switch` or of computed jumps, whose targets are labels of `function`.
    #[must_use]
    pub fn branches(name: &str, function: &str, entries: Entries, to: &[&str]) -> Self {
        let content = Content::Branches {
            function: function.to_owned(),
            entries,
            to: to.iter().map(|label| (*label).to_owned()).collect(),
        };
        Self::new(name, ObjectSection::ReadOnly, content)
    }

    /// Size in bytes.
    pub(crate) fn size(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Pointers(to) => 8 * to.len() as u64,
            Content::Branches { entries, to, .. } => entries.bytes() * to.len() as u64,
        }
    }
}
