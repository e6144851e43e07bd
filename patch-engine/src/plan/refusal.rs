//! What a plan refuses.

use crate::reason::Reason;
use crate::target::Target;
use jlctl_analyzer::jump_table::SiteId;

/// Something that cannot be done, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// Index of the image that it concerns.
    pub image: usize,
    /// The key, by its index in the plan; `None` where it concerns all of the
    /// image.
    pub key: Option<usize>,
    /// The sites that it concerns, in the order of the plan; none where it concerns
    /// the key or the image.
    pub sites: Vec<SiteId>,
    /// What cannot be done there.
    pub targets: Vec<Target>,
    /// The reason in words, with what was found.
    pub message: String,
}
