//! Static keys and the objects that hold them.

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
    /// How many keys follow each other from there.
    pub count: u64,
    /// Bytes of the object (`st_size`).
    pub size: u64,
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
        }
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
