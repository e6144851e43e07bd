//! A test case of the lint.

use crate::code::Program;

/// A finding: code of the rule, level, and the function that contains the patch, or the
/// location to which the rule applies.
pub type Expected = (&'static str, &'static str, &'static str);

/// An image and every finding that the lint must report for it.
#[derive(Debug, Clone)]
pub struct LintCase {
    /// Name; the sound twin has the same name followed by [`FIXED`].
    pub name: String,
    /// The property that it shows, or the mistake that an analysis may make.
    pub trap: &'static str,
    /// The image.
    pub bytes: Vec<u8>,
    /// For a module: the kernel that is analysed with it. The findings are those of both files;
    /// the root of a finding in the module is the function that calls into the kernel.
    pub kernel: Option<Vec<u8>>,
    /// All findings, unordered; empty if the image is sound.
    pub expected: Vec<Expected>,
}

/// The suffix of the names of sound twins.
pub const FIXED: &str = "-fixed";

impl LintCase {
    /// A case without a separate kernel.
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

    /// Whether the lint must report no finding.
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

/// A program in which only a wrong analysis reports a finding.
pub(super) fn sound(name: &str, trap: &'static str, program: &Program) -> LintCase {
    LintCase::new(name, trap, program, &[])
}
