//! Kinds of keys, derived from the objects that hold them.
//!
//! Most keys of a kernel belong to a few mechanisms with thousands of keys each.  Kinds let
//! reports leave those out.

use crate::addr::{AddrRange, Svma};
use crate::image::Image;

/// The mechanism that a key belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyKind {
    /// A single key, or one of a mechanism with only a few keys.
    Plain,
    /// Whether a tracepoint has probes.
    Tracepoint,
    /// Whether a debug message is printed.
    DynamicDebug,
    /// Whether a slot of a security hook is in use.
    SecurityHook,
    /// Whether the processor has a feature, or needs a workaround.
    CpuCapability,
    /// Whether a cgroup controller is enabled, or on the default hierarchy.
    CgroupSubsystem,
    /// Whether a cgroup has BPF programs of one attach type.
    BpfCgroup,
    /// Whether a feature of the scheduler is on.
    SchedFeature,
    /// Whether a netfilter hook has users.
    NetfilterHook,
    /// Whether a software event of perf is counted.
    PerfEvent,
    /// Whether an action that happens once is still to be done.
    Once,
}

/// The criteria for the keys of a kind.
#[derive(Debug)]
struct KindRule {
    kind: KeyKind,
    /// The type of the objects that hold them.  If the type of an object is known, it alone
    /// decides.
    object_type: Option<&'static str>,
    /// Sections that hold only such objects.
    sections: &'static [&'static str],
    /// Symbols that bound the objects in a linked kernel.
    bounds: &'static [(&'static str, &'static str)],
    /// Names of the objects.
    symbols: &'static [NamePattern],
}

/// A pattern for a name.
#[derive(Debug, Clone, Copy)]
enum NamePattern {
    Is(&'static str),
    Starts(&'static str),
    Ends(&'static str),
}

/// All kinds except [`KeyKind::Plain`], each with the source in Linux that defines its keys.
const RULES: &[KindRule] = &[
    // include/linux/tracepoint.h (5.10 to 6.12): DEFINE_TRACE_FN.
    KindRule {
        object_type: Some("struct tracepoint"),
        symbols: &[NamePattern::Starts("__tracepoint_")],
        ..KindRule::of(KeyKind::Tracepoint)
    },
    // include/linux/dynamic_debug.h (5.10 to 6.12): DEFINE_DYNAMIC_DEBUG_METADATA.  The section
    // was called __verbose before it was renamed to __dyndbg.  Some descriptors are called
    // `descriptor`, a name that is too common to identify them.
    KindRule {
        object_type: Some("struct _ddebug"),
        sections: &["__dyndbg", "__verbose"],
        bounds: &[
            ("__start___dyndbg", "__stop___dyndbg"),
            ("__start___verbose", "__stop___verbose"),
        ],
        symbols: &[NamePattern::Starts("__UNIQUE_ID_ddebug")],
        ..KindRule::of(KeyKind::DynamicDebug)
    },
    // security/security.c (6.12): LSM_HOOK, SECURITY_HOOK_ACTIVE_KEY.
    KindRule {
        symbols: &[NamePattern::Starts("security_hook_active_")],
        ..KindRule::of(KeyKind::SecurityHook)
    },
    // arch/arm64/kernel/cpufeature.c (5.10); arch/riscv/kernel/cpufeature.c
    // (6.1); arch/powerpc/kernel/cputable.c (6.1).
    KindRule {
        symbols: &[
            NamePattern::Is("cpu_hwcap_keys"),
            NamePattern::Is("riscv_isa_ext_keys"),
            NamePattern::Is("cpu_feature_keys"),
            NamePattern::Is("mmu_feature_keys"),
        ],
        ..KindRule::of(KeyKind::CpuCapability)
    },
    // kernel/cgroup/cgroup.c (5.10 to 6.12): SUBSYS.
    KindRule {
        symbols: &[
            NamePattern::Ends("_cgrp_subsys_enabled_key"),
            NamePattern::Ends("_cgrp_subsys_on_dfl_key"),
        ],
        ..KindRule::of(KeyKind::CgroupSubsystem)
    },
    // kernel/bpf/cgroup.c (5.10 to 6.12); an array from 5.15 on.
    KindRule {
        symbols: &[NamePattern::Is("cgroup_bpf_enabled_key")],
        ..KindRule::of(KeyKind::BpfCgroup)
    },
    // kernel/sched/core.c or debug.c (5.10 to 6.12): SCHED_FEAT.
    KindRule {
        symbols: &[NamePattern::Is("sched_feat_keys")],
        ..KindRule::of(KeyKind::SchedFeature)
    },
    // net/netfilter/core.c (5.10 to 6.12).
    KindRule {
        symbols: &[NamePattern::Is("nf_hooks_needed")],
        ..KindRule::of(KeyKind::NetfilterHook)
    },
    // kernel/events/core.c (5.10 to 6.12).
    KindRule {
        symbols: &[NamePattern::Is("perf_swevent_enabled")],
        ..KindRule::of(KeyKind::PerfEvent)
    },
    // include/linux/once.h (5.10 to 6.12): DO_ONCE.
    KindRule { symbols: &[NamePattern::Starts("___once_key")], ..KindRule::of(KeyKind::Once) },
];

/// The known properties of the object that holds a key.
#[derive(Debug, Clone, Copy, Default)]
pub struct Holder<'a> {
    /// Its symbol.
    pub symbol: Option<&'a str>,
    /// Its section.
    pub section: Option<&'a str>,
    /// Its type as C writes it, from debug information.
    pub object_type: Option<&'a str>,
    /// Address of the key; `None` if the image has no addresses.
    pub address: Option<Svma>,
}

/// Classifies the keys of one image.
#[derive(Debug)]
pub struct Classifier {
    /// The bounds of the objects of each kind.
    bounds: Vec<(KeyKind, AddrRange)>,
}

impl KeyKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Plain,
        Self::Tracepoint,
        Self::DynamicDebug,
        Self::SecurityHook,
        Self::CpuCapability,
        Self::CgroupSubsystem,
        Self::BpfCgroup,
        Self::SchedFeature,
        Self::NetfilterHook,
        Self::PerfEvent,
        Self::Once,
    ];

    /// Name in reports and options.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tracepoint => "tracepoint",
            Self::DynamicDebug => "dynamic-debug",
            Self::SecurityHook => "security-hook",
            Self::CpuCapability => "cpu-capability",
            Self::CgroupSubsystem => "cgroup-subsystem",
            Self::BpfCgroup => "bpf-cgroup",
            Self::SchedFeature => "sched-feature",
            Self::NetfilterHook => "netfilter-hook",
            Self::PerfEvent => "perf-event",
            Self::Once => "once",
        }
    }

    /// The kind with a name in reports and options.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl Classifier {
    /// Finds the bounds of each kind in `image`.
    #[must_use]
    pub fn new(image: &Image<'_>) -> Self {
        let address = |name| image.symbols().named(name).map(|(_, symbol)| symbol.address).next();
        let bounds = RULES.iter().flat_map(|rule| {
            rule.bounds.iter().filter_map(|(start, stop)| {
                Some((rule.kind, AddrRange::new(address(start)?, address(stop)?)?))
            })
        });
        Self { bounds: bounds.collect() }
    }

    /// The kind of the key that `holder` holds.
    #[must_use]
    pub fn kind(&self, holder: &Holder<'_>) -> KeyKind {
        let rule = RULES.iter().find(|rule| self.applies(rule, holder));
        rule.map_or(KeyKind::Plain, |rule| rule.kind)
    }

    fn applies(&self, rule: &KindRule, holder: &Holder<'_>) -> bool {
        if let (Some(expected), Some(found)) = (rule.object_type, holder.object_type) {
            return expected == found;
        }
        let in_bounds = |(kind, range): &(KeyKind, AddrRange)| {
            *kind == rule.kind && holder.address.is_some_and(|address| range.contains(address))
        };
        let is_named = |symbol: &str| {
            // Compilers append a number after a dot, or prepend the function before one.
            symbol.split('.').any(|part| rule.symbols.iter().any(|name| name.matches(part)))
        };
        holder.section.is_some_and(|section| rule.sections.contains(&section))
            || self.bounds.iter().any(in_bounds)
            || holder.symbol.is_some_and(is_named)
    }
}

impl KindRule {
    const fn of(kind: KeyKind) -> Self {
        Self { kind, object_type: None, sections: &[], bounds: &[], symbols: &[] }
    }
}

impl NamePattern {
    fn matches(self, name: &str) -> bool {
        match self {
            Self::Is(expected) => name == expected,
            Self::Starts(start) => name.starts_with(start),
            Self::Ends(end) => name.ends_with(end),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(holder: Holder<'_>) -> KeyKind {
        let range = AddrRange::sized(Svma(0x1000), 112);
        Classifier { bounds: vec![(KeyKind::DynamicDebug, range)] }.kind(&holder)
    }

    fn named(symbol: &str) -> KeyKind {
        kind(Holder { symbol: Some(symbol), ..Holder::default() })
    }

    #[test]
    fn kinds_by_name() {
        for (symbol, expected) in [
            ("__tracepoint_kmalloc", KeyKind::Tracepoint),
            ("__UNIQUE_ID_ddebug419.14", KeyKind::DynamicDebug),
            ("probe.__UNIQUE_ID_ddebug7", KeyKind::DynamicDebug),
            ("security_hook_active_capable_0", KeyKind::SecurityHook),
            ("cpu_hwcap_keys", KeyKind::CpuCapability),
            ("memory_cgrp_subsys_on_dfl_key", KeyKind::CgroupSubsystem),
            ("cgroup_bpf_enabled_key", KeyKind::BpfCgroup),
            ("sched_feat_keys", KeyKind::SchedFeature),
            ("nf_hooks_needed", KeyKind::NetfilterHook),
            ("perf_swevent_enabled", KeyKind::PerfEvent),
            ("___once_key.3", KeyKind::Once),
            ("netstamp_needed_key", KeyKind::Plain),
            ("sched_feat_keys_old", KeyKind::Plain),
            ("descriptor.4", KeyKind::Plain),
        ] {
            assert_eq!(named(symbol), expected, "{symbol}");
        }
        assert_eq!(kind(Holder::default()), KeyKind::Plain);
    }

    #[test]
    fn a_known_type_overrides_the_name() {
        let symbol = Some("__tracepoint_fake");
        let object_type = Some("struct tracepoint");
        let holder = Holder { symbol, object_type, ..Holder::default() };
        assert_eq!(kind(holder), KeyKind::Tracepoint);
        assert_eq!(kind(Holder { symbol: None, ..holder }), KeyKind::Tracepoint);
        let object_type = Some("struct static_key_false");
        assert_eq!(kind(Holder { object_type, ..holder }), KeyKind::Plain);
        let symbol = Some("cpu_hwcap_keys");
        let object_type = Some("struct static_key_false[77]");
        assert_eq!(kind(Holder { symbol, object_type, ..holder }), KeyKind::CpuCapability);
    }

    #[test]
    fn descriptors_by_section_and_bounds() {
        let of_section = |section| kind(Holder { section: Some(section), ..Holder::default() });
        assert_eq!(of_section("__dyndbg"), KeyKind::DynamicDebug);
        assert_eq!(of_section("__verbose"), KeyKind::DynamicDebug);
        assert_eq!(of_section(".data"), KeyKind::Plain);
        let at = |address| {
            let (symbol, address) = (Some("descriptor.4"), Some(Svma(address)));
            kind(Holder { symbol, address, ..Holder::default() })
        };
        assert_eq!(at(0x1028), KeyKind::DynamicDebug);
        assert_eq!(at(0x1070), KeyKind::Plain);
    }

    #[test]
    fn names_in_reports_round_trip() {
        for kind in KeyKind::ALL {
            assert_eq!(KeyKind::from_name(kind.name()), Some(kind));
        }
        assert!(RULES.iter().all(|rule| KeyKind::ALL.contains(&rule.kind)));
        assert_eq!(KeyKind::from_name("tracepoints"), None);
    }
}
