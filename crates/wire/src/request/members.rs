//! The members at the top level of a body, each with the place of its bytes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::tokens::{Token, Tokens};
use super::{MOST_DEPTH, PeekError};

/// Blanks of JSON.
const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// One top-level member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    /// Its name, unescaped.
    pub(super) key: Cow<'a, str>,
    /// Where the name begins, its quote included.
    pub(super) start: usize,
    /// Its value, verbatim.
    pub(super) value: &'a str,
    /// Where the value is.
    pub(super) span: Range<usize>,
}

/// All top-level members of `body`, which is checked to be one JSON object (strings in it only as far as JSON's grammar
/// goes, numbers too) with no more than [`MOST_DEPTH`] levels.
pub(super) fn members(body: &[u8]) -> Result<Vec<Member<'_>>, PeekError> {
    let text = checked(body)?;
    let raw: RawMembers<'_> = serde_json::from_str(text).map_err(syntax)?;
    raw.0.into_iter().map(|(key, value)| Member::new(text, key, value.get())).collect()
}

/// What can be told of `body` before it is parsed: it is text that nests no more than it may, and begins as an object.
pub(super) fn checked(body: &[u8]) -> Result<&str, PeekError> {
    let text = std::str::from_utf8(body).map_err(|error| PeekError::Syntax { message: error.to_string() })?;
    check_depth(body)?;
    if !text.trim_start_matches(BLANK).starts_with('{') {
        // Whether it is JSON of another kind or none at all is told apart for the message only.
        let any: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
        return Err(any.map_or_else(syntax, |_| PeekError::NoObject));
    }
    Ok(text)
}

/// Refuses a second member of any of `keys`.
pub(super) fn refuse_duplicates(members: &[Member<'_>], keys: &[&str]) -> Result<(), PeekError> {
    for key in keys {
        if members.iter().filter(|member| member.key == *key).count() > 1 {
            return Err(PeekError::Duplicate { key: (*key).to_owned() });
        }
    }
    Ok(())
}

fn syntax(error: serde_json::Error) -> PeekError {
    PeekError::Syntax { message: error.to_string() }
}

impl<'a> Member<'a> {
    /// The member of `text` whose name and value these slices of it are.
    pub(super) fn new(text: &'a str, key: &'a RawValue, value: &'a str) -> Result<Self, PeekError> {
        let key = key.get();
        let (start, at) = (place(text, key), place(text, value));
        let plain = key[1..key.len() - 1].bytes().all(|byte| byte != b'\\');
        let key = if plain {
            Cow::Borrowed(&key[1..key.len() - 1])
        } else {
            Cow::Owned(serde_json::from_str(key).map_err(syntax)?)
        };
        Ok(Self { key, start, value, span: at..at + value.len() })
    }
}

/// The value that stands between its name `key` and the `next` one, or the end, of an object that is known to be one.
pub(super) fn value_between<'a>(text: &'a str, key: &RawValue, next: Option<&RawValue>) -> Option<&'a str> {
    let begin = place(text, key.get()) + key.get().len();
    let (end, mark) = next.map_or((text.len(), '}'), |next| (place(text, next.get()), ','));
    let behind = text.get(begin..end)?.trim_start_matches(BLANK).strip_prefix(':')?;
    Some(behind.trim_end_matches(BLANK).strip_suffix(mark)?.trim_matches(BLANK))
}

/// Where `part`, which is a slice of `text`, begins in it: the distance of their addresses.
fn place(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// Counts brackets outside strings. On what is not JSON the count means nothing, but the parser will say so.
fn check_depth(body: &[u8]) -> Result<(), PeekError> {
    let mut depth = 0usize;
    for token in Tokens::of(body) {
        match token {
            Token::Open(_) if depth == MOST_DEPTH => return Err(PeekError::TooDeep),
            Token::Open(_) => depth += 1,
            Token::Close(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

struct RawMembers<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for RawMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = RawMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(RawMembers(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_know_their_place() {
        let body = br#" { "model" : "m" , "a\u0062": [1, {"model": 2}],"n":3} "#;
        let found = members(body).unwrap();
        let seen: Vec<_> = found
            .iter()
            .map(|m| (&*m.key, m.value, &body[m.span.clone()] == m.value.as_bytes(), body[m.start]))
            .collect();
        assert_eq!(
            seen,
            [
                ("model", "\"m\"", true, b'"'),
                ("ab", "[1, {\"model\": 2}]", true, b'"'),
                ("n", "3", true, b'"')
            ]
        );
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let cases: [(&[u8], bool); 7] = [
            (b"[]", true),
            (b"\"{\"", true),
            (b"17", true),
            (b"", false),
            (b"{", false),
            (b"{}x", false),
            (b"{\xff}", false),
        ];
        for (body, no_object) in cases {
            let error = members(body).unwrap_err();
            assert_eq!(error == PeekError::NoObject, no_object, "{body:?}: {error}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings_only() {
        let nest = |levels: usize| format!("{{\"a\":{}1{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
        assert!(members(nest(MOST_DEPTH).as_bytes()).is_ok());
        assert_eq!(members(nest(MOST_DEPTH + 1).as_bytes()).unwrap_err(), PeekError::TooDeep);
        let in_string = format!(r#"{{"a":"\\\"{}"}}"#, "[".repeat(1000));
        assert!(members(in_string.as_bytes()).is_ok());
    }
}
