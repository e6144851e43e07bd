//! The head of a text report: both images, their tables, and the number of differences.

use super::comparison::{Comparison, Side};
use super::page::Page;
use super::totals::{TableTotals, Totals};
use crate::schema::Hex;
use crate::terminal::style::{grouped, printable};
use jlctl_analyzer::image::{ImageFormat, ImageKind};

pub(super) fn write(comparison: &Comparison<'_>, page: &mut Page<'_>) -> anyhow::Result<()> {
    let Comparison { a, b, key, .. } = comparison;
    image(page, "A", a)?;
    image(page, "B", b)?;
    if a.image.arch().name() != b.image.arch().name() {
        let (a, b) = (a.image.arch().name(), b.image.arch().name());
        page.plain(&format!("The architectures differ: {a} and {b}."))?;
    }
    let totals = Totals::new(comparison);
    let (of_a, of_b) = (TableTotals::new(a), TableTotals::new(b));
    page.plain(&format!("\n{:<10}{:>10}{:>10}", "", "A", "B"))?;
    for (label, of) in [
        ("keys", (|table| table.keys) as fn(&TableTotals) -> usize),
        ("  on", |table| table.on),
        ("sites", |table| table.sites),
        ("  nop", |table| table.nop),
        ("  jmp", |table| table.jmp),
        ("  other", |table| table.other),
        ("errors", |table| table.errors),
    ] {
        let (in_a, in_b) = (of(&of_a), of(&of_b));
        let is_rare = matches!(label, "  other" | "errors");
        if !is_rare || in_a + in_b > 0 {
            page.plain(&format!("{label:<10}{:>10}{:>10}", grouped(in_a), grouped(in_b)))?;
        }
    }
    page.plain("")?;
    if let Some(pattern) = key {
        page.label("selected", &format!("keys that match {}", printable(pattern)))?;
    }
    self::totals(page, &totals)
}

fn image(page: &mut Page<'_>, label: &str, side: &Side<'_>) -> anyhow::Result<()> {
    let image = side.image;
    let kind = match image.kind() {
        _ if image.format() != ImageFormat::Elf => "raw kernel image",
        ImageKind::Exec => "executable",
        ImageKind::Dyn => "position-independent image",
        ImageKind::Rel => "relocatable file",
    };
    let release = image.release().map(|release| format!(", kernel {}", printable(release)));
    page.label(label, &printable(&side.path.to_string_lossy()))?;
    let what = format!("{} {kind}{}", image.arch().name(), release.unwrap_or_default());
    page.label("", &what)?;
    match image.build_id() {
        Some(id) => page.label("", &format!("build id {}", Hex(id.into()))),
        None => Ok(()),
    }
}

fn totals(page: &mut Page<'_>, totals: &Totals) -> anyhow::Result<()> {
    let Totals { different, keys, sites } = totals;
    if !different {
        return page.plain("No differences");
    }
    let list = |items: &[(usize, &str)]| {
        let items = items.iter().filter(|(number, _)| *number > 0);
        let items: Vec<String> =
            items.map(|(number, what)| format!("{} {what}", grouped(*number))).collect();
        if items.is_empty() { vec!["none".to_owned()] } else { items }
    };
    let in_both = keys.same + keys.different;
    let came = [(keys.removed, "removed"), (keys.added, "added"), (in_both, "in both")];
    page.items("keys", &list(&came))?;
    let changes = [
        (keys.same, "the same"),
        (keys.initial, "with another default state"),
        (keys.enabled_alone, "with another state at start only"),
        (keys.kind, "of another kind"),
        (keys.renamed, "renamed"),
        (keys.storage, "in another section"),
        (keys.position, "at another offset in their object"),
        (keys.sites, "with changed sites"),
    ];
    page.items("  in both", &list(&changes))?;
    let came = [(sites.of_removed_keys, "of removed keys"), (sites.of_added_keys, "of added keys")];
    page.items("sites", &list(&came))?;
    let changes = [
        (sites.same, "the same"),
        (sites.removed, "removed"),
        (sites.added, "added"),
        (sites.moved, "in another function"),
        (sites.turned, "turned between likely and unlikely"),
        (sites.rewritten, "with another instruction"),
    ];
    page.items("  in both", &list(&changes))
}
