//! Findings: claims of a plan that do not hold.

use crate::plan_file::PlanAddress;
use std::fmt;

/// The field of a plan that a finding is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanField {
    /// A field of the plan itself.
    Plan(&'static str),
    /// A field of an element of a list.
    Element {
        /// Name of the list.
        list: &'static str,
        /// Index of the element.
        at: usize,
        /// Name of the field.
        field: &'static str,
    },
}

impl fmt::Display for PlanField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan(field) => f.write_str(field),
            Self::Element { list, at, field } => write!(f, "{list}[{at}].{field}"),
        }
    }
}

/// A claim of a plan that differs from the images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The field with the claim.
    pub field: PlanField,
    /// The value that the images demand.
    pub expected: String,
    /// The value in the plan.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.field, self.expected, self.found)
    }
}

/// Collects findings.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    /// Compares a claim with the true value; the texts are composed only if they differ.
    pub(super) fn same<T: PartialEq + Shown + ?Sized>(
        &mut self,
        field: impl Fn() -> PlanField,
        expected: &T,
        found: &T,
    ) {
        if expected != found {
            self.add(field(), expected.shown(), found.shown());
        }
    }

    pub(super) fn add(
        &mut self,
        field: PlanField,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        self.0.push(Finding { field, expected: expected.into(), found: found.into() });
    }
}

/// A field of an element of a list.
pub(super) fn element(
    list: &'static str,
    at: usize,
    field: &'static str,
) -> impl Fn() -> PlanField {
    move || PlanField::Element { list, at, field }
}

/// A value as findings show it.
pub(super) trait Shown {
    fn shown(&self) -> String;
}

impl Shown for str {
    fn shown(&self) -> String {
        self.to_owned()
    }
}

impl Shown for String {
    fn shown(&self) -> String {
        self.clone()
    }
}

impl Shown for PlanAddress {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for bool {
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl Shown for [u8] {
    fn shown(&self) -> String {
        if self.is_empty() {
            return "no bytes".to_owned();
        }
        self.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), Shown::shown)
    }
}

/// Numbers of sites, as `3, 5`.
pub(super) fn listed<'a>(sites: impl IntoIterator<Item = &'a usize>) -> String {
    let sites: Vec<String> = sites.into_iter().map(usize::to_string).collect();
    if sites.is_empty() { "no sites".to_owned() } else { sites.join(", ") }
}

macro_rules! shown_numbers {
    ($($number:ty)*) => {
        $(impl Shown for $number {
            fn shown(&self) -> String {
                self.to_string()
            }
        })*
    };
}

shown_numbers!(usize u32 u64 i32);
