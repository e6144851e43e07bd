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
        explanation: "The address that the entry calls code lies in data or in no section. \
            Flipping the key would write an instruction over something else. The table, its \
            relocations or the section headers are damaged, or the layout was misread.",
    },
    CatalogueEntry {
        code: "JT002",
        severity: Severity::Error,
        title: "site holds neither a NOP nor a branch",
        explanation: "A kernel refuses to patch such a site and stops with a bug (\"unexpected \
            op\"). A tool has rewritten the code, the site was folded or moved by a linker, or \
            the image was captured while something else (a probe, a debugger) was in place.",
    },
    CatalogueEntry {
        code: "JT003",
        severity: Severity::Error,
        title: "site holds a branch to elsewhere than the entry's target",
        explanation: "The branch in the code and the target in the table disagree; a flip and a \
            flip back would change where the code goes. Typical of tools that move code without \
            updating the table.",
    },
    CatalogueEntry {
        code: "JT004",
        severity: Severity::Error,
        title: "instruction contradicts the state of the key",
        explanation: "A site must hold a branch exactly if the key is on and the branch unlikely, \
            or off and likely. The kernel does not patch sites at boot to repair this: the code \
            says one thing, static_key_enabled() another, until the key is next flipped.",
    },
    CatalogueEntry {
        code: "JT005",
        severity: Severity::Warning,
        title: "target outside the function of the site",
        explanation: "An asm goto goes to a label of its own function. A target elsewhere is \
            possible for hand-written code; otherwise a displacement was misread. Parts that a \
            compiler split off (f.cold, f.part.0) count as the function.",
    },
    CatalogueEntry {
        code: "JT006",
        severity: Severity::Error,
        title: "target out of a branch's range",
        explanation: "No branch at the site reaches the target, so that the key can never be \
            switched over. On arm64 a branch reaches from -128 MiB to 128 MiB - 4; on riscv64 \
            the kernel patches sites from -512 KiB to 512 KiB - 2, half of what JAL reaches; on \
            x86_64 a site of 2 bytes reaches from -126 to 129 bytes, one of 5 bytes some 2 GiB. \
            Mostly a sign of a wrong layout or lost relocations.",
    },
    CatalogueEntry {
        code: "JT007",
        severity: Severity::Error,
        title: "site or target not aligned to an instruction",
        explanation: "On arm64 both must be multiples of 4; on riscv64 the site must be one of \
            4 and its target of 2. On x86_64 nothing is aligned.",
    },
    CatalogueEntry {
        code: "JT008",
        severity: Severity::Error,
        title: "key outside any data section",
        explanation: "The key's 16 bytes lie in code, in no section, or behind the end of one. \
            Its state is reported as unknown.",
    },
    CatalogueEntry {
        code: "JT009",
        severity: Severity::Error,
        title: "two keys at one site",
        explanation: "A linker folded functions that differ only in their keys (identical code \
            folding). Flipping either key patches the code of both. Link without folding, or \
            guard the site with a relocation of type NONE against its key.",
    },
    CatalogueEntry {
        code: "JT010",
        severity: Severity::Error,
        title: "size of the table no multiple of the entry size",
        explanation: "The bytes behind the last whole entry are left out.",
    },
    CatalogueEntry {
        code: "JT011",
        severity: Severity::Error,
        title: "table truncated",
        explanation: "The file has fewer bytes of the table than its symbols or section claim; \
            what is there is reported. The file is cut off or its headers are damaged.",
    },
    CatalogueEntry {
        code: "JT012",
        severity: Severity::Error,
        title: "sites overlap, or one entry stands twice",
        explanation: "Two entries claim the same bytes of code; patching one changes the other.",
    },
    CatalogueEntry {
        code: "JT013",
        severity: Severity::Warning,
        title: "key not aligned",
        explanation: "A static key is aligned to 8 bytes; the two low bits of its address carry \
            flags in each entry.",
    },
    CatalogueEntry {
        code: "JT014",
        severity: Severity::Note,
        title: "count of the key disagrees with the state it was defined with, and with sites",
        explanation: "In an image whose keys were flipped in the file the type word keeps the \
            state of the definition, which is no finding while all sites of the key follow its \
            count. Here some do not: a flip went half way, or the key's bytes are damaged.",
    },
    CatalogueEntry {
        code: "JT015",
        severity: Severity::Warning,
        title: "entries of neither layout point into code and data",
        explanation: "Read as self-relative (16 bytes) or absolute (24 bytes), no entry makes \
            sense. The symbols or the section do not mark a jump table, or its relocations are \
            missing.",
    },
    CatalogueEntry {
        code: "JT016",
        severity: Severity::Error,
        title: "more entries than jlctl reads",
        explanation: "More than 1,048,576 entries; the largest kernels have some 30,000. The rest \
            is left out.",
    },
    CatalogueEntry {
        code: "JT017",
        severity: Severity::Error,
        title: "fields of a module's table without relocation",
        explanation: "The bytes of the table in a relocatable file are zero; its relocations are \
            the only truth. Where one is missing or cannot be applied, the entry points at \
            itself. The file is damaged, or a tool that drops relocations has written it.",
    },
    CatalogueEntry {
        code: "JT018",
        severity: Severity::Warning,
        title: "the kernel's own symbols and the structure of the table disagree",
        explanation: "In an image without a symbol table, the symbols that a kernel keeps for \
            itself (kallsyms) say where the table is, and the table is looked for by structure \
            as well. What the symbols say is read. Entries at an end of the table are damaged, \
            which other diagnostics then say, or the symbols were misread.",
    },
    CatalogueEntry {
        code: "JT101",
        severity: Severity::Error,
        title: "image damaged",
        explanation: "Sections outside the file, overlapping sections (warning), a damaged symbol \
            table (warning), relocations in the table that cannot be applied; in a raw kernel \
            image a header that cannot be true, or nothing that says where it lies in memory \
            (warnings), or an end before that of its data. The message says \
            which; everything that could be read is reported.",
    },
    CatalogueEntry {
        code: "JT102",
        severity: Severity::Warning,
        title: "debug information unreadable",
        explanation: "Source lines of the sites that it covers are missing; nothing else depends \
            on it.",
    },
    CatalogueEntry {
        code: "JT103",
        severity: Severity::Error,
        title: "file of a set not read",
        explanation: "One of the files that were named, or an image in a directory that was, is \
            damaged or cannot be opened. The others are reported; keys that it defines are \
            unresolved where others use them.",
    },
    CatalogueEntry {
        code: "JT104",
        severity: Severity::Warning,
        title: "several files of a set define one key object",
        explanation: "A loader refuses a module that exports a symbol twice. Two kernels, or two \
            versions of a module, were named together: keys that other files look for by that \
            symbol stay unresolved.",
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
