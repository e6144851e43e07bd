//! The objects that hold keys, by type: their description in the debug information, and their
//! members beside the key (include/linux/jump_label.h, tracepoint-defs.h and dynamic_debug.h,
//! Linux 6.12).

/// Type of the object that holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// `struct static_key_true`, or an array of them.
    StaticKeyTrue,
    /// `struct static_key_false`, or an array of them.
    StaticKeyFalse,
    /// `struct tracepoint`, cut down to `name` and `key`; the name is that of
    /// the symbol without `__tracepoint_`.
    Tracepoint,
    /// `struct _ddebug`.
    DynamicDebug(Descriptor),
}

/// The call that a dynamic-debug descriptor describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Module, or for built-in code the file's base name.
    pub modname: String,
    /// Function.
    pub function: String,
    /// Path of the source file.
    pub filename: String,
    /// Format string.
    pub format: String,
    /// Line, 18 bits.
    pub lineno: u32,
    /// Class, 6 bits.
    pub class_id: u8,
    /// Flags.
    pub flags: u8,
}

/// How debug information describes a key's object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VariableSpec {
    /// Type.
    pub holder: Holder,
    /// Source file whose unit defines it.
    pub file: String,
    /// Line of the definition.
    pub line: u32,
    /// Further source files whose units only declare it, without knowing its
    /// type's members.
    pub declared_in: Vec<String>,
    /// Whether the definition is an entry that refers to a declaration of the
    /// same unit by `DW_AT_specification`.
    pub by_specification: bool,
}

impl Holder {
    /// Bytes from the object's start to the key.
    #[must_use]
    pub fn key_offset(&self) -> u64 {
        match self {
            Self::StaticKeyTrue | Self::StaticKeyFalse => 0,
            Self::Tracepoint => 8,
            Self::DynamicDebug(_) => 40,
        }
    }

    /// Bytes of the object.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.key_offset() + 16
    }

    /// The strings that the object called `symbol` points to, by the offsets of
    /// its pointers.
    pub(crate) fn strings<'a>(&'a self, symbol: &'a str) -> Vec<(u64, &'a str)> {
        match self {
            Self::StaticKeyTrue | Self::StaticKeyFalse => Vec::new(),
            Self::Tracepoint => vec![(0, symbol.trim_start_matches("__tracepoint_"))],
            Self::DynamicDebug(d) => {
                vec![(0, &d.modname), (8, &d.function), (16, &d.filename), (24, &d.format)]
            }
        }
    }
}

impl Descriptor {
    /// Offset of the word that [`Descriptor::bits`] are in.
    pub(crate) const BITS_OFFSET: u64 = 32;

    /// `lineno:18`, `class_id:6` and `flags:8` as a word.  Bit-fields begin at
    /// the low end of a little-endian word and at the high end of a big-endian.
    pub(crate) fn bits(&self, big_endian: bool) -> u32 {
        let (line, class, flags) = (self.lineno, u32::from(self.class_id), u32::from(self.flags));
        assert!(line < 1 << 18 && class < 1 << 6, "the line or the class is too high");
        match big_endian {
            true => line << 14 | class << 8 | flags,
            false => line | class << 18 | flags << 24,
        }
    }
}
