//! The demo kernel: a small image with every kind of key and site, for which a correct reader
//! reports no diagnostic.

use crate::link::Linked;
use crate::spec::{DataSection, FunctionSpec, ImageSpec, KeySpec, SiteSpec, TextSection};

/// Path of the committed image, from `testdata`.
pub const COMMITTED: &str = "golden/images/vmlinux-demo";

/// The demo image's first source file.
pub const DEMO_C: &str = "kernel/demo.c";
/// The demo image's second source file.
pub const FEATURES_C: &str = "arch/arm64/kernel/demo_features.c";
/// The demo image's third source file.
pub const NET_C: &str = "net/core/demo_net.c";

const TRACE_H: &str = "include/trace/events/demo.h";
const FEATURES_H: &str = "arch/arm64/include/asm/demo_features.h";
const ONCE_H: &str = "include/linux/demo_once.h";

/// The declaration of the demo image.
#[must_use]
pub fn spec() -> ImageSpec {
    let spec = keys(ImageSpec::kernel());
    sites(functions(spec))
}

/// The demo image, linked.
#[must_use]
pub fn linked() -> Linked {
    spec().link()
}

/// The bytes of the demo image, the same in every run.
#[must_use]
pub fn vmlinux() -> Vec<u8> {
    spec().build()
}

fn keys(spec: ImageSpec) -> ImageSpec {
    spec.key(KeySpec::new("demo_false_key"))
        .key(KeySpec::new("demo_true_key").initially_true())
        .key(KeySpec::new("demo_ro_key").in_section(DataSection::RoAfterInit).initially_true())
        .key(KeySpec::new("demo_bss_key").in_section(DataSection::Bss))
        .key(KeySpec::new("__tracepoint_demo_event").interior(8, 64))
        .key(KeySpec::new("cpu_hwcap_keys").array(4).in_section(DataSection::RoAfterInit))
        .key(KeySpec::new("___once_key.0").local_to(DEMO_C).initially_true())
        .key(KeySpec::new("___once_key.0").local_to(NET_C).initially_true())
}

fn functions(spec: ImageSpec) -> ImageSpec {
    spec.function(FunctionSpec::new("demo_open", DEMO_C, 16).at_line(40))
        .function(FunctionSpec::new("demo_read", DEMO_C, 24).at_line(80))
        .function(FunctionSpec::new("demo_poll", DEMO_C, 12).at_line(120).local())
        .function(FunctionSpec::new("demo_has_feature", FEATURES_C, 12).at_line(15))
        .function(FunctionSpec::new("demo_xmit", NET_C, 20).at_line(200))
        .function(
            FunctionSpec::new("demo_init", DEMO_C, 16).at_line(160).in_section(TextSection::Init),
        )
        .function(
            FunctionSpec::new("demo_net_exit", NET_C, 10)
                .at_line(300)
                .in_section(TextSection::Exit)
                .local(),
        )
}

fn sites(spec: ImageSpec) -> ImageSpec {
    let once = "demo_once_enabled";
    spec.site(SiteSpec::new("demo_open+0x8", "demo_open+0x20", "demo_false_key"))
        .site(SiteSpec::new("demo_open+0x1c", "demo_open+0x30", "demo_true_key").likely())
        .site(SiteSpec::new("demo_read+0x4", "demo_read+0x40", "demo_true_key"))
        .site(SiteSpec::new("demo_read+0x14", "demo_read+0x4c", "demo_false_key").likely())
        .site(
            SiteSpec::new("demo_read+0x24", "demo_read+0x50", "__tracepoint_demo_event+8")
                .inlined_from("trace_demo_event", TRACE_H, 30)
                .at_line(97),
        )
        // A backward branch.
        .site(
            SiteSpec::new("demo_poll+0x18", "demo_poll+0x4", "kernel/demo.c:___once_key.0")
                .inlined_from(once, ONCE_H, 12),
        )
        .site(
            SiteSpec::new("demo_has_feature+0x8", "demo_has_feature+0x20", "cpu_hwcap_keys+0x20")
                .inlined_from("demo_cpu_has", FEATURES_H, 50)
                .inlined_from("demo_cpus_have_cap", FEATURES_H, 70),
        )
        .site(
            SiteSpec::new("demo_has_feature+0x10", "demo_has_feature+0x24", "demo_ro_key").likely(),
        )
        .site(SiteSpec::new("demo_xmit+0x0", "demo_xmit+0x28", "demo_bss_key"))
        .site(
            SiteSpec::new("demo_xmit+0x14", "demo_xmit+0x38", "demo_net.c:___once_key.0")
                .inlined_from(once, ONCE_H, 12),
        )
        .site(SiteSpec::new("demo_init+0xc", "demo_init+0x2c", "demo_ro_key"))
        .site(SiteSpec::new("demo_net_exit+0x8", "demo_net_exit+0x18", "demo_bss_key").likely())
}
