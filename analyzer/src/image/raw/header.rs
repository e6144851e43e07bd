//! Headers of raw boot images.
//!
//! arm64: Documentation/arch/arm64/booting.rst; riscv64:
//! Documentation/arch/riscv/boot-image-header.rst (both Linux 6.12).  The two have the same
//! form: 64 bytes, little-endian for every kernel, a magic number at 0x38 and, for EFI, the
//! offset of a PE header after it.

use crate::image::error::ImageFault;
use crate::image::format::ImageFormat;

/// Size of a header, in bytes.
pub(crate) const SIZE: usize = 64;
/// `text_offset`.
const TEXT_OFFSET: usize = 0x08;
/// `image_size`.
const IMAGE_SIZE: usize = 0x10;
/// `flags`.
const FLAGS: usize = 0x18;
/// The magic number.
const MAGIC: usize = 0x38;
/// Offset of the PE header.
const PE_OFFSET: usize = 0x3c;
/// `flags`: the kernel is big-endian.
const BIG_ENDIAN: u64 = 1;
/// Most memory that a kernel may take: branches of both architectures reach at most a quarter
/// of it.
pub(super) const LARGEST: u64 = 1 << 30;
/// Kernels are placed relative to multiples of 2 MiB.
const PLACEMENT: u64 = 2 << 20;

/// The fields of a header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(super) format: ImageFormat,
    pub(super) big_endian: bool,
    /// Offset of the PE header; `None` without one.
    pub(super) pe_offset: Option<u32>,
    text_offset: u64,
    image_size: u64,
    flags: u64,
}

impl Header {
    /// The header at the start of `data`; `None` if the data are not a raw image.
    pub(crate) fn detect(data: &[u8]) -> Option<Self> {
        let header = data.get(..SIZE)?;
        let format = match header.get(MAGIC..MAGIC + 4)? {
            b"ARM\x64" => ImageFormat::Arm64Image,
            b"RSC\x05" => ImageFormat::Riscv64Image,
            _ => return None,
        };
        let word = |at: usize| Some(u64::from_le_bytes(*header.get(at..)?.first_chunk()?));
        let pe_offset = u32::from_le_bytes(*header.get(PE_OFFSET..)?.first_chunk()?);
        let flags = word(FLAGS)?;
        Some(Self {
            format,
            big_endian: flags & BIG_ENDIAN != 0,
            pe_offset: (pe_offset != 0).then_some(pe_offset),
            text_offset: word(TEXT_OFFSET)?,
            image_size: word(IMAGE_SIZE)?,
            flags,
        })
    }

    /// Byte order of the kernel's data.
    pub(crate) fn is_big_endian(&self) -> bool {
        self.big_endian
    }

    /// Bytes that the kernel takes in memory, including `.bss`; `None` if the header states an
    /// impossible number.  Kernels before 3.17 state 0.
    pub(super) fn image_size(&self) -> Option<u64> {
        (1..=LARGEST).contains(&self.image_size).then_some(self.image_size)
    }

    /// The fields that are impossible in a file of `file_size` bytes.  Only the byte order and
    /// the size of `.bss` depend on them.
    pub(super) fn faults(&self, file_size: u64) -> Vec<ImageFault> {
        let (known_flags, text_offset_is_sound) = match self.format {
            // Byte order, page size (2 bits), placement.
            ImageFormat::Arm64Image => (0xf, self.text_offset < PLACEMENT),
            _ => (1, self.text_offset.is_multiple_of(4096) && self.text_offset < LARGEST),
        };
        let fault = |is_wrong: bool, field, expected: String, found| {
            is_wrong.then_some(ImageFault::BootHeader { field, expected, found })
        };
        let size_is_wrong =
            self.image_size != 0 && (self.image_size > LARGEST || self.image_size < file_size);
        [
            fault(
                size_is_wrong,
                "image_size",
                format!("from {file_size:#x}, the size of the file, to {LARGEST:#x}"),
                self.image_size,
            ),
            fault(
                !text_offset_is_sound,
                "text_offset",
                "a distance from a boundary of 2 MiB".to_owned(),
                self.text_offset,
            ),
            fault(
                self.flags & !known_flags != 0,
                "flags",
                format!("no bits outside {known_flags:#x}"),
                self.flags,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}
