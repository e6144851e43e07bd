//! What a fixture of the lint is.

use crate::code::Program;

/// A finding: code of the rule, level, and the function that holds the patch, or
/// the place that the rule is about.
pub type Expected = (&'static str, &'static str, &'static str);

/// An image and all that the lint must find in it.
#[derive(Debug, Clone)]
pub struct LintCase {
    /// Name; that of the sound twin is the same with [`FIXED`] behind it.
    pub name: String,
    /// What it shows, or how an analysis may go wrong on it.
    pub trap: &'static str,
    /// The image.
    pub bytes: Vec<u8>,
    /// For a module: the kernel that it is looked at with; the findings are then those of
    /// both files; in the module, the root is what calls into the kernel.
    pub kernel: Option<Vec<u8>>,
    /// All findings, in no order; empty if the image is sound.
    pub expected: Vec<Expected>,
}

/// What the names of sound twins end in.
pub const FIXED: &str = "-fixed";

impl LintCase {
    /// A case without a kernel beside it.
    pub(super) fn new(
        name: &str,
        trap: &'static str,
        program: &Program,
        expected: &[Expected],
    ) -> Self {
        Self {
            name: name.to_owned(),
            trap,
            bytes: program.build(),
            kernel: None,
            expected: expected.to_vec(),
        }
    }

    /// Whether there is nothing to find.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.expected.is_empty()
    }
}

/// A program with a finding and its sound twin.
pub(super) fn pair(
    name: &str,
    trap: &'static str,
    expected: Expected,
    buggy: &Program,
    fixed: &Program,
) -> [LintCase; 2] {
    [
        LintCase::new(name, trap, buggy, &[expected]),
        LintCase::new(&format!("{name}{FIXED}"), trap, fixed, &[]),
    ]
}

/// A program in which only a wrong analysis finds something.
pub(super) fn sound(name: &str, trap: &'static str, program: &Program) -> LintCase {
    LintCase::new(name, trap, program, &[])
}
