//! Stubs through which a program calls functions of other files (AAELF64, "Procedure linkage
//! table").

use super::function::FuncId;
use super::insn::{Constant, INSN_BYTES, Insn, decode};
use super::recovered::RecoveredProgram;
use crate::addr::Svma;

/// Instructions before the branch of the longest stub: BTI, ADRP, LDR, ADD, and padding by the
/// linker.
const LONGEST: u64 = 6;

/// Functions that jump through a slot of `imports`, each with the symbol in its slot. `imports`
/// are sorted by address.
pub(super) fn stubs(
    program: &RecoveredProgram<'_>,
    imports: &[(Svma, String)],
) -> Vec<(FuncId, String)> {
    if imports.is_empty() {
        return Vec::new();
    }
    let stub_of = |id: FuncId| {
        let function = program.function(id);
        if function.range.size() > 16 * INSN_BYTES {
            return None;
        }
        let jump = program
            .events_of(id)
            .iter()
            .find(|event| matches!(event.insn, Insn::JumpRegister { .. }))?;
        if jump.at.0 - function.range.start().0 > LONGEST * INSN_BYTES {
            return None;
        }
        let (mut page, mut slot, mut at) = (None, None, function.range.start());
        while at < jump.at {
            match decode(program.word(at)?, at) {
                Insn::Constant { register, value: Constant::Value(value), .. } => {
                    page = Some((register, value));
                }
                Insn::Constant { value: Constant::Loaded { base, offset }, .. } => {
                    slot = page
                        .filter(|(register, _)| *register == base)
                        .map(|(_, page)| Svma(page.wrapping_add(offset)));
                }
                _ => {}
            }
            at = at.wrapping_add(INSN_BYTES);
        }
        let at = imports.binary_search_by_key(&slot?, |(slot, _)| *slot).ok()?;
        Some((id, imports[at].1.clone()))
    };
    program.ids().filter_map(stub_of).collect()
}
