//! Other people's words in our messages: escaped and cut to a length that still can be read.

use std::path::Path;

use paceline_wire::terminal;

const LONGEST: usize = 80; // Characters of an id that a message quotes.

/// Text that no terminal obeys, cut.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", terminal::line(&text[..end])),
        None => terminal::line(text).into_owned(),
    }
}

/// A path that no terminal obeys; whole, because a part of it names nothing.
pub(crate) fn shown_path(path: &Path) -> String {
    terminal::line(&path.to_string_lossy()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_passes() {
        assert_eq!(shown("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(shown(&"a".repeat(200)).chars().count(), LONGEST + 1);
        assert_eq!(shown(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
        assert_eq!(shown_path(Path::new("a\nb")), "a\\nb");
    }
}
