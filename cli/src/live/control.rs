//! Whether a process is asked by its control socket, or stopped; and which of its keys are
//! meant.

use crate::args::Global;
use crate::args::Way;
use crate::terminal::exit::{Kind, failure};
use jlctl_analyzer::jump_table::KeyQuery;
use jlctl_patch_engine::key_set::KeySet;
use jlctl_patch_engine::process::{Control, ProcessError, control_socket};
use jlctl_patch_engine::wish::{Wish, resolve};
use std::collections::BTreeMap;

/// The control socket of process `pid`, if it is to be reached by one: that which is named,
/// or the one that it was started with, where it answers.
///
/// # Errors
/// If the one that is named does not.
pub(crate) fn control(
    global: &Global,
    pid: i32,
    way: &Way,
) -> Result<Option<Control>, ProcessError> {
    if way.ptrace {
        return Ok(None);
    }
    if let Some(path) = &way.socket {
        return Control::connect(pid, path).map(Some);
    }
    let Some(path) = control_socket(pid) else { return Ok(None) };
    match Control::connect(pid, &path) {
        Ok(control) => Ok(Some(control)),
        // It listens, and does not want this user.
        Err(error @ ProcessError::Refused { .. }) => Err(error),
        // One that a parent serves, whose environment it has, or that did not come to be.
        Err(error) => {
            if global.verbose {
                eprintln!("jlctl: {error}; its threads are stopped instead");
            }
            Ok(None)
        }
    }
}

/// The keys of the set that are named, by index, or all.
pub(crate) fn chosen(
    set: &KeySet,
    keys: &[String],
    wish: Wish,
) -> anyhow::Result<BTreeMap<usize, Wish>> {
    if keys.is_empty() {
        return Ok((0..set.keys().len()).map(|key| (key, wish)).collect());
    }
    let query = |text: &String| match KeyQuery::parse(text) {
        Ok(query) => Ok((wish, query)),
        Err(error) => Err(failure(Kind::Usage, error.to_string())),
    };
    let wishes: Vec<(Wish, KeyQuery)> = keys.iter().map(query).collect::<anyhow::Result<_>>()?;
    resolve(set, &wishes).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        failure(Kind::Refused, texts.join("; "))
    })
}
