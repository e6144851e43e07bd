//! Paths as URIs.

use std::path::Path;

/// The URI of `path`: relative to `directory` if it lies below it, as code scanning expects for the
/// files of a checkout.
pub(super) fn of_path(path: &str, directory: &Path) -> String {
    let path = normal(path);
    let below = directory.to_str().map(|directory| directory.trim_end_matches('/'));
    let below = below.filter(|directory| !directory.is_empty());
    let relative = below.and_then(|directory| path.strip_prefix(directory)?.strip_prefix('/'));
    let path = relative.unwrap_or(&path);
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    // A colon in the first segment would be taken as the end of a scheme.
    let first = path.split('/').next().unwrap_or_default();
    let dot = if !path.starts_with('/') && first.contains(':') { "./" } else { "" };
    format!("{scheme}{dot}{}", encoded(path))
}

/// `path` without `.` and `..`, as far as possible without reading the file system.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if path.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    format!("{root}{}", parts.join("/"))
}

fn encoded(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(char::from(byte)),
            b'-' | b'.' | b'_' | b'~' | b'/' | b'+' | b'@' | b'=' | b',' | b':' => {
                text.push(char::from(byte));
            }
            byte => text += &format!("%{byte:02X}"),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uris() {
        let directory = Path::new("/home/me/linux");
        for (path, uri) in [
            ("vmlinux", "vmlinux"),
            ("./kernel/jump label.c", "kernel/jump%20label.c"),
            ("arch/arm64/../../kernel/a.c", "kernel/a.c"),
            ("../other/a.c", "../other/a.c"),
            ("/home/me/linux/kernel/a.c", "kernel/a.c"),
            ("/home/me/linux-6/kernel/a.c", "file:///home/me/linux-6/kernel/a.c"),
            ("/build/x/../y/ä#1.c", "file:///build/y/%C3%A4%231.c"),
            ("/../a", "file:///a"),
            ("a:b/c", "./a:b/c"),
        ] {
            assert_eq!(of_path(path, directory), uri, "{path}");
        }
        assert_eq!(of_path("/a", Path::new("/")), "file:///a");
    }
}
