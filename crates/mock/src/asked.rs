//! What a call asks for: read from path and body, counted by the provider's own rule, or refused as a bad request.

mod tools;
mod weight;

use http::Method;
use serde_json::Value;

pub(crate) use self::tools::ToolCall;
use self::weight::Weight;
use crate::profile::Dialect;

/// The longest context of the models played, in tokens.
const ANTHROPIC_CONTEXT: u64 = 200_000;
/// The same where OpenAI's manners hold.
const OPENAI_CONTEXT: u64 = 400_000;
/// The most choices, inputs or dimensions that one call may ask for.
const MAX_PARTS: u64 = 4096;
/// An answer is never longer than this, whatever `max_tokens` allows.
pub(crate) const MAX_OUTPUT: u64 = 128_000;

/// What can be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    /// `/v1/messages`.
    Messages,
    /// `/v1/messages/count_tokens`.
    CountTokens,
    /// `/v1/chat/completions`.
    Chat,
    /// `/v1/responses`.
    Responses,
    /// `/v1/responses/input_tokens`.
    ResponseTokens,
    /// `/v1/completions`.
    Completions,
    /// `/v1/embeddings`.
    Embeddings,
    /// `/v1/moderations`.
    Moderations,
    /// `/v1/models`, in both dialects.
    Models,
    /// `/`.
    Root,
}

impl Endpoint {
    /// Which one a request line means, whatever prefix a compatible provider puts before it.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Endpoint> {
        if *method == Method::GET || *method == Method::HEAD {
            let models = path.ends_with("/models");
            return if path == "/" { Some(Endpoint::Root) } else { models.then_some(Endpoint::Models) };
        }
        let posts = [
            ("/messages/count_tokens", Endpoint::CountTokens),
            ("/messages", Endpoint::Messages),
            ("/chat/completions", Endpoint::Chat),
            ("/responses/input_tokens", Endpoint::ResponseTokens),
            ("/responses", Endpoint::Responses),
            ("/completions", Endpoint::Completions),
            ("/embeddings", Endpoint::Embeddings),
            ("/moderations", Endpoint::Moderations),
        ];
        let known = posts.iter().find(|(end, _)| *method == Method::POST && path.ends_with(end));
        known.map(|(_, endpoint)| *endpoint)
    }

    /// Whose manners it has; what both have is told apart by the request's headers.
    pub(crate) fn dialect(self, headers: &http::HeaderMap) -> Dialect {
        match self {
            Endpoint::Messages | Endpoint::CountTokens => Dialect::Anthropic,
            Endpoint::Models if headers.contains_key("anthropic-version") => Dialect::Anthropic,
            _ => Dialect::OpenAi,
        }
    }

    /// It writes text, which takes time and may be streamed.
    pub(crate) fn generates(self) -> bool {
        matches!(self, Endpoint::Messages | Endpoint::Chat | Endpoint::Responses | Endpoint::Completions)
    }

    /// It may answer by calling a tool.
    fn calls_tools(self) -> bool {
        matches!(self, Endpoint::Messages | Endpoint::Chat | Endpoint::Responses)
    }

    /// It only counts tokens, which has a limit of its own.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Endpoint::CountTokens | Endpoint::ResponseTokens)
    }
}

/// One call's wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The model, as written.
    pub(crate) model: String,
    /// The answer is to be streamed.
    pub(crate) stream: bool,
    /// The most tokens to produce.
    pub(crate) max_tokens: Option<u64>,
    /// What the input is charged when the call is admitted.
    pub(crate) charged_input: u64,
    /// What the usage will say about the input.
    pub(crate) input_tokens: u64,
    /// How many answers (chat, completions), or inputs (embeddings, moderations).
    pub(crate) parts: u64,
    /// A usage chunk ends the stream.
    pub(crate) include_usage: bool,
    /// Chunks carry padding of random length.
    pub(crate) include_obfuscation: bool,
    /// How long each embedding is.
    pub(crate) dimensions: u64,
    /// Embeddings as base64 of little-endian floats.
    pub(crate) base64: bool,
    /// The answer calls this tool instead of saying something.
    pub(crate) tool: Option<ToolCall>,
    /// A hash of all but how the answer is to be delivered: streamed or not, it is the same answer.
    pub(crate) identity: u64,
}

/// Why a body is not a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// As the provider words it.
    pub(crate) message: String,
    /// The parameter at fault.
    pub(crate) param: Option<&'static str>,
    /// OpenAI's code for it.
    pub(crate) code: Option<&'static str>,
}

impl Asked {
    /// Reads a body for `endpoint`.
    pub(crate) fn read(endpoint: Endpoint, body: &[u8]) -> Result<Asked, Invalid> {
        let Ok(Value::Object(mut body)) = serde_json::from_slice::<Value>(body) else {
            let message = match anthropic(endpoint) {
                true => "The request body is not valid JSON: expected an object".to_owned(),
                false => "We could not parse the JSON body of your request.".to_owned(),
            };
            return Err(Invalid { message, param: None, code: None });
        };
        let needed = match endpoint {
            Endpoint::Messages | Endpoint::CountTokens | Endpoint::Chat => "messages",
            Endpoint::Completions => "prompt",
            _ => "input",
        };
        let model_optional = matches!(endpoint, Endpoint::Moderations | Endpoint::ResponseTokens);
        if !body.get("model").is_some_and(Value::is_string) && !model_optional {
            return Err(missing(endpoint, "model"));
        }
        if !body.contains_key(needed) {
            return Err(missing(endpoint, needed));
        }
        let max = ["max_completion_tokens", "max_output_tokens", "max_tokens"];
        let max_tokens = max.iter().find_map(|key| body.get(*key)).and_then(Value::as_u64);
        if endpoint == Endpoint::Messages && max_tokens.is_none() {
            return Err(missing(endpoint, "max_tokens"));
        }
        let mut asked = interpret(endpoint, &body, max_tokens);
        check_context(endpoint, &asked)?;
        body.retain(|key, _| key != "stream" && key != "stream_options");
        asked.identity = identity(&Value::Object(body));
        Ok(asked)
    }
}

fn interpret(endpoint: Endpoint, body: &serde_json::Map<String, Value>, max_tokens: Option<u64>) -> Asked {
    let weight = Weight::of(body);
    let option = |key: &str| body.get("stream_options").and_then(|options| options.get(key)?.as_bool());
    let listed = |key: &str| body.get(key).and_then(Value::as_array).map_or(1, |list| list.len() as u64);
    let parts = match endpoint {
        Endpoint::Chat | Endpoint::Completions => body.get("n").and_then(Value::as_u64).unwrap_or(1),
        Endpoint::Embeddings | Endpoint::Moderations => listed("input"),
        _ => 1,
    };
    let dimensions = body.get("dimensions").and_then(Value::as_u64).unwrap_or(256);
    let default_model =
        if endpoint == Endpoint::Moderations { "omni-moderation-latest" } else { "gpt-5-mini" };
    Asked {
        model: body.get("model").and_then(Value::as_str).unwrap_or(default_model).to_owned(),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false) && endpoint.generates(),
        max_tokens,
        charged_input: weight.charged(endpoint),
        input_tokens: weight.tokens(endpoint),
        parts: parts.clamp(1, MAX_PARTS),
        include_usage: option("include_usage").unwrap_or(false),
        include_obfuscation: option("include_obfuscation").unwrap_or(true),
        dimensions: dimensions.clamp(1, MAX_PARTS),
        base64: body.get("encoding_format").and_then(Value::as_str) == Some("base64"),
        tool: if endpoint.calls_tools() { ToolCall::of(body) } else { None },
        identity: 0,
    }
}

fn identity(body: &Value) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&blake3::hash(body.to_string().as_bytes()).as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn anthropic(endpoint: Endpoint) -> bool {
    matches!(endpoint, Endpoint::Messages | Endpoint::CountTokens)
}

fn missing(endpoint: Endpoint, param: &'static str) -> Invalid {
    if anthropic(endpoint) {
        return Invalid { message: format!("{param}: Field required"), param: Some(param), code: None };
    }
    let message = format!("Missing required parameter: '{param}'.");
    Invalid { message, param: Some(param), code: Some("missing_required_parameter") }
}

fn check_context(endpoint: Endpoint, asked: &Asked) -> Result<(), Invalid> {
    let (input, output) = (asked.input_tokens, asked.max_tokens.unwrap_or(0));
    let fault = |message: String, param, code| Err(Invalid { message, param: Some(param), code });
    match endpoint {
        Endpoint::Messages if ANTHROPIC_CONTEXT < input => {
            let message = format!("prompt is too long: {input} tokens > {ANTHROPIC_CONTEXT} maximum");
            fault(message, "messages", None)
        }
        Endpoint::Messages if ANTHROPIC_CONTEXT < input.saturating_add(output) => {
            let message = format!(
                "input length and `max_tokens` exceed context limit: {input} + {output} > {ANTHROPIC_CONTEXT}, \
                 decrease input length or `max_tokens` and try again"
            );
            fault(message, "max_tokens", None)
        }
        Endpoint::Chat | Endpoint::Responses | Endpoint::Completions if OPENAI_CONTEXT < input => {
            let message = format!(
                "This model's maximum context length is {OPENAI_CONTEXT} tokens. However, your messages resulted in \
                 {input} tokens. Please reduce the length of the messages."
            );
            fault(message, "messages", Some("context_length_exceeded"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_known_under_any_prefix() {
        let cases = [
            ("/v1/messages", Some(Endpoint::Messages)),
            ("/v1/messages/count_tokens", Some(Endpoint::CountTokens)),
            ("/openai/v1/chat/completions", Some(Endpoint::Chat)),
            ("/v1/completions", Some(Endpoint::Completions)),
            ("/v1/responses/input_tokens", Some(Endpoint::ResponseTokens)),
            ("/v1/responses", Some(Endpoint::Responses)),
            ("/v1/files", None),
        ];
        for (path, endpoint) in cases {
            assert_eq!(Endpoint::of(&Method::POST, path), endpoint, "{path}");
        }
        assert_eq!(Endpoint::of(&Method::GET, "/v1/models"), Some(Endpoint::Models));
        assert_eq!(Endpoint::of(&Method::HEAD, "/"), Some(Endpoint::Root));
        assert_eq!(Endpoint::of(&Method::GET, "/v1/messages"), None);
    }

    #[test]
    fn bad_bodies_are_refused_in_the_providers_words() {
        let cases = [
            (Endpoint::Messages, "{", "The request body is not valid JSON: expected an object"),
            (Endpoint::Messages, r#"{"model":"m","messages":[]}"#, "max_tokens: Field required"),
            (Endpoint::Chat, r#"{"messages":[]}"#, "Missing required parameter: 'model'."),
            (Endpoint::Embeddings, r#"{"model":"m"}"#, "Missing required parameter: 'input'."),
        ];
        for (endpoint, body, message) in cases {
            assert_eq!(Asked::read(endpoint, body.as_bytes()).unwrap_err().message, message);
        }
        let long = format!(
            r#"{{"model":"m","max_tokens":9,"messages":[{{"role":"user","content":"{}"}}]}}"#,
            "x".repeat(900_000)
        );
        let error = Asked::read(Endpoint::Messages, long.as_bytes()).unwrap_err().message;
        assert!(error.starts_with("prompt is too long: "), "{error}");
    }

    #[test]
    fn reads_what_is_asked() {
        let body = r#"{"model":"gpt-5","n":2,"max_completion_tokens":7,"stream":true,
            "stream_options":{"include_usage":true},"messages":[{"role":"user","content":"12345678"}]}"#;
        let asked = Asked::read(Endpoint::Chat, body.as_bytes()).unwrap();
        assert_eq!((asked.model.as_str(), asked.parts, asked.max_tokens), ("gpt-5", 2, Some(7)));
        assert!(asked.stream && asked.include_usage && asked.include_obfuscation);
        assert_eq!(asked.charged_input, 2 + 3 + 10);
    }
}
