//! Sites: a branch that is one NOP or one jump, and an entry in this object's jump table.
//!
//! The entry is the kernel's, relative to itself, so that no relocation is left for the
//! dynamic linker and `jlctl` reads it with the same code.  Three traps of linkers are seen
//! to at each site:
//!
//! * The section's `o` flag ties an entry to its function: both are kept or dropped together
//!   by `--gc-sections`.
//! * A relocation of type NONE from the site to the key keeps identical-code folding from
//!   merging functions that differ in nothing but their keys.
//! * The bounds of the table are symbols that the linker makes, weak and hidden.

/// Defines a static key that is off to begin with.
///
/// ```
/// jlctl_shim::define_static_key_false!(
///     /// Whether requests are traced.
///     pub static TRACE
/// );
/// assert!(!TRACE.is_enabled());
/// ```
#[macro_export]
macro_rules! define_static_key_false {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident) => {
        $(#[$attribute])*
        $visibility static $name: $crate::StaticKeyFalse = $crate::StaticKeyFalse::new();
        $crate::__jump_label_object!();
    };
}

/// Defines a static key that is on to begin with.
///
/// ```
/// jlctl_shim::define_static_key_true!(static CHECKS);
/// assert!(CHECKS.is_enabled());
/// ```
#[macro_export]
macro_rules! define_static_key_true {
    ($(#[$attribute:meta])* $visibility:vis static $name:ident) => {
        $(#[$attribute])*
        $visibility static $name: $crate::StaticKeyTrue = $crate::StaticKeyTrue::new();
        $crate::__jump_label_object!();
    };
}

/// Has the object that defines a key, and so has its sites, register its table.
///
/// The runtime's own constructor does the same for the object that the runtime is in.  In a
/// program whose Rust libraries are linked dynamically that is another one.
#[doc(hidden)]
#[macro_export]
macro_rules! __jump_label_object {
    () => {
        const _: () = {
            static OBJECT: $crate::Object = $crate::Object::new();
            extern "C" fn attach() {
                $crate::attach(&OBJECT);
            }
            extern "C" fn detach() {
                $crate::detach(&OBJECT);
            }
            #[used]
            #[unsafe(link_section = ".init_array.00101")]
            static CONSTRUCTOR: extern "C" fn() = attach;
            #[used]
            #[unsafe(link_section = ".fini_array.00101")]
            static DESTRUCTOR: extern "C" fn() = detach;
        };
    };
}

/// Whether a static key is on, where it mostly is: the code for *on* is the straight way.
///
/// The argument is the path of a static that
/// [`define_static_key_false!`](crate::define_static_key_false) or
/// [`define_static_key_true!`](crate::define_static_key_true) defines.  Nothing else will do,
/// since the linker has to know its address:
///
/// ```compile_fail
/// fn f(key: &'static jlctl_shim::StaticKeyTrue) -> bool {
///     jlctl_shim::static_branch_likely!(key)
/// }
/// ```
///
/// ```
/// use jlctl_shim::{define_static_key_true, static_branch_likely};
/// define_static_key_true!(static CHECKS);
/// fn checked(value: u32) -> Option<u32> {
///     if static_branch_likely!(CHECKS) && value == 0 { None } else { Some(value) }
/// }
/// assert_eq!(checked(0), None);
/// CHECKS.disable()?;
/// assert_eq!(checked(0), Some(0));
/// # Ok::<(), jlctl_shim::Error>(())
/// ```
#[macro_export]
macro_rules! static_branch_likely {
    // A site's jump leads to the way of *off*.
    ($key:path) => {
        !$crate::__jump_label_site!($key, 1)
    };
}

/// Whether a static key is on, where it mostly is not: the code for *off* is the straight
/// way.
///
/// A key that is defined by hand is none, as its type does not say what its sites are
/// compiled for:
///
/// ```compile_fail
/// static COUNT: u64 = 0;
/// fn f() -> bool {
///     jlctl_shim::static_branch_unlikely!(COUNT)
/// }
/// ```
///
/// ```
/// use jlctl_shim::{define_static_key_false, static_branch_unlikely};
/// define_static_key_false!(static TRACE);
/// fn work() -> &'static str {
///     if static_branch_unlikely!(TRACE) { "traced" } else { "done" }
/// }
/// assert_eq!(work(), "done");
/// TRACE.enable()?;
/// assert_eq!(work(), "traced");
/// # Ok::<(), jlctl_shim::Error>(())
/// ```
#[macro_export]
macro_rules! static_branch_unlikely {
    // A site's jump leads to the way of *on*.
    ($key:path) => {
        $crate::__jump_label_site!($key, 0)
    };
}

/// Whether the sites of `key` with the sense `branch` start as a jump, for the assembler.
#[doc(hidden)]
#[must_use]
pub const fn starts_as_jump<K: crate::TypedKey>(_key: &K, branch: u8) -> u8 {
    K::INITIALLY_ENABLED as u8 ^ branch
}

/// One site: true where it jumped.
#[doc(hidden)]
#[macro_export]
macro_rules! __jump_label_site {
    ($key:path, $branch:literal) => {
        'site: {
            // SAFETY: the site touches no register, no flag and no memory.  While it is a NOP
            // it falls through, and the jump that takes its place leads to the label.
            #[allow(clippy::undocumented_unsafe_blocks, reason = "the macro's own")]
            unsafe {
                $crate::__jump_label_asm!($key, $branch, { break 'site true });
            }
            false
        }
    };
}

/// What all architectures have in common: the guard against folding, and the entry.
///
/// `.set` gives the site a name that may be given anew at the next site; the section's `o`
/// flag wants a name and takes no local label.
#[doc(hidden)]
#[macro_export]
macro_rules! __jump_label_entry {
    ($none:literal) => {
        concat!(
            ".reloc 2b, ",
            $none,
            ", {key}\n",
            ".set .Ljlctl_site, 2b\n",
            ".pushsection __jump_table, \"ao\", %progbits, .Ljlctl_site\n",
            ".balign 8\n",
            ".long 2b - .\n",
            ".long {target} - .\n",
            ".quad {key} + {branch} - .\n",
            ".popsection"
        )
    };
}

/// NOP or JMP of five bytes that cross no boundary of eight, so that one store changes them:
/// where it must, the assembler puts one NOP of at most four bytes before them.
#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __jump_label_asm {
    ($key:path, $branch:literal, $way:block) => {
        ::core::arch::asm!(
            ".p2align 3, , 4",
            "2:",
            ".if {jumps}",
            ".byte 0xe9",
            ".long {target} - . - 4",
            ".else",
            ".byte 0x0f, 0x1f, 0x44, 0x00, 0x00",
            ".endif",
            $crate::__jump_label_entry!("R_X86_64_NONE"),
            key = sym $key,
            target = label $way,
            branch = const $branch,
            jumps = const $crate::starts_as_jump(&$key, $branch),
            options(nomem, nostack, preserves_flags)
        )
    };
}

/// NOP or B.
#[cfg(target_arch = "aarch64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __jump_label_asm {
    ($key:path, $branch:literal, $way:block) => {
        ::core::arch::asm!(
            "2:",
            ".if {jumps}",
            "b {target}",
            ".else",
            "nop",
            ".endif",
            $crate::__jump_label_entry!("R_AARCH64_NONE"),
            key = sym $key,
            target = label $way,
            branch = const $branch,
            jumps = const $crate::starts_as_jump(&$key, $branch),
            options(nomem, nostack, preserves_flags)
        )
    };
}

/// NOP or JAL of four bytes, aligned, which the linker does not make shorter.  The alignment
/// comes before `norelax`, so that it survives what the linker relaxes before the site.
#[cfg(target_arch = "riscv64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __jump_label_asm {
    ($key:path, $branch:literal, $way:block) => {
        ::core::arch::asm!(
            ".balign 4",
            ".option push",
            ".option norelax",
            ".option norvc",
            "2:",
            ".if {jumps}",
            "jal x0, {target}",
            ".else",
            "nop",
            ".endif",
            ".option pop",
            $crate::__jump_label_entry!("R_RISCV_NONE"),
            key = sym $key,
            target = label $way,
            branch = const $branch,
            jumps = const $crate::starts_as_jump(&$key, $branch),
            options(nomem, nostack, preserves_flags)
        )
    };
}
