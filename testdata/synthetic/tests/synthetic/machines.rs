//! Linked images of every machine, read back through `object`.

use jlctl_synthetic::demo;
use jlctl_synthetic::elf::{Endian, consts};
use jlctl_synthetic::link::Linked;
use jlctl_synthetic::spec::{FunctionSpec, ImageSpec, KeySpec, Machine, Relocations, SiteSpec};
use object::read::elf::ElfFile64;
use object::{Object, ObjectSection};

fn at(bytes: &[u8], address: u64, length: u64) -> Vec<u8> {
    let file = ElfFile64::<Endian>::parse(bytes).expect("a sound image parses");
    let found = file
        .sections()
        .find_map(|section| section.data_range(address, length).expect("the section is readable"));
    found.unwrap_or_else(|| panic!("no bytes at {address:#x}")).to_vec()
}

fn site(linked: &Linked, bytes: &[u8], index: usize) -> Vec<u8> {
    let entry = linked.entries[index];
    at(bytes, entry.code, entry.insn.length())
}

#[test]
fn the_demo_is_a_kernel_on_every_machine() {
    for (machine, e_machine, nop, forward, backward) in [
        (
            Machine::Aarch64,
            consts::EM_AARCH64,
            &0xd503_201f_u32.to_le_bytes()[..],
            &0x1400_000f_u32.to_le_bytes()[..],
            &0x17ff_fffb_u32.to_le_bytes()[..],
        ),
        (
            Machine::X86_64,
            consts::EM_X86_64,
            &[0x0f, 0x1f, 0x44, 0, 0],
            &[0xe9, 0x37, 0, 0, 0],
            &[0xe9, 0xe7, 0xff, 0xff, 0xff],
        ),
        (
            Machine::Riscv64,
            consts::EM_RISCV,
            &0x0000_0013_u32.to_le_bytes(),
            &0x03c0_006f_u32.to_le_bytes(),
            &0xfedf_f06f_u32.to_le_bytes(),
        ),
    ] {
        let linked = demo::spec().on(machine).link();
        let bytes = linked.bytes();
        let file = ElfFile64::<Endian>::parse(&*bytes).expect("a sound image parses");
        assert_eq!(file.elf_header().e_machine.get(Endian::Little), e_machine);
        assert_eq!(site(&linked, &bytes, 0), nop, "{machine:?}");
        // demo_read+4 goes to demo_read+0x40, demo_poll+0x18 to demo_poll+4.
        assert_eq!(site(&linked, &bytes, 2), forward, "{machine:?}");
        let length = backward.len() as u64;
        let distance = linked.entries[5].jump.expect("the site jumps");
        assert_eq!(distance.wrapping_sub(linked.entries[5].code).cast_signed(), -0x14);
        assert_eq!(at(&bytes, linked.entries[5].code, length), backward, "{machine:?}");
        assert!(file.has_debug_symbols());
    }
}

#[test]
fn a_position_independent_program_has_the_relocations_of_its_machine() {
    for (machine, relative) in
        [(Machine::Aarch64, 1027), (Machine::X86_64, 8), (Machine::Riscv64, 3)]
    {
        let linked = ImageSpec::user_pie(Relocations::Rela)
            .on(machine)
            .key(KeySpec::new("key"))
            .function(FunctionSpec::new("main", "main.c", 16))
            .site(SiteSpec::new("main+8", "main+32", "key").likely())
            .link();
        let bytes = linked.bytes();
        let file = ElfFile64::<Endian>::parse(&*bytes).expect("a sound image parses");
        let rela = file.section_by_name(".rela.dyn").expect("the image is relocated");
        let rela = rela.data().expect("it has bytes");
        let word = |n: usize| u64::from_le_bytes(rela[n * 8..][..8].try_into().expect("eight"));
        assert_eq!((word(0), word(1)), (linked.table.start, relative));
        assert_eq!(word(2), linked.entries[0].code);
    }
}
