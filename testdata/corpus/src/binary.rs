//! The programs and libraries to fetch, and their Debian packages.

/// A real arm64 program or library of Debian 12, in its newest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Binary {
    /// SpiderMonkey, whose JIT synchronises by membarrier.
    Mozjs,
    /// LuaJIT.
    Luajit,
    /// The JIT of PHP.
    Opcache,
    /// The JIT of PCRE2.
    Pcre2,
    /// Closures.
    Ffi,
    /// Ruby 3.1, which has no JIT on arm64.
    Ruby,
    /// The compiler's run-time library, with `__clear_cache`.
    Gcc,
    /// QEMU, which links translated blocks by patching branches.
    Qemu,
}

impl Binary {
    /// Every program and library.
    pub const ALL: [Self; 8] = [
        Self::Mozjs,
        Self::Luajit,
        Self::Opcache,
        Self::Pcre2,
        Self::Ffi,
        Self::Ruby,
        Self::Gcc,
        Self::Qemu,
    ];

    /// Name on the command line and in the cache.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mozjs => "user-libmozjs",
            Self::Luajit => "user-libluajit",
            Self::Opcache => "user-opcache",
            Self::Pcre2 => "user-libpcre2",
            Self::Ffi => "user-libffi",
            Self::Ruby => "user-libruby",
            Self::Gcc => "user-libgcc",
            Self::Qemu => "user-qemu-system-aarch64",
        }
    }

    /// The program or library of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|binary| binary.name() == name)
    }

    /// The package that has it.
    #[must_use]
    pub fn package(self) -> &'static str {
        match self {
            Self::Mozjs => "libmozjs-102-0",
            Self::Luajit => "libluajit-5.1-2",
            Self::Opcache => "php8.2-opcache",
            Self::Pcre2 => "libpcre2-8-0",
            Self::Ffi => "libffi8",
            Self::Ruby => "libruby3.1",
            Self::Gcc => "libgcc-s1",
            Self::Qemu => "qemu-system-arm",
        }
    }

    /// Name of the file in the cache, without the version, which changes.
    pub(super) fn file_name(self) -> String {
        let name = self.name().trim_start_matches("user-");
        if self == Self::Qemu { name.to_owned() } else { format!("{name}.so") }
    }

    /// Pattern of tar for the file in its package, and for links to it.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Mozjs => "./usr/lib/aarch64-linux-gnu/libmozjs-102.so.*",
            Self::Luajit => "./usr/lib/aarch64-linux-gnu/libluajit-5.1.so.*",
            Self::Opcache => "./usr/lib/php/*/opcache.so",
            Self::Pcre2 => "./usr/lib/aarch64-linux-gnu/libpcre2-8.so.*",
            Self::Ffi => "./usr/lib/aarch64-linux-gnu/libffi.so.*",
            Self::Ruby => "./usr/lib/aarch64-linux-gnu/libruby-3.1.so.*",
            Self::Gcc => "./lib/aarch64-linux-gnu/libgcc_s.so.1",
            Self::Qemu => "./usr/bin/qemu-system-aarch64",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Image;

    #[test]
    fn names_lead_back_to_binaries_and_to_no_kernel() {
        for binary in Binary::ALL {
            assert_eq!(Binary::from_name(binary.name()), Some(binary));
            assert!(binary.name().starts_with("user-"), "{binary:?}");
            assert_eq!(Image::from_name(binary.name()), None);
            assert!(binary.member().starts_with("./"), "{binary:?}");
        }
        assert_eq!(Binary::from_name("libffi"), None);
        assert_eq!(Binary::Ffi.file_name(), "libffi.so");
        assert_eq!(Binary::Qemu.file_name(), "qemu-system-aarch64");
    }
}
