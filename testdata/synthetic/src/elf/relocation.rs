//! Relocations of a relocatable file (`ET_REL`), by symbol instead of by number.

use super::{Endian, Symbol, consts};
use object::endian::Endian as _;

/// Bytes of an `Elf64_Rela`.
pub const RELA_BYTES: u64 = 24;
/// Bytes of an `Elf64_Rel`.
pub const REL_BYTES: u64 = 16;

/// The symbol that a relocation refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SymbolRef {
    /// The symbol at this position of [`super::Elf::symbols`].
    Position(usize),
    /// This symbol number, whether the file has it or not; 0 is no symbol.
    Number(u32),
}

/// A relocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relocation {
    /// `r_offset`, from the start of the section that is relocated.
    pub offset: u64,
    /// Type, as the machine's psABI numbers it.
    pub kind: u32,
    /// Symbol.
    pub symbol: SymbolRef,
    /// `r_addend`.
    pub addend: i64,
}

/// The bytes of `relocations`: `Elf64_Rela`, or `Elf64_Rel` (which has no
/// addend) in a section of `SHT_REL`.
pub(super) fn encode(
    endian: Endian,
    relocations: &[Relocation],
    symbols: &[Symbol],
    sh_type: consts::SectionType,
) -> Vec<u8> {
    let numbers = numbers(symbols);
    let encode = |relocation: &Relocation| {
        let symbol = match relocation.symbol {
            SymbolRef::Number(number) => number,
            SymbolRef::Position(position) => numbers[position],
        };
        let info = u64::from(symbol) << 32 | u64::from(relocation.kind);
        let mut words = vec![relocation.offset, info];
        if sh_type != consts::SHT_REL {
            words.push(relocation.addend.cast_unsigned());
        }
        words.into_iter().flat_map(|word| endian.write_u64(word)).collect::<Vec<u8>>()
    };
    relocations.iter().flat_map(encode).collect()
}

/// The number that each symbol gets in the file: local ones first, from 1.
fn numbers(symbols: &[Symbol]) -> Vec<u32> {
    let is_local = |symbol: &Symbol| symbol.bind == consts::STB_LOCAL;
    let locals = symbols.iter().filter(|symbol| is_local(symbol)).count();
    let (mut local, mut global) = (1, 1 + u32::try_from(locals).expect("few symbols"));
    let number = |symbol: &Symbol| {
        let next = if is_local(symbol) { &mut local } else { &mut global };
        *next += 1;
        *next - 1
    };
    symbols.iter().map(number).collect()
}
