//! `jlctl inspect`: reads images and reports their jump tables.

mod csv;
mod document;
mod filter;
mod image_records;
mod inspection;
mod json;
mod records;
mod run;
mod set;
mod set_file;
mod set_text;
mod text;

pub(crate) use run::run;
