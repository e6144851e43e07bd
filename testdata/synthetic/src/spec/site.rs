//! Sites: one patched instruction and its table entry.

use super::address::AddressExpr;

/// Branch sense of a site (bit 0 of the entry's key word).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// 0.
    Unlikely,
    /// 1.
    Likely,
}

/// The instruction at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SiteInsn {
    /// The instruction that the key's initial state requires, as a compiler emits it.
    Initial,
    /// This little-endian word, independent of the state; in a 2-byte site its low half.
    Word(u32),
    /// A jump from the site to another displacement from it.
    JumpBy(i64),
}

/// An inline function between the asm wrapper and the real function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineFrame {
    /// Name of the inline function.
    pub function: String,
    /// Path of the file that declares it.
    pub file: String,
    /// Line of its declaration; its call is three lines below.
    pub line: u32,
}

/// A site.
#[derive(Debug, Clone)]
pub struct SiteSpec {
    /// Address of the patched instruction.
    pub code: AddressExpr,
    /// Address that a JMP goes to.
    pub target: AddressExpr,
    /// Address of the key.
    pub key: AddressExpr,
    /// Branch sense.
    pub branch: Branch,
    /// Bit 1 of the entry's key word.
    pub init: bool,
    /// The instruction at `code`.
    pub insn: SiteInsn,
    /// Whether the site has the short form of its machine: on x86_64 2 bytes instead of 5; the
    /// other machines have no short form.
    pub short: bool,
    /// Line of the site in the function's file; by default it grows with the
    /// distance from the function's start.
    pub line: Option<u32>,
    /// Inline functions around the asm wrapper, outermost first.
    pub inlined: Vec<InlineFrame>,
}

impl SiteSpec {
    /// An unlikely branch at `code` to `target` on `key`, in its initial state.
    #[must_use]
    pub fn new(
        code: impl Into<AddressExpr>,
        target: impl Into<AddressExpr>,
        key: impl Into<AddressExpr>,
    ) -> Self {
        Self {
            code: code.into(),
            target: target.into(),
            key: key.into(),
            branch: Branch::Unlikely,
            init: false,
            insn: SiteInsn::Initial,
            short: false,
            line: None,
            inlined: Vec::new(),
        }
    }

    /// Makes the branch likely.
    #[must_use]
    pub fn likely(mut self) -> Self {
        self.branch = Branch::Likely;
        self
    }

    /// Sets the init bit of the entry.
    #[must_use]
    pub fn init(mut self) -> Self {
        self.init = true;
        self
    }

    /// Gives the site the 2-byte form of x86_64.
    #[must_use]
    pub fn short(mut self) -> Self {
        self.short = true;
        self
    }

    /// Puts this word at the site.
    #[must_use]
    pub fn word(mut self, word: u32) -> Self {
        self.insn = SiteInsn::Word(word);
        self
    }

    /// Puts a jump at the site that goes `bytes` from it.
    #[must_use]
    pub fn jump_by(mut self, bytes: i64) -> Self {
        self.insn = SiteInsn::JumpBy(bytes);
        self
    }

    /// Sets the line of the site in the function's file.
    #[must_use]
    pub fn at_line(mut self, line: u32) -> Self {
        self.line = Some(line);
        self
    }

    /// Inlines the wrapper through `function`, declared at `file:line`.
    #[must_use]
    pub fn inlined_from(mut self, function: &str, file: &str, line: u32) -> Self {
        self.inlined.push(InlineFrame {
            function: function.to_owned(),
            file: file.to_owned(),
            line,
        });
        self
    }
}
