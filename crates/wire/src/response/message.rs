//! What a failure says to people: one short line that can go to a terminal.

use paceline_core::feedback::Class;

use crate::class::{ErrorBody, Shape};
use crate::terminal::is_unsafe;

/// No line is longer, in characters.
const LONGEST_LINE: usize = 300;

/// How keys begin. What follows is hidden when it is long enough to be one.
const KEY_STARTS: [&str; 14] = [
    "sk-", "sk_", "gsk_", "xai-", "csk-", "tgp_", "fw_", "pplx-", "nvapi-", "hf_", "AIza", "AKIA", "eyJ",
    "Bearer ",
];
/// Fewer characters after such a beginning are no key.
const SHORTEST_KEY: usize = 6;

/// The failure of this status and body in one line.
///
/// Of a refused credential nothing of the body is repeated: some providers quote parts of the key there.
pub fn explain(status: u16, class: Class, body: &[u8]) -> String {
    of(status, class, &ErrorBody::parse(body))
}

pub(super) fn of(status: u16, class: Class, body: &ErrorBody) -> String {
    if class == Class::Auth || matches!(status, 401 | 403) {
        return format!("status {status}: the provider refused the credential");
    }
    if (300..400).contains(&status) {
        return format!(
            "status {status}: the provider redirects elsewhere, which is never followed; check the base URL"
        );
    }
    match body.shape() {
        Shape::Empty => format!("status {status} without a body"),
        Shape::Html => format!("status {status} with a page of HTML"),
        Shape::Json | Shape::Text => match sanitize(body.message()) {
            said if said.is_empty() => format!("status {status}"),
            said => format!("status {status}: {said}"),
        },
    }
}

/// A provider's words as one short line, without control characters, invisible ones, and anything that looks like a key.
pub fn sanitize(text: &str) -> String {
    let mut line = String::new();
    // What will be cut off needn't be cleaned first; keys are hidden before the cut, so that none is halved.
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    for word in words.take(LONGEST_LINE) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.extend(word.chars().filter(|c| !is_unsafe(*c)).take(2 * LONGEST_LINE));
    }
    let line = hide_keys(line.trim());
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}\u{2026}", &line[..end]),
        None => line,
    }
}

fn hide_keys(line: &str) -> String {
    let mut hidden = String::with_capacity(line.len());
    let mut rest = line;
    let mut inside_word = false;
    while let Some(first) = rest.chars().next() {
        let start = KEY_STARTS.iter().find(|start| !inside_word && rest.starts_with(**start));
        let tail =
            start.map_or(0, |start| rest[start.len()..].bytes().take_while(|b| is_key_byte(*b)).count());
        if let Some(start) = start.filter(|_| tail >= SHORTEST_KEY) {
            hidden.push_str("****");
            rest = &rest[start.len() + tail..];
            inside_word = true;
            continue;
        }
        hidden.push(first);
        inside_word = first.is_alphanumeric();
        rest = &rest[first.len_utf8()..];
    }
    hidden
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*' | b'.' | b'+' | b'/' | b'=')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_short_and_clean() {
        let cases = [
            ("Overloaded", "Overloaded"),
            ("two\nlines\tand \u{1b}[31mred\u{7}", "two lines and [31mred"),
            ("a\u{202e}b\u{200b}c\u{9b}d", "abc d"),
            ("Incorrect API key provided: sk-proj-abc123456. Bye", "Incorrect API key provided: **** Bye"),
            ("key=AIzaSyD-1234567890, ok", "key=****, ok"),
            ("use Bearer abcdef123456 here", "use **** here"),
            ("task-force sk-ill risk-averse-people", "task-force sk-ill risk-averse-people"),
            ("", ""),
        ];
        for (text, want) in cases {
            assert_eq!(sanitize(text), want);
        }
        assert_eq!(sanitize(&"x".repeat(5_000)).chars().count(), LONGEST_LINE + 1);
    }

    #[test]
    fn refused_credentials_repeat_nothing() {
        let body = br#"{"error":{"message":"Incorrect API key provided: canary","code":"invalid_api_key"}}"#;
        for (status, class) in [(401, Class::Auth), (403, Class::Policy), (400, Class::Auth)] {
            let line = explain(status, class, body);
            assert_eq!(line, format!("status {status}: the provider refused the credential"));
        }
        assert_eq!(explain(502, Class::Transient, b"<html>"), "status 502 with a page of HTML");
        assert_eq!(explain(503, Class::Overloaded, b""), "status 503 without a body");
        assert_eq!(explain(500, Class::Transient, b"{}"), "status 500");
        assert_eq!(explain(529, Class::Overloaded, br#"{"error":{"message":"Busy"}}"#), "status 529: Busy");
    }

    proptest! {
        #[test]
        fn nothing_gets_through(text: String) {
            let line = sanitize(&text);
            prop_assert!(line.chars().count() <= LONGEST_LINE + 1);
            prop_assert!(!line.chars().any(is_unsafe));
        }

        #[test]
        fn keys_never_show(key in "[a-zA-Z0-9]{16,64}", before in "[a-z :=\"']{0,300}", after: String) {
            let text = format!("{before} sk-{key} {after}");
            prop_assert!(!sanitize(&text).contains(&key[..SHORTEST_KEY]) || before.contains(&key[..SHORTEST_KEY]));
        }
    }
}
