//! The structure of JSON without its grammar: what stands outside strings, found by leaping over these.

use std::ops::Range;

/// A piece of structure. On what is not JSON it means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `{` or `[`, and where.
    Open(usize),
    /// `}` or `]`, and where.
    Close(usize),
    /// A `,`.
    Comma,
    /// A `:`.
    Colon,
    /// A string: where its text is, between the quotes.
    Text(Range<usize>),
}

/// The tokens of `body`, in order.
pub(super) struct Tokens<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn of(body: &'a [u8]) -> Self {
        Self { body, at: 0 }
    }

    /// Where the string whose text begins at `at` has its closing quote; the end of the body if it has none.
    fn end_of_string(&self, mut at: usize) -> usize {
        while let Some(found) = self.body.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
            if self.body[at + found] == b'"' {
                return at + found;
            }
            at += found + 2;
        }
        self.body.len()
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        while let Some(byte) = self.body.get(self.at) {
            let at = self.at;
            self.at += 1;
            return Some(match byte {
                b'{' | b'[' => Token::Open(at),
                b'}' | b']' => Token::Close(at),
                b',' => Token::Comma,
                b':' => Token::Colon,
                b'"' => {
                    let end = self.end_of_string(self.at);
                    let text = self.at..end;
                    self.at = end + 1;
                    Token::Text(text)
                }
                _ => continue,
            });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_hide_what_is_in_them() {
        let body = br#"{"a\"{" : [1, "\\"], "b": true}"#;
        let seen: Vec<Token> = Tokens::of(body).collect();
        let text = |range: Range<usize>| Token::Text(range);
        use Token::{Close, Colon, Comma, Open};
        let want = [
            Open(0),
            text(2..6),
            Colon,
            Open(10),
            Comma,
            text(15..17),
            Close(18),
            Comma,
            text(22..23),
            Colon,
            Close(30),
        ];
        assert_eq!(seen, want);
    }

    #[test]
    fn a_string_without_an_end_reaches_to_the_end() {
        for (body, want) in [("\"", 1..1), ("\"abc", 1..4), ("\"abc\\", 1..5), ("\"\\\"", 1..3)] {
            assert_eq!(Tokens::of(body.as_bytes()).collect::<Vec<_>>(), [Token::Text(want)], "{body}");
        }
    }

    proptest! {
        #[test]
        fn every_range_lies_in_the_body(body in r#"[{}\[\]:,"\\a ]{0,40}"#) {
            for token in Tokens::of(body.as_bytes()) {
                if let Token::Text(range) = token {
                    prop_assert!(body.as_bytes().get(range).is_some());
                }
            }
        }
    }
}
