//! Checks ops and key writes, by decoding their bytes.

use super::finding::{Findings, Shown as _, element};
use super::keys::TrueKey;
use crate::images::ReadImage;
use crate::plan_file::{KeyRecord, KeyWriteRecord, OpRecord, PlanAddress, PlanDocument};
use jlctl_analyzer::addr::FileOffset;
use jlctl_analyzer::arch::SiteInsn;
use jlctl_analyzer::image::ImageFile;
use jlctl_analyzer::jump_table::JumpEntry;
use jlctl_shim::abi::JumpLabelType;
use std::collections::{HashMap, HashSet};

pub(super) fn check(
    document: &PlanDocument,
    images: &[ReadImage<'_>],
    keys: &[Option<TrueKey>],
    findings: &mut Findings,
) {
    for (at, op) in document.ops.iter().enumerate() {
        let key = keys.get(op.key).and_then(Option::as_ref);
        if let Some(read) = images.get(op.image) {
            check_op(read, at, op, key, findings);
        }
    }
    let last_op: HashMap<usize, usize> = document.ops.iter().map(|op| (op.key, op.batch)).collect();
    let mut written = HashSet::new();
    for (at, write) in document.key_writes.iter().enumerate() {
        if !written.insert(write.key) {
            findings.add(
                element("key_writes", at, "key")(),
                "each key once",
                write.key.to_string(),
            );
        }
        let key = keys.get(write.key).and_then(Option::as_ref);
        if let (Some(read), Some(key)) = (images.get(write.image), key) {
            let claim = document.keys.get(write.key);
            check_write(read, at, write, key, claim, findings);
            // Ops are sorted by key, so that this is the batch of the key's last op.
            let batch = last_op.get(&write.key).copied();
            findings.same(element("key_writes", at, "after_batch"), &batch, &write.after_batch);
        }
    }
    for (at, claim) in document.keys.iter().enumerate() {
        let changes = claim.new_enabled.is_some() && claim.new_enabled != claim.old_enabled;
        if changes && !written.contains(&at) {
            findings.add(element("keys", at, "new_enabled")(), "a key write", "none");
        }
    }
    check_order(document, images, findings);
    check_overlaps(document, findings);
}

fn check_op(
    read: &ReadImage<'_>,
    at: usize,
    op: &OpRecord,
    key: Option<&TrueKey>,
    findings: &mut Findings,
) {
    let path = |field| element("ops", at, field);
    let Some((table, id)) = read.table.and_then(|table| Some((table, table.site_id(op.site)?)))
    else {
        findings.add(path("site")(), "an entry of the table", op.site.to_string());
        return;
    };
    let (entry, site, image) = (table.entry(id), table.site(id), read.image);
    findings.same(path("address"), &PlanAddress::of(image, entry.code), &op.address);
    findings.same(path("target"), &PlanAddress::of(image, entry.target), &op.target);
    findings.same(path("branch"), &entry.branch, &op.branch.0);
    let offset = image.file_offset(entry.code).map(|offset| offset.0);
    findings.same(path("file_offset"), &offset, &Some(op.file_offset));
    let section = site.section.map(|id| image.section(id).name.to_owned());
    findings.same(path("section"), &section.filter(|name| !name.is_empty()), &op.section);
    let function = site.function.map(|at| image.symbols().name(at.symbol).into_owned());
    findings.same(path("function"), &function, &op.function);
    findings.same(path("function_offset"), &site.function.map(|at| at.offset), &op.function_offset);
    match bytes_at(read.file, FileOffset(op.file_offset), op.old.0.len()) {
        Some(there) => findings.same(path("old"), there, &op.old.0[..]),
        None => {
            let expected = format!("bytes at file offset {:#x}", op.file_offset);
            findings.add(path("old")(), expected, "the end of the file");
        }
    }
    let (old, new) = (op.old.0.len(), op.new.0.len());
    if old != new {
        let unit = if old == 1 { "byte" } else { "bytes" };
        findings.add(path("new")(), format!("{old} {unit}"), new.to_string());
    }
    // A relocation may fill in the instruction; the table's site has the result.
    let now = match site.insn {
        SiteInsn::Nop => "nop",
        SiteInsn::Jmp { to } if to == entry.target => "jmp",
        SiteInsn::Jmp { .. } | SiteInsn::Other => "neither",
    };
    findings.same(path("from"), now, name(op.from.0));
    encodes(read, entry, &op.new.0, op.to.0, path("new"), findings);
    if op.from.0 == op.to.0 {
        findings.add(path("to")(), "another instruction than before", name(op.to.0));
    }
    if let Some(on) = key.and_then(|key| key.on)
        && (op.to.0 == JumpLabelType::Jmp) != (on ^ entry.branch)
    {
        let expected = if on ^ entry.branch { "jmp" } else { "nop" };
        findings.add(
            path("to")(),
            format!("{expected}, as the key's new state demands"),
            name(op.to.0),
        );
    }
}

/// Checks that `bytes` at the site of `entry` are the claimed instruction.
fn encodes(
    read: &ReadImage<'_>,
    entry: &JumpEntry,
    bytes: &[u8],
    claimed: JumpLabelType,
    path: impl Fn() -> super::PlanField,
    findings: &mut Findings,
) {
    let decoded = read.image.arch().decode_site(entry.code, bytes);
    let is_so = match (claimed, decoded.insn) {
        (JumpLabelType::Nop, SiteInsn::Nop) => true,
        (JumpLabelType::Jmp, SiteInsn::Jmp { to }) => to == entry.target,
        _ => false,
    };
    if is_so && decoded.len == bytes.len() {
        return;
    }
    let expected = match claimed {
        JumpLabelType::Nop => "bytes of a NOP".to_owned(),
        JumpLabelType::Jmp => {
            format!("bytes of a branch to {}", read.image.address_text(entry.target))
        }
    };
    let text = read.image.arch().disassemble(entry.code, bytes);
    let hex = bytes.shown();
    let text = text.map_or(hex.clone(), |text| format!("{hex} ({text})"));
    findings.add(path(), expected, text);
}

fn check_write(
    read: &ReadImage<'_>,
    at: usize,
    write: &KeyWriteRecord,
    key: &TrueKey,
    claim: Option<&KeyRecord>,
    findings: &mut Findings,
) {
    let path = |field| element("key_writes", at, field);
    let Some(true_key) = &key.key else {
        findings.add(
            path("key")(),
            "a key of an image of the plan",
            "a key that no image of the plan defines",
        );
        return;
    };
    findings.same(path("image"), &claim.and_then(|claim| claim.image), &Some(write.image));
    let (enabled, word) = (true_key.word_address(), true_key.word);
    findings.same(path("address"), &PlanAddress::of(read.image, enabled), &write.address);
    let offset = read.image.file_offset(enabled).map(|offset| offset.0);
    findings.same(path("file_offset"), &offset, &write.file_offset);
    // A key without bytes in the file is zero when the image starts.
    let there = offset.and_then(|offset| bytes_at(read.file, FileOffset(offset), word.len));
    findings.same(path("old"), there.unwrap_or(&vec![0; word.len]), &write.old.0[..]);
    let count = word.value(&write.new.0, read.image.is_big_endian());
    let new = claim.and_then(|claim| claim.new_enabled);
    findings.same(path("new"), &new, &count);
    if write.old == write.new {
        findings.add(path("new")(), "another word than before", write.new.to_string());
    }
}

/// Checks that ops are sorted by key, image and address.
fn check_order(document: &PlanDocument, images: &[ReadImage<'_>], findings: &mut Findings) {
    let rank = |op: &OpRecord| {
        let table = images.get(op.image).and_then(|read| read.table);
        let code = table.and_then(|table| Some(table.entry(table.site_id(op.site)?).code));
        (op.key, op.image, code)
    };
    for (at, pair) in document.ops.windows(2).enumerate() {
        if rank(&pair[0]) > rank(&pair[1]) {
            let found = format!("{} after {}", pair[1].address, pair[0].address);
            findings.add(element("ops", at + 1, "key")(), "ops by key, image and address", found);
        }
    }
}

/// Checks that no byte of a file is written twice.
fn check_overlaps(document: &PlanDocument, findings: &mut Findings) {
    let ops = document
        .ops
        .iter()
        .enumerate()
        .map(|(at, op)| (op.image, op.file_offset, op.new.0.len() as u64, "ops", at));
    let writes = document.key_writes.iter().enumerate().filter_map(|(at, write)| {
        Some((write.image, write.file_offset?, write.new.0.len() as u64, "key_writes", at))
    });
    let mut all: Vec<_> = ops.chain(writes).collect();
    all.sort_unstable();
    for pair in all.windows(2) {
        let ((image, offset, len, list, at), (next_image, next, _, next_list, next_at)) =
            (pair[0], pair[1]);
        if image == next_image && offset.saturating_add(len) > next {
            let path = element(next_list, next_at, "file_offset")();
            findings.add(path, format!("no byte of {list}[{at}]"), next.to_string());
        }
    }
}

/// Bytes of the image, without its containers.
fn bytes_at(file: &ImageFile, offset: FileOffset, len: usize) -> Option<&[u8]> {
    let start = usize::try_from(offset.0).ok()?;
    file.bytes().get(start..start.checked_add(len)?)
}

const fn name(insn: JumpLabelType) -> &'static str {
    match insn {
        JumpLabelType::Nop => "nop",
        JumpLabelType::Jmp => "jmp",
    }
}
