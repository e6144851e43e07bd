//! Boot images that contain a compressed kernel: the location of their payload.

use super::error::ContainerFault;
use std::ops::Range;

/// Offset and size of the payload, and the name that the header gives its compression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Payload<'d> {
    pub(super) range: Range<usize>,
    pub(super) label: Option<&'d [u8]>,
}

const MZ: &[u8] = b"MZ";
const ZIMG: (usize, &[u8]) = (4, b"zimg");
const ZBOOT_OFFSET: usize = 8;
const ZBOOT_SIZE: usize = 12;
const ZBOOT_LABEL: Range<usize> = 0x18..0x38;

/// Whether `data` is an EFI zboot image (`drivers/firmware/efi/libstub/zboot-header.S`, Linux
/// 6.1 and later).
pub(super) fn is_zboot(data: &[u8]) -> bool {
    data.starts_with(MZ) && has(data, ZIMG)
}

/// The payload of an EFI zboot image.
pub(super) fn zboot(data: &[u8]) -> Result<Payload<'_>, ContainerFault> {
    let (offset, size) = (u32_at(data, ZBOOT_OFFSET)?, u32_at(data, ZBOOT_SIZE)?);
    let offset = field("payload offset (at 0x8)", offset);
    let range = offset.range(field("payload size (at 0xc)", size), data.len())?;
    let label = data.get(ZBOOT_LABEL).and_then(|label| label.split(|byte| *byte == 0).next());
    Ok(Payload { range, label: label.filter(|label| !label.is_empty()) })
}

const HDRS: (usize, &[u8]) = (0x202, b"HdrS");
const BOOT_FLAG: (usize, &[u8]) = (0x1fe, &[0x55, 0xaa]);
const SETUP_SECTS: usize = 0x1f1;
/// The number of setup sectors that a field of 0 stands for.
const DEFAULT_SETUP_SECTS: u8 = 4;
const SECTOR: u64 = 512;
const VERSION: usize = 0x206;
/// Version 2.08 introduced the payload fields.
const OLDEST_VERSION: u16 = 0x0208;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_LENGTH: usize = 0x24c;

/// Whether `data` is an x86 boot image (`Documentation/arch/x86/boot.rst`).
pub(super) fn is_bz_image(data: &[u8]) -> bool {
    has(data, HDRS) && has(data, BOOT_FLAG)
}

/// The payload of an x86 boot image.
pub(super) fn bz_image(data: &[u8]) -> Result<Payload<'_>, ContainerFault> {
    let version = u16::from_le_bytes(bytes_at(data, VERSION)?);
    if version < OLDEST_VERSION {
        let found = u64::from(version);
        let expected = format!("version {OLDEST_VERSION:#x} of the boot protocol, or later");
        return Err(ContainerFault::Header { field: "version (at 0x206)", expected, found });
    }
    let [sectors] = bytes_at(data, SETUP_SECTS)?;
    let sectors = if sectors == 0 { DEFAULT_SETUP_SECTS } else { sectors };
    let setup = (u64::from(sectors) + 1) * SECTOR;
    let offset = Field {
        // The field counts from the end of the setup code.
        base: setup,
        ..field("payload_offset (at 0x248)", u32_at(data, PAYLOAD_OFFSET)?)
    };
    let size = field("payload_length (at 0x24c)", u32_at(data, PAYLOAD_LENGTH)?);
    Ok(Payload { range: offset.range(size, data.len())?, label: None })
}

/// A header field that holds an offset or a size.
#[derive(Clone, Copy)]
struct Field {
    name: &'static str,
    base: u64,
    value: u64,
}

fn field(name: &'static str, value: u32) -> Field {
    Field { name, base: 0, value: u64::from(value) }
}

impl Field {
    /// `size` bytes from this offset, if a file of `len` bytes has them.
    fn range(self, size: Field, len: usize) -> Result<Range<usize>, ContainerFault> {
        let fault = |field: Self, expected: String| ContainerFault::Header {
            field: field.name,
            expected,
            found: field.value,
        };
        let start = usize::try_from(self.base + self.value).ok().filter(|start| *start < len);
        let Some(start) = start else {
            let room = (len as u64).saturating_sub(self.base);
            return Err(fault(
                self,
                format!("an offset below {room:#x}, the number of bytes that follow"),
            ));
        };
        let room = len - start;
        match usize::try_from(size.value) {
            Ok(size) if size > 0 && size <= room => Ok(start..start + size),
            _ => Err(fault(
                size,
                format!("a size from 1 to {room:#x}, the number of bytes that follow"),
            )),
        }
    }
}

fn has(data: &[u8], (offset, magic): (usize, &[u8])) -> bool {
    data.get(offset..).is_some_and(|rest| rest.starts_with(magic))
}

fn u32_at(data: &[u8], offset: usize) -> Result<u32, ContainerFault> {
    bytes_at(data, offset).map(u32::from_le_bytes)
}

fn bytes_at<const N: usize>(data: &[u8], offset: usize) -> Result<[u8; N], ContainerFault> {
    let bytes = data.get(offset..).and_then(<[u8]>::first_chunk);
    bytes.copied().ok_or_else(|| ContainerFault::Header {
        field: "size of the file",
        expected: format!("a header of at least {:#x} bytes", offset + N),
        found: data.len() as u64,
    })
}
