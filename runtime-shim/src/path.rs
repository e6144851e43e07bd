//! Paths out of the environment.

use crate::text::Text;
use core::ffi::CStr;
use core::fmt::Write;

/// `path` with the process's id for `%p`, and a NUL; whether there was a `%p`.
pub(crate) fn expand<const N: usize>(path: &CStr, process: u32, name: &mut Text<N>) -> bool {
    let mut is_expanded = false;
    let mut rest = path.to_bytes_with_nul();
    while let [first, after @ ..] = rest {
        if let Some(after) = rest.strip_prefix(b"%p") {
            is_expanded = true;
            let _ = write!(name, "{process}");
            rest = after;
        } else {
            name.push(*first);
            rest = after;
        }
    }
    is_expanded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_the_process_in_it() {
        let mut name = Text::<64>::new();
        assert!(expand(c"/tmp/%p.%p-%x", 42, &mut name));
        assert_eq!(name.bytes(), b"/tmp/42.42-%x\0");
        let mut name = Text::<64>::new();
        assert!(!expand(c"/tmp/report", 42, &mut name));
        assert_eq!(name.bytes(), b"/tmp/report\0");
        let mut name = Text::<4>::new();
        expand(c"/tmp/report", 42, &mut name);
        assert!(CStr::from_bytes_with_nul(name.bytes()).is_err(), "cut, and so not opened");
    }
}
