//! A claim that does not hold.

use crate::plan_file::PlanAddress;
use std::fmt;

/// Where in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanField {
    /// A field of the plan itself.
    Plan(&'static str),
    /// An element of a list, and its field.
    Element {
        /// The list.
        list: &'static str,
        /// Which element.
        at: usize,
        /// Its field.
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

/// What is claimed and what is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where the claim stands.
    pub place: PlanField,
    /// What the image demands there.
    pub expected: String,
    /// What the plan says.
    pub found: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: expected {}, found {}", self.place, self.expected, self.found)
    }
}

/// Gathers findings.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    /// Compares a claim with what is true; the texts are made only if they differ.
    pub(super) fn same<T: PartialEq + Shown + ?Sized>(
        &mut self,
        place: impl Fn() -> PlanField,
        expected: &T,
        found: &T,
    ) {
        if expected != found {
            self.add(place(), expected.shown(), found.shown());
        }
    }

    pub(super) fn add(
        &mut self,
        place: PlanField,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        self.0.push(Finding { place, expected: expected.into(), found: found.into() });
    }
}

/// The place of a field in an element of a list.
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
        self.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl<T: Shown> Shown for Option<T> {
    fn shown(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), Shown::shown)
    }
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
