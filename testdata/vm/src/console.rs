//! The part of the guest's console that a failure reports.

/// Number of last lines that are shown.
const LINES: usize = 15;

/// The first words of the kernel's panic message (`kernel/panic.c`, 5.10 and 6.12).
const PANIC: &str = "Kernel panic - not syncing: ";

/// The message of a kernel panic.
pub(super) fn panic(console: &str) -> Option<String> {
    let line = console.lines().find_map(|line| line.split_once(PANIC))?.1;
    Some(line.trim_end().to_owned())
}

/// The lines before and after the panic, or else the last lines.
pub(super) fn tail(console: &str) -> String {
    let lines: Vec<&str> = console.lines().map(str::trim_end).collect();
    // The lines before a panic are more useful than the call trace after it.
    let end = lines.iter().position(|line| line.contains(PANIC)).map_or(lines.len(), |at| at + 1);
    let shown = lines.iter().take(end).skip(end.saturating_sub(LINES));
    let shown: Vec<String> = shown.map(|line| format!("  {line}")).collect();
    match shown.len() {
        0 => "its console is empty".to_owned(),
        count => format!("the last {count} lines of its console:\n{}", shown.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found_with_the_lines_before_it() {
        let before: String = (0..20).map(|line| format!("[ 1.0] line {line}\r\n")).collect();
        let panicked = "[ 2.0] Kernel panic - not syncing: No working init found.\r\n";
        let console = format!("{before}{panicked}[ 2.1] CPU: 1\r\n[ 2.2] Call trace:\r\n");
        assert_eq!(panic(&console).as_deref(), Some("No working init found."));
        let tail = tail(&console);
        assert!(tail.starts_with("the last 15 lines of its console:\n  [ 1.0] line 6\n"), "{tail}");
        assert!(
            tail.ends_with("line 19\n  [ 2.0] Kernel panic - not syncing: No working init found.")
        );
    }

    #[test]
    fn without_panic_the_last_lines_are_shown() {
        assert_eq!(panic("a\nb\n"), None);
        assert_eq!(tail("a\r\nb\r\n"), "the last 2 lines of its console:\n  a\n  b");
        assert_eq!(tail(""), "its console is empty");
    }
}
