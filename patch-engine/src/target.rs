//! The targets of a plan, and which of them an image has.

use jlctl_analyzer::image::Image;

/// The target of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// The image's file.
    File,
    /// A process that runs the image.
    Process,
    /// A running kernel that is the image or has loaded it.
    RunningKernel,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::File, Self::Process, Self::RunningKernel];

    /// Name in plans and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Process => "process",
            Self::RunningKernel => "running-kernel",
        }
    }
}

/// Whose code an image is: where it can run follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum World {
    /// The kernel and its modules.
    Kernel,
    /// A program or library.
    User,
}

impl World {
    /// The world of `image`.
    #[must_use]
    pub fn of(image: &Image<'_>) -> Self {
        if image.is_kernel() { Self::Kernel } else { Self::User }
    }

    /// The live target of an image of this world.
    #[must_use]
    pub const fn live(self) -> Target {
        match self {
            Self::Kernel => Target::RunningKernel,
            Self::User => Target::Process,
        }
    }

    /// Name in plans and reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::User => "user",
        }
    }
}
