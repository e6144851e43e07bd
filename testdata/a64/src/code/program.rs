//! The declaration of a program.

use super::function::{Content, Function, Object};
use super::insn::{Form, Insn};
use jlctl_synthetic::spec::Relocations;

/// The kind of image that contains the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum World {
    /// A kernel.
    Kernel,
    /// A shared library or a position-independent program.
    User,
    /// A kernel module of this name.
    Module(String),
    /// An object file of a program.
    ObjectFile,
}

/// The functions and objects of an image.
///
/// A reference in a function resolves to a label of the function, else to a local symbol of its
/// file, else to any symbol. A library imports an undefined symbol through its PLT; a module
/// and an object file leave it undefined. In a library, `NAME@plt` calls an exported function through
/// the PLT.
#[derive(Debug, Clone)]
pub struct Program {
    pub(crate) world: World,
    pub(crate) relocations: Relocations,
    pub(crate) is_stripped: bool,
    pub(crate) has_frames: bool,
    pub(crate) functions: Vec<Function>,
    pub(crate) objects: Vec<Object>,
}

impl Program {
    fn new(world: World, relocations: Relocations) -> Self {
        Self {
            world,
            relocations,
            is_stripped: false,
            has_frames: false,
            functions: Vec::new(),
            objects: Vec::new(),
        }
    }

    /// An empty kernel whose pointers are in the file.
    #[must_use]
    pub fn kernel() -> Self {
        Self::new(World::Kernel, Relocations::None)
    }

    /// An empty shared library with `.eh_frame`; its pointers are in `.rela.dyn`.
    #[must_use]
    pub fn user() -> Self {
        Self { has_frames: true, ..Self::new(World::User, Relocations::Rela) }
    }

    /// An empty module.
    #[must_use]
    pub fn module(name: &str) -> Self {
        Self::new(World::Module(name.to_owned()), Relocations::None)
    }

    /// An empty object file of a program, not linked.
    #[must_use]
    pub fn object_file() -> Self {
        Self::new(World::ObjectFile, Relocations::None)
    }

    /// Sets how pointers in data get their values.
    #[must_use]
    pub fn relocated(mut self, relocations: Relocations) -> Self {
        self.relocations = relocations;
        self
    }

    /// Leaves out `.symtab`.
    #[must_use]
    pub fn stripped(mut self) -> Self {
        self.is_stripped = true;
        self
    }

    /// Leaves out `.eh_frame`.
    #[must_use]
    pub fn without_frames(mut self) -> Self {
        self.has_frames = false;
        self
    }

    /// Adds functions, in the order of their addresses.
    #[must_use]
    pub fn functions(mut self, functions: impl IntoIterator<Item = Function>) -> Self {
        self.functions.extend(functions);
        self
    }

    /// Gives a function one more symbol, before its own.
    ///
    /// # Panics
    /// If the function does not exist.
    #[must_use]
    pub fn alias(mut self, function: &str, name: &str) -> Self {
        let found = self.functions.iter_mut().find(|known| known.name == function);
        let found = found.unwrap_or_else(|| panic!("no function {function}"));
        found.aliases.push(name.to_owned());
        self
    }

    /// Adds an object.
    #[must_use]
    pub fn object(mut self, object: Object) -> Self {
        self.objects.push(object);
        self
    }

    /// Whether it has relocations instead of addresses.
    pub(crate) fn is_relocatable(&self) -> bool {
        matches!(self.world, World::Module(_) | World::ObjectFile)
    }

    /// Sites of the jump table: function, offset, element.
    pub(crate) fn sites(&self) -> impl Iterator<Item = (usize, u64, &Insn)> {
        let all = self.functions.iter().enumerate();
        let all = all.flat_map(|(number, f)| f.insns().map(move |(at, insn)| (number, at, insn)));
        all.filter(|(.., insn)| matches!(insn, Insn::Site { .. }))
    }

    /// Pointers that a relocation may be needed for, in code and data.
    pub(crate) fn pointers(&self) -> u64 {
        let quads = self.functions.iter().flat_map(|function| &function.body.0);
        let quads = quads.filter(|insn| matches!(insn, Insn::Quad(_))).count() as u64;
        let lists = self.objects.iter().map(|object| match &object.content {
            Content::Pointers(to) => to.iter().filter(|to| !to.is_empty()).count() as u64,
            Content::Bytes(_) | Content::Branches { .. } => 0,
        });
        quads + lists.sum::<u64>()
    }

    /// The undefined symbols that are referred to, each once.
    pub(crate) fn undefined(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut add = |name: &str| {
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        };
        for function in &self.functions {
            for insn in &function.body.0 {
                if let Insn::Refer { to, .. } | Insn::Quad(to) = insn
                    && function.label(to).is_none()
                    && !self.defines(to)
                {
                    add(to);
                }
            }
        }
        for object in &self.objects {
            if let Content::Pointers(to) = &object.content {
                to.iter().filter(|to| !self.defines(to)).for_each(|to| add(to));
            }
        }
        names
    }

    /// Whether a symbol of this name exists.
    fn defines(&self, name: &str) -> bool {
        let name = name.rsplit_once(':').map_or(name, |(_, name)| name);
        self.functions.iter().any(|function| function.names().any(|known| known == name))
            || self.objects.iter().any(|object| object.name == name)
    }
}

/// Whether a reference needs a relocation in a file that is not linked even within a section.
pub(crate) fn needs_relocation(form: Form, is_label: bool) -> bool {
    match form {
        Form::Page | Form::Low12 | Form::Low12Word | Form::GotPage | Form::GotLow12 => true,
        Form::Imm26 | Form::Imm19 | Form::Imm14 | Form::Near => !is_label,
    }
}
