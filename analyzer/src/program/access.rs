//! A64 loads and stores of general-purpose registers: direction, size and address.
//!
//! Encodings: Arm ARM (DDI 0487), C4.1.94 "Loads and Stores". A pair counts as an access to the
//! first of its two locations. Vector accesses, atomics with a result and prefetches are not
//! decoded.

use super::insn::Register;

/// Direction of an access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// Reads memory.
    Load,
    /// Writes memory.
    Store,
}

/// A load or store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Access {
    /// Load or store.
    pub kind: AccessKind,
    /// The first register that is loaded or stored.
    pub register: Register,
    /// The register that holds the address, or the base to which the offset is added.
    pub base: Register,
    /// Offset in bytes; `None` if it is in a register.
    pub offset: Option<i64>,
    /// Size of each register's access, in bytes.
    pub bytes: u8,
    /// Whether the access is a load-acquire or a store-release.
    pub is_ordered: bool,
}

/// Decodes `word` as an access.
#[must_use]
pub fn access(word: u32) -> Option<Access> {
    // op0 (bits 28:25) x1x0, and bit 26 for vectors.
    if (word >> 25) & 0b0101 != 0b0100 || word & (1 << 26) != 0 {
        return None;
    }
    match (word >> 27) & 7 {
        0b111 => single(word),
        0b101 => Some(pair(word)),
        0b001 => ordered(word),
        // LDAPUR and STLUR share their group with LDR (literal), which has no base register.
        0b011 if word & 0x3f20_0c00 == 0x1900_0000 => {
            let is_load = (word >> 22) & 3 != 0;
            Some(Access { is_ordered: true, ..plain(word, is_load, Some(signed(word, 12, 9))) })
        }
        _ => None,
    }
}

fn signed(word: u32, low: u32, bits: u32) -> i64 {
    let above = 32 - low - bits;
    i64::from((word << above).cast_signed() >> (32 - bits))
}

/// An access of one register; bits 31:30 give the size.
fn plain(word: u32, is_load: bool, offset: Option<i64>) -> Access {
    Access {
        kind: if is_load { AccessKind::Load } else { AccessKind::Store },
        register: Register::at(word, 0),
        base: Register::at(word, 5),
        offset,
        bytes: 1 << (word >> 30),
        is_ordered: false,
    }
}

fn single(word: u32) -> Option<Access> {
    let is_load = (word >> 22) & 3 != 0;
    // LDAPR is encoded among the atomics.
    if word & 0x3fff_fc00 == 0x38bf_c000 {
        return Some(Access { is_ordered: true, ..plain(word, true, Some(0)) });
    }
    // PRFM.
    if word >> 30 == 3 && (word >> 22) & 3 == 2 {
        return None;
    }
    if (word >> 24) & 3 == 1 {
        let offset = i64::from((word >> 10) & 0xfff) << (word >> 30);
        return Some(plain(word, is_load, Some(offset)));
    }
    if (word >> 24) & 3 != 0 {
        return None;
    }
    match (word & (1 << 21) != 0, (word >> 10) & 3) {
        // Unscaled, unprivileged and pre-indexed.
        (false, 0 | 2 | 3) => Some(plain(word, is_load, Some(signed(word, 12, 9)))),
        (false, _) => Some(plain(word, is_load, Some(0))),
        (true, 2) => Some(plain(word, is_load, None)),
        _ => None,
    }
}

fn pair(word: u32) -> Access {
    let is_load = word & (1 << 22) != 0;
    // LDPSW loads words. A post-indexed access uses the base without the offset.
    let bytes = if word >> 30 == 2 { 8 } else { 4 };
    let is_after = (word >> 23) & 3 == 1;
    let offset = if is_after { 0 } else { signed(word, 15, 7) * i64::from(bytes) };
    Access { bytes, ..plain(word, is_load, Some(offset)) }
}

/// Exclusives and ordered accesses.
fn ordered(word: u32) -> Option<Access> {
    let is_load = word & (1 << 22) != 0;
    let is_ordered = word & (1 << 15) != 0;
    let is_exclusive = word & (1 << 23) == 0;
    // Compare-and-swap, and exclusive pairs.
    if word & (1 << 21) != 0 || !is_exclusive && !is_ordered {
        return None;
    }
    Some(Access { is_ordered, ..plain(word, is_load, Some(0)) })
}

/// The second register that an instruction writes: the second result of a pair load, or the base
/// register of an access with write-back.
#[must_use]
pub fn also_writes(word: u32) -> Option<Register> {
    if (word >> 25) & 0b0101 != 0b0100 {
        return None;
    }
    match (word >> 27) & 7 {
        // LDXP and LDAXP.
        1 if word & 0x00e0_0000 == 0x0060_0000 => Some(Register::at(word, 10)),
        5 if word & (1 << 26) == 0 && word & (1 << 22) != 0 => Some(Register::at(word, 10)),
        5 if (word >> 23) & 1 != 0 => Some(Register::at(word, 5)),
        7 if (word >> 24) & 3 == 0 && word & (1 << 21) == 0 && (word >> 10) & 1 != 0 => {
            Some(Register::at(word, 5))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x(number: u8) -> Register {
        Register::new(number).unwrap()
    }

    /// Words as `llvm-mc -triple=aarch64 -mattr=+all -show-encoding` makes them.
    #[test]
    fn accesses_are_decoded() {
        let plain = |kind, base, offset, bytes| Access {
            kind,
            register: x(1),
            base: x(base),
            offset,
            bytes,
            is_ordered: false,
        };
        use AccessKind::{Load, Store};
        for (word, access_of) in [
            (0xf940_0441, plain(Load, 2, Some(8), 8)),
            (0xb940_0441, plain(Load, 2, Some(4), 4)),
            (0x3940_0441, plain(Load, 2, Some(1), 1)),
            (0xb980_0441, plain(Load, 2, Some(4), 4)),
            (0xf900_07e1, plain(Store, 31, Some(8), 8)),
            (0x7900_0441, plain(Store, 2, Some(2), 2)),
            (0xf85f_8041, plain(Load, 2, Some(-8), 8)),
            (0xf800_8c41, plain(Store, 2, Some(8), 8)),
            (0xf800_8441, plain(Store, 2, Some(0), 8)),
            (0xf863_6841, plain(Load, 2, None, 8)),
            (0xb823_7841, plain(Store, 2, None, 4)),
            (0xa941_0c41, plain(Load, 2, Some(16), 8)),
            (0xa9bf_0c41, plain(Store, 2, Some(-16), 8)),
            (0xa881_0c41, plain(Store, 2, Some(0), 8)),
            (0x2901_0c41, plain(Store, 2, Some(8), 4)),
            (0xc85f_7c41, plain(Load, 2, Some(0), 8)),
        ] {
            assert_eq!(access(word), Some(access_of), "{word:#010x}");
        }
    }

    #[test]
    fn ordered_accesses_are_decoded() {
        for (word, kind, bytes) in [
            (0xc8df_fc41, AccessKind::Load, 8),
            (0x88df_fc41, AccessKind::Load, 4),
            (0xf8bf_c041, AccessKind::Load, 8),
            (0xc89f_fc41, AccessKind::Store, 8),
            (0x889f_fc41, AccessKind::Store, 4),
            (0xc85f_fc41, AccessKind::Load, 8),
            (0xd940_0041, AccessKind::Load, 8),
            (0xd900_0041, AccessKind::Store, 8),
        ] {
            let found = access(word).unwrap();
            assert_eq!((found.kind, found.bytes, found.is_ordered), (kind, bytes, true));
            assert_eq!((found.register, found.base), (x(1), x(2)), "{word:#010x}");
        }
        // ldr x1, 8; prfm pldl1keep, [x2]; ldr q1, [x2]; ldadd x3, x1, [x2]; casal x3, x1, [x2].
        for word in [0x5800_0041, 0xf980_0040, 0x3dc0_0041, 0xf823_0041, 0xc8e3_fc41, 0xd503_201f] {
            assert_eq!(access(word), None, "{word:#010x}");
        }
    }

    #[test]
    fn second_results_are_decoded() {
        for (word, second) in [
            (0xa940_0440, Some(x(1))),
            (0xf800_8c22, Some(x(1))),
            (0xa9bf_7bfd, Some(x(31))),
            (0xc87f_0c41, Some(x(3))),
            (0xb900_0001, None),
        ] {
            assert_eq!(also_writes(word), second, "{word:#010x}");
        }
    }
}
