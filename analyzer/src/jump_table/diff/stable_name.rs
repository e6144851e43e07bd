//! The part of a name that survives a rebuild.
//!
//! Compilers and the kernel's macros number the names that they generate, and the numbers
//! change with every edit of a file.  Names are compared without:
//!
//! - `.N` after a static variable of a function (`___once_key.4`, `descriptor.12`), and the
//!   suffixes of gcc and clang: `.cold`, `.part.N`, `.isra.N`, `.constprop.N`, `.localalias`,
//!   `.lto_priv.N`, `.llvm.N`;
//! - the prefixes of system calls, which depend on the architecture;
//! - the counter of `__UNIQUE_ID_` (include/linux/compiler.h): `__UNIQUE_ID_ddebug419` is
//!   compared as `__UNIQUE_ID_ddebug`.

/// Most words of a name that are compared: names from a file can have any length.
const MAX_WORDS: usize = 12;

/// Suffixes that compilers give to parts and copies of a function or object.
const SUFFIXES: [&str; 8] =
    ["cold", "part", "isra", "constprop", "localalias", "lto_priv", "llvm", "clone"];

const UNIQUE_ID: &str = "__UNIQUE_ID_";

/// The parts of a key's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameParts<'a> {
    /// The file that qualifies the symbol, as in `net/core/dev.c:symbol`.
    pub file: Option<&'a str>,
    /// The object that holds the key, without numbering; empty if the name is an address.
    pub holder: &'a str,
    /// The location in that object: `+0x8`, `.key`, `[5]`, or empty.
    pub path: &'a str,
    /// Whether numbering was removed: the rest of the name does not identify the key.
    pub is_numbered: bool,
}

impl<'a> NameParts<'a> {
    /// Splits a name into its parts.
    #[must_use]
    pub fn parse(text: &'a str) -> Self {
        if text.starts_with("0x") {
            return Self { file: None, holder: "", path: text, is_numbered: true };
        }
        let (file, name) = split_file(text);
        let (symbol, path) = name.split_at(path_start(name));
        let holder = without_numbering(symbol);
        Self { file, holder, path, is_numbered: holder.len() < symbol.len() }
    }
}

fn split_file(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((file, name)) if file.contains(['.', '/']) && !name.starts_with(':') => {
            (Some(file), name)
        }
        _ => (None, text),
    }
}

/// The end of the symbol and the start of the path into the object.
fn path_start(name: &str) -> usize {
    // A section, not a symbol: `.data..ro_after_init+0x8`.
    if name.starts_with('.') {
        return name.find('+').unwrap_or(name.len());
    }
    let mut from = 0;
    while let Some(at) = name[from..].find(['.', '+', '[']).map(|at| from + at) {
        let rest = &name[at + 1..];
        let token = &rest[..rest.find(['.', '+', '[']).unwrap_or(rest.len())];
        if !name[at..].starts_with('.') || !is_suffix(token) {
            return at;
        }
        from = at + 1;
    }
    name.len()
}

fn is_suffix(token: &str) -> bool {
    let is_number = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_digit());
    is_number || SUFFIXES.contains(&token)
}

/// The name of a function or object without the parts that compilers number and append.
#[must_use]
pub fn without_numbering(symbol: &str) -> &str {
    let mut name = symbol;
    while let Some((head, token)) = name.rsplit_once('.')
        && !head.is_empty()
        && is_suffix(token)
    {
        name = head;
    }
    match name.strip_prefix(UNIQUE_ID) {
        Some(_) => {
            let trimmed = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let trimmed = trimmed.strip_suffix('_').unwrap_or(trimmed);
            if trimmed.len() > UNIQUE_ID.len() { trimmed } else { name }
        }
        None => name,
    }
}

/// The name of a function for matching sites: without numbering, and without the part of a
/// system call's name that depends on the architecture (`__arm64_sys_read`, `__do_sys_read`:
/// SYSCALL_DEFINEx in include/linux/syscalls.h and each architecture's asm/syscall_wrapper.h).
/// Compatibility calls keep their names.
#[must_use]
pub fn function_base(symbol: &str) -> &str {
    let name = without_numbering(symbol);
    let call = SYSTEM_CALLS.iter().find_map(|prefix| name.strip_prefix(prefix));
    call.filter(|call| call.starts_with("sys_") && call.len() > "sys_".len()).unwrap_or(name)
}

/// Prefixes of `sys_`.
const SYSTEM_CALLS: [&str; 5] = ["__arm64_", "__riscv_", "__x64_", "__se_", "__do_"];

/// The similarity of two names in thousandths: twice the number of common words in the same
/// order, divided by the words of both.  `key` and `tracepoint` carry no information and do not
/// count.
#[must_use]
pub fn similarity(a: &str, b: &str) -> u32 {
    similarity_of_words(&words(a), &words(b))
}

pub(super) fn similarity_of_words(a: &[&str], b: &[&str]) -> u32 {
    permille(2 * common_subsequence(a, b), a.len() + b.len())
}

/// Length of the longest common subsequence.
fn common_subsequence(a: &[&str], b: &[&str]) -> usize {
    let mut row = vec![0; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (at, other) in b.iter().enumerate() {
            let above = row[at + 1];
            row[at + 1] = if word == other { diagonal + 1 } else { above.max(row[at]) };
            diagonal = above;
        }
    }
    row[b.len()]
}

pub(super) fn words(name: &str) -> Vec<&str> {
    let says_something = |word: &&str| !matches!(*word, "" | "key" | "keys" | "tracepoint");
    name.split(['_', '.', '+']).filter(says_something).take(MAX_WORDS).collect()
}

/// `part` of `whole` in thousandths; 0 if `whole` is 0.
pub(super) fn permille(part: usize, whole: usize) -> u32 {
    let value = part.saturating_mul(1000).checked_div(whole).unwrap_or(0);
    u32::try_from(value.min(1000)).unwrap_or(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split() {
        for (text, file, holder, path, is_numbered) in [
            ("key", None, "key", "", false),
            ("___once_key.4", None, "___once_key", "", true),
            ("__UNIQUE_ID_ddebug419.14+0x28", None, "__UNIQUE_ID_ddebug", "+0x28", true),
            ("__UNIQUE_ID_ddebug_419.key", None, "__UNIQUE_ID_ddebug", ".key", true),
            ("__tracepoint_kmalloc.key", None, "__tracepoint_kmalloc", ".key", false),
            ("cpu_hwcap_keys[5]", None, "cpu_hwcap_keys", "[5]", false),
            ("net/core/dev.c:name.2", Some("net/core/dev.c"), "name", "", true),
            ("dev.c:d.1.key.x", Some("dev.c"), "d", ".key.x", true),
            ("a::b", None, "a::b", "", false),
            (".data..x+0x8", None, ".data..x", "+0x8", false),
            ("0xffff800080001200", None, "", "0xffff800080001200", true),
            ("k.llvm.12", None, "k", "", true),
            ("", None, "", "", false),
        ] {
            let wanted = NameParts { file, holder, path, is_numbered };
            assert_eq!(NameParts::parse(text), wanted, "{text}");
        }
    }

    #[test]
    fn functions_without_compiler_suffixes() {
        for (name, base) in [
            ("f", "f"),
            ("f.cold", "f"),
            ("f.isra.0.part.3.cold", "f"),
            ("f.llvm.1234", "f"),
            (".L12", ".L12"),
            ("_ZN4core3ptr..x", "_ZN4core3ptr..x"),
            ("__UNIQUE_ID_12", "__UNIQUE_ID_12"),
        ] {
            assert_eq!(without_numbering(name), base);
        }
    }

    #[test]
    fn system_calls_are_the_same_on_all_architectures() {
        for name in ["__arm64_sys_brk", "__x64_sys_brk", "__do_sys_brk", "__se_sys_brk.cold"] {
            assert_eq!(function_base(name), "sys_brk");
        }
        for name in ["__do_softirq", "__ia32_sys_brk", "__do_sys_"] {
            assert_eq!(function_base(name), name);
        }
    }

    #[test]
    fn similar_names() {
        assert_eq!(similarity("inet_accept", "__inet_accept"), 1000);
        assert_eq!(similarity("memcg_kmem_enabled_key", "memcg_kmem_online_key"), 666);
        assert_eq!(similarity("load_balance", "xps_needed"), 0);
        assert_eq!(similarity("__free_slab", "__slab_free"), 500);
        assert_eq!(similarity("", ""), 0);
    }
}
