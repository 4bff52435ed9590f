//! A body seen in place says what a tree of it says, and a change to it leaves all other bytes alone.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use bytes::Bytes;
use paceline_wire::request::{self, Peek, PeekError};
use paceline_wire::{Dialect, Endpoint};
use serde_json::{Map, Value, json};

const REQUESTS: [(Dialect, Endpoint); 5] = [
    (Dialect::Anthropic, Endpoint::Messages),
    (Dialect::OpenAi, Endpoint::ChatCompletions),
    (Dialect::OpenAi, Endpoint::Responses),
    (Dialect::OpenAi, Endpoint::Completions),
    (Dialect::OpenAi, Endpoint::Embeddings),
];

pub(crate) fn check(input: &[u8]) {
    // A tree is stricter: it wants numbers that fit and whole surrogate pairs, wherever they stand.
    let tree: Option<Value> = serde_json::from_slice(input).ok();
    for (dialect, endpoint) in REQUESTS {
        match (request::peek(dialect, endpoint, input), &tree) {
            (Ok(peek), Some(tree)) => agree(&peek, tree.as_object().expect("a body is an object"), input),
            (Err(PeekError::Syntax { message }), Some(_)) => panic!("JSON, but {message}"),
            (Err(PeekError::NoObject), Some(tree)) => assert!(!tree.is_object()),
            _ => {}
        }
    }
    change(input, tree.as_ref().and_then(Value::as_object));
}

fn agree(peek: &Peek<'_>, tree: &Map<String, Value>, input: &[u8]) {
    let at = |key: &str| tree.get(key);
    assert_eq!(peek.model.as_deref(), at("model").and_then(Value::as_str));
    assert_eq!(peek.stream, at("stream").and_then(Value::as_bool).unwrap_or(false));
    let keys: &[&str] = match peek.endpoint {
        Endpoint::Responses => &["max_output_tokens"],
        Endpoint::ChatCompletions => &["max_completion_tokens", "max_tokens"],
        Endpoint::Messages | Endpoint::Completions => &["max_tokens"],
        _ => &[],
    };
    assert_eq!(peek.max_tokens, keys.iter().find_map(|key| at(key)?.as_u64()));
    let key = if peek.endpoint == Endpoint::Responses { "input" } else { "messages" };
    let messages = at(key).map_or(0, |value| value.as_array().map_or(1, Vec::len));
    assert_eq!(peek.messages, messages as u64);
    assert!(peek.text_chars <= peek.text_bytes && peek.text_bytes <= input.len() as u64);
    let spans = &peek.spans;
    let system = if at("system").is_some() { "system" } else { "instructions" };
    let talk = ["messages", "input"].into_iter().find(|key| at(key).is_some()).unwrap_or("prompt");
    for (span, key) in [
        (&spans.model, "model"),
        (&spans.stream_options, "stream_options"),
        (&spans.tools, "tools"),
        (&spans.system, system),
        (&spans.messages, talk),
    ] {
        let told = span.clone().map(|span| serde_json::from_slice(&input[span]).expect("a span is a value"));
        assert_eq!(told.as_ref(), at(key), "{key}");
    }
    let hashing = BuildHasherDefault::<DefaultHasher>::default();
    let number = request::conversation(peek, input, hashing.build_hasher());
    assert_eq!(number.is_some(), spans.messages.is_some());
    assert!(request::marks(peek, input, hashing.build_hasher()).len() <= 4);
    if let (Ok(asking), Endpoint::ChatCompletions) = (request::with_usage(input, peek), peek.endpoint) {
        let again = request::peek(Dialect::OpenAi, Endpoint::ChatCompletions, &asking);
        assert!(again.is_ok_and(|again| again.include_usage), "what was asked for is asked for");
        same_but(Some(tree), &asking, |tree| {
            let options = tree.entry("stream_options").or_insert_with(|| json!({}));
            match options.as_object_mut() {
                Some(options) => drop(options.insert("include_usage".to_owned(), json!(true))),
                None => *options = json!({"include_usage": true}),
            }
        });
    }
}

fn change(input: &[u8], tree: Option<&Map<String, Value>>) {
    let new = "gpt \"5\"\n";
    if let Ok(changed) = request::set_model(input, new) {
        let peek = request::peek(Dialect::OpenAi, Endpoint::Other, &changed);
        if let Ok(peek) = &peek {
            assert_eq!(peek.model.as_deref(), Some(new));
            let span = peek.spans.model.clone().expect("it was just set");
            let after = changed.len() - span.end;
            assert_eq!(changed[..span.start], input[..span.start], "what stands before stays");
            assert_eq!(changed[span.end..], input[input.len() - after..], "what stands behind stays");
        }
        same_but(tree, &changed, |tree| drop(tree.insert("model".to_owned(), json!(new))));
    }
    let body = Bytes::copy_from_slice(input);
    let defaults = [("model", json!("m")), ("a", json!([1]))];
    if let Ok(filled) = request::with_defaults(&body, &defaults) {
        same_but(tree, &filled, |tree| {
            for (key, value) in &defaults {
                tree.entry(*key).or_insert_with(|| value.clone());
            }
        });
    }
    if let Ok(cut) = request::without_all(&body, &["model", "a"]) {
        same_but(tree, &cut, |tree| tree.retain(|key, _| key != "model" && key != "a"));
    }
}

/// `changed` is what `tree` becomes by `change`.
fn same_but(tree: Option<&Map<String, Value>>, changed: &[u8], change: impl FnOnce(&mut Map<String, Value>)) {
    let Some(mut wanted) = tree.cloned() else { return };
    change(&mut wanted);
    let changed: Value = serde_json::from_slice(changed).expect("a changed body is still JSON");
    assert_eq!(changed, Value::Object(wanted));
}
