//! The encodings of A64 that are compared (Arm ARM DDI 0487, C4.1), as patterns of words.

/// How registers and fields of a word are chosen, so that it completes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At random.
    Plain,
    /// Rn points into the window.
    Base,
    /// Rn points into the window, and Rm is a small number.
    Indexed,
    /// As `Base`, after a load-exclusive of the same address.
    StoreExclusive,
    /// The literal is in the window.
    Literal,
    /// Rn is a signed pointer into the window.
    Signed,
}

/// A set of words.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    pub(crate) name: &'static str,
    /// The bits from 31 downward: `0`, `1`, `x` for any, `i` for an immediate that is mostly
    /// small; `*` stands for as many `x` as are missing.
    pub(crate) pattern: &'static str,
    pub(crate) kind: Kind,
}

const fn plain(name: &'static str, pattern: &'static str) -> Encoding {
    Encoding { name, pattern, kind: Kind::Plain }
}

const fn base(name: &'static str, pattern: &'static str) -> Encoding {
    Encoding { name, pattern, kind: Kind::Base }
}

const fn indexed(name: &'static str, pattern: &'static str) -> Encoding {
    Encoding { name, pattern, kind: Kind::Indexed }
}

const fn store_exclusive(name: &'static str, pattern: &'static str) -> Encoding {
    Encoding { name, pattern, kind: Kind::StoreExclusive }
}

/// All of them, in the order of C4.1.
pub(crate) const ENCODINGS: &[Encoding] = &[
    // C4.1.92, data processing with an immediate.
    plain("ADR", "0xx 10000 *"),
    plain("ADRP", "1xx 10000 *"),
    plain("ADD (immediate)", "x00 100010 *"),
    plain("ADDS (immediate)", "x01 100010 *"),
    plain("SUB (immediate)", "x10 100010 *"),
    plain("SUBS (immediate)", "x11 100010 *"),
    plain("ADDG, SUBG", "1x0 100011 0 xxxxxx 00 *"),
    plain("AND (immediate)", "x00 100100 *"),
    plain("ORR (immediate)", "x01 100100 *"),
    plain("MOV (bitmask immediate)", "x01 100100 xxxxxxxxxxxxx 11111 *"),
    plain("EOR (immediate)", "x10 100100 *"),
    plain("ANDS (immediate)", "x11 100100 *"),
    plain("MOVN", "x00 100101 *"),
    plain("MOVZ", "x10 100101 *"),
    plain("MOVK", "x11 100101 *"),
    plain("SBFM, 32 bits", "000 100110 0 0xxxxx 0xxxxx *"),
    plain("SBFM, 64 bits", "100 100110 1 *"),
    plain("BFM, 32 bits", "001 100110 0 0xxxxx 0xxxxx *"),
    plain("BFM, 64 bits", "101 100110 1 *"),
    plain("UBFM, 32 bits", "010 100110 0 0xxxxx 0xxxxx *"),
    plain("UBFM, 64 bits", "110 100110 1 *"),
    plain("EXTR, 32 bits", "000 100111 00 xxxxx 0xxxxx *"),
    plain("EXTR, 64 bits", "100 100111 10 *"),
    // C4.1.93, branches and system instructions.
    plain("B", "0 00101 *"),
    plain("BL", "1 00101 *"),
    plain("B.cond", "0101 0100 * 0 xxxx"),
    plain("CBZ, CBNZ", "x 011010 *"),
    plain("TBZ, TBNZ", "x 011011 *"),
    plain("BR", "1101011 0000 11111 000000 xxxxx 00000"),
    plain("BLR", "1101011 0001 11111 000000 xxxxx 00000"),
    plain("RET", "1101011 0010 11111 000000 xxxxx 00000"),
    plain("hints", "1101010100 0000110010 xxxxxxx 11111"),
    plain("signing of x30", "1101010100 0000110010 0011xxx 11111"),
    plain("barriers", "1101010100 0000110011 xxxx xxx 11111"),
    plain("MSR (flags)", "1101010100 0000000100 0000 0xx 11111"),
    plain("MSR NZCV", "1101010100 0110110100 0010 000 *"),
    plain("MSR DAIF, DIT, SSBS", "1101010100 0110110100 0010 xxx *"),
    plain("MSR FPCR, FPSR", "1101010100 0110110100 0100 00x *"),
    plain("MSR TPIDR_EL0", "1101010100 0110111101 0000 010 *"),
    plain("MRS NZCV", "1101010100 1110110100 0010 000 *"),
    plain("MRS FPCR, FPSR", "1101010100 1110110100 0100 00x *"),
    plain("MRS TPIDR_EL0", "1101010100 1110111101 0000 010 *"),
    plain("MRS CTR_EL0", "1101010100 1110110000 0000 001 *"),
    plain("MRS DCZID_EL0", "1101010100 1110110000 0000 111 *"),
    plain("MRS CNTVCT_EL0", "1101010100 1110111110 0000 0x0 *"),
    plain("MRS ID registers", "1101010100 1110000000 01xx xxx *"),
    plain("MRS RNDR", "1101010100 1110110010 0100 00x *"),
    base("DC CVAU and others", "1101010100 0010110111 1x1x 001 *"),
    base("DC ZVA", "1101010100 0010110111 0100 001 *"),
    base("IC IVAU", "1101010100 0010110111 0101 001 *"),
    // C4.1.95, data processing of registers.
    plain("UDIV, SDIV", "x00 11010110 xxxxx 00001x *"),
    plain("LSLV and others", "x00 11010110 xxxxx 0010xx *"),
    plain("CRC32", "x00 11010110 xxxxx 010xxx *"),
    plain("SUBP", "100 11010110 xxxxx 000000 *"),
    plain("SUBPS", "101 11010110 xxxxx 000000 *"),
    plain("IRG, GMI", "100 11010110 xxxxx 00010x *"),
    plain("PACGA", "100 11010110 xxxxx 001100 *"),
    plain("RBIT, REV, CLZ, CLS", "x10 11010110 00000 000xxx *"),
    plain("PACIA and others", "110 11010110 00001 000xxx *"),
    plain("PACIZA and others", "110 11010110 00001 001xxx 11111 *"),
    plain("XPACI, XPACD", "110 11010110 00001 01000x 11111 *"),
    plain("AND, BIC (shifted)", "x00 01010 *"),
    plain("ORR, ORN (shifted)", "x01 01010 *"),
    plain("MOV (register)", "x01 01010 000 xxxxx 000000 11111 *"),
    plain("EOR, EON (shifted)", "x10 01010 *"),
    plain("ANDS, BICS (shifted)", "x11 01010 *"),
    plain("ADD (shifted)", "x00 01011 xx0 *"),
    plain("ADDS (shifted)", "x01 01011 xx0 *"),
    plain("SUB (shifted)", "x10 01011 xx0 *"),
    plain("SUBS (shifted)", "x11 01011 xx0 *"),
    plain("ADD (extended)", "x00 01011 001 *"),
    plain("ADDS (extended)", "x01 01011 001 *"),
    plain("SUB (extended)", "x10 01011 001 *"),
    plain("SUBS (extended)", "x11 01011 001 *"),
    plain("ADC, ADCS, SBC, SBCS", "xxx 11010000 xxxxx 000000 *"),
    plain("RMIF", "101 11010000 xxxxxx 00001 xxxxx 0 xxxx"),
    plain("SETF8, SETF16", "001 11010000 000000 x 0010 xxxxx 01101"),
    plain("CCMN, CCMP", "xx1 11010010 xxxxx xxxx x0 xxxxx 0xxxx"),
    plain("CSEL, CSINC", "x00 11010100 xxxxx xxxx 0x *"),
    plain("CSINV, CSNEG", "x10 11010100 xxxxx xxxx 0x *"),
    plain("MADD, MSUB", "x00 11011 000 *"),
    plain("MUL, MNEG", "x00 11011 000 xxxxx x 11111 *"),
    plain("SMADDL, UMADDL and others", "100 11011 x01 *"),
    plain("SMULH, UMULH", "100 11011 x10 xxxxx 0 *"),
    // C4.1.96, data processing of floating-point and vector registers.
    plain("conversions to integers", "x00 11110 0x 1 xx 00x 000000 *"),
    plain("conversions from integers", "x00 11110 0x 1 00 01x 000000 *"),
    plain("FMOV (general)", "x00 11110 xx 1 0x 11x 000000 *"),
    plain("FCVT (fixed point)", "x00 11110 0x 0 xx xxx 1xxxxx *"),
    plain("FJCVTZS", "000 11110 01 1 11 110 000000 *"),
    plain("FCMP, FCMPE", "000 11110 xx 1 xxxxx 00 1000 xxxxx xx000"),
    plain("FCCMP, FCCMPE", "000 11110 xx 1 xxxxx xxxx 01 *"),
    plain("FCSEL", "000 11110 0x 1 xxxxx xxxx 11 *"),
    plain("floating point, one source", "000 11110 0x 1 0xxxxx 10000 *"),
    plain("floating point, two sources", "000 11110 0x 1 xxxxx xxxx 10 *"),
    plain("floating point, three sources", "000 11111 0x *"),
    plain("SMOV, UMOV", "0x0 01110000 xxxxx 0 01x1 1 *"),
    plain("DUP, INS", "0x0 01110000 xxxxx 0 00x1 1 *"),
    plain("vectors, three same", "0xx 01110 xx 1 xxxxx xxxxx 1 *"),
    plain("vectors, two registers", "0xx 01110 xx 10000 xxxxx 10 *"),
    plain("vectors, across", "0xx 01110 xx 11000 xxxxx 10 *"),
    plain("vectors, immediate", "0xx 0111100000 xxx xxxx 01 *"),
    plain("vectors, shift", "0xx 011110 xxxxxxx xxxxx 1 *"),
    plain("scalars, three same", "01x 11110 xx 1 xxxxx xxxxx 1 *"),
    plain("AES", "01001110 00 10100 0xxxx 10 *"),
    plain("SHA", "01011110 000 xxxxx 0xxx 00 *"),
    // C4.1.94, loads and stores.
    base("LD1 to LD4, ST1 to ST4", "0x 001100 0x 000000 xxxx xx *"),
    base("LD1 to ST4, post-index", "0x 001100 1x 0 xxxxx xxxx xx *"),
    base("LD1 to ST4, one lane", "0x 001101 0x x00000 xxx x xx *"),
    base("LD1 to ST4, one lane, post-index", "0x 001101 1x x xxxxx xxx x xx *"),
    store_exclusive("STXR, STLXR", "xx 001000 000 xxxxx x 11111 *"),
    base("LDXR, LDAXR", "xx 001000 010 11111 x 11111 *"),
    store_exclusive("STXP, STLXP", "1x 001000 001 xxxxx x xxxxx *"),
    base("LDXP, LDAXP", "1x 001000 011 11111 x *"),
    base("CASP", "0x 001000 0x1 xxxx0 x 11111 xxxxx xxxx0"),
    base("STLR, STLLR", "xx 001000 100 11111 x 11111 *"),
    base("LDAR, LDLAR", "xx 001000 110 11111 x 11111 *"),
    base("CAS", "xx 001000 1x1 xxxxx x 11111 *"),
    base("LDAPUR, STLUR", "xx 011001 xx 0 xxxxxxxxx 00 *"),
    base("LDG, STG, ST2G and others", "11011001 xx 1 iiiixxxxx xx *"),
    Encoding { name: "LDR (literal)", pattern: "xx 011 x 00 *", kind: Kind::Literal },
    base("LDNP, STNP", "x0 101 0 000 x *"),
    base("LDP, STP", "x0 101 0 0xx x *"),
    base("LDPSW, STGP", "01 101 0 0xx x *"),
    base("LDP, STP (vector)", "xx 101 1 0xx x *"),
    base("LDUR, STUR", "xx 111 0 00 xx 0 xxxxxxxxx 00 *"),
    base("LDUR, STUR (vector)", "xx 111 1 00 xx 0 xxxxxxxxx 00 *"),
    base("LDR, STR, post-index", "xx 111 0 00 xx 0 xxxxxxxxx 01 *"),
    base("LDR, STR, pre-index", "xx 111 0 00 xx 0 xxxxxxxxx 11 *"),
    base("LDR, STR (vector), indexed", "xx 111 1 00 xx 0 xxxxxxxxx x1 *"),
    base("LDTR, STTR", "xx 111 0 00 xx 0 xxxxxxxxx 10 *"),
    base("LDADD and others", "xx 111 0 00 xx 1 xxxxx 0xxx 00 *"),
    base("SWP", "xx 111 0 00 xx 1 xxxxx 1000 00 *"),
    base("LDAPR", "xx 111 0 00 10 1 11111 1100 00 *"),
    Encoding {
        name: "LDRAA, LDRAB",
        pattern: "11 111 0 00 xx 1 ixxxxxxxx x1 *",
        kind: Kind::Signed,
    },
    indexed("LDR, STR (register)", "xx 111 0 00 xx 1 xxxxx x1x x 10 *"),
    indexed("LDR, STR (vector, register)", "xx 111 1 00 xx 1 xxxxx x1x x 10 *"),
    base("LDR, STR (immediate)", "xx 111 0 01 xx iiiiiixxxxxx *"),
    base("LDR, STR (vector, immediate)", "xx 111 1 01 xx iiiiiixxxxxx *"),
];
