//! Sites: a branch that is one NOP or one jump, and an entry in the jump table of its object.
//!
//! The entry has the kernel's self-relative layout, so that one reader serves kernels and
//! programs and no relocation is left for the dynamic linker.  It follows that a key and its
//! sites lie in one executable or shared object.  Each site guards against three effects of
//! linkers:
//!
//! * The section's `o` flag ties an entry to its function, so that `--gc-sections` keeps or
//!   drops both together.  (The C header adds `?`, which drops the entry with the copies of an
//!   inline function or a C++ template.)
//! * A relocation of type NONE from the site to the key keeps identical-code folding from
//!   merging functions that differ only in their keys.
//! * The bounds of the table are symbols that the linker defines, weak and hidden.
//!
//! The bounds of a table are known only in its own object, and the runtime may be in another
//! object (a Rust `dylib`).  Therefore the object that defines a key registers its table: the
//! macros that define keys emit a constructor for each key, and the C header one for each
//! file.  The runtime counts a table once.

/// Defines a static key that is initially off.
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

/// Defines a static key that is initially on.
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

/// Makes the object that defines a key, and so contains its sites, register its table.
///
/// The runtime's own constructor registers the table of the object that contains the runtime,
/// which is another object in a program that links Rust libraries dynamically.
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

/// Whether a static key is on, for a key that is mostly on: the code for *on* is the
/// fall-through path.
///
/// The argument is the path of a static that
/// [`define_static_key_false!`](crate::define_static_key_false) or
/// [`define_static_key_true!`](crate::define_static_key_true) defines.  Any other expression is
/// an error, since the address of the key must be known to the linker:
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
    // The jump of the site leads to the code for *off*.
    ($key:path) => {
        !$crate::__jump_label_site!($key, 1)
    };
}

/// Whether a static key is on, for a key that is mostly off: the code for *off* is the
/// fall-through path.
///
/// The type of the key must state what its sites are compiled for, so that any other static is
/// an error:
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
    // The jump of the site leads to the code for *on*.
    ($key:path) => {
        $crate::__jump_label_site!($key, 0)
    };
}

/// Whether the sites of a key with the sense `branch` are compiled to a jump: 0 or 1, for the
/// assembler.
#[doc(hidden)]
#[must_use]
pub const fn starts_as_jump<K: crate::TypedKey>(_key: &K, branch: u8) -> u8 {
    K::INITIALLY_ENABLED as u8 ^ branch
}

/// One site: true if it jumps.
#[doc(hidden)]
#[macro_export]
macro_rules! __jump_label_site {
    ($key:path, $branch:literal) => {
        'site: {
            // SAFETY: the site touches no register, no flag and no memory.  While it is a NOP
            // it falls through, and the jump that replaces the NOP leads to the label.
            #[allow(clippy::undocumented_unsafe_blocks, reason = "the comment is in the macro")]
            unsafe {
                $crate::__jump_label_asm!($key, $branch, { break 'site true });
            }
            false
        }
    };
}

/// The assembly that all architectures share: the guard against folding, and the entry.
///
/// `.set` gives the site a name that the next site redefines.  The section's `o` flag requires
/// a named symbol and accepts no local label.
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

/// NOP or JMP of five bytes that cross no boundary of eight bytes, so that one store changes
/// them.  The assembler inserts one NOP of at most four bytes where it is needed for that.
#[cfg(target_arch = "x86_64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __jump_label_asm {
    ($key:path, $branch:literal, $jumped:block) => {
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
            target = label $jumped,
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
    ($key:path, $branch:literal, $jumped:block) => {
        ::core::arch::asm!(
            "2:",
            ".if {jumps}",
            "b {target}",
            ".else",
            "nop",
            ".endif",
            $crate::__jump_label_entry!("R_AARCH64_NONE"),
            key = sym $key,
            target = label $jumped,
            branch = const $branch,
            jumps = const $crate::starts_as_jump(&$key, $branch),
            options(nomem, nostack, preserves_flags)
        )
    };
}

/// NOP or JAL of four bytes, aligned, which the linker must not shorten.  The alignment
/// precedes `norelax`, so that it holds after the linker has relaxed the code before the site.
#[cfg(target_arch = "riscv64")]
#[doc(hidden)]
#[macro_export]
macro_rules! __jump_label_asm {
    ($key:path, $branch:literal, $jumped:block) => {
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
            target = label $jumped,
            branch = const $branch,
            jumps = const $crate::starts_as_jump(&$key, $branch),
            options(nomem, nostack, preserves_flags)
        )
    };
}
