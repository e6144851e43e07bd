//! Reasons why a key cannot be flipped: one definition for the planner, which refuses, the checker,
//! which demands the refusal, and the commands that apply a plan.

use crate::target::{Target, World};

/// A reason against flipping a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The file is a container; the image inside has no bytes of its own in the file.
    Container,
    /// A patched module does not match its signature.
    Signed,
    /// No image of the plan defines the key.
    Elsewhere,
    /// The key is in no data section, or is cut off.
    KeyUnreadable,
    /// `enabled` is above one or negative: several users hold a reference to the key, or a flip is in progress
    /// (`kernel/jump_label.c`, Linux 6.12, static_key_disable).
    Count,
    /// The key is in a NOBITS section: the file has no bytes of it, and it is zero when the image
    /// starts.
    ZeroFilled,
    /// The kernel makes the key read-only once it has booted
    /// (`include/linux/cache.h`, Linux 6.12, __ro_after_init).
    ReadOnlyAfterInit,
    /// The key is in memory that a process cannot write.
    ReadOnly,
    /// A relocation applies to the key's word, which the loader overwrites.
    KeyRelocated,
    /// A site is in no executable section.
    NotExecutable,
    /// A site has no bytes in the file.
    NoBytes,
    /// A site holds neither a NOP nor a branch to its target.
    UnexpectedBytes,
    /// A site belongs to several keys: identical code was folded.
    SharedSite,
    /// A site overlaps another one.
    Overlap,
    /// The branch of a site has no encoding.
    Unencodable,
    /// A relocation applies to a site, which the loader overwrites.
    SiteRelocated,
    /// A branch to another section of a module needs a relocation, which a change of bytes cannot
    /// add.
    OtherSection,
    /// The kernel patches a module's sites itself when it loads the module, and on x86 a site that
    /// is not as it was built is a fatal error (`arch/x86/kernel/jump_label.c`, Linux 6.12,
    /// __jump_label_patch).
    LoaderVerifies,
}

/// An option that lifts a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Waiver {
    /// Patch the sites although the key cannot follow.
    SitesOnly,
    /// Cut the signature off, or keep it although it becomes invalid.
    Signature,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::Container,
        Self::Signed,
        Self::Elsewhere,
        Self::KeyUnreadable,
        Self::Count,
        Self::ZeroFilled,
        Self::ReadOnlyAfterInit,
        Self::ReadOnly,
        Self::KeyRelocated,
        Self::NotExecutable,
        Self::NoBytes,
        Self::UnexpectedBytes,
        Self::SharedSite,
        Self::Overlap,
        Self::Unencodable,
        Self::SiteRelocated,
        Self::OtherSection,
        Self::LoaderVerifies,
    ];

    /// The code in plans.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Signed => "signed",
            Self::Elsewhere => "elsewhere",
            Self::KeyUnreadable => "key-unreadable",
            Self::Count => "count",
            Self::ZeroFilled => "zero-filled",
            Self::ReadOnlyAfterInit => "read-only-after-init",
            Self::ReadOnly => "read-only",
            Self::KeyRelocated => "key-relocated",
            Self::NotExecutable => "not-executable",
            Self::NoBytes => "no-bytes",
            Self::UnexpectedBytes => "unexpected-bytes",
            Self::SharedSite => "shared-site",
            Self::Overlap => "overlap",
            Self::Unencodable => "unencodable",
            Self::SiteRelocated => "site-relocated",
            Self::OtherSection => "other-section",
            Self::LoaderVerifies => "loader-verifies",
        }
    }

    /// The targets that the reason concerns, for an image of `world`.
    #[must_use]
    pub fn targets(self, world: World) -> Vec<Target> {
        match self {
            Self::Container
            | Self::Signed
            | Self::ZeroFilled
            | Self::KeyRelocated
            | Self::SiteRelocated
            | Self::OtherSection
            | Self::LoaderVerifies => vec![Target::File],
            Self::ReadOnlyAfterInit => vec![Target::RunningKernel],
            Self::ReadOnly => vec![Target::Process],
            Self::Elsewhere
            | Self::KeyUnreadable
            | Self::Count
            | Self::NotExecutable
            | Self::NoBytes
            | Self::UnexpectedBytes
            | Self::SharedSite
            | Self::Overlap
            | Self::Unencodable => vec![Target::File, world.live()],
        }
    }

    /// Whether the reason concerns every target, so that the plan has no ops for the key.
    #[must_use]
    pub fn is_total(self, world: World) -> bool {
        self.targets(world).len() == 2
    }

    /// The waiver that lifts the reason for a file, if there is one.
    #[must_use]
    pub const fn waiver(self) -> Option<Waiver> {
        match self {
            Self::ZeroFilled => Some(Waiver::SitesOnly),
            Self::Signed => Some(Waiver::Signature),
            _ => None,
        }
    }

    /// The reason in words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Container => {
                "the image is compressed or wrapped, and has no bytes of its own in this file: unpack the image and plan for that"
            }
            Self::Signed => {
                "the module is signed, and a patched one does not match its signature: a kernel that demands signatures refuses to load it; apply takes --drop-signature or --keep-broken-signature"
            }
            Self::Elsewhere => {
                "no image of the plan defines the key, so that its state and its other sites are unknown: plan with the image that defines it"
            }
            Self::KeyUnreadable => "the key's bytes are in no data section",
            Self::Count => {
                "`enabled` is neither 0 nor 1: several users hold a reference to the key, or a flip is in progress, and setting it would lose their counts"
            }
            Self::ZeroFilled => {
                "the key is in a section without bytes in the file and is 0 when the image starts: the code and the count would disagree; apply --sites-only patches the code alone"
            }
            Self::ReadOnlyAfterInit => {
                "the kernel makes the key read-only once it has booted: it can be flipped in the file, not while the kernel runs"
            }
            Self::ReadOnly => "the key is in memory that the program cannot write",
            Self::KeyRelocated => {
                "a relocation applies to the key, so that the loader overwrites its bytes in the file"
            }
            Self::NotExecutable => "site in no executable section",
            Self::NoBytes => "site without bytes in the file",
            Self::UnexpectedBytes => "site with neither a NOP nor a branch to its target",
            Self::SharedSite => {
                "site of several keys (identical code was folded): flipping one would flip the others"
            }
            Self::Overlap => "site that overlaps another site",
            Self::Unencodable => "site whose branch has no encoding",
            Self::SiteRelocated => {
                "site with a relocation, so that the loader overwrites its bytes in the file"
            }
            Self::OtherSection => {
                "site whose target is in another section: the branch needs a relocation that the file does not have"
            }
            Self::LoaderVerifies => {
                "the kernel patches a module's sites when it loads the module, and on x86 stops with a fatal error if a site is not as it was built: flip the key in the file that defines it, or in the running kernel"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_targets_are_of_the_world() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            for world in [World::Kernel, World::User] {
                let targets = reason.targets(world);
                assert!(!targets.is_empty(), "{reason:?}");
                assert_eq!(
                    reason.is_total(world),
                    targets.contains(&world.live()) && targets.contains(&Target::File),
                    "{reason:?}"
                );
            }
        }
    }
}
