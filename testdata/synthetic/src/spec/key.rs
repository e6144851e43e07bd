//! Static keys and the objects that hold them.

use super::{Descriptor, Holder, VariableSpec};
use jlctl_shim::abi::StaticKey;

/// Where the object of a key lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataSection {
    /// `.data`.
    Data,
    /// `.data..ro_after_init`; the linker puts it into `.rodata`, between
    /// `__start_ro_after_init` and `__end_ro_after_init`, a module keeps it.
    RoAfterInit,
    /// `.data..read_mostly`; a linker puts it into `.data`, a module keeps it.
    ReadMostly,
    /// `__dyndbg`; a linker puts it into `.data`, a module keeps it.
    DynamicDebug,
    /// `.bss`: no bytes in the file.
    Bss,
}

/// Visibility of a symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// `STB_GLOBAL`.
    Global,
    /// `STB_LOCAL`, below the `STT_FILE` symbol of this source file.
    Local(String),
}

/// An object that holds one key, or an array of them.
#[derive(Debug, Clone)]
pub struct KeySpec {
    /// Name of the object's symbol.
    pub name: String,
    /// Its scope.
    pub scope: Scope,
    /// Its section.
    pub section: DataSection,
    /// Whether each key was defined true (`type`).
    pub initially_true: bool,
    /// `enabled` of each key.
    pub enabled: i32,
    /// Bytes from the object's start to its first key.
    pub offset: u64,
    /// Number of consecutive keys from there.
    pub count: u64,
    /// Bytes of the object (`st_size`).
    pub size: u64,
    /// The type of the object in the debug information, and its other members.
    pub variable: Option<VariableSpec>,
}

impl KeySpec {
    /// A global key in `.data`, defined false.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            scope: Scope::Global,
            section: DataSection::Data,
            initially_true: false,
            enabled: 0,
            offset: 0,
            count: 1,
            size: StaticKey::SIZE as u64,
            variable: None,
        }
    }

    /// A dynamic-debug descriptor, local to its file.
    #[must_use]
    pub fn dynamic_debug(name: &str, descriptor: Descriptor) -> Self {
        let (file, line) = (descriptor.filename.clone(), descriptor.lineno);
        let mut key = Self::new(name)
            .local_to(&file)
            .in_section(DataSection::DynamicDebug)
            .held_by(Holder::DynamicDebug(descriptor), &file);
        if let Some(variable) = &mut key.variable {
            variable.line = line;
        }
        key
    }

    /// Gives the object a type, which the unit of `file` defines at line 5, and the key the
    /// offset that this type gives it.
    #[must_use]
    pub fn held_by(mut self, holder: Holder, file: &str) -> Self {
        if self.count == 1 {
            (self.offset, self.size) = (holder.key_offset(), holder.size());
        }
        self.variable = Some(VariableSpec {
            holder,
            file: file.to_owned(),
            line: 5,
            declared_in: Vec::new(),
            by_specification: false,
        });
        self
    }

    /// Makes the unit of `file` declare the object.
    ///
    /// # Panics
    /// If the object has no type yet.
    #[must_use]
    pub fn declared_in(mut self, file: &str) -> Self {
        let variable = self.variable.as_mut().expect("held_by() comes first");
        variable.declared_in.push(file.to_owned());
        self
    }

    /// Describes the object by a declaration and a `DW_AT_specification` of it.
    ///
    /// # Panics
    /// If the object has no type yet.
    #[must_use]
    pub fn by_specification(mut self) -> Self {
        self.variable.as_mut().expect("held_by() comes first").by_specification = true;
        self
    }

    /// The strings that the object points to, by the offsets of its pointers.
    pub(crate) fn strings(&self) -> Vec<(u64, &str)> {
        let variable = self.variable.as_ref();
        variable.map_or_else(Vec::new, |variable| variable.holder.strings(&self.name))
    }

    /// Makes the symbol local to a source file.
    #[must_use]
    pub fn local_to(mut self, file: &str) -> Self {
        self.scope = Scope::Local(file.to_owned());
        self
    }

    /// Puts the object into another section.
    #[must_use]
    pub fn in_section(mut self, section: DataSection) -> Self {
        self.section = section;
        self
    }

    /// Defines the key true, and enables it once.
    #[must_use]
    pub fn initially_true(mut self) -> Self {
        self.initially_true = true;
        self.enabled = 1;
        self
    }

    /// Sets `enabled` alone.
    #[must_use]
    pub fn enabled(mut self, count: i32) -> Self {
        self.enabled = count;
        self
    }

    /// Puts the key `offset` bytes into an object of `size` bytes.
    #[must_use]
    pub fn interior(mut self, offset: u64, size: u64) -> Self {
        self.offset = offset;
        self.size = size;
        self
    }

    /// Makes the object an array of `count` keys.
    #[must_use]
    pub fn array(mut self, count: u64) -> Self {
        self.count = count;
        self.size = count * StaticKey::SIZE as u64;
        self
    }
}
