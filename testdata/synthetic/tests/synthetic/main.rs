//! Tests of the synthetic images.

mod debug_info;
mod files;
mod images;
mod keys;
mod link;
mod machines;
mod modules;
