//! Flat images with kallsyms tables of every layout from Linux 4.19 to 7.0, written
//! independently from the output of scripts/kallsyms.c of these versions.

/// The Linux release whose layout the tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 64-bit number and markers.
    V4_19,
    /// 32-bit number and markers.
    V4_20,
    /// Lengths above 127 take two bytes.
    V6_1,
    /// Names have a sequence, between markers and tokens.
    V6_2,
    /// Number and names first, addresses after the tokens.
    V6_4,
    /// Aligned to 4 bytes; each offset counts from its own address.
    V7_0,
}

impl Release {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::V4_19, Self::V4_20, Self::V6_1, Self::V6_2, Self::V6_4, Self::V7_0];
}

/// How addresses are encoded; [`Release::V7_0`] has its own encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressStyle {
    /// Unsigned offsets from the lowest.
    Relative,
    /// Offsets from the base; symbols below the base have their addresses.
    AbsolutePercpu,
    /// Whole words.
    Absolute,
}

/// A symbol of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KallsymsSymbol {
    /// Its address.
    pub address: u64,
    /// Kind as `nm` prints it, then the name.
    pub text: String,
}

/// An image with kallsyms tables, declaratively.
#[derive(Debug, Clone)]
pub struct KallsymsSpec {
    /// Sorted by address.
    pub symbols: Vec<KallsymsSymbol>,
    /// Which layout.
    pub release: Release,
    /// How addresses are written.
    pub addresses: AddressStyle,
    /// Byte order.
    pub big_endian: bool,
    /// Address of the first byte of the image.
    pub load: u64,
    /// Bytes before the tables, a multiple of 8.
    pub before: usize,
    /// Maximum number of tokens of more than one character.
    pub merges: usize,
    /// Type of the RELA record that holds the base; the word itself is then 0.
    pub relocation: Option<u64>,
}

impl KallsymsSpec {
    /// `count` functions and objects with their names, 16 bytes apart, after `_text` at the
    /// start of an image at `load`.
    #[must_use]
    pub fn new(release: Release, count: usize) -> Self {
        let load = 0xffff_8000_8000_0000;
        let words = ["sched", "init", "__x64_sys", "net", "tcp", "read", "write", "probe"];
        let kinds = ["t", "T", "d", "B"];
        let symbols = (0..count).map(|index| {
            let text = match index {
                0 => "T_text".to_owned(),
                _ => {
                    let (a, b) = (words[index % 8], words[index / 8 % 8]);
                    format!("{}{a}_{b}_{index}", kinds[index % 4])
                }
            };
            KallsymsSymbol { address: load + 16 * index as u64, text }
        });
        Self {
            symbols: symbols.collect(),
            release,
            addresses: AddressStyle::Relative,
            big_endian: false,
            load,
            before: 1 << 16,
            merges: 12,
            relocation: None,
        }
    }

    /// The base that offsets are relative to: the lowest address, or the lowest
    /// in the kernel's half where those below are absolute.
    #[must_use]
    pub fn base(&self) -> u64 {
        let lowest = match self.addresses {
            AddressStyle::AbsolutePercpu => 1 << 63,
            AddressStyle::Relative | AddressStyle::Absolute => 0,
        };
        let mut relative = self.symbols.iter().filter(|symbol| symbol.address >= lowest);
        relative.next().map_or(0, |symbol| symbol.address)
    }

    /// The image.
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        Writer { spec: self, bytes: vec![0xa5; self.before] }.write()
    }
}

/// Writes the tables one after another.
struct Writer<'spec> {
    spec: &'spec KallsymsSpec,
    bytes: Vec<u8>,
}

impl Writer<'_> {
    fn write(mut self) -> Vec<u8> {
        let (names, tokens) = compress(&self.spec.symbols, self.spec.merges);
        let base_at;
        if self.spec.release < Release::V6_4 {
            base_at = self.addresses();
            self.names(&names);
            if self.spec.release == Release::V6_2 {
                self.sequence();
            }
            self.tokens(&tokens);
        } else {
            self.names(&names);
            self.tokens(&tokens);
            base_at = self.addresses();
            self.sequence();
        }
        // The bytes that follow in .rodata.
        self.align();
        self.bytes.extend([0x5a; 24]);
        if let Some(kind) = self.spec.relocation {
            self.relocations(kind, base_at);
        }
        self.bytes
    }

    fn align(&mut self) {
        let alignment = if self.spec.release == Release::V7_0 { 4 } else { 8 };
        self.bytes.resize(self.bytes.len().next_multiple_of(alignment), 0);
    }

    fn u16(&mut self, value: u16) {
        let big = self.spec.big_endian;
        self.bytes.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn u32(&mut self, value: u32) {
        let big = self.spec.big_endian;
        self.bytes.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn u64(&mut self, value: u64) {
        let big = self.spec.big_endian;
        self.bytes.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    /// A number or a marker.
    fn word(&mut self, value: usize) {
        if self.spec.release == Release::V4_19 {
            self.u64(value as u64);
        } else {
            self.u32(u32::try_from(value).expect("fewer than 4 GiB"));
        }
    }

    fn addresses(&mut self) -> Option<usize> {
        self.align();
        for symbol in &self.spec.symbols {
            let address = symbol.address;
            if self.spec.release == Release::V7_0 {
                let place = self.spec.load + self.bytes.len() as u64;
                self.u32(low(address.wrapping_sub(place)));
                continue;
            }
            let base = self.spec.base();
            match self.spec.addresses {
                AddressStyle::Absolute => self.u64(address),
                AddressStyle::Relative => self.u32(low(address - base)),
                AddressStyle::AbsolutePercpu if address < base => self.u32(low(address)),
                AddressStyle::AbsolutePercpu => self.u32(low(base.wrapping_sub(address + 1))),
            }
        }
        if self.spec.release == Release::V7_0 || self.spec.addresses == AddressStyle::Absolute {
            return None;
        }
        self.align();
        let at = self.bytes.len();
        let in_place = if self.spec.relocation.is_some() { 0 } else { self.spec.base() };
        self.u64(in_place);
        Some(at)
    }

    fn names(&mut self, names: &[Vec<u8>]) {
        self.align();
        self.word(names.len());
        self.align();
        let start = self.bytes.len();
        let mut markers = Vec::new();
        for (index, name) in names.iter().enumerate() {
            if index % 256 == 0 {
                markers.push(self.bytes.len() - start);
            }
            self.length(name.len());
            self.bytes.extend(name);
        }
        self.align();
        for marker in markers {
            self.word(marker);
        }
    }

    fn length(&mut self, length: usize) {
        if self.spec.release < Release::V6_1 {
            self.bytes.push(u8::try_from(length).expect("a short name"));
        } else if length < 128 {
            self.bytes.push(low_byte(length));
        } else {
            self.bytes.extend([low_byte(length % 128 + 128), low_byte(length / 128)]);
        }
    }

    fn tokens(&mut self, tokens: &[Vec<u8>]) {
        self.align();
        let start = self.bytes.len();
        let mut index = Vec::new();
        for token in tokens {
            index.push(u16::try_from(self.bytes.len() - start).expect("a short table"));
            self.bytes.extend(token);
            self.bytes.push(0);
        }
        self.align();
        for offset in index {
            self.u16(offset);
        }
    }

    fn sequence(&mut self) {
        self.align();
        let name = |index: &usize| &self.spec.symbols[*index].text.as_bytes()[1..];
        let mut order: Vec<usize> = (0..self.spec.symbols.len()).collect();
        order.sort_by_key(name);
        for index in order {
            let number = u32::try_from(index).expect("fewer than 2^24 symbols");
            self.bytes.extend(&number.to_be_bytes()[1..]);
        }
    }

    /// A record for the base and one for each symbol, which fill words before the
    /// tables.
    fn relocations(&mut self, kind: u64, base_at: Option<usize>) {
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let place = |index: usize| self.spec.load + (index * 8 % self.spec.before) as u64;
        let symbols = self.spec.symbols.iter().enumerate();
        let mut records: Vec<_> =
            symbols.map(|(index, symbol)| (place(index), symbol.address)).collect();
        records.extend(base_at.map(|at| (self.spec.load + at as u64, self.spec.base())));
        for (at, value) in records {
            self.u64(at);
            self.u64(kind);
            self.u64(value);
        }
    }
}

/// The lower 32 bits.
fn low(value: u64) -> u32 {
    u32::try_from(value & 0xffff_ffff).expect("32 bits")
}

fn low_byte(value: usize) -> u8 {
    u8::try_from(value & 0xff).expect("8 bits")
}

/// The names with the most frequent pairs of bytes replaced, again and again, by bytes that
/// occur in no name; and the text of each byte.
fn compress(symbols: &[KallsymsSymbol], merges: usize) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let mut names: Vec<Vec<u8>> =
        symbols.iter().map(|symbol| symbol.text.as_bytes().to_vec()).collect();
    let mut tokens = vec![Vec::new(); 256];
    for byte in names.iter().flatten().copied().chain(b'0'..=b'9') {
        tokens[usize::from(byte)] = vec![byte];
    }
    let unused: Vec<usize> = (0..256).rev().filter(|byte| tokens[*byte].is_empty()).collect();
    for code in unused.into_iter().take(merges) {
        let Some((first, second)) = most_frequent(&names) else { break };
        tokens[code] = [&tokens[usize::from(first)][..], &tokens[usize::from(second)]].concat();
        for name in &mut names {
            replace(name, first, second, low_byte(code));
        }
    }
    (names, tokens)
}

/// The pair of neighbours that occurs most often, if one occurs twice.
fn most_frequent(names: &[Vec<u8>]) -> Option<(u8, u8)> {
    let mut counts = vec![0u32; 1 << 16];
    for pair in names.iter().flat_map(|name| name.windows(2)) {
        counts[usize::from(pair[0]) << 8 | usize::from(pair[1])] += 1;
    }
    let (pair, count) = counts.into_iter().enumerate().max_by_key(|(_, count)| *count)?;
    (count > 1).then_some((low_byte(pair >> 8), low_byte(pair)))
}

fn replace(name: &mut Vec<u8>, first: u8, second: u8, code: u8) {
    let mut replaced = Vec::with_capacity(name.len());
    let mut rest = name.as_slice();
    while let [byte, tail @ ..] = rest {
        if *byte == first && tail.first() == Some(&second) {
            replaced.push(code);
            rest = &tail[1..];
        } else {
            replaced.push(*byte);
            rest = tail;
        }
    }
    *name = replaced;
}
