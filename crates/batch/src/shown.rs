//! Other people's words in our messages: escaped and cut to a length that still can be read.

use std::path::Path;

const LONGEST: usize = 80; // Characters of an id or a path that a message quotes.

/// Text that no terminal obeys: control, invisible and direction-changing characters are escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST {
            out.push('…');
            break;
        }
        if invisible(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

/// A path, shown like other text.
pub(crate) fn shown_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    let escaped: String = text
        .chars()
        .flat_map(|c| if invisible(c) { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] })
        .collect();
    escaped
}

fn invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_passes() {
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(shown("x\u{202e}y\u{200b}\u{9b}"), "x\\u{202e}y\\u{200b}\\u{9b}");
        assert_eq!(shown("schön 漢字"), "schön 漢字");
        assert_eq!(shown(&"a".repeat(200)).chars().count(), LONGEST + 1);
        assert_eq!(shown_path(Path::new("a\nb")), "a\\u{a}b");
    }
}
