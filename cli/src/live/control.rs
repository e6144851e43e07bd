//! How a process is reached, by its control socket or by a stop of its threads; and the keys that a
//! command selects.

use crate::args::Global;
use crate::args::ReachOptions;
use crate::terminal::exit::{Kind, failure};
use jlctl_analyzer::jump_table::KeyQuery;
use jlctl_patch_engine::key_set::KeySet;
use jlctl_patch_engine::process::{Control, ProcessError, control_socket};
use jlctl_patch_engine::wish::{Wish, resolve};
use std::collections::BTreeMap;

/// The control socket of process `pid`, if the process is reached by one: the socket that is named,
/// or the socket that the process was started with, if it answers.
///
/// # Errors
/// If the named socket does not answer.
pub(crate) fn control(
    global: &Global,
    pid: i32,
    reach: &ReachOptions,
) -> Result<Option<Control>, ProcessError> {
    if reach.ptrace {
        return Ok(None);
    }
    if let Some(path) = &reach.socket {
        return Control::connect(pid, path).map(Some);
    }
    let Some(path) = control_socket(pid) else { return Ok(None) };
    match Control::connect(pid, &path) {
        Ok(control) => Ok(Some(control)),
        // The process listens, and refuses this user.
        Err(error @ ProcessError::Refused { .. }) => Err(error),
        // The variable is inherited from a parent that serves the socket, or the socket was not
        // created.
        Err(error) => {
            if global.verbose {
                eprintln!("jlctl: {error}; its threads are stopped instead");
            }
            Ok(None)
        }
    }
}

/// The keys of the set that `keys` names, by index; all if it is empty.
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
