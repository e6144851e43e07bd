//! A stale execution as a sequence diagram.

use jlctl_patch_engine::simulate::machine::CacheType;
use jlctl_patch_engine::simulate::strategy::{Mark, Reading, Trace, TraceStep};
use std::fmt::Write as _;

/// Pixels between lifelines, steps, and above the first step.
const COLUMN: usize = 390;
const ROW: usize = 30;
const TOP: usize = 104;
const MARGIN: usize = 40;
/// Maximum width of a letter in pixels.
const LETTER: usize = 8;

/// The diagram, a file of its own without external references.
pub(crate) fn svg(strategy: &str, cache: CacheType, reading: Reading, trace: &Trace) -> String {
    let pes = trace.steps.iter().map(|step| step.pe + 1).max().unwrap_or(1);
    let width = MARGIN * 2 + pes * COLUMN;
    let height = TOP + ROW * (trace.steps.len() + 2);
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" font-family=\"DejaVu Sans, Arial, sans-serif\" font-size=\"12\">\n\
         <defs><marker id=\"head\" markerWidth=\"9\" markerHeight=\"8\" refX=\"8\" refY=\"4\" \
         orient=\"auto\"><path d=\"M0,0 L9,4 L0,8 z\" fill=\"#446\"/></marker></defs>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"{MARGIN}\" y=\"32\" font-size=\"16\" font-weight=\"bold\">Stale instruction under \
         {strategy}</text>\n<text x=\"{MARGIN}\" y=\"52\" fill=\"#555\">{}, {} order; arm64</text>",
        cache.name(),
        reading.name()
    );
    for pe in 0..pes {
        let x = lifeline(pe);
        let name = if pe == 0 { "PE 0 (patches)".to_owned() } else { format!("PE {pe}") };
        let _ = writeln!(
            out,
            "<text x=\"{x}\" y=\"84\" font-weight=\"bold\">{name}</text>\n<line x1=\"{x}\" y1=\"92\" \
             x2=\"{x}\" y2=\"{}\" stroke=\"#99a\" stroke-dasharray=\"3 3\"/>",
            height - ROW / 2
        );
    }
    for (at, step) in trace.steps.iter().enumerate() {
        if let Some(from) = source(&trace.steps[..at], step) {
            arrow(&mut out, from, trace.steps.get(from).map_or(0, |step| step.pe), at, step.pe);
        }
        draw(&mut out, at, step);
    }
    out.push_str("</svg>\n");
    out
}

const fn lifeline(pe: usize) -> usize {
    MARGIN + 24 + pe * COLUMN
}

const fn row(at: usize) -> usize {
    TOP + ROW * at + ROW / 2
}

/// The step that stored what `step` reads, if another PE did.
fn source(before: &[TraceStep], step: &TraceStep) -> Option<usize> {
    let (name, value) = step.text.strip_prefix("reads ")?.rsplit_once(": ")?;
    let stored = format!("STR: {name} is {value} now");
    before.iter().rposition(|other| other.text == stored && other.pe != step.pe)
}

fn arrow(out: &mut String, from: usize, from_pe: usize, to: usize, to_pe: usize) {
    let (x1, y1, x2, y2) = (lifeline(from_pe), row(from) + 10, lifeline(to_pe), row(to));
    let x2 = if x2 > x1 { x2 - 5 } else { x2 + 5 };
    let _ = writeln!(
        out,
        "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"#446\" stroke-opacity=\"0.5\" \
         marker-end=\"url(#head)\"/>"
    );
}

fn draw(out: &mut String, at: usize, step: &TraceStep) {
    let (x, y) = (lifeline(step.pe), row(at));
    let (fill, ink, note) = match step.mark {
        Some(Mark::Stale) => ("#c0182b", "white", " — STALE"),
        Some(Mark::Fetched) => ("#ffe0b0", "black", " — the stale fetch"),
        Some(Mark::Returned) => ("#cfe3ff", "black", " — the call has returned"),
        None => ("white", "black", ""),
    };
    let text = format!("{}. {}{note}", at + 1, step.text);
    let box_width = (text.chars().count() * LETTER + 12).min(COLUMN - 24);
    let _ = writeln!(
        out,
        "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"#446\"/>\n<rect x=\"{}\" y=\"{}\" \
         width=\"{box_width}\" height=\"20\" rx=\"3\" fill=\"{fill}\" stroke=\"#ccd\"/>\n<text x=\"{}\" \
         y=\"{}\" fill=\"{ink}\">{}</text>",
        x + 8,
        y - 10,
        x + 14,
        y + 4,
        escaped(&text)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
