//! From a plan to edits: of the files of its images, or of a process that runs them.
//!
//! Addresses and indexes were parsed and checked when the plan file was read
//! ([`crate::plan_file::read`]); whether the claims of the plan are true is for [`crate::check`]
//! to find out.  An op that has no place in the target is an error here, and never left out.

use crate::apply::{ByteWrite, ByteWrites, WritesError};
use crate::plan_file::{Hex, ImageRecord, KeyRecord, PlanAddress, PlanDocument};
use crate::process::{Bias, ControlKey, ControlOp, MemoryEdit, MemoryEdits};
use crate::reason::{Reason, Waiver};
use crate::target::Target;
use jlctl_analyzer::addr::FileOffset;
use jlctl_shim::abi::StaticKey;

/// Why a plan does not become edits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanEditError {
    /// An image that the plan does not have, or that was not found in the process.
    #[error("{field}: expected an index below {limit}, the number of images, found {found}")]
    Image {
        /// The field, as `ops[3].image`.
        field: String,
        /// How many images there are.
        limit: usize,
        /// The index of the image.
        found: usize,
    },
    /// An address that no image states.
    #[error(
        "{field}: expected an address 0x…, found {found}: no process runs a relocatable file; apply \
         the plan to the file"
    )]
    Relocatable {
        /// The field, as `ops[3].address`.
        field: String,
        /// The address.
        found: PlanAddress,
    },
    /// Bytes that end beyond the address space.
    #[error("{field}: expected an address of {len} bytes, found {address:#x} at run time")]
    Range {
        /// The field, as `ops[3].address`.
        field: String,
        /// The address at run time.
        address: u64,
        /// How many bytes are written there.
        len: usize,
    },
    /// Old and new bytes differ in number, or there are none.
    #[error(
        "{field}: expected as many new bytes as old ones and at least one, found {new} for {old}"
    )]
    Lengths {
        /// The field, as `ops[3]`.
        field: String,
        /// Number of old bytes.
        old: usize,
        /// Number of new bytes.
        new: usize,
    },
    /// The writes to a file are impossible.
    #[error("{path}: {error}")]
    Writes {
        /// Path of the image, as the plan has it.
        path: String,
        /// What is wrong.
        error: WritesError,
    },
}

/// The refusals that stand against applying a plan to a target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused for a {}; nothing was written: {}", .target.name().replace('-', " "), standing(.refusals))]
pub struct RefusedPlan {
    /// The target.
    pub target: Target,
    /// The refusals, in the order of the plan.
    pub refusals: Vec<StandingRefusal>,
}

/// A refusal that nothing lifts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRefusal {
    /// Name of the key, or path of the image, that is refused.
    pub subject: String,
    /// The reason.
    pub reason: Reason,
    /// The reason in words, with what was found.
    pub message: String,
}

fn standing(refusals: &[StandingRefusal]) -> String {
    let text = |refusal: &StandingRefusal| {
        let StandingRefusal { subject, reason, message } = refusal;
        format!("{subject}: {message} ({})", reason.code())
    };
    refusals.iter().map(text).collect::<Vec<_>>().join("; ")
}

/// Refuses the plan if a refusal for `target` is not waived; `is_waived` gives the waivers of the
/// caller.
///
/// # Errors
/// All refusals that are not waived.
pub fn refuse(
    document: &PlanDocument,
    target: Target,
    is_waived: impl Fn(Waiver) -> bool,
) -> Result<(), RefusedPlan> {
    let subject = |key: Option<usize>, image: usize| {
        let key = key.and_then(|key| document.keys.get(key));
        let image = || document.images.get(image).map(|image| image.path.clone());
        key.map(|key| key.name.clone()).or_else(image).unwrap_or_default()
    };
    let refusals: Vec<StandingRefusal> = document
        .refusals
        .iter()
        .filter(|refusal| refusal.targets.iter().any(|found| found.0 == target))
        .filter(|refusal| !refusal.code.0.waiver().is_some_and(&is_waived))
        .map(|refusal| StandingRefusal {
            subject: subject(refusal.key, refusal.image),
            reason: refusal.code.0,
            message: refusal.message.clone(),
        })
        .collect();
    if refusals.is_empty() { Ok(()) } else { Err(RefusedPlan { target, refusals }) }
}

/// The edits of one image's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEdits<'a> {
    /// The image.
    pub image: &'a ImageRecord,
    /// The bytes that change, or the reverse edits.
    pub writes: ByteWrites,
    /// How many sites change.
    pub sites: usize,
    /// How many words of keys change.
    pub key_words: usize,
}

/// The edits of the files of a plan's images, in their order; the reverse edits if `is_reverse`.
///
/// A word of a key without a file offset is zero-filled memory, which the file has no bytes of:
/// the plan's refusals say so.
///
/// # Errors
/// If writes to a file overlap, have no bytes, or end beyond the largest file offset.
pub fn file_edits(
    document: &PlanDocument,
    is_reverse: bool,
) -> Result<Vec<FileEdits<'_>>, PlanEditError> {
    let mut writes: Vec<(Vec<ByteWrite>, usize, usize)> = Vec::new();
    writes.resize_with(document.images.len(), Default::default);
    let write = |offset: u64, old: &Hex, new: &Hex| ByteWrite {
        offset: FileOffset(offset),
        old: old.0.clone(),
        new: new.0.clone(),
    };
    let limit = writes.len();
    let no_image = |list: &str, at: usize, found: usize| PlanEditError::Image {
        field: format!("{list}[{at}].image"),
        limit,
        found,
    };
    for (at, op) in document.ops.iter().enumerate() {
        let image = writes.get_mut(op.image).ok_or_else(|| no_image("ops", at, op.image))?;
        image.0.push(write(op.file_offset, &op.old, &op.new));
        image.1 += 1;
    }
    for (at, word) in document.key_writes.iter().enumerate() {
        let image =
            writes.get_mut(word.image).ok_or_else(|| no_image("key_writes", at, word.image))?;
        if let Some(offset) = word.file_offset {
            image.0.push(write(offset, &word.old, &word.new));
            image.2 += 1;
        }
    }
    let edits = |(image, (writes, sites, key_words)): (_, (Vec<ByteWrite>, usize, usize))| {
        let image: &ImageRecord = image;
        let writes = ByteWrites::new(writes)
            .map_err(|error| PlanEditError::Writes { path: image.path.clone(), error })?;
        let writes = if is_reverse { writes.reversed() } else { writes };
        Ok(FileEdits { image, writes, sites, key_words })
    };
    document.images.iter().zip(writes).map(edits).collect()
}

/// The edits of a process that has the plan's images in memory with `biases`, in their order;
/// the reverse edits if `is_reverse`.
///
/// # Errors
/// If an op or a word of a key is in no image of the process, or its address is not stated or
/// out of range.
pub fn process_edits(
    document: &PlanDocument,
    biases: &[Bias],
    is_reverse: bool,
) -> Result<MemoryEdits, PlanEditError> {
    let edit =
        |list: &str, at: usize, image: usize, address: &PlanAddress, old: &Hex, new: &Hex| {
            let (old, new) = if is_reverse { (new, old) } else { (old, new) };
            let address = at_run_time(list, at, (image, address), biases)?;
            let (old, new, len) = (old.0.clone(), new.0.clone(), new.0.len());
            if old.len() != len || len == 0 {
                let field = format!("{list}[{at}]");
                return Err(PlanEditError::Lengths { field, old: old.len(), new: len });
            }
            if address.checked_add(len as u64).is_none() {
                let field = format!("{list}[{at}].address");
                return Err(PlanEditError::Range { field, address, len });
            }
            Ok(MemoryEdit { address, old, new })
        };
    let ops = document.ops.iter().enumerate();
    let words = document.key_writes.iter().enumerate();
    Ok(MemoryEdits {
        code: ops
            .map(|(at, op)| edit("ops", at, op.image, &op.address, &op.old, &op.new))
            .collect::<Result<_, _>>()?,
        words: words
            .map(|(at, word)| {
                edit("key_writes", at, word.image, &word.address, &word.old, &word.new)
            })
            .collect::<Result<_, _>>()?,
    })
}

/// The plan as one batch of a control socket, for a process that knows the keys `known`; `None`
/// where the plan is something else: it patches some sites of a key only, or sites without their
/// key, sets a count other than 0 or 1, or has a key that the process does not know.
///
/// # Errors
/// If a key is in no image of the process, or its address is not stated.
pub fn control_ops(
    document: &PlanDocument,
    biases: &[Bias],
    known: &[ControlKey],
    is_reverse: bool,
) -> Result<Option<Vec<ControlOp>>, PlanEditError> {
    let mut ops = Vec::with_capacity(document.keys.len());
    for (at, key) in document.keys.iter().enumerate() {
        let Some(image) = key.image else { return Ok(None) };
        let address = at_run_time("keys", at, (image, &key.address), biases)?;
        let Some(known) = known.iter().find(|known| known.address == address) else {
            return Ok(None);
        };
        match control_op(key, known, is_reverse) {
            Some(op) => ops.push(op),
            None => return Ok(None),
        }
    }
    Ok((!ops.is_empty()).then_some(ops))
}

/// The change of one key; `None` if a batch of the control socket does not make it.
fn control_op(key: &KeyRecord, known: &ControlKey, is_reverse: bool) -> Option<ControlOp> {
    let (old, new) = (key.old_enabled?, key.new_enabled?);
    let (old, new) = if is_reverse { (new, old) } else { (old, new) };
    let is_flip = matches!((old, new), (0, 1) | (1, 0)) && key.ops == known.sites;
    let is_same = old == new && key.ops == 0;
    let (address, is_on, expected) = (known.address, StaticKey::is_on(new), Some(old));
    (is_flip || is_same).then_some(ControlOp { address, is_on, expected })
}

/// The address at run time of element `at` of `list`.
fn at_run_time(
    list: &str,
    at: usize,
    (image, address): (usize, &PlanAddress),
    biases: &[Bias],
) -> Result<u64, PlanEditError> {
    let bias = biases.get(image).ok_or_else(|| PlanEditError::Image {
        field: format!("{list}[{at}].image"),
        limit: biases.len(),
        found: image,
    })?;
    let stated = address.stated().ok_or_else(|| PlanEditError::Relocatable {
        field: format!("{list}[{at}].address"),
        found: address.clone(),
    })?;
    Ok(bias.at_run_time(stated))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan_file;
    use jlctl_analyzer::addr::Svma;

    fn demo() -> PlanDocument {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/expect/plan.json");
        plan_file::read(&std::fs::read(path).expect("a plan")).expect("a plan")
    }

    const BIAS: u64 = 0x1000_0000;

    fn biases() -> [Bias; 1] {
        [Bias::of_bytes(BIAS)]
    }

    fn stated(address: &PlanAddress) -> u64 {
        address.stated().expect("an address").0
    }

    #[test]
    fn each_op_and_each_word_is_an_edit_of_the_file() {
        let document = demo();
        let edits = file_edits(&document, false).expect("edits");
        assert_eq!(edits.len(), 1);
        let in_file = document.key_writes.iter().filter(|write| write.file_offset.is_some());
        assert_eq!(edits[0].sites, document.ops.len());
        assert_eq!(edits[0].key_words, in_file.count());
        assert!(edits[0].key_words < document.key_writes.len(), "a key without bytes in the file");
        assert_eq!(edits[0].writes.as_slice().len(), edits[0].sites + edits[0].key_words);
        for op in &document.ops {
            let wanted = (FileOffset(op.file_offset), &op.old.0, &op.new.0);
            let mut writes = edits[0].writes.as_slice().iter();
            assert!(writes.any(|write| (write.offset, &write.old, &write.new) == wanted));
        }
        let reverse = file_edits(&document, true).expect("edits");
        assert_eq!(reverse[0].writes, edits[0].writes.reversed());
        assert_ne!(reverse[0].writes, edits[0].writes);
    }

    #[test]
    fn edits_of_a_file_that_are_impossible_are_errors() {
        let mut document = demo();
        document.ops[1].file_offset = document.ops[0].file_offset;
        let error = file_edits(&document, false).expect_err("an overlap");
        assert!(matches!(&error, PlanEditError::Writes { error: WritesError::Overlap(..), .. }));
        let mut document = demo();
        document.ops[0].file_offset = u64::MAX;
        let error = file_edits(&document, false).expect_err("no offset");
        assert!(matches!(&error, PlanEditError::Writes { error: WritesError::End(_), .. }));
        let mut document = demo();
        document.ops[2].image = 1;
        let error = file_edits(&document, false).expect_err("no image");
        let text = "ops[2].image: expected an index below 1, the number of images, found 1";
        assert_eq!(error.to_string(), text);
        let mut document = demo();
        document.key_writes[0].image = 7;
        let error = file_edits(&document, false).expect_err("no image");
        assert!(error.to_string().starts_with("key_writes[0].image: "), "{error}");
    }

    #[test]
    fn each_op_and_each_word_is_an_edit_of_the_process() {
        let document = demo();
        let edits = process_edits(&document, &biases(), false).expect("edits");
        assert_eq!(edits.code.len(), document.ops.len());
        assert_eq!(edits.words.len(), document.key_writes.len());
        for (edit, op) in edits.code.iter().zip(&document.ops) {
            assert_eq!(edit.address, stated(&op.address).wrapping_add(BIAS));
            assert_eq!((&edit.old, &edit.new), (&op.old.0, &op.new.0));
        }
        for (edit, word) in edits.words.iter().zip(&document.key_writes) {
            assert_eq!(edit.address, stated(&word.address).wrapping_add(BIAS));
        }
        let reverse = process_edits(&document, &biases(), true).expect("edits");
        for (edit, back) in edits.code.iter().zip(&reverse.code) {
            assert_eq!((edit.address, &edit.old, &edit.new), (back.address, &back.new, &back.old));
        }
    }

    #[test]
    fn edits_of_a_process_that_are_impossible_are_errors() {
        type Case = (fn(&mut PlanDocument), &'static str);
        let cases: [Case; 7] = [
            (|plan| plan.ops[3].image = 1, "ops[3].image: expected an index below 1"),
            (|plan| plan.key_writes[1].image = 2, "key_writes[1].image: expected an index below 1"),
            (
                |plan| {
                    let (base, offset) = (".text".to_owned(), Some(16));
                    plan.ops[0].address = PlanAddress::Relative { base, offset };
                },
                "ops[0].address: expected an address 0x…, found .text+0x10",
            ),
            (
                |plan| {
                    let (base, offset) = ("key".to_owned(), None);
                    plan.key_writes[0].address = PlanAddress::Relative { base, offset };
                },
                "key_writes[0].address: expected an address 0x…, found key",
            ),
            (
                |plan| plan.ops[0].address = PlanAddress::Stated(Svma(0u64.wrapping_sub(BIAS + 2))),
                "ops[0].address: expected an address of 4 bytes, found 0xfffffffffffffffe",
            ),
            (|plan| plan.ops[0].new.0.truncate(2), "ops[0]: expected as many new bytes"),
            (
                |plan| {
                    plan.ops[0].old.0.clear();
                    plan.ops[0].new.0.clear();
                },
                "ops[0]: expected as many new bytes as old ones and at least one, found 0 for 0",
            ),
        ];
        for (change, words) in cases {
            let mut document = demo();
            change(&mut document);
            let error = process_edits(&document, &biases(), false).expect_err(words);
            assert!(error.to_string().starts_with(words), "{error}");
        }
    }

    /// A plan of one key that is switched on at two sites.
    fn one_key() -> (PlanDocument, ControlKey) {
        let mut document = demo();
        document.keys.truncate(1);
        let key = &mut document.keys[0];
        (key.image, key.old_enabled, key.new_enabled, key.ops) = (Some(0), Some(0), Some(1), 2);
        let address = stated(&key.address).wrapping_add(BIAS);
        (document, ControlKey { address, count: 0, sites: 2 })
    }

    #[test]
    fn whole_keys_are_a_batch_of_the_control_socket() {
        let (document, known) = one_key();
        let op = |is_on, expected| ControlOp { address: known.address, is_on, expected };
        let ops = control_ops(&document, &biases(), &[known], false).expect("a batch");
        assert_eq!(ops, Some(vec![op(true, Some(0))]));
        let ops = control_ops(&document, &biases(), &[known], true).expect("a batch");
        assert_eq!(ops, Some(vec![op(false, Some(1))]));
    }

    #[test]
    fn parts_of_keys_are_no_batch_of_the_control_socket() {
        type Change = fn(&mut PlanDocument, &mut ControlKey);
        let changes: [Change; 5] = [
            |_, known| known.sites = 3,
            |_, known| known.address += 8,
            |plan, _| plan.keys[0].image = None,
            |plan, _| plan.keys[0].old_enabled = Some(2),
            |plan, _| plan.keys.clear(),
        ];
        for change in changes {
            let (mut document, mut known) = one_key();
            change(&mut document, &mut known);
            assert_eq!(control_ops(&document, &biases(), &[known], false), Ok(None));
        }
        let (document, known) = one_key();
        let error = control_ops(&document, &[], &[known], false).expect_err("no image");
        assert!(
            error.to_string().starts_with("keys[0].image: expected an index below 0"),
            "{error}"
        );
    }

    #[test]
    fn refusals_stand_for_their_target_unless_they_are_waived() {
        let document = demo();
        let of = |target, is_waived: fn(Waiver) -> bool| refuse(&document, target, is_waived);
        let refused = of(Target::File, |_| false).expect_err("a key without bytes in the file");
        assert!(refused.refusals.iter().all(|refusal| !refusal.subject.is_empty()));
        let text = refused.to_string();
        assert!(text.starts_with("refused for a file; nothing was written: "), "{text}");
        let lifted = of(Target::File, |_| true);
        let stands = |waivable: bool| {
            let all = refused.refusals.iter();
            all.filter(|refusal| refusal.reason.waiver().is_some() == waivable).count()
        };
        assert!(stands(true) > 0);
        assert_eq!(lifted.map_or_else(|refused| refused.refusals.len(), |()| 0), stands(false));
    }
}
