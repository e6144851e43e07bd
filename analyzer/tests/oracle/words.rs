//! Random words and states.

use crate::emulator::{NOP, Record, State, WINDOW, WINDOW_BYTES, WORD};
use crate::encodings::{ENCODINGS, Encoding, Kind};
use crate::random::{Random, low};
use std::sync::LazyLock;

const WORD_BITS: usize = 32;

/// A random word of the encoding, in a random state.
pub(crate) fn record(encoding: &Encoding, random: &mut Random) -> Record {
    loop {
        let word = word(encoding, random);
        if is_comparable(word) {
            return prepared(word, encoding.kind, random);
        }
    }
}

/// The word in a random state.
pub(crate) fn of(word: u32, random: &mut Random) -> Record {
    prepared(word, encoding(word).map_or(Kind::Plain, |encoding| encoding.kind), random)
}

/// The name of the word's encoding.
pub(crate) fn name(word: u32) -> &'static str {
    encoding(word).map_or("other", |encoding| encoding.name)
}

fn encoding(word: u32) -> Option<&'static Encoding> {
    // The fixed bits of each encoding, and their values.
    static FIXED: LazyLock<Vec<(u32, u32, &Encoding)>> = LazyLock::new(|| {
        let fixed = |encoding| (having(encoding, "01"), having(encoding, "1"), encoding);
        ENCODINGS.iter().map(fixed).collect()
    });
    let found = FIXED.iter().find(|(mask, value, _)| word & mask == *value)?;
    Some(found.2)
}

/// The bits for which the pattern has one of these characters.
fn having(encoding: &Encoding, characters: &str) -> u32 {
    let bits = bits(encoding);
    let bits = bits.chars().zip((0..32).rev());
    bits.filter(|(bit, _)| characters.contains(*bit)).fold(0, |word, (_, at)| word | 1 << at)
}

/// The pattern, with one character for each bit.
fn bits(encoding: &Encoding) -> String {
    let given = encoding.pattern.chars().filter(|bit| !matches!(bit, ' ' | '*')).count();
    let missing = WORD_BITS - given;
    encoding.pattern.replace('*', &"x".repeat(missing)).replace(' ', "")
}

fn word(encoding: &Encoding, random: &mut Random) -> u32 {
    let bits = bits(encoding);
    assert_eq!(bits.len(), WORD_BITS, "{}", encoding.name);
    // Immediates are small, small and negative, or any.
    let immediate = match random.below(4) {
        0 | 1 => 0,
        2 => u32::MAX,
        _ => random.word(),
    };
    let any = random.word();
    bits.bytes().zip((0..32).rev()).fold(0, |word, (bit, at)| {
        let bit = match bit {
            b'0' => 0,
            b'1' => 1,
            b'i' => immediate >> at & 1,
            _ => any >> at & 1,
        };
        word | bit << at
    })
}

/// Whether the architecture says what the word does, as far as registers decide that, and whether
/// the oracle may execute it.
pub(crate) fn is_comparable(word: u32) -> bool {
    // Exceptions: the emulator would make system calls of its own machine.
    let is_exception = word >> 24 == 0xd4;
    // MSR SVCR changes the mode of the vector unit for what follows.
    let is_mode = word & 0xffff_f0ff == 0xd503_407f;
    !is_exception && !is_mode && !jumps_near(word) && is_predictable(word)
}

/// Whether the word jumps to itself, or to the word before.
fn jumps_near(word: u32) -> bool {
    let is_near = |offset: u32, all: u32| offset & all == 0 || offset & all == all;
    match word >> 24 & 0x7f {
        // B and BL.
        0x14..=0x17 => is_near(word, 0x03ff_ffff),
        // CBZ, CBNZ and B.cond.
        0x34 | 0x35 | 0x54 => is_near(word >> 5, 0x7_ffff),
        // TBZ and TBNZ.
        0x36 | 0x37 => is_near(word >> 5, 0x3fff),
        _ => false,
    }
}

/// Whether the word is not CONSTRAINED UNPREDICTABLE (Arm ARM C6.2) by a base that is updated and
/// transferred, by one destination for both of a pair, or by a status register that is also a
/// source.
fn is_predictable(word: u32) -> bool {
    let field = |low: u32| word >> low & 31;
    let (rt, rn, rt2, rs) = (field(0), field(5), field(10), field(16));
    let (is_vector, is_load) = (word >> 26 & 1 == 1, word >> 22 & 1 == 1);
    let updates = |mode: u32| mode & 1 == 1;
    let is_base = |register: u32| register == rn && rn != 31;
    match word >> 24 & 0x3b {
        0x28 | 0x29 if !is_vector => {
            let overlaps = updates(word >> 23) && (is_base(rt) || is_base(rt2));
            !(overlaps || is_load && rt == rt2)
        }
        0x38 if !is_vector && word >> 21 & 1 == 0 => !(updates(word >> 10) && is_base(rt)),
        // LDRAA and LDRAB.
        0x38 if !is_vector && word >> 10 & 1 == 1 => !(word >> 11 & 1 == 1 && is_base(rt)),
        // Exclusives. CASP has the bits of a pair, but not bit 31.
        0x08 if !is_vector && word >> 23 & 1 == 0 => {
            let is_pair = word >> 21 & 1 == 1;
            if is_pair && word >> 31 == 0 {
                true
            } else if is_load {
                !(is_pair && rt == rt2)
            } else {
                !(rs == rt || is_base(rs) || is_pair && rs == rt2)
            }
        }
        _ => true,
    }
}

fn prepared(word: u32, kind: Kind, random: &mut Random) -> Record {
    let mut state = state(random);
    let base = word >> 5 & 31;
    let mut word = word;
    let mut before = NOP;
    match kind {
        Kind::Plain => {}
        Kind::Literal => {
            if random.chance(90) {
                let offset = low(WINDOW - WORD) / 4 + random.below(WINDOW_BYTES / 4);
                word = word & !0x00ff_ffe0 | offset << 5;
            }
        }
        Kind::Base | Kind::Indexed | Kind::StoreExclusive | Kind::Signed => {
            if random.chance(95) {
                // SYS has its address in Rt.
                let at = if word >> 22 == 0x354 { word & 31 } else { base };
                state.x[at as usize] = inside(random);
            }
        }
    }
    match kind {
        Kind::Indexed => {
            let index = word >> 16 & 31;
            if index != base && index != 31 {
                state.x[index as usize] = u64::from(random.below(64)).wrapping_sub(32);
            }
        }
        // LDXR or LDXP of the zero register.
        Kind::StoreExclusive => {
            before = 0x085f_7c1f | word & 0xc020_03e0;
        }
        // PACDZA or PACDZB of the base.
        Kind::Signed if base != 31 => {
            let key = word >> 23 & 1;
            before = 0xdac1_2be0 | key << 10 | base;
        }
        _ => {}
    }
    Record { before, word, state }
}

/// An aligned address in the middle of the window.
fn inside(random: &mut Random) -> u64 {
    let middle = WINDOW_BYTES / 4;
    WINDOW + u64::from(middle + random.below(middle * 2) / 16 * 16)
}

/// A random state: half of the registers point into the window.
pub(crate) fn state(random: &mut Random) -> State {
    let x = std::array::from_fn(|_| value(random));
    State { x, nzcv: u64::from(random.below(16)) << 28 }
}

fn value(random: &mut Random) -> u64 {
    const EDGES: [u64; 8] =
        [0, 1, u64::MAX, 1 << 31, 1 << 63, (1 << 31) - 1, (1 << 63) - 1, 0xffff_ffff];
    match random.below(8) {
        0..4 => inside(random),
        4 => u64::from(random.below(64)),
        5 => EDGES[random.below(8) as usize],
        _ => random.next(),
    }
}
