//! One file of a set. The file is closed once it is read; the records that remain own their
//! strings, so that the largest files bound memory, not all of them.

use super::filter::Filter;
use super::image_records::{Records, image_record, key_record};
use super::inspection::{ImageSelection, ImageTable, Inspection, Lists, wanted_sites};
use super::records::{DiagnosticRecord, FileRecord, KeyRecord, SiteRecord};
use crate::args::Inspect;
use crate::open::debug_info;
use crate::open::files::Candidate;
use crate::open::input::{Input, is_no_image};
use crate::schema::FrameRecord;
use crate::terminal::progress::Progress;
use jlctl_analyzer::addr::Svma;
use jlctl_analyzer::image::Image;
use jlctl_analyzer::jump_table::{
    ImageKeys, JumpTable, Key, KeyDescriptions, KeyId, KeyKind, KeyName, LocateError, exports,
};
use std::path::{Path, PathBuf};

/// The part of a file that is kept.
pub(crate) struct SetFile {
    pub(crate) record: FileRecord,
    pub(crate) keys: Vec<FileKey>,
    pub(crate) sites: Vec<FileSite>,
    pub(crate) diagnostics: Vec<DiagnosticRecord>,
    /// The faults that the lookup of source lines met.
    pub(crate) line_faults: Vec<DiagnosticRecord>,
    /// The part that the identity of keys across files depends on.
    pub(crate) identity: ImageKeys,
    /// Objects that other files may use.
    pub(crate) exports: Vec<(String, Svma)>,
}

/// A key of a file.
pub(crate) struct FileKey {
    pub(crate) record: KeyRecord<'static>,
    pub(crate) name: KeyName,
    pub(crate) kind: KeyKind,
    /// Address in the image, even where the record shows none.
    pub(crate) address: Svma,
}

/// A site of a file, with the index of its key there.
pub(crate) struct FileSite {
    pub(crate) record: SiteRecord<'static>,
    /// The frame in which the key is used.
    pub(crate) used_at: Option<FrameRecord<'static>>,
    pub(crate) key: usize,
}

/// The result of reading a file.
pub(crate) enum Reading {
    Read(Box<SetFile>),
    /// The file could not be read.
    Failed(Box<FileRecord>),
    /// The file was found in a directory and is not an image.
    NoImage,
}

/// The sites whose source lines are looked up.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LineSites<'a> {
    /// Those that the report shows.
    Shown,
    /// Those with these indexes, which ascend.
    These(&'a [usize]),
}

/// How a file is read.
#[derive(Clone, Copy)]
pub(crate) struct FileOptions<'a> {
    pub(crate) args: &'a Inspect,
    pub(crate) lists: Lists,
    pub(crate) lines: LineSites<'a>,
}

/// Reads a file, whose index in the set is `index`.
pub(crate) fn read(candidate: &Candidate, index: usize, options: FileOptions<'_>) -> Reading {
    match try_read(&candidate.path, index, options) {
        Ok(file) => Reading::Read(Box::new(file)),
        Err(error) if candidate.is_found && is_no_image(&error) => Reading::NoImage,
        Err(error) => Reading::Failed(Box::new(FileRecord {
            path: candidate.path.to_string_lossy().into_owned(),
            error: Some(format!("{error:#}")),
            image: None,
            table: None,
            summary: None,
        })),
    }
}

/// Reads the file at `path`, also one that was read before.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn try_read(
    path: &Path,
    index: usize,
    options: FileOptions<'_>,
) -> anyhow::Result<SetFile> {
    let quiet = Progress::none();
    let input = Input::open(path, &options.args.debug_dir, &quiet)?;
    let image = input.image(&quiet)?;
    let mut file = SetFile {
        record: FileRecord {
            path: path.to_string_lossy().into_owned(),
            error: None,
            image: Some(image_record(
                &image,
                input.file(),
                input.debug().is_some(),
                input.debug_file(),
            )),
            table: None,
            summary: None,
        },
        keys: Vec::new(),
        sites: Vec::new(),
        diagnostics: Vec::new(),
        line_faults: Vec::new(),
        identity: ImageKeys::default(),
        exports: exports(&image).collect(),
    };
    match JumpTable::read(&image) {
        Ok(table) => file.take(&input, &image, &table, index, options)?,
        // A module without static keys is a valid member of the set.
        Err(LocateError::NoTable { .. }) if image.faults().is_empty() => {}
        Err(error) => return Err(debug_info::no_table(&image, error)),
    }
    Ok(file)
}

impl SetFile {
    fn take(
        &mut self,
        input: &Input,
        image: &Image<'_>,
        table: &JumpTable<'_>,
        index: usize,
        options: FileOptions<'_>,
    ) -> anyhow::Result<()> {
        let FileOptions { args, lists, lines } = options;
        let quiet = Progress::none();
        let mut diagnostics = table.diagnostics().to_vec();
        let debug_info = match args.no_source {
            true => None,
            false => debug_info::open(input, image, &quiet, &mut diagnostics)?,
        };
        let keys = debug_info::describe_keys(debug_info.as_ref(), input, image, table, &quiet);
        diagnostics.extend(keys.faults().iter().map(debug_info::debug_fault));
        let filter = Filter::default();
        let selection = ImageSelection::new(&ImageTable { image, table, keys: &keys }, &filter)?;
        let sites = match lines {
            LineSites::Shown => wanted_sites(args, lists, &selection, &diagnostics),
            LineSites::These(sites) => {
                table.site_ids().filter(|id| sites.binary_search(&id.index()).is_ok()).collect()
            }
        };
        let first_line_fault = diagnostics.len();
        let frames = debug_info.filter(|_| !sites.is_empty()).map(|debug_info| {
            debug_info::frames(&debug_info, input, table, &sites, &quiet, &mut diagnostics)
        });
        let inspection = Inspection {
            file: input.file(),
            image,
            table,
            keys: &keys,
            selection: &selection,
            filter: &filter,
            diagnostics: &diagnostics,
            frames: frames.as_ref(),
            has_debug_info: input.debug().is_some(),
            debug_file: input.debug_file(),
            lists,
        };
        let records = Records::new(&inspection, index)?;
        self.record.table = Some(records.table());
        self.record.summary = Some(records.summary());
        self.diagnostics = records.all_diagnostics();
        self.line_faults = self.diagnostics.split_off(first_line_fault);
        self.identity = ImageKeys::of_table(image, table);
        self.keys = table
            .key_ids()
            .map(|id| FileKey {
                record: records.key_of(id).into_owned(),
                name: keys.names().get(id).clone(),
                kind: keys.kind(id),
                address: table.key(id).address,
            })
            .collect();
        self.sites = table
            .site_ids()
            .map(|id| FileSite {
                record: records.site_of(id).into_owned(),
                used_at: records.used_at_of(id).map(FrameRecord::into_owned),
                key: table.key_of(id).index(),
            })
            .collect();
        Ok(())
    }

    /// Whether users know addresses in the image: those in relocatable files are made up.
    pub(crate) fn states_addresses(&self) -> bool {
        self.record.image.as_ref().is_some_and(|image| image.r#type != Some("rel"))
    }
}

/// The keys at some addresses of a file that was read before: keys that only other files use.
///
/// # Errors
/// If the file cannot be read again.
pub(crate) fn keys_at(
    path: &Path,
    index: usize,
    debug_dirs: &[PathBuf],
    addresses: &[Svma],
) -> anyhow::Result<Vec<FileKey>> {
    let quiet = Progress::none();
    let input = Input::open(path, debug_dirs, &quiet)?;
    let image = input.image(&quiet)?;
    let keys: Vec<Key> = addresses.iter().map(|address| Key::at(&image, *address)).collect();
    let described = KeyDescriptions::of_keys(&image, &keys);
    let file_key = |(key, id): (&Key, KeyId)| FileKey {
        record: key_record(&image, key, &described, id, index, 0).into_owned(),
        name: described.names().get(id).clone(),
        kind: described.kind(id),
        address: key.address,
    };
    Ok(keys.iter().zip(described.names().ids()).map(file_key).collect())
}
