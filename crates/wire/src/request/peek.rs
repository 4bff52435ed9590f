//! What a body asks for: the few members that pacing needs, read in place.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;

use super::PeekError;
use super::members::{Member, refuse_duplicates};
use super::survey::survey;
use crate::dialect::{Dialect, Endpoint};

/// What a body asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peek<'a> {
    /// Where it goes.
    pub endpoint: Endpoint,
    /// The model.
    pub model: Option<Cow<'a, str>>,
    /// Whether the answer is to come as a stream.
    pub stream: bool,
    /// Whether a stream will tell its usage: always, but for OpenAI's `stream_options.include_usage`.
    pub include_usage: bool,
    /// The most tokens that one answer may have, by whichever name the endpoint knows it.
    pub max_tokens: Option<u64>,
    /// How many answers are generated (`n`, `best_of`).
    pub choices: u64,
    /// Messages, or items of a conversation; none where a request is not made of them.
    pub messages: u64,
    /// Characters of text in messages, system prompt and input: no images, no plumbing, no tools.
    pub text_chars: u64,
    /// The same text in bytes.
    pub text_bytes: u64,
    /// Bytes of the tools, as JSON.
    pub tool_bytes: u64,
    /// Images and other files.
    pub images: u64,
    /// Numbers: input that was made tokens already, and the arguments of tool calls.
    pub numbers: u64,
    /// Where some values are in the body.
    pub spans: Spans,
}

/// The byte ranges of some values in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    /// Of `model`.
    pub model: Option<Range<usize>>,
    /// Of what says the most tokens that one answer may have, even if it is null.
    pub max_tokens: Option<Range<usize>>,
    /// Of `stream`.
    pub stream: Option<Range<usize>>,
    /// Of `stream_options`.
    pub stream_options: Option<Range<usize>>,
    /// Of `tools`.
    pub tools: Option<Range<usize>>,
    /// Of what is told before the conversation: `system` or `instructions`.
    pub system: Option<Range<usize>>,
    /// Of the conversation: `messages`, `input` or `prompt`.
    pub messages: Option<Range<usize>>,
}

/// The members we act on: each may be there once.
const ACTED_ON: [&str; 16] = [
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "n",
    "best_of",
    "messages",
    "system",
    "input",
    "prompt",
    "instructions",
    "tools",
    "functions",
    "paceline",
];

/// Reads what `body` asks of `endpoint`, without building a tree of it.
pub fn peek(dialect: Dialect, endpoint: Endpoint, body: &[u8]) -> Result<Peek<'_>, PeekError> {
    let survey = survey(body)?;
    let (members, text) = (&survey.members, survey.text);
    refuse_duplicates(members, &ACTED_ON)?;
    let find = |key: &str| members.iter().find(|member| member.key == key);
    let span = |key: &str| find(key).map(|member| member.span.clone());
    let talk = if endpoint == Endpoint::Responses { "input" } else { "messages" };
    // A lone string is one.
    let messages = find(talk).map_or(0, |member| match member.value.starts_with('[') {
        true => survey.items(talk),
        false => 1,
    });
    let tools =
        ["tools", "functions"].iter().filter_map(|key| find(key)).filter(|member| holds_items(member));
    Ok(Peek {
        endpoint,
        model: typed(find("model"), "model", "a string")?,
        stream: typed(find("stream"), "stream", "true or false")?.unwrap_or(false),
        include_usage: include_usage(dialect, endpoint, find("stream_options"))?,
        max_tokens: max_tokens(endpoint, find)?,
        choices: choices(find)?,
        messages,
        text_chars: text.chars,
        text_bytes: text.bytes,
        tool_bytes: tools.map(|member| member.value.len() as u64).sum(),
        images: text.images,
        numbers: text.numbers,
        spans: Spans {
            model: span("model"),
            max_tokens: max_tokens_keys(endpoint).iter().find_map(|key| span(key)),
            stream: span("stream"),
            stream_options: span("stream_options"),
            tools: span("tools"),
            system: span("system").or_else(|| span("instructions")),
            messages: span("messages").or_else(|| span("input")).or_else(|| span("prompt")),
        },
    })
}

impl Peek<'_> {
    /// The same, independent of the body.
    pub fn into_owned(self) -> Peek<'static> {
        Peek { model: self.model.map(|model| Cow::Owned(model.into_owned())), ..self }
    }

    /// Whether the request has tools.
    pub fn has_tools(&self) -> bool {
        self.tool_bytes > 0
    }
}

/// Reads a member that may be missing or null.
fn typed<'a, T: Deserialize<'a>>(
    member: Option<&Member<'a>>,
    key: &'static str,
    expected: &'static str,
) -> Result<Option<T>, PeekError> {
    let Some(member) = member else { return Ok(None) };
    serde_json::from_str(member.value).map_err(|_| PeekError::Type { key, expected })
}

fn include_usage(
    dialect: Dialect,
    endpoint: Endpoint,
    options: Option<&Member<'_>>,
) -> Result<bool, PeekError> {
    #[derive(Deserialize)]
    struct Options {
        include_usage: Option<bool>,
    }
    if dialect == Dialect::Anthropic || endpoint == Endpoint::Responses {
        return Ok(true);
    }
    let options: Option<Options> =
        typed(options, "stream_options", "an object with `include_usage`: true or false")?;
    Ok(options.and_then(|options| options.include_usage).unwrap_or(false))
}

fn max_tokens<'m, 'a: 'm>(
    endpoint: Endpoint,
    find: impl Fn(&str) -> Option<&'m Member<'a>>,
) -> Result<Option<u64>, PeekError> {
    for key in max_tokens_keys(endpoint) {
        if let Some(tokens) = typed(find(key), key, "a whole number of tokens")? {
            return Ok(Some(tokens));
        }
    }
    Ok(None)
}

/// The names of what limits an answer of `endpoint`; of two the first counts.
fn max_tokens_keys(endpoint: Endpoint) -> &'static [&'static str] {
    match endpoint {
        Endpoint::Responses => &["max_output_tokens"],
        Endpoint::ChatCompletions => &["max_completion_tokens", "max_tokens"],
        Endpoint::Messages | Endpoint::Completions => &["max_tokens"],
        _ => &[],
    }
}

fn choices<'m, 'a: 'm>(find: impl Fn(&str) -> Option<&'m Member<'a>>) -> Result<u64, PeekError> {
    let n: Option<u64> = typed(find("n"), "n", "a whole number")?;
    let best_of: Option<u64> = typed(find("best_of"), "best_of", "a whole number")?;
    Ok(n.unwrap_or(1).max(best_of.unwrap_or(1)).max(1))
}

/// Whether `member`, which is JSON, is a list of something.
fn holds_items(member: &Member<'_>) -> bool {
    let list = member.value.strip_prefix('[');
    list.is_some_and(|list| !list.trim_start().starts_with(']'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const CHAT: (Dialect, Endpoint) = (Dialect::OpenAi, Endpoint::ChatCompletions);

    fn blank(endpoint: Endpoint) -> Peek<'static> {
        Peek {
            endpoint,
            model: None,
            stream: false,
            include_usage: false,
            max_tokens: None,
            choices: 1,
            messages: 0,
            text_chars: 0,
            text_bytes: 0,
            tool_bytes: 0,
            images: 0,
            numbers: 0,
            spans: Spans::default(),
        }
    }

    #[test]
    fn each_endpoint_is_read_by_its_own_names() {
        let cases = [
            (
                Dialect::Anthropic,
                Endpoint::Messages,
                r#"{"model":"claude-sonnet-5","max_tokens":64,"system":"be kind","messages":[{"role":"user","content":"h\u00e9"}],"tools":[{"name":"f"}],"stream":true}"#,
                Peek {
                    model: Some("claude-sonnet-5".into()),
                    stream: true,
                    include_usage: true,
                    max_tokens: Some(64),
                    messages: 1,
                    text_chars: 9,
                    text_bytes: 10,
                    tool_bytes: 14,
                    ..blank(Endpoint::Messages)
                },
            ),
            (
                Dialect::OpenAi,
                Endpoint::ChatCompletions,
                r#"{"model":"gpt-4o","max_completion_tokens":9,"max_tokens":8,"n":3,"messages":[{"role":"system","content":"ab"},{"role":"user","content":"cd"}],"stream":true,"stream_options":{"include_usage":true,"x":1},"tools":[]}"#,
                Peek {
                    model: Some("gpt-4o".into()),
                    stream: true,
                    include_usage: true,
                    max_tokens: Some(9),
                    choices: 3,
                    messages: 2,
                    text_chars: 4,
                    text_bytes: 4,
                    ..blank(Endpoint::ChatCompletions)
                },
            ),
            (
                Dialect::OpenAi,
                Endpoint::Responses,
                r#"{"model":"gpt-5","input":"abc","instructions":"de","max_output_tokens":7,"max_tokens":1}"#,
                Peek {
                    model: Some("gpt-5".into()),
                    include_usage: true,
                    max_tokens: Some(7),
                    messages: 1,
                    text_chars: 5,
                    text_bytes: 5,
                    ..blank(Endpoint::Responses)
                },
            ),
            (
                Dialect::OpenAi,
                Endpoint::Completions,
                r#"{"prompt":"abcd","max_tokens":5,"best_of":4,"n":2,"model":null,"stream":null}"#,
                Peek {
                    max_tokens: Some(5),
                    choices: 4,
                    text_chars: 4,
                    text_bytes: 4,
                    ..blank(Endpoint::Completions)
                },
            ),
            (
                Dialect::OpenAi,
                Endpoint::Embeddings,
                r#"{"model":"e","input":[[1,2,3],[4]]}"#,
                Peek { model: Some("e".into()), numbers: 4, ..blank(Endpoint::Embeddings) },
            ),
            (
                Dialect::Anthropic,
                Endpoint::CountTokens,
                r#"{"model":"c","messages":[]}"#,
                Peek { model: Some("c".into()), include_usage: true, ..blank(Endpoint::CountTokens) },
            ),
        ];
        for (dialect, endpoint, body, want) in cases {
            let mut seen = peek(dialect, endpoint, body.as_bytes()).unwrap();
            let spans = std::mem::take(&mut seen.spans);
            assert_eq!(seen, want, "{body}");
            assert_eq!(spans.stream.is_some(), body.contains("\"stream\""), "{body}");
        }
    }

    #[test]
    fn spans_point_at_the_values() {
        let body = br#"{ "stream_options": {"include_usage": false}, "stream": true , "model": "a\"b" }"#;
        let seen = peek(CHAT.0, CHAT.1, body).unwrap();
        let at = |span: Option<Range<usize>>| std::str::from_utf8(&body[span.unwrap()]).unwrap();
        assert_eq!(at(seen.spans.model), r#""a\"b""#);
        assert_eq!(at(seen.spans.stream), "true");
        assert_eq!(at(seen.spans.stream_options), r#"{"include_usage": false}"#);
        assert_eq!(seen.model.as_deref(), Some("a\"b"));
    }

    #[test]
    fn what_cannot_be_acted_on_says_why() {
        let cases = [
            (r#"{"model":1}"#, "`model` must be a string"),
            (r#"{"stream":"yes"}"#, "`stream` must be true or false"),
            (r#"{"max_tokens":-1}"#, "`max_tokens` must be a whole number of tokens"),
            (r#"{"max_tokens":1.5}"#, "`max_tokens` must be a whole number of tokens"),
            (r#"{"n":"2"}"#, "`n` must be a whole number"),
            (
                r#"{"stream_options":[1]}"#,
                "`stream_options` must be an object with `include_usage`: true or false",
            ),
            (r#"{"model":"a","model":"b"}"#, "the body has `model` twice; take one out"),
            (r#"{"model":"a","mod\u0065l":"b"}"#, "the body has `model` twice; take one out"),
            (r#"[]"#, "the body is no JSON object; write it as {\"model\": ..., ...}"),
            (r#"{"a":}"#, "the body is no JSON: expected value at line 1 column 6"),
        ];
        for (body, want) in cases {
            assert_eq!(peek(CHAT.0, CHAT.1, body.as_bytes()).unwrap_err().to_string(), want, "{body}");
        }
    }

    #[test]
    fn twice_is_fine_where_we_do_not_act() {
        assert!(peek(CHAT.0, CHAT.1, br#"{"user":"a","user":"b"}"#).is_ok());
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("(role|type|text|content|source|.{0,4})", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = peek(CHAT.0, CHAT.1, &body);
        }

        #[test]
        fn no_json_like_text_makes_it_panic(body in r#"\{("(model|n|input|messages)":|[{}\[\]:,"\\ ]|[a-z0-9.eE+-]){0,40}"#) {
            let seen = peek(CHAT.0, CHAT.1, body.as_bytes()).is_ok();
            if seen {
                prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok());
            }
        }

        #[test]
        fn it_agrees_with_a_tree(
            model in ".{0,12}", stream in any::<bool>(), max in any::<Option<u32>>(),
            messages in prop::collection::vec(any_json(), 0..4), rest in any_json(), pretty in any::<bool>(),
        ) {
            let tree = json!({"a": rest, "model": model, "stream": stream, "max_tokens": max, "messages": messages});
            let body = if pretty { serde_json::to_string_pretty(&tree) } else { serde_json::to_string(&tree) }.unwrap();
            let seen = peek(CHAT.0, CHAT.1, body.as_bytes()).unwrap();
            prop_assert_eq!(seen.model.as_deref(), Some(&*model));
            prop_assert_eq!(seen.stream, stream);
            prop_assert_eq!(seen.max_tokens, max.map(u64::from));
            prop_assert_eq!(seen.messages, messages.len() as u64);
            prop_assert!(seen.text_chars <= seen.text_bytes && seen.text_bytes <= body.len() as u64);
        }
    }
}
