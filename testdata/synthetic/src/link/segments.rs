//! Program headers.

use crate::elf::{Section, Segment, consts};
use crate::spec::Flavour;

/// Alignment of the loaded segments.
const LOAD_ALIGN: u64 = 0x1000;

/// The segments over `sections`.
pub fn of(sections: &[Section], flavour: Flavour) -> Vec<Segment> {
    if flavour == Flavour::Module {
        return Vec::new();
    }
    let loaded: Vec<&Section> = sections.iter().filter(|section| section.is_loaded()).collect();
    let class = |section: &&Section| match flavour {
        // A kernel's second segment is readable, writable and executable.
        Flavour::Kernel => u64::from(!matches!(section.name.as_str(), ".head.text" | ".text")),
        Flavour::User | Flavour::Module => {
            section.flags.0 & (consts::SHF_WRITE.0 | consts::SHF_EXECINSTR.0)
        }
    };
    let runs = loaded.chunk_by(|left, right| class(left) == class(right));
    let mut segments: Vec<Segment> = runs.map(load).collect();
    for (sh_type, p_type) in
        [(consts::SHT_NOTE, consts::PT_NOTE), (consts::SHT_DYNAMIC, consts::PT_DYNAMIC)]
    {
        let found = loaded.iter().filter(|section| section.sh_type == sh_type);
        segments.extend(found.map(|section| Segment {
            p_type,
            flags: flags(&[section]),
            first: section.name.clone(),
            last: section.name.clone(),
            align: section.align,
        }));
    }
    segments
}

fn load(run: &[&Section]) -> Segment {
    let [first, .., last] = run else {
        let only = run[0].name.clone();
        return segment(run, only.clone(), only);
    };
    segment(run, first.name.clone(), last.name.clone())
}

fn segment(run: &[&Section], first: String, last: String) -> Segment {
    Segment { p_type: consts::PT_LOAD, flags: flags(run), first, last, align: LOAD_ALIGN }
}

fn flags(run: &[&Section]) -> consts::ProgramFlags {
    let any = |flag: consts::SectionFlags| run.iter().any(|section| section.flags.0 & flag.0 != 0);
    let mut flags = consts::PF_R.0;
    if any(consts::SHF_WRITE) {
        flags |= consts::PF_W.0;
    }
    if any(consts::SHF_EXECINSTR) {
        flags |= consts::PF_X.0;
    }
    consts::ProgramFlags(flags)
}
