//! The body of an error, whatever its shape, reduced to what tells its meaning.
//!
//! Seen in the wild: `{"error":{…}}`, `{"error":"…"}`, `{"type":"error","error":{…}}`, the same inside an array, inside
//! `choices[0]` or inside `response`, bare `{"message":"…"}`, `{"detail":"…"}`, a page of HTML, plain words, nothing.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::named::{self, Named};

/// No error is longer; a longer body is not looked at.
const LONGEST_JSON: usize = 1024 * 1024;
/// How much of a message is kept.
const LONGEST_TEXT: usize = 8 * 1024;
/// How long an error's name may be: longer ones are no names.
const LONGEST_NAME: usize = 128;
/// How many headers are believed that a body repeats.
const MOST_ECHOED: usize = 16;

/// What a body looks like from afar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing but blanks.
    Empty,
    /// An object, or an array around one.
    Json,
    /// A page, of a proxy on the way as a rule.
    Html,
    /// Anything else, JSON cut short included.
    Text,
}

/// An error, read from a body.
#[derive(Debug)]
pub(crate) struct ErrorBody {
    shape: Shape,
    /// The object that holds the error; null when there is none.
    error: Value,
    /// Every word that names the error: types, codes, statuses, in lower case.
    names: Vec<String>,
    /// What it says to people.
    message: String,
    /// What it says, and what the error inside it says, in lower case.
    lower: String,
    named: OnceLock<Named>,
}

impl ErrorBody {
    /// Reads any body. Never fails: what isn't understood is text.
    pub(crate) fn parse(body: &[u8]) -> ErrorBody {
        let body = body.trim_ascii();
        if body.is_empty() {
            return ErrorBody::unnamed(Shape::Empty, "");
        }
        // Neither a page nor an answer of megabytes has words whose meaning could be trusted.
        if body[0] == b'<' {
            return ErrorBody::unnamed(Shape::Html, "");
        }
        if body.len() > LONGEST_JSON {
            return ErrorBody::unnamed(Shape::Text, "");
        }
        if let Ok(root @ (Value::Object(_) | Value::Array(_))) = serde_json::from_slice(body) {
            return ErrorBody::of(root);
        }
        ErrorBody::unnamed(Shape::Text, &String::from_utf8_lossy(&body[..body.len().min(LONGEST_TEXT)]))
    }

    /// Reads an answer that is parsed already.
    fn of(root: Value) -> ErrorBody {
        let root = match root {
            Value::Array(items) => items.into_iter().next().unwrap_or(Value::Null),
            other => other,
        };
        let error = error_in(&root).cloned().unwrap_or(Value::Null);
        let message = clip(message_of(&error).or_else(|| message_of(&root)).unwrap_or_default());
        let mut body = ErrorBody::unnamed(Shape::Json, message);
        body.names = names(&error, &root);
        // OpenRouter quotes the error of the provider behind it.
        if let Some(raw) = error.pointer("/metadata/raw").and_then(Value::as_str) {
            body.lower.push(' ');
            body.lower.push_str(&clip(raw).to_ascii_lowercase());
        }
        body.error = if error.is_object() { error } else { root };
        body
    }

    fn unnamed(shape: Shape, text: &str) -> ErrorBody {
        let message = clip(text).to_owned();
        let lower = message.to_ascii_lowercase();
        ErrorBody { shape, error: Value::Null, names: Vec::new(), message, lower, named: OnceLock::new() }
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// The message for people, as the provider wrote it.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// All that is said, in lower case.
    pub(crate) fn text(&self) -> &str {
        &self.lower
    }

    /// Whether the error goes by any of these names.
    pub(crate) fn is_any(&self, names: &[&str]) -> bool {
        self.names.iter().any(|name| names.contains(&name.as_str()))
    }

    /// Whether any of these phrases, in lower case, is said.
    pub(crate) fn says_any(&self, phrases: &[&str]) -> bool {
        phrases.iter().any(|phrase| self.lower.contains(phrase))
    }

    /// Adds a name that came by another way than the body.
    pub(crate) fn add_name(&mut self, name: &str) {
        self.names.extend(name_of(name));
    }

    /// The status that the error's own code repeats, such as OpenRouter's inside a success.
    pub(crate) fn status(&self) -> Option<u16> {
        self.names.iter().find_map(|name| name.parse().ok().filter(|status| (400..=599).contains(status)))
    }

    /// The limit it names.
    pub(crate) fn named(&self) -> Named {
        *self.named.get_or_init(|| {
            let violation = named::in_violations(&self.error);
            violation.unwrap_or_else(|| named::in_text(&self.lower))
        })
    }

    /// Whether it carries Gemini's list of violated quotas.
    pub(crate) fn has_violations(&self) -> bool {
        named::in_violations(&self.error).is_some()
    }

    /// Whether a guard gave its reasons for refusing the content (OpenRouter).
    pub(crate) fn flags_content(&self) -> bool {
        self.error.pointer("/metadata/flagged_input").is_some()
    }

    /// The wait in a field of its own: Google's `retryDelay`, OpenRouter's `retry_after`.
    pub(crate) fn retry_delay(&self) -> Option<String> {
        let details = self.error.get("details").and_then(Value::as_array);
        let delay = details.and_then(|details| details.iter().find_map(|detail| detail.get("retryDelay")));
        let delay = delay
            .or_else(|| self.error.pointer("/availability/retry_after"))
            .or_else(|| self.error.pointer("/metadata/retry_after_seconds"))
            .or_else(|| self.error.get("retry_after"))?;
        match delay {
            Value::String(text) => Some(text.clone()),
            Value::Number(seconds) => Some(seconds.to_string()),
            _ => None,
        }
    }

    /// The limit headers that the body repeats (OpenRouter).
    pub(crate) fn echoed_headers(&self) -> Option<HeaderMap> {
        let echoed = self.error.pointer("/metadata/headers")?.as_object()?;
        let pairs = echoed.iter().take(MOST_ECHOED).filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            Some((name, HeaderValue::try_from(value.as_str()?).ok()?))
        });
        Some(pairs.collect())
    }
}

/// Whether a JSON value in the place of an error is one, as the SDKs judge it.
pub(crate) fn is_error(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// The error inside an answer: a value of any kind.
fn error_in(root: &Value) -> Option<&Value> {
    ["/error", "/choices/0/error", "/response/error"]
        .into_iter()
        .filter_map(|path| root.pointer(path))
        .find(|value| is_error(value))
}

fn message_of(object: &Value) -> Option<&str> {
    if let Value::String(text) = object {
        return Some(text);
    }
    ["message", "detail", "error_description", "msg"].into_iter().find_map(|key| match object.get(key)? {
        Value::String(text) => Some(text.as_str()),
        // FastAPI lists what is wrong.
        Value::Array(items) => items.first()?.get("msg")?.as_str(),
        Value::Object(inner) => inner.get("message")?.as_str(),
        _ => None,
    })
}

fn names(error: &Value, root: &Value) -> Vec<String> {
    let own = ["/code", "/type", "/status", "/error_type", "/details/error_code", "/metadata/error_type"];
    let deep = ["/innererror/code", "/availability/code", "/metadata/code", "/details/0/reason", "/reason"];
    let outer = ["/code", "/type", "/__type", "/error_type", "/status"];
    let of_error = own.iter().chain(&deep).filter_map(|path| error.pointer(path));
    let of_root = outer.iter().filter_map(|path| root.pointer(path));
    let words = of_error.chain(of_root).filter_map(|value| match value {
        Value::String(text) => name_of(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    // `{"type":"error"}` is the envelope, not a name.
    words.filter(|name| name != "error").collect()
}

/// A name in lower case, without what AWS hangs on to it before a `#` or after a `:`.
fn name_of(text: &str) -> Option<String> {
    let text = text.rsplit('#').next().unwrap_or(text);
    let text = text.split(':').next().unwrap_or(text).trim();
    (!text.is_empty() && text.len() <= LONGEST_NAME).then(|| text.to_ascii_lowercase())
}

fn clip(text: &str) -> &str {
    let mut end = text.len().min(LONGEST_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_gives_up_its_message_and_names() {
        let cases = [
            (r#"{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}"#, "m", "tokens"),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
                "m",
                "overloaded_error",
            ),
            (
                r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#,
                "m",
                "resource_exhausted",
            ),
            (r#"{"choices":[{"error":{"code":502,"message":"m"}}]}"#, "m", "502"),
            (r#"{"response":{"error":{"code":"server_error","message":"m"}}}"#, "m", "server_error"),
            (r#"{"error":"m","code":"busy"}"#, "m", "busy"),
            (r#"{"object":"error","message":"m","type":"rate_limited","code":"1300"}"#, "m", "1300"),
            (
                r#"{"__type":"com.amazon#ThrottlingException:http://x","message":"m"}"#,
                "m",
                "throttlingexception",
            ),
            (r#"{"detail":"m","code":"x"}"#, "m", "x"),
            (r#"{"detail":[{"loc":["body"],"msg":"m"}],"type":"x"}"#, "m", "x"),
        ];
        for (body, message, name) in cases {
            let read = ErrorBody::parse(body.as_bytes());
            assert_eq!((read.shape(), read.message()), (Shape::Json, message), "{body}");
            assert!(read.is_any(&[name]), "{body}: {:?}", read.names);
            assert!(!read.is_any(&["error"]), "{body}");
        }
    }

    #[test]
    fn shapes_are_told_apart() {
        let deep = "[".repeat(100_000);
        let cases: [(&[u8], Shape); 9] = [
            (b"", Shape::Empty),
            (b" \r\n\n", Shape::Empty),
            (b"\n\n{}", Shape::Json),
            (b"[]", Shape::Json),
            (b"<html><title>502 Bad Gateway</title>", Shape::Html),
            (b"upstream connect error", Shape::Text),
            (b"{\"error\":{\"mess", Shape::Text),
            (b"\xff\xfe{}", Shape::Text),
            (deep.as_bytes(), Shape::Text),
        ];
        for (body, want) in cases {
            assert_eq!(ErrorBody::parse(body).shape(), want);
        }
    }

    #[test]
    fn what_the_body_repeats_is_found() {
        let body = br#"{"error":{"code":429,"message":"m","metadata":{"headers":{"X-RateLimit-Remaining":"0","bad name":"1",
            "x":"\u0000"},"raw":"Please retry in 7s"}}}"#;
        let body = ErrorBody::parse(body);
        assert_eq!(body.status(), Some(429));
        assert_eq!(body.echoed_headers().unwrap().len(), 1);
        assert!(body.says_any(&["retry in 7s"]));
        assert_eq!(body.message(), "m");
    }
}
