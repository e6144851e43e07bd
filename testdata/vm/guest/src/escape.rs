//! Escapes bytes as words of printable ASCII without blanks.

/// Appends ` WORD` to `line`, with every byte that is not printable ASCII, and `%`, as `%XX`.
pub fn push(line: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    line.push(' ');
    for &byte in bytes {
        if byte.is_ascii_graphic() && byte != b'%' {
            line.push(char::from(byte));
        } else {
            line.push('%');
            line.push(DIGITS[usize::from(byte >> 4)]);
            line.push(DIGITS[usize::from(byte & 15)]);
        }
    }
}

/// The bytes that `word` encodes; `None` if [`push`] cannot have written it.
#[must_use]
pub fn decode(word: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => digit(rest.next()?)? << 4 | digit(rest.next()?)?,
            _ if byte.is_ascii_graphic() => byte,
            _ => return None,
        });
    }
    Some(bytes)
}

/// The text that `word` encodes; `None` if [`push`] cannot have written it or it is not UTF-8.
#[must_use]
pub fn decode_text(word: &str) -> Option<String> {
    String::from_utf8(decode(word)?).ok()
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}
