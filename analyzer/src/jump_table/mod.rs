//! The jump table of an image: its entries, keys and sites, and their defects.

mod catalogue;
mod check;
mod describe;
mod diagnostic;
pub mod diff;
mod dynamic_debug;
mod entry;
mod key;
mod kind;
mod link_note;
mod locate;
mod name;
mod query;
mod scan;
mod set;
mod site;
mod special;
mod table;

pub use catalogue::{CATALOGUE, CatalogueEntry};
pub use describe::KeyDescriptions;
pub use diagnostic::{AddressContent, Defect, Diagnostic, Severity};
pub use dynamic_debug::{DdebugSite, KEY_OFFSET as DDEBUG_KEY_OFFSET};
pub use entry::{EntryLayout, JumpEntry};
pub use key::{Key, KeyId, KeyStorage, KeyWord};
pub use kind::{Classifier, Holder, KeyKind};
pub use locate::{
    LocateError, LocatedBy, SECTION, START_SYMBOL, STATIC_KEYS_SECTION, STOP_SYMBOL, TableLocation,
};
pub use name::{KeyName, KeyNames, KeyPath};
pub use query::{KeyQuery, QueryError};
pub use scan::{Confidence, MIN_CHAIN};
pub use set::{Definition, ImageId, ImageKeys, SetKeyId, SetKeys, exports};
pub use site::{Site, SiteBytes, SiteId};
pub use special::Special;
pub use table::{InsnCounts, JumpTable, MAX_ENTRIES};
