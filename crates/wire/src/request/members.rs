//! The members at the top level of a body, each with the place of its bytes.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{MOST_DEPTH, PeekError};

/// One top-level member.
#[derive(Clone, Debug)]
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
    let text = std::str::from_utf8(body).map_err(|error| PeekError::Syntax { message: error.to_string() })?;
    check_depth(body)?;
    let first = text.trim_start_matches([' ', '\t', '\r', '\n']).bytes().next();
    if first != Some(b'{') {
        // Whether it is JSON of another kind or none at all is told apart for the message only.
        let any: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
        return Err(any.map_or_else(syntax, |_| PeekError::NoObject));
    }
    let raw: RawMembers<'_> = serde_json::from_str(text).map_err(syntax)?;
    raw.0.into_iter().map(|(key, value)| member(text, key, value)).collect()
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

fn member<'a>(text: &'a str, key: &'a RawValue, value: &'a RawValue) -> Result<Member<'a>, PeekError> {
    // Both are slices of `text`, so the distance of their addresses is their place in it.
    let place = |part: &str| part.as_ptr() as usize - text.as_ptr() as usize;
    let (key, value) = (key.get(), value.get());
    let start = place(key);
    let at = place(value);
    let plain = key[1..key.len() - 1].bytes().all(|byte| byte != b'\\');
    let key = if plain {
        Cow::Borrowed(&key[1..key.len() - 1])
    } else {
        Cow::Owned(serde_json::from_str(key).map_err(syntax)?)
    };
    Ok(Member { key, start, value, span: at..at + value.len() })
}

/// Counts brackets outside strings. On what is not JSON the count means nothing, but the parser will say so.
fn check_depth(body: &[u8]) -> Result<(), PeekError> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > MOST_DEPTH {
                    return Err(PeekError::TooDeep);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => at = end_of_string(body, at + 1),
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// Where the string whose text begins at `at` has its closing quote; the end of the body if it has none.
fn end_of_string(body: &[u8], mut at: usize) -> usize {
    while let Some(found) = body.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        if body[at + found] == b'"' {
            return at + found;
        }
        at += found + 2;
    }
    body.len()
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
