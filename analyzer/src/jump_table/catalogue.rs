//! The catalogue of diagnostics: the meaning of each code, and the remedy.  Help texts and
//! manual pages are generated from it.

use super::diagnostic::Severity;

/// The catalogue's entry for a code.
#[derive(Debug, Clone, Copy)]
pub struct CatalogueEntry {
    /// The stable code.
    pub code: &'static str,
    /// The highest severity that it is reported with.
    pub severity: Severity,
    /// A short description of the defect.
    pub title: &'static str,
    /// The effect, the causes, and the remedy.
    pub explanation: &'static str,
}

/// All codes, ascending.
pub const CATALOGUE: &[CatalogueEntry] = &[
    CatalogueEntry {
        code: "JT001",
        severity: Severity::Error,
        title: "site in no executable section",
        explanation: "The entry's code address lies in data or in no section. A flip of the key would \
            overwrite something else with an instruction. The table, its relocations or the \
            section headers are damaged, or the layout was misread.",
    },
    CatalogueEntry {
        code: "JT002",
        severity: Severity::Error,
        title: "site holds neither a NOP nor a branch",
        explanation: "The kernel does not patch such a site: it stops with a BUG (\"unexpected op\"). A \
            tool has rewritten the code, a linker has folded or moved the site, or the image was \
            captured while a probe or a debugger had replaced the instruction.",
    },
    CatalogueEntry {
        code: "JT003",
        severity: Severity::Error,
        title: "site holds a branch to another address than the entry's target",
        explanation: "The branch in the code and the target in the table disagree; two flips of the key \
            would change the target of the branch. Typical of tools that move code without \
            updating the table.",
    },
    CatalogueEntry {
        code: "JT004",
        severity: Severity::Error,
        title: "instruction contradicts the state of the key",
        explanation: "A site must hold a branch if the key is on and the branch unlikely, or if the key is \
            off and the branch likely; otherwise it must hold a NOP. The kernel does not correct \
            sites at boot: the code and static_key_enabled() disagree until the next flip of the \
            key.",
    },
    CatalogueEntry {
        code: "JT005",
        severity: Severity::Warning,
        title: "target outside the function of the site",
        explanation: "An asm goto branches to a label of its own function. Hand-written code may have a \
            target elsewhere; otherwise a displacement was misread. Parts that a compiler split \
            off (f.cold, f.part.0) count as the function.",
    },
    CatalogueEntry {
        code: "JT006",
        severity: Severity::Error,
        title: "target out of range of a branch",
        explanation: "No branch at the site reaches the target, so the key can never be flipped. On arm64 \
            a branch reaches from -128 MiB to 128 MiB - 4; on riscv64 the kernel patches sites \
            from -512 KiB to 512 KiB - 2, half the range of JAL; on x86_64 a site of 2 bytes \
            reaches from -126 to 129 bytes, one of 5 bytes about 2 GiB. Usually a sign of a \
            wrong layout or of missing relocations.",
    },
    CatalogueEntry {
        code: "JT007",
        severity: Severity::Error,
        title: "site or target not aligned to an instruction",
        explanation: "On arm64 both addresses must be multiples of 4; on riscv64 the site must be a \
            multiple of 4 and its target a multiple of 2. x86_64 requires no alignment.",
    },
    CatalogueEntry {
        code: "JT008",
        severity: Severity::Error,
        title: "key outside any data section",
        explanation: "The key's 16 bytes lie in code, in no section, or extend beyond the end of a \
            section. The state of the key is reported as unknown.",
    },
    CatalogueEntry {
        code: "JT009",
        severity: Severity::Error,
        title: "two keys at one site",
        explanation: "A linker folded functions that differ only in their keys (identical code folding). A \
            flip of either key patches the code of both. Link without folding, or guard the site \
            with a relocation of type NONE against its key.",
    },
    CatalogueEntry {
        code: "JT010",
        severity: Severity::Error,
        title: "size of the table not a multiple of the entry size",
        explanation: "The bytes after the last whole entry are ignored.",
    },
    CatalogueEntry {
        code: "JT011",
        severity: Severity::Error,
        title: "table truncated",
        explanation: "The file has fewer bytes of the table than its symbols or section claim; the entries \
            present are reported. The file is truncated or its headers are damaged.",
    },
    CatalogueEntry {
        code: "JT012",
        severity: Severity::Error,
        title: "sites overlap, or an entry occurs twice",
        explanation: "Two entries claim the same bytes of code; patching one changes the other.",
    },
    CatalogueEntry {
        code: "JT013",
        severity: Severity::Warning,
        title: "key not aligned",
        explanation: "A static key is aligned to 8 bytes; the two low bits of its address hold flags in \
            each entry.",
    },
    CatalogueEntry {
        code: "JT014",
        severity: Severity::Note,
        title: "count of the key disagrees with its initial state and with its sites",
        explanation: "In an image whose keys were flipped in the file the type word keeps the initial \
            state. This is not reported while all sites of the key follow its count. Here some \
            sites do not: a flip is incomplete, or the key's bytes are damaged.",
    },
    CatalogueEntry {
        code: "JT015",
        severity: Severity::Warning,
        title: "entries of neither layout point into code and data",
        explanation: "Neither as self-relative entries (16 bytes) nor as absolute entries (24 bytes) does \
            any entry point at code and data. The symbols or the section do not mark a jump \
            table, or its relocations are missing.",
    },
    CatalogueEntry {
        code: "JT016",
        severity: Severity::Error,
        title: "more entries than jlctl reads",
        explanation: "The table has more than 1,048,576 entries; the largest kernels have about 30,000. \
            The other entries are ignored.",
    },
    CatalogueEntry {
        code: "JT017",
        severity: Severity::Error,
        title: "fields of a module's table without relocation",
        explanation: "The bytes of the table in a relocatable file are zero; its relocations define the \
            content. An entry with a field whose relocation is missing or cannot be applied \
            points at itself. The file is damaged, or was written by a tool that drops \
            relocations.",
    },
    CatalogueEntry {
        code: "JT018",
        severity: Severity::Warning,
        title: "the kernel's own symbols and the structure of the table disagree",
        explanation: "In an image without a symbol table, the symbols that a kernel contains for its own \
            use (kallsyms) state the location of the table, and a scan searches for the table by \
            structure as well. The range from the symbols is read. Either entries at an end of \
            the table are damaged, which other diagnostics then report, or the symbols were \
            misread.",
    },
    CatalogueEntry {
        code: "JT101",
        severity: Severity::Error,
        title: "image damaged",
        explanation: "Sections outside the file, overlapping sections (warning), a damaged symbol table \
            (warning), relocations in the table that cannot be applied; in a raw kernel image an \
            impossible header, an unknown load address (warnings), or a truncated file. The \
            message names the damage; everything readable is reported.",
    },
    CatalogueEntry {
        code: "JT102",
        severity: Severity::Warning,
        title: "debug information unreadable",
        explanation: "Source lines of the sites that it covers are missing; nothing else depends on it.",
    },
    CatalogueEntry {
        code: "JT103",
        severity: Severity::Error,
        title: "file of a set not read",
        explanation: "One of the named files, or an image in a named directory, is damaged or cannot be \
            opened. The others are reported; keys that the file defines are unresolved where \
            others use them.",
    },
    CatalogueEntry {
        code: "JT104",
        severity: Severity::Warning,
        title: "several files of a set define one key object",
        explanation: "A loader rejects a module that exports a symbol twice. Two kernels, or two versions \
            of a module, were named together: keys that other files reference by that symbol \
            stay unresolved.",
    },
];

#[cfg(test)]
mod tests {
    use super::super::diagnostic::{AddressContent, Defect};
    use super::*;
    use crate::addr::{AddrRange, Svma};

    #[test]
    fn codes_ascend() {
        assert!(CATALOGUE.windows(2).all(|pair| pair[0].code < pair[1].code));
    }

    /// The compiler checks that `Defect::code` covers every variant; this test looks up each
    /// resulting code.
    #[test]
    fn severities_are_those_reported() {
        let (code, key, target) = (Svma(4), Svma(8), Svma(16));
        for defect in [
            Defect::SiteNotExecutable { code, found: AddressContent::Nowhere },
            Defect::NotNopOrJump { code, target, bytes: None },
            Defect::TargetOutsideFunction { code, target },
            Defect::KeyMisaligned { code, key, align: 8 },
            Defect::KeyHalfFlipped { key, initially_true: true, enabled: 0 },
            Defect::LayoutUnclear { tried: 1, entry_size: 16 },
            Defect::TooManyEntries { entries: 2, read: 1 },
            Defect::FieldsWithoutRelocation { size: 16, words: 2 },
            Defect::FileNotRead { error: String::new() },
            Defect::DefinedTwice { symbol: String::new(), files: Vec::new(), more: 0 },
            Defect::SymbolsDisagree { named: AddrRange::sized(code, 16), scanned: None },
        ] {
            let entry = CATALOGUE.iter().find(|entry| entry.code == defect.code()).unwrap();
            assert_eq!(entry.severity, defect.severity(), "{}", entry.code);
        }
    }
}
