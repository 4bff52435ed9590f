//! Small changes to a body that leave all other bytes as they are: prompt caches and unknown fields depend on them.

use std::ops::Range;

use bytes::Bytes;

use super::members::{Member, members, refuse_duplicates};
use super::{Peek, PeekError};

/// `body` with `new` as its model.
pub fn set_model(body: &[u8], new: &str) -> Result<Bytes, PeekError> {
    let members = members(body)?;
    refuse_duplicates(&members, &["model"])?;
    let model = members.iter().find(|member| member.key == "model").ok_or(PeekError::NoModel)?;
    let mut spliced = Vec::with_capacity(body.len() + new.len() + 2);
    spliced.extend_from_slice(&body[..model.span.start]);
    spliced.extend_from_slice(quoted(new).as_bytes());
    spliced.extend_from_slice(&body[model.span.end..]);
    Ok(spliced.into())
}

/// `body` with those of `defaults` (names and JSON values) that it lacks added at its end.
///
/// A member that is there stays, even if it is null. A body that lacks nothing is returned as it is.
pub fn with_defaults(body: &Bytes, defaults: &[(&str, serde_json::Value)]) -> Result<Bytes, PeekError> {
    let members = members(body)?;
    let missing: Vec<_> =
        defaults.iter().filter(|(key, _)| members.iter().all(|member| member.key != *key)).collect();
    if missing.is_empty() {
        return Ok(body.clone());
    }
    let end = last_brace(body);
    let mut spliced = Vec::with_capacity(body.len() + 32 * missing.len());
    // Behind the last value rather than before the brace, so that a body over several lines stays pretty.
    let behind = members.last().map_or(end, |member| member.span.end);
    spliced.extend_from_slice(&body[..behind]);
    for (index, (key, value)) in missing.iter().enumerate() {
        if index > 0 || !members.is_empty() {
            spliced.push(b',');
        }
        spliced.extend_from_slice(format!("{}:{value}", quoted(key)).as_bytes());
    }
    spliced.extend_from_slice(&body[behind..]);
    Ok(spliced.into())
}

/// `body`, which `peek` has read, with `stream_options.include_usage` set, so that a stream of chat completions tells its
/// usage at its end.
pub fn with_usage(body: &[u8], peek: &Peek<'_>) -> Result<Bytes, PeekError> {
    const ASK: &str = r#"{"include_usage":true}"#;
    let Some(span) = peek.spans.stream_options.clone() else {
        let end = last_brace(body);
        let behind = body[..end].trim_ascii_end();
        let comma = if behind.ends_with(b"{") { "" } else { "," };
        let added = format!("{comma}\"stream_options\":{ASK}");
        return Ok(replaced(body, behind.len()..behind.len(), &added));
    };
    let options = &body[span.clone()];
    if !options.starts_with(b"{") {
        return Ok(replaced(body, span, ASK));
    }
    let inner = members(options)?;
    refuse_duplicates(&inner, &["include_usage"])?;
    let at = |place: usize| span.start + place;
    if let Some(asked) = inner.iter().find(|member| member.key == "include_usage") {
        return Ok(replaced(body, at(asked.span.start)..at(asked.span.end), "true"));
    }
    match inner.last() {
        Some(last) => Ok(replaced(body, at(last.span.end)..at(last.span.end), r#","include_usage":true"#)),
        None => Ok(replaced(body, span, ASK)),
    }
}

fn replaced(body: &[u8], span: Range<usize>, new: &str) -> Bytes {
    [&body[..span.start], new.as_bytes(), &body[span.end..]].concat().into()
}

/// `body` without the top-level member `key` (all of them, if there are several), and without the comma it needed.
pub fn without(body: &Bytes, key: &str) -> Result<Bytes, PeekError> {
    without_all(body, &[key])
}

/// `body` without any of `keys` at its top level: what [`without`] does, for several at once.
pub fn without_all(body: &Bytes, keys: &[&str]) -> Result<Bytes, PeekError> {
    let members = members(body)?;
    let goes = |member: &Member<'_>| keys.contains(&&*member.key);
    if !members.iter().any(goes) {
        return Ok(body.clone());
    }
    let mut spliced = Vec::with_capacity(body.len());
    let first = members.first().map_or(0, |member| member.start);
    spliced.extend_from_slice(&body[..first]);
    let mut behind: Option<&Member<'_>> = None;
    for (index, member) in members.iter().enumerate() {
        if goes(member) {
            continue;
        }
        // What stands between a member and the next (comma, blanks) goes with the later of the two.
        if behind.is_some() {
            let before = &members[index - 1];
            spliced.extend_from_slice(&body[before.span.end..member.start]);
        }
        spliced.extend_from_slice(&body[member.start..member.span.end]);
        behind = Some(member);
    }
    let last = members.last().map_or(first, |member| member.span.end);
    spliced.extend_from_slice(&body[last..]);
    Ok(spliced.into())
}

/// The place of the closing brace of a body that is known to be an object.
fn last_brace(body: &[u8]) -> usize {
    body.iter().rposition(|byte| *byte == b'}').unwrap_or(body.len())
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::request::peek;
    use crate::{Dialect, Endpoint};

    fn text(bytes: Bytes) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn the_model_alone_changes() {
        let cases = [
            (r#"{"model":"a","x":1}"#, r#"{"model":"n\"w","x":1}"#),
            (
                r#"{ "x" : {"model":"a"} , "model" :  null }"#,
                r#"{ "x" : {"model":"a"} , "model" :  "n\"w" }"#,
            ),
            (r#"{"mod\u0065l":"a"}"#, r#"{"mod\u0065l":"n\"w"}"#),
        ];
        for (body, want) in cases {
            assert_eq!(text(set_model(body.as_bytes(), "n\"w").unwrap()), want);
        }
        assert_eq!(set_model(b"{}", "m"), Err(PeekError::NoModel));
        let twice = set_model(br#"{"model":"a","model":"b"}"#, "m");
        assert_eq!(twice, Err(PeekError::Duplicate { key: "model".into() }));
    }

    #[test]
    fn defaults_fill_only_what_lacks() {
        let defaults = [("model", json!("m")), ("max_tokens", json!(8))];
        let cases = [
            ("{}", r#"{"model":"m","max_tokens":8}"#),
            ("{ }", r#"{ "model":"m","max_tokens":8}"#),
            (r#"{"model":null}"#, r#"{"model":null,"max_tokens":8}"#),
            ("{\n  \"a\": 1\n}\n", "{\n  \"a\": 1,\"model\":\"m\",\"max_tokens\":8\n}\n"),
            (r#"{"max_tokens":1,"model":"x"}"#, r#"{"max_tokens":1,"model":"x"}"#),
        ];
        for (body, want) in cases {
            assert_eq!(text(with_defaults(&Bytes::from(body), &defaults).unwrap()), want);
        }
    }

    #[test]
    fn a_member_leaves_with_its_comma() {
        let cases = [
            (r#"{"k":1}"#, "{}"),
            (r#"{ "k" : {"k":[1]} }"#, "{  }"),
            (r#"{"k":1, "b":2}"#, r#"{"b":2}"#),
            (r#"{"a":1, "k":2}"#, r#"{"a":1}"#),
            (r#"{"a":1, "k":2 , "b":3}"#, r#"{"a":1 , "b":3}"#),
            (r#"{"k":1,"a":1,"k":2,"k":3,"b":{"k":4},"k":5}"#, r#"{"a":1,"b":{"k":4}}"#),
            (r#"{"a":1}"#, r#"{"a":1}"#),
        ];
        for (body, want) in cases {
            assert_eq!(text(without(&Bytes::from(body), "k").unwrap()), want, "{body}");
        }
    }

    #[test]
    fn usage_is_asked_for_and_nothing_else_changes() {
        let cases = [
            (r#"{"a":1 }"#, r#"{"a":1,"stream_options":{"include_usage":true} }"#),
            (r#"{}"#, r#"{"stream_options":{"include_usage":true}}"#),
            (r#"{"stream_options" : null ,"a":1}"#, r#"{"stream_options" : {"include_usage":true} ,"a":1}"#),
            (r#"{"stream_options":{ },"a":1}"#, r#"{"stream_options":{"include_usage":true},"a":1}"#),
            (
                r#"{"stream_options":{ "x":{"y":2} }}"#,
                r#"{"stream_options":{ "x":{"y":2},"include_usage":true }}"#,
            ),
            (
                r#"{"stream_options":{"include_usage": false , "x":1}}"#,
                r#"{"stream_options":{"include_usage": true , "x":1}}"#,
            ),
        ];
        for (body, want) in cases {
            let peek = peek(Dialect::OpenAi, Endpoint::ChatCompletions, body.as_bytes()).unwrap();
            assert_eq!(text(with_usage(body.as_bytes(), &peek).unwrap()), want, "{body}");
        }
    }

    fn a_body() -> impl Strategy<Value = String> {
        let value = prop_oneof![
            "[1-9][0-9]{0,2}".prop_map(String::from),
            Just("null".into()),
            Just(r#"[1, {"k": 2}]"#.into()),
            ".{0,6}".prop_map(|text| json!(text).to_string())
        ];
        let member = ("(a|b|k|model|[a-z]{1,5})", "[ \n\t]{0,2}", value, "[ \r]{0,2}");
        prop::collection::vec(member, 0..6).prop_map(|members| {
            let members: Vec<_> = members
                .into_iter()
                .map(|(key, before, value, after)| format!("{before}\"{key}\"{after}:{before}{value}{after}"))
                .collect();
            format!("{{{}}}", members.join(","))
        })
    }

    proptest! {
        #[test]
        fn setting_the_model_keeps_all_other_bytes(body in a_body(), new in ".{0,8}") {
            if let Ok(changed) = set_model(body.as_bytes(), &new) {
                let at = members(body.as_bytes()).unwrap().into_iter().find(|m| m.key == "model").unwrap().span;
                prop_assert_eq!(&changed[..at.start], &body.as_bytes()[..at.start]);
                prop_assert!(changed.ends_with(&body.as_bytes()[at.end..]));
                let model = members(&changed).unwrap().into_iter().find(|m| m.key == "model").unwrap().value.to_owned();
                prop_assert_eq!(model, json!(new).to_string());
            }
        }

        #[test]
        fn cutting_leaves_the_other_members_as_they_were(body in a_body()) {
            let cut = without(&Bytes::from(body.clone()), "k").unwrap();
            let kept = |body: &[u8]| -> Vec<(String, String)> {
                members(body).unwrap().iter().map(|m| (m.key.to_string(), m.value.to_owned())).collect()
            };
            let mut want = kept(body.as_bytes());
            want.retain(|(key, _)| key != "k");
            prop_assert_eq!(kept(&cut), want);
        }

        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = set_model(&body, "m");
            let body = Bytes::from(body);
            let _ = without(&body, "k");
            let _ = with_defaults(&body, &[("a", json!(1))]);
        }
    }
}
