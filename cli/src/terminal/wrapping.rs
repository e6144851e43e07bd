//! Text broken into lines.

use textwrap::{Options, WordSplitter};

/// Width of a report that is not written to a terminal.
pub(crate) const WIDTH: usize = 80;

/// `text` in lines of at most `width` columns, unless one word alone is wider; the first
/// line starts with `first`, the others with as many spaces as `indent`.
pub(crate) fn wrapped(text: &str, first: &str, indent: usize, width: usize) -> String {
    let spaces = " ".repeat(indent);
    let options = Options::new(width)
        .initial_indent(first)
        .subsequent_indent(&spaces)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    textwrap::fill(text, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_alone() {
        let text = "one two a-very-long-name three";
        assert_eq!(wrapped(text, "x  ", 3, 12), "x  one two\n   a-very-long-name\n   three");
    }
}
