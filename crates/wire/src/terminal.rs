//! Makes foreign text safe to show: ids, model names and error texts come from files and servers that may be hostile.
//!
//! Applied whether stderr is a terminal or a pipe: what goes into a pipe is often shown on a terminal later.

use std::borrow::Cow;

use serde_json::Value;

/// Text as one line: every character that could move a cursor, hide or reorder text is spelled out.
pub fn line(text: &str) -> Cow<'_, str> {
    escape(text, is_unsafe, |c| match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        _ => c.escape_unicode().to_string(),
    })
}

/// Text of several lines: as [`line()`], but line ends stay.
pub fn lines(text: &str) -> Cow<'_, str> {
    escape(text, |c| c != '\n' && is_unsafe(c), |c| c.escape_unicode().to_string())
}

/// JSON on one line, with JSON's own escapes for what [`line()`] spells out.
pub fn json(value: &Value) -> String {
    let text = value.to_string();
    escape(&text, is_unsafe, |c| {
        c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    })
    .into_owned()
}

fn escape(text: &str, is_escaped: impl Fn(char) -> bool, escaped: impl Fn(char) -> String) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_escaped(c) {
            true => safe.push_str(&escaped(c)),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// What a terminal obeys or hides instead of showing it: C0, DEL and C1 controls; marks that change direction; characters
/// without width; separators that end a line; tags.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spells_out_what_could_act_on_a_terminal() {
        let cases = [
            ("plain – ünïcode 漢字 🎉", "plain – ünïcode 漢字 🎉"),
            ("\x1b[31mred\x1b[0m", "\\u{1b}[31mred\\u{1b}[0m"),
            ("bell\x07 del\x7f", "bell\\u{7} del\\u{7f}"),
            ("c1 \u{9b}2J", "c1 \\u{9b}2J"),
            ("two\r\nlines\t", "two\\r\\nlines\\t"),
            ("user\u{202e}txt.exe", "user\\u{202e}txt.exe"),
            ("zero\u{200b}width\u{feff}", "zero\\u{200b}width\\u{feff}"),
        ];
        for (raw, safe) in cases {
            assert_eq!(line(raw), safe);
        }
        assert_eq!(lines("a\nb\r\x1b"), "a\nb\\u{d}\\u{1b}");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_is_left(text in any::<String>()) {
            prop_assert!(!line(&text).chars().any(is_unsafe));
            prop_assert!(!lines(&text).chars().any(|c| c != '\n' && is_unsafe(c)));
            let value = Value::from(text);
            let safe = json(&value);
            prop_assert!(!safe.chars().any(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<Value>(&safe).unwrap(), value);
        }

        #[test]
        fn control_soup_is_neutralised(text in "[\\x00-\\x1f\\x7f-\\u{9f}\\u{200b}-\\u{200f}\\u{202a}-\\u{202e}a-c]{0,40}") {
            prop_assert!(!line(&text).chars().any(is_unsafe));
        }
    }
}
