//! What requests have in common that a provider may have cached: how they begin.

use std::hash::Hasher;

use memchr::memmem;

use super::Peek;
use super::tokens::{Token, Tokens};

/// A beginning that is longer is told apart by this much of it.
const MOST_READ: usize = 64 << 10;
/// Messages that may come before the first of the user.
const MOST_MESSAGES: usize = 4;
/// Anthropic takes so many marks in one request.
const MOST_MARKS: usize = 4;
const MARK: &[u8] = b"\"cache_control\"";

/// Tells which conversation a request goes on with: the same model, tools, system prompt and first words of the user give the
/// same number. None where there is no conversation. `hasher` is fresh each time, and of one kind.
pub fn conversation(peek: &Peek<'_>, body: &[u8], mut hasher: impl Hasher) -> Option<u64> {
    let messages = body.get(peek.spans.messages.clone()?)?;
    hasher.write(peek.model.as_deref().unwrap_or_default().as_bytes());
    for part in [&peek.spans.tools, &peek.spans.system] {
        let part = part.clone().and_then(|span| body.get(span)).unwrap_or_default();
        hasher.write_u8(0xff);
        hasher.write(&part[..part.len().min(MOST_READ)]);
    }
    hasher.write_u8(0xff);
    hasher.write(beginning(&messages[..messages.len().min(MOST_READ)]));
    Some(hasher.finish())
}

/// What the body marks as worth caching: a number for each beginning that ends with a mark.
pub fn marks(peek: &Peek<'_>, body: &[u8], mut hasher: impl Hasher) -> Vec<u64> {
    // In the provider's order, whatever the body's is.
    let spans = [&peek.spans.tools, &peek.spans.system, &peek.spans.messages];
    let mut parts: Vec<&[u8]> =
        spans.into_iter().filter_map(|span| span.clone().and_then(|span| body.get(span))).collect();
    // What follows the last mark matters to nobody, and may be long.
    while parts.last().is_some_and(|part| memmem::rfind(part, MARK).is_none()) {
        parts.pop();
    }
    let mut marks = Vec::new();
    hasher.write(peek.model.as_deref().unwrap_or_default().as_bytes());
    for part in parts {
        let mut from = 0;
        for at in memmem::find_iter(part, MARK) {
            let end = at + MARK.len();
            hasher.write(&part[from..end]);
            from = end;
            marks.push(hasher.finish());
            if marks.len() == MOST_MARKS {
                return marks;
            }
        }
        hasher.write(&part[from..]);
        hasher.write_u8(0xff);
    }
    marks
}

/// The items of a list up to the first that the user says; whatever is no list of messages as it is.
fn beginning(messages: &[u8]) -> &[u8] {
    if !messages.starts_with(b"[") {
        return messages;
    }
    let (mut depth, mut items) = (0, 0);
    let (mut key, mut role): (Option<&[u8]>, Option<&[u8]>) = (None, None); // Of the item that is open.
    for token in Tokens::of(messages) {
        match token {
            Token::Open(_) => depth += 1,
            Token::Close(at) => {
                depth -= 1;
                if depth == 1 {
                    items += 1;
                    key = None;
                    let speaker = role.take();
                    if items == MOST_MESSAGES || speaker.is_none_or(|role| role == b"user") {
                        return &messages[..=at];
                    }
                }
            }
            Token::Text(text) if depth == 2 => match key {
                None => key = Some(&messages[text]),
                Some(b"role") => role = Some(&messages[text]),
                Some(_) => {}
            },
            Token::Comma if depth == 2 => key = None,
            _ => {}
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, RandomState};

    use super::*;
    use crate::request::peek;
    use crate::{Dialect, Endpoint};

    fn number(endpoint: Endpoint, body: &str, hashing: &RandomState) -> Option<u64> {
        let peek = peek(Dialect::OpenAi, endpoint, body.as_bytes()).unwrap();
        conversation(&peek, body.as_bytes(), hashing.build_hasher())
    }

    #[test]
    fn a_conversation_keeps_its_number() {
        let hashing = RandomState::new();
        let chat = |body: &str| number(Endpoint::ChatCompletions, body, &hashing);
        let system = r#"{"role":"system","content":"be [kind]}"}"#;
        let first = r#"{"role":"user","content":"say \"hi\", ok"}"#;
        let one = chat(&format!(r#"{{"model":"m","messages":[{system},{first}]}}"#));
        let two = chat(&format!(
            r#"{{"messages":[{system},{first},{{"role":"assistant","content":"x"}},{{"role":"user","content":"y"}}],"n":1,"model":"m"}}"#
        ));
        assert!(one.is_some());
        assert_eq!(one, two);
        let others = [
            format!(r#"{{"model":"n","messages":[{system},{first}]}}"#),
            format!(r#"{{"model":"m","messages":[{first}]}}"#),
            format!(r#"{{"model":"m","messages":[{system},{{"role":"user","content":"z"}}]}}"#),
            format!(r#"{{"model":"m","tools":[{{}}],"messages":[{system},{first}]}}"#),
        ];
        for other in others {
            assert_ne!(chat(&other), one, "{other}");
        }
    }

    #[test]
    fn every_shape_of_a_body_is_read() {
        let hashing = RandomState::new();
        for body in [
            r#"{"messages":[]}"#,
            r#"{"messages":null}"#,
            r#"{"input":"text"}"#,
            r#"{"input":[1,2]}"#,
            r#"{"input":[ "a" , "b" ]}"#,
            r#"{"prompt":["a"]}"#,
            r#"{"messages":[[[]]]}"#,
            r#"{"messages":[{"role":7}]}"#,
        ] {
            assert!(number(Endpoint::Responses, body, &hashing).is_some(), "{body}");
        }
        assert_eq!(number(Endpoint::Messages, "{}", &hashing), None);
    }

    #[test]
    fn each_mark_ends_a_beginning() {
        let hashing = RandomState::new();
        let marked = |system: &str, question: &str| {
            let body = format!(
                r#"{{"messages":[{{"role":"user","content":[{{"type":"text","text":"{question}","cache_control":{{}}}}]}}],"max_tokens":1,"system":[{{"text":"{system}","cache_control":{{"type":"ephemeral"}}}}],"model":"m"}}"#
            );
            let peek = peek(Dialect::Anthropic, Endpoint::Messages, body.as_bytes()).unwrap();
            marks(&peek, body.as_bytes(), hashing.build_hasher())
        };
        let (one, two, three) = (marked("s", "a"), marked("s", "b"), marked("t", "a"));
        assert_eq!(one.len(), 2);
        assert_eq!(one[0], two[0], "the same system prompt");
        assert_ne!(one[1], two[1]);
        assert!(three.iter().all(|mark| !one.contains(mark)));
        assert_eq!(marked("s", "a"), one);
        assert_eq!(marked("s", r#"\"cache_control\""#).len(), 2, "what a text says is no mark");
    }
}
