//! An element of a function's body, and the encoding of its reference.

/// How an instruction holds the address that it refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// B and BL: 26 bits of words.
    Imm26,
    /// B.cond, CBZ, CBNZ and LDR (literal): 19 bits of words.
    Imm19,
    /// TBZ and TBNZ: 14 bits of words.
    Imm14,
    /// ADRP: 21 bits of pages.
    Page,
    /// ADR: 21 bits of bytes.
    Near,
    /// ADD after ADRP: the low 12 bits of the address.
    Low12,
    /// A load or store of a word after ADRP: the low 12 bits of the address, in words.
    Low12Word,
    /// ADRP of the symbol's entry in the GOT; only in a file that is not linked.
    GotPage,
    /// The load from the symbol's entry in the GOT; only in a file that is not linked.
    GotLow12,
}

/// An element of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Insn {
    /// A complete word.
    Word(u32),
    /// A word that refers to a label or a symbol.
    Refer {
        /// The word, in which the address is zero.
        word: u32,
        /// How it holds the address.
        form: Form,
        /// The label or symbol.
        to: String,
    },
    /// A name for the next element, of zero bytes.
    Label(String),
    /// The eight bytes of an address, in the middle of code.
    Quad(String),
    /// A site of the jump table: a NOP, or a B if `jumps`.
    Site {
        /// The target.
        to: String,
        /// Whether it holds a B.
        jumps: bool,
    },
}

impl Insn {
    /// Bytes in the section.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Label(_) => 0,
            Self::Quad(_) => 8,
            Self::Word(_) | Self::Refer { .. } | Self::Site { .. } => 4,
        }
    }
}

/// A piece of code; [`super::asm`] has the instructions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Code(pub(crate) Vec<Insn>);

impl Code {
    /// Its elements, in order.
    #[must_use]
    pub fn insns(&self) -> &[Insn] {
        &self.0
    }

    pub(crate) fn word(word: u32) -> Self {
        Self(vec![Insn::Word(word)])
    }

    pub(crate) fn refer(word: u32, form: Form, to: &str) -> Self {
        Self(vec![Insn::Refer { word, form, to: to.to_owned() }])
    }
}

/// Several pieces, one after another.
#[must_use]
pub fn code<const N: usize>(parts: [Code; N]) -> Code {
    Code(parts.into_iter().flat_map(|part| part.0).collect())
}

/// `word` at address `at`, with a reference to `to` encoded.
///
/// # Panics
/// If `to` is out of range.
#[must_use]
pub fn refer(word: u32, form: Form, at: u64, to: u64) -> u32 {
    let distance = to.wrapping_sub(at).cast_signed();
    let field = |value: i64, bits: u32| {
        let limit = 1_i64 << (bits - 1);
        assert!((-limit..limit).contains(&value), "{word:#x} at {at:#x} cannot reach {to:#x}");
        u32::try_from(value & ((1 << bits) - 1)).expect("the mask leaves few bits")
    };
    let words = || {
        assert!(distance % 4 == 0, "{to:#x} is not aligned to an instruction");
        distance >> 2
    };
    // ADR and ADRP: immhi in the bits 23 to 5, immlo in the bits 30 and 29.
    let split = |imm: u32| (imm & 3) << 29 | (imm >> 2) << 5;
    word | match form {
        Form::Imm26 => field(words(), 26),
        Form::Imm19 => field(words(), 19) << 5,
        Form::Imm14 => field(words(), 14) << 5,
        Form::Page => split(field((to & !0xfff).wrapping_sub(at & !0xfff).cast_signed() >> 12, 21)),
        Form::Near => split(field(distance, 21)),
        Form::Low12 => u32::try_from(to & 0xfff).expect("twelve bits") << 10,
        Form::Low12Word => u32::try_from(to >> 2 & 0x3ff).expect("ten bits") << 10,
        Form::GotPage | Form::GotLow12 => panic!("{word:#x} at {at:#x} needs a linker"),
    }
}
