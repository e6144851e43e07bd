//! From a [`Program`] to an ELF file.

use super::dynamic::{Dynamic, add_relocations, put};
use super::frame;
use super::function::{Content, Entries, Function};
use super::insn::{Form, Insn, refer};
use super::kernel;
use super::module::Unlinked;
use super::program::{Program, World, needs_relocation};
use jlctl_synthetic::elf::{Elf, Endian, consts};
use jlctl_synthetic::link::{Definitions, Pool, Slot, code, read_only, writable};
use jlctl_synthetic::spec::{Flavour, ImageSpec, Machine, Relocations, Scope, TextSection};

/// Writes code and data once everything has an address.
struct Linker<'a> {
    program: &'a Program,
    dynamic: Dynamic,
    pool: Pool,
    functions: Vec<Slot>,
    objects: Vec<Slot>,
    undefined: Vec<(String, u64)>,
}

/// The meaning of a name.
#[derive(Debug, Clone, Copy)]
struct Meaning {
    address: u64,
    is_label: bool,
}

/// Distance between the undefined symbols of a relocatable file in its layout.
const APART: u64 = 0x1_0000;

impl Program {
    /// Gives everything an address and bytes.
    ///
    /// # Panics
    /// If a reference is undefined or out of range.
    #[must_use]
    pub fn link(&self) -> Elf {
        link(self)
    }

    /// The bytes of the file.
    ///
    /// # Panics
    /// As [`Self::link`].
    #[must_use]
    pub fn build(&self) -> Vec<u8> {
        self.link().write()
    }
}

fn link(program: &Program) -> Elf {
    let mut pool = Pool::default();
    let dynamic = Dynamic::of(program);
    add_sections(&mut pool, program, &dynamic);
    let place = |f: &Function| pool.add(f.section.name(), f.size(), f.align);
    let functions = program.functions.iter().map(place).collect();
    let objects = program.objects.iter().map(|o| pool.add(o.section.name(), o.size(), 8)).collect();
    pool.assign(base(program));
    let end = pool.sections().iter().map(jlctl_synthetic::elf::Section::end).max().unwrap_or(0);
    let far = (1..).map(|number| end.next_multiple_of(APART) + number * APART);
    let undefined = match program.world {
        World::Module(_) | World::ObjectFile => dynamic.imports.iter().cloned().zip(far).collect(),
        World::Kernel if !dynamic.imports.is_empty() => {
            panic!("undefined symbol {:?}", dynamic.imports)
        }
        World::Kernel | World::User => Vec::new(),
    };
    Linker { program, dynamic, pool, functions, objects, undefined }.finish()
}

fn base(program: &Program) -> u64 {
    match program.world {
        World::Kernel => ImageSpec::kernel().base,
        World::User => ImageSpec::user_pie(Relocations::Rela).base,
        World::Module(_) | World::ObjectFile => ImageSpec::module("").base,
    }
}

fn flavour(program: &Program) -> Flavour {
    match program.world {
        World::Kernel => Flavour::Kernel,
        World::User => Flavour::User,
        World::Module(_) | World::ObjectFile => Flavour::Module,
    }
}

fn add_sections(pool: &mut Pool, program: &Program, dynamic: &Dynamic) {
    match &program.world {
        World::Kernel => kernel::add_sections(pool, program),
        World::Module(name) => super::module::add_sections(pool, name),
        World::ObjectFile => {
            pool.add_section(code(".text", 8));
            pool.add_section(read_only(".rodata", 8));
            pool.add_section(writable(".data", 8));
        }
        World::User => {
            dynamic.add_read_only(pool);
            add_relocations(pool, program, Some(".dynsym"));
            pool.add_section(read_only(".rodata", 8));
            if program.has_frames {
                pool.add_section(read_only(".eh_frame", 8));
                pool.add(".eh_frame", frame::size(program.functions.len()), 8);
            }
            dynamic.add_stubs(pool);
            pool.add_section(code(".text", jlctl_synthetic::link::PAGE));
            pool.add_section(code(TextSection::Init.name(), 8));
            pool.add_section(code(TextSection::Exit.name(), 8));
            dynamic.add_writable(pool);
            pool.add_section(writable(".data", 8));
        }
    }
}

impl Linker<'_> {
    fn finish(mut self) -> Elf {
        let addresses: Vec<(String, u64)> = self
            .functions
            .iter()
            .map(|slot| (self.pool.section_of(*slot).to_owned(), self.pool.address(*slot)))
            .collect();
        let names = self.define(&addresses);
        let flavour = flavour(self.program);
        let sections = self.pool.sections().iter().filter(|s| !s.content.is_empty());
        let sections: Vec<_> = sections.cloned().collect();
        let stripped = self.program.is_stripped;
        let mut elf = Elf {
            endian: Endian::Little,
            is_64: true,
            machine: consts::EM_AARCH64,
            e_type: if self.program.is_relocatable() { consts::ET_REL } else { consts::ET_DYN },
            entry: if flavour == Flavour::Kernel { base(self.program) } else { 0 },
            segments: jlctl_synthetic::link::segments(&sections, flavour),
            symbols: if stripped { Vec::new() } else { names.symbols(&sections) },
            sections,
        };
        let mut unlinked = Unlinked::default();
        self.write_code(&mut elf, &addresses, &mut unlinked);
        let words = self.write_objects(&mut elf, &addresses, &mut unlinked);
        match &self.program.world {
            World::Kernel => kernel::fill(&mut elf, self.program, &addresses),
            World::User => self.dynamic.fill(&mut elf, self.program, &addresses),
            World::Module(name) => {
                super::module::fill(&mut elf, name);
                unlinked.take_apart(&mut elf);
            }
            World::ObjectFile => unlinked.take_apart(&mut elf),
        }
        if self.program.has_frames {
            let address = elf.section(".eh_frame").expect("it was added").address;
            let functions = self.program.functions.iter().zip(&addresses);
            let functions: Vec<_> = functions.map(|(f, (_, at))| (*at, f.size())).collect();
            put(&mut elf, ".eh_frame", &frame::bytes(address, &functions));
        }
        self.relocate(&mut elf, words);
        elf
    }

    fn define(&mut self, addresses: &[(String, u64)]) -> Definitions {
        let mut names = Definitions::default();
        for (function, (section, at)) in self.program.functions.iter().zip(addresses) {
            names.map("$x", &function.file, section, *at);
            let file = || Scope::Local(function.file.clone());
            for (offset, insn) in function.insns().filter(|(_, i)| matches!(i, Insn::Quad(_))) {
                let mut mark = |name, at| {
                    names.define((name, file()), consts::STT_NOTYPE, section, (at, 0));
                };
                mark("$d", at + offset);
                mark("$x", at + offset + insn.size());
            }
            for name in function.names() {
                let named = (name, function.scope());
                names.define(named, consts::STT_FUNC, section, (*at, function.size()));
            }
        }
        for (object, slot) in self.program.objects.iter().zip(&self.objects) {
            let extent = (self.pool.address(*slot), object.size());
            let named = (object.name.as_str(), Scope::Global);
            names.define(named, consts::STT_OBJECT, object.section.name(), extent);
        }
        for (name, address) in &self.undefined {
            names.undefined(name, *address);
        }
        if self.program.world == World::Kernel {
            kernel::define(&mut names, self.program, &self.pool);
        }
        names
    }

    /// The meaning of `name` in a function, by the order that [`Program`] documents.
    fn meaning(&self, from: Option<usize>, name: &str) -> Meaning {
        let at = |number: usize| self.pool.address(self.functions[number]);
        let all = &self.program.functions;
        let meant = |address| Meaning { address, is_label: false };
        if let Some((number, offset)) = from.and_then(|n| Some((n, all[n].label(name)?))) {
            return Meaning { address: at(number) + offset, is_label: true };
        }
        let (file, name) = match (name.rsplit_once(':'), from) {
            (Some((file, name)), _) => (Some(file), name),
            (None, from) => (from.map(|number| all[number].file.as_str()), name),
        };
        let named: Vec<usize> =
            (0..all.len()).filter(|n| all[*n].names().any(|known| known == name)).collect();
        let own = named.iter().find(|n| all[**n].is_local && Some(all[**n].file.as_str()) == file);
        if let Some(number) = own.or(named.first()) {
            assert!(own.is_some() || named.len() == 1, "{name} is ambiguous");
            return meant(at(*number));
        }
        if let Some(number) = self.program.objects.iter().position(|o| o.name == name) {
            return meant(self.pool.address(self.objects[number]));
        }
        if let Some((_, address)) = self.undefined.iter().find(|(known, _)| known == name) {
            return meant(*address);
        }
        let import = self.dynamic.imports.iter().position(|known| known == name);
        let number = import.unwrap_or_else(|| panic!("undefined symbol {name}"));
        let plt = self.pool.section(".plt").expect("imports have stubs").address;
        meant(Dynamic::stub(plt, number))
    }

    fn write_code(&self, elf: &mut Elf, addresses: &[(String, u64)], unlinked: &mut Unlinked) {
        for section in &mut elf.sections {
            if section.flags.0 & consts::SHF_EXECINSTR.0 != 0
                && let jlctl_synthetic::elf::Content::Bytes(bytes) = &mut section.content
            {
                jlctl_synthetic::link::fill_code(Machine::Aarch64, bytes);
            }
        }
        for (number, function) in self.program.functions.iter().enumerate() {
            for (offset, insn) in function.insns() {
                let at = addresses[number].1 + offset;
                let bytes = self.bytes(number, at, insn, unlinked);
                assert!(bytes.is_empty() || elf.poke(at, &bytes), "code lies in the file");
            }
        }
    }

    /// The bytes of an element at `at`.
    fn bytes(&self, number: usize, at: u64, insn: &Insn, unlinked: &mut Unlinked) -> Vec<u8> {
        let nop = super::asm::NOP;
        let word = match insn {
            Insn::Label(_) => return Vec::new(),
            // Pointers are filled with those in data.
            Insn::Quad(_) => return vec![0; 8],
            Insn::Word(word) => *word,
            Insn::Site { jumps: false, .. } => nop,
            Insn::Site { to, jumps: true } => {
                refer(super::asm::B, Form::Imm26, at, self.meaning(Some(number), to).address)
            }
            Insn::Refer { word, form, to } => {
                let meaning = self.meaning(Some(number), to);
                if self.program.is_relocatable() && needs_relocation(*form, meaning.is_label) {
                    unlinked.code(at, (*form, *word), meaning.address);
                    *word
                } else {
                    refer(*word, *form, at, meaning.address)
                }
            }
        };
        word.to_le_bytes().to_vec()
    }

    /// Writes the content of objects, and returns their pointers: (address, value).
    fn write_objects(
        &self,
        elf: &mut Elf,
        addresses: &[(String, u64)],
        unlinked: &mut Unlinked,
    ) -> Vec<(u64, u64)> {
        let mut pointers = Vec::new();
        for (number, function) in self.program.functions.iter().enumerate() {
            for (offset, insn) in function.insns() {
                if let Insn::Quad(to) = insn {
                    let value = self.meaning(Some(number), to).address;
                    pointers.push((addresses[number].1 + offset, value));
                }
            }
        }
        for (object, slot) in self.program.objects.iter().zip(&self.objects) {
            let at = self.pool.address(*slot);
            match &object.content {
                Content::Bytes(bytes) => assert!(elf.poke(at, bytes), "data lies in the file"),
                Content::Pointers(to) => {
                    let to = to.iter().zip((at..).step_by(8)).filter(|(to, _)| !to.is_empty());
                    pointers.extend(to.map(|(to, at)| (at, self.meaning(None, to).address)));
                }
                Content::Branches { function, entries, to } => {
                    let to = self.labels(function, to);
                    if *entries == Entries::Addresses {
                        pointers.extend((at..).step_by(8).zip(to));
                    } else {
                        assert!(elf.poke(at, &self.distances(at, function, entries, &to)));
                    }
                }
            }
        }
        pointers.sort_unstable();
        for (place, value) in &pointers {
            if self.program.is_relocatable() {
                unlinked.pointer(*place, *value);
            } else if self.program.relocations != Relocations::Rela {
                elf.poke(*place, &value.to_le_bytes());
            }
        }
        pointers
    }

    /// Addresses of labels of a function.
    fn labels(&self, function: &str, labels: &[String]) -> Vec<u64> {
        let all = &self.program.functions;
        let number = all.iter().position(|f| f.name == function);
        let number = number.expect("the switch has a function");
        let start = self.pool.address(self.functions[number]);
        let label = |name| all[number].label(name).unwrap_or_else(|| panic!("no {name}"));
        labels.iter().map(|name| start + label(name)).collect()
    }

    fn distances(&self, table: u64, function: &str, entries: &Entries, to: &[u64]) -> Vec<u8> {
        let (base, unit, bytes) = match entries {
            Entries::FromLabel(base, bytes) => {
                (self.labels(function, std::slice::from_ref(base))[0], 4, *bytes)
            }
            Entries::FromTable => (table, 1, 4),
            Entries::Addresses => panic!("addresses are no distances"),
        };
        let kept = usize::try_from(bytes).expect("they are few");
        let entry = |to: &u64| {
            let distance = to.wrapping_sub(base).cast_signed() / unit;
            let lost = 64 - 8 * bytes;
            let is_near = distance << lost >> lost == distance || distance >> (8 * bytes) == 0;
            assert!(is_near, "{bytes} bytes do not reach");
            distance.to_le_bytes().into_iter().take(kept).collect::<Vec<u8>>()
        };
        to.iter().flat_map(entry).collect()
    }

    fn relocate(&self, elf: &mut Elf, words: Vec<(u64, u64)>) {
        let (places, values): (Vec<u64>, Vec<u64>) = words.into_iter().unzip();
        if places.is_empty() || self.program.is_relocatable() {
            return;
        }
        match self.program.relocations {
            Relocations::None => {}
            Relocations::Rela => {
                let rela =
                    jlctl_synthetic::link::rela(Endian::Little, Machine::Aarch64, &places, &values);
                put(elf, ".rela.dyn", &rela);
            }
            Relocations::Relr => {
                let mut relr = jlctl_synthetic::link::relr(Endian::Little, &places);
                // A bitmap without bits has no effect.
                while (relr.len() as u64) < 16 * places.len() as u64 {
                    relr.extend(1_u64.to_le_bytes());
                }
                put(elf, ".relr.dyn", &relr);
            }
        }
    }
}
