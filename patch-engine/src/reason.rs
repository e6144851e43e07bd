//! Why a key cannot be flipped somewhere: one definition for the planner, which
//! refuses, the checker, which demands that it did, and those who apply.

use crate::target::{Target, World};

/// What stands against flipping a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// The file is a container; the image in it has no bytes of its own.
    Container,
    /// A patched module does not match its signature.
    Signed,
    /// The key lives in an image that is not there.
    Elsewhere,
    /// The key is in no data section, or cut off.
    KeyUnreadable,
    /// `enabled` is above one, or negative: others count on the key, or a flip is
    /// under way (`kernel/jump_label.c`, Linux 6.12, static_key_disable).
    Count,
    /// The key is in a NOBITS section: the file has no bytes of it, and it is
    /// cleared when the image starts.
    ZeroFilled,
    /// The kernel makes the key read-only once it has booted
    /// (`include/linux/cache.h`, Linux 6.12, __ro_after_init).
    ReadOnlyAfterInit,
    /// The key is in memory that a process cannot write.
    ReadOnly,
    /// The loader writes the key's word: a relocation lies on it.
    KeyRelocated,
    /// A site is in no executable section.
    NotExecutable,
    /// A site has no bytes in the file.
    NoBytes,
    /// A site holds neither a NOP nor a branch to its target.
    UnexpectedBytes,
    /// A site belongs to several keys: identical code was folded.
    SharedSite,
    /// A site lies over another one.
    Overlap,
    /// The branch that a site should hold has no encoding.
    Unencodable,
    /// The loader writes a site: a relocation lies on it.
    SiteRelocated,
    /// A branch to another section of a module takes a relocation, which cannot be
    /// added by changing bytes.
    OtherSection,
    /// The kernel patches a module's sites itself as it loads the module, and on x86
    /// takes it for a fatal error if one is not as it was built
    /// (`arch/x86/kernel/jump_label.c`, Linux 6.12, __jump_label_patch).
    LoaderVerifies,
}

/// What on the command line lifts a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Waiver {
    /// Patch the sites though the key cannot follow.
    SitesOnly,
    /// Cut the signature off, or leave it as it is.
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

    /// Code in plans.
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

    /// The targets that it concerns, of an image of `world`.
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

    /// Whether it stands against every target, so that the plan has no ops for the
    /// key.
    #[must_use]
    pub fn is_total(self, world: World) -> bool {
        self.targets(world).len() == 2
    }

    /// What lifts it when a file is patched, if anything does.
    #[must_use]
    pub const fn waiver(self) -> Option<Waiver> {
        match self {
            Self::ZeroFilled => Some(Waiver::SitesOnly),
            Self::Signed => Some(Waiver::Signature),
            _ => None,
        }
    }

    /// What it comes to, for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Container => {
                "the image is compressed or wrapped, and has no bytes of its own in this file: unpack it and plan for what was inside"
            }
            Self::Signed => {
                "the module is signed, and a patched one does not match its signature: a kernel that demands signatures refuses to load it; apply takes --drop-signature or --keep-broken-signature"
            }
            Self::Elsewhere => {
                "the key lives in another image, so that its state and its other sites are not known: plan with the image that defines it"
            }
            Self::KeyUnreadable => "the key's bytes are in no data section",
            Self::Count => {
                "`enabled` is neither 0 nor 1: several users count on the key, or a flip is under way, and setting it would lose that"
            }
            Self::ZeroFilled => {
                "the key is in a section without bytes in the file and is 0 when the image starts: the code would say one thing and the counter another; apply --sites-only patches the code alone"
            }
            Self::ReadOnlyAfterInit => {
                "the kernel makes the key read-only once it has booted: it can be flipped in the file, not while the kernel runs"
            }
            Self::ReadOnly => "the key is in memory that the program cannot write",
            Self::KeyRelocated => {
                "a relocation lies on the key, so that the loader overwrites what the file says"
            }
            Self::NotExecutable => "site in no executable section",
            Self::NoBytes => "site without bytes in the file",
            Self::UnexpectedBytes => "site with neither a NOP nor a branch to its target",
            Self::SharedSite => {
                "site of several keys (identical code was folded): flipping one would flip the others"
            }
            Self::Overlap => "site over another site",
            Self::Unencodable => "site whose branch has no encoding",
            Self::SiteRelocated => {
                "site with a relocation on it, so that the loader overwrites what the file says"
            }
            Self::OtherSection => {
                "site whose target is in another section: the branch takes a relocation that the file does not have"
            }
            Self::LoaderVerifies => {
                "the kernel patches a module's sites as it loads it, and on x86 stops with a fatal error if one is not as it was built: flip the key in the file that defines it, or in the running kernel"
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
