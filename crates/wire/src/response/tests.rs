use proptest::prelude::*;

use super::*;
use crate::provider::Catalog;

const NOW: Duration = Duration::from_secs(1_763_904_071);

fn reading(provider: &str, endpoint: Endpoint, status: u16, body: &[u8]) -> Reading {
    let provider = Catalog::embedded().provider(provider).unwrap();
    read(provider, endpoint, status, &HeaderMap::new(), body, NOW)
}

/// The class and the message of a failure; `None` for a success.
fn failed(endpoint: Endpoint, status: u16, body: &str) -> Option<(Class, String)> {
    let name = if endpoint == Endpoint::Messages { "anthropic" } else { "openai" };
    match reading(name, endpoint, status, body.as_bytes()) {
        Reading::Success { .. } => None,
        Reading::Failure { failure, message, .. } => Some((failure.class, message)),
    }
}

const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text",
    "text":"an \"error\" is no error"}],"stop_reason":"end_turn","usage":{"input_tokens":17,
    "cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":108}}"#;
const CHAT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","error":null,"choices":[{"index":0,"message":
    {"role":"assistant","content":"the \"error\" key"},"finish_reason":"stop","error":null}],
    "usage":{"prompt_tokens":24,"completion_tokens":8,"total_tokens":32}}"#;
const RESPONSE: &str = r#"{"id":"resp_1","object":"response","status":"completed","error":null,"output":[],
    "usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":0},"output_tokens":87,"total_tokens":123}}"#;

#[test]
fn answers_tell_their_usage() {
    let cases = [
        ("anthropic", Endpoint::Messages, MESSAGE.to_owned(), Some((17, 3, 108))),
        ("openai", Endpoint::ChatCompletions, CHAT.to_owned(), Some((24, 0, 8))),
        ("openai", Endpoint::Responses, RESPONSE.to_owned(), Some((36, 0, 87))),
        ("deepseek", Endpoint::ChatCompletions, format!("\n\n\r\n  {CHAT}\n"), Some((24, 0, 8))),
        (
            "openai",
            Endpoint::Embeddings,
            r#"{"object":"list","data":[],"usage":{"prompt_tokens":8,"total_tokens":8}}"#.to_owned(),
            Some((8, 0, 0)),
        ),
        (
            "openai",
            Endpoint::Completions,
            r#"{"choices":[{"text":"x"}],"usage":{"prompt_tokens":5,"completion_tokens":7}}"#.to_owned(),
            Some((5, 0, 7)),
        ),
        (
            "groq",
            Endpoint::ChatCompletions,
            r#"{"choices":[],"x_groq":{"id":"req_1","usage":{"prompt_tokens":18,"completion_tokens":1}}}"#
                .to_owned(),
            Some((18, 0, 1)),
        ),
        ("openai", Endpoint::ChatCompletions, r#"{"choices":[]}"#.to_owned(), None),
        (
            "openai",
            Endpoint::ChatCompletions,
            r#"{"choices":[],"usage":"lots","usage":[1]}"#.to_owned(),
            None,
        ),
        ("anthropic", Endpoint::CountTokens, r#"{"input_tokens":2095}"#.to_owned(), None),
        ("openai", Endpoint::Moderations, r#"{"results":[]}"#.to_owned(), None),
        ("openai", Endpoint::Models, r#"{"data":[]}"#.to_owned(), None),
        ("together", Endpoint::Models, r#"[{"id":"m"}]"#.to_owned(), None),
        (
            "openai", // Looking up what failed succeeds.
            Endpoint::Other,
            r#"{"object":"batch","status":"failed","error":{"message":"m"}}"#.to_owned(),
            None,
        ),
        ("openai", Endpoint::Other, "\u{1}RIFF binary".to_owned(), None),
        ("openai", Endpoint::Other, "{\"done\":false}\n{\"done\":true}\n".to_owned(), None),
    ];
    for (provider, endpoint, body, want) in cases {
        let Reading::Success { usage } = reading(provider, endpoint, 200, body.as_bytes()) else {
            panic!("not a success: {body}");
        };
        let told = usage.map(|usage| (usage.input_tokens, usage.cache_read_tokens, usage.output_tokens));
        assert_eq!(told, want, "{body}");
    }
}

#[test]
fn garbage_in_a_success_is_a_failure() {
    let chat = Endpoint::ChatCompletions;
    let cases = [
        (chat, "", "status 200, but the body is empty"),
        (chat, " \n\n ", "status 200, but the body is empty"),
        (chat, "<!doctype html><p>Sign in</p>", "status 200, but the body is a page of HTML"),
        (chat, "OK", "status 200, but the body is cut short or no JSON"),
        (chat, "null", "status 200, but the body is cut short or no JSON"),
        (chat, "\"text\"", "status 200, but the body is cut short or no JSON"),
        (chat, &CHAT[..CHAT.len() - 1], "status 200, but the body is cut short or no JSON"),
        (chat, &CHAT[..40], "status 200, but the body is cut short or no JSON"),
        (chat, "{}", "status 200, but the answer has no `choices`"),
        (chat, r#"{"choices":null}"#, "status 200, but the answer has no `choices`"),
        (chat, r#"{"choices":{}}"#, "status 200, but the answer has no `choices`"),
        (chat, "[]", "status 200, but the answer is a list"),
        (chat, "[1", "status 200, but the body is cut short or no JSON"),
        (chat, r#"{"choices":[]} trailing"#, "status 200, but the body is cut short or no JSON"),
        (Endpoint::Messages, r#"{"type":"message"}"#, "status 200, but the answer has no `content`"),
        (Endpoint::Responses, r#"{"object":"response"}"#, "status 200, but the answer has no `output`"),
        (Endpoint::Embeddings, r#"{"object":"list"}"#, "status 200, but the answer has no `data`"),
        (Endpoint::CountTokens, "{}", "status 200, but the answer has no `input_tokens`"),
        (Endpoint::Moderations, "{}", "status 200, but the answer has no `results`"),
        (Endpoint::Other, "", "status 200, but the body is empty"),
    ];
    for (endpoint, body, message) in cases {
        assert_eq!(failed(endpoint, 200, body), Some((Class::Transient, message.to_owned())), "{body}");
    }
    assert_eq!(failed(Endpoint::Other, 204, ""), None);
}

#[test]
fn any_value_answers_where_we_do_not_know_what_should() {
    let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, "application/json".parse().unwrap())]);
    let openai = Catalog::embedded().provider("openai").unwrap();
    let answers = |endpoint, body: &str| {
        matches!(read(openai, endpoint, 200, &headers, body.as_bytes(), NOW), Reading::Success { .. })
    };
    for body in ["null", "true", "7", "\"text\"", "[]", "{}"] {
        assert!(answers(Endpoint::Other, body), "{body}");
        assert!(!answers(Endpoint::ChatCompletions, body), "{body}");
    }
    for body in ["nul", "\"text", "7 7"] {
        assert!(!answers(Endpoint::Other, body), "{body}");
    }
}

#[test]
fn no_answer_cut_short_passes_for_one() {
    for (endpoint, body) in
        [(Endpoint::Messages, MESSAGE), (Endpoint::ChatCompletions, CHAT), (Endpoint::Responses, RESPONSE)]
    {
        assert_eq!(failed(endpoint, 200, body), None);
        for end in 0..body.len() {
            assert!(failed(endpoint, 200, &body[..end]).is_some(), "cut at {end}");
        }
    }
}

#[test]
fn errors_in_a_success_keep_their_meaning() {
    let chat = Endpoint::ChatCompletions;
    let cases = [
        (chat, r#"{"error":{"code":429,"message":"Slower"}}"#, Class::Throttled, "status 200: Slower"),
        (
            chat,
            r#"{"error":{"code":502,"message":"Gone"},"choices":[]}"#,
            Class::Transient,
            "status 200: Gone",
        ),
        (chat, r#"{"error":"busy"}"#, Class::Transient, "status 200: busy"),
        (
            chat,
            r#"{"choices":[{"finish_reason":"error","error":{"code":503,"message":"Full"}}]}"#,
            Class::Overloaded,
            "status 200: Full",
        ),
        (
            chat,
            r#"[{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}]"#,
            Class::Throttled,
            "status 200: Quota",
        ),
        (
            Endpoint::Messages,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            Class::Overloaded,
            "status 200: Overloaded",
        ),
        (
            Endpoint::Responses,
            r#"{"object":"response","status":"failed","error":{"code":"server_error","message":"Oh"},"output":[]}"#,
            Class::Transient,
            "status 200: Oh",
        ),
        (
            Endpoint::Responses,
            r#"{"object":"response","status":"failed","error":null,"output":[]}"#,
            Class::Transient,
            "status 200",
        ),
        (
            Endpoint::Other,
            r#"{"error":{"code":"insufficient_quota","message":"Pay"}}"#,
            Class::Money,
            "status 200: Pay",
        ),
    ];
    for (endpoint, body, class, message) in cases {
        assert_eq!(failed(endpoint, 200, body), Some((class, message.to_owned())), "{body}");
    }
}

#[test]
fn a_refusal_of_the_model_is_policy_and_keeps_its_usage() {
    let refusal = MESSAGE.replace("end_turn", "refusal");
    let Reading::Failure { failure, message, usage } =
        reading("anthropic", Endpoint::Messages, 200, refusal.as_bytes())
    else {
        panic!("passed for an answer");
    };
    assert_eq!((failure.class, message.as_str()), (Class::Policy, "the model refused to answer"));
    assert_eq!(usage.unwrap().output_tokens, 108);
    let blocked = r#"{"promptFeedback":{"blockReason":"SAFETY"}}"#;
    assert_eq!(failed(Endpoint::Other, 200, blocked).unwrap().0, Class::Policy);
}

#[test]
fn failures_speak_to_people_and_keep_secrets() {
    let cases = [
        (
            401,
            r#"{"error":{"message":"Incorrect API key provided: sk-canary"}}"#,
            "the provider refused the credential",
        ),
        (403, "canary", "the provider refused the credential"),
        (302, "", "the provider redirects elsewhere, which is never followed; check the base URL"),
        (400, r#"{"error":{"message":"bad \u001b[31m key sk-abcdefghijk1234"}}"#, "bad [31m key ****"),
        (429, r#"{"error":{"message":"Slow down"}}"#, "Slow down"),
    ];
    for (status, body, want) in cases {
        let (_, message) = failed(Endpoint::ChatCompletions, status, body).unwrap();
        assert_eq!(message, format!("status {status}: {want}"));
    }
}

#[test]
fn a_huge_answer_is_read_without_a_tree() {
    let text = "x".repeat(3 << 20);
    let body = format!(
        r#"{{"choices":[{{"text":"{text}","error":{{"code":503}}}}],"usage":{{"prompt_tokens":1}}}}"#
    );
    assert!(failed(Endpoint::Completions, 200, &body).is_some());
    assert_eq!(
        failed(Endpoint::Completions, 200, &body.replace(r#""error":{"code":503}"#, r#""e":1"#)),
        None
    );
    let deep = format!(r#"{{"choices":{}"#, "[".repeat(200_000));
    assert!(failed(Endpoint::ChatCompletions, 200, &deep).is_some());
}

#[test]
fn request_ids_by_provider() {
    let cases = [
        ("anthropic", "request-id", "req_011CVQtbqszdJeNPUoVMEFqc", true),
        ("openai", "x-request-id", "req_b3faa7fac69740bca0d7827cb6d5b29b", true),
        ("azure", "apim-request-id", "8e1", true),
        ("deepseek", "x-ds-trace-id", "abc", true),
        ("mistral", "mistral-correlation-id", "0197", true),
        ("mistral", "x-request-id", "fallback", true),
        ("openai", "x-request-id", "two words", false),
        ("openai", "x-request-id", "", false),
        ("openai", "server", "x", false),
    ];
    for (name, header, value, found) in cases {
        let provider = Catalog::embedded().provider(name).unwrap();
        let headers =
            HeaderMap::from_iter([(header.parse::<http::HeaderName>().unwrap(), value.parse().unwrap())]);
        assert_eq!(
            request_id(provider, &headers),
            found.then(|| value.to_owned()),
            "{name} {header}: {value}"
        );
    }
}

proptest! {
    #[test]
    fn no_answer_panics(body in prop::collection::vec(any::<u8>(), 0..300), status in 100u16..600) {
        for endpoint in [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Models, Endpoint::Other] {
            let _ = reading("openai", endpoint, status, &body);
        }
    }

    #[test]
    fn one_flipped_byte_never_panics(at: prop::sample::Index, byte: u8) {
        let mut body = CHAT.as_bytes().to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        let _ = reading("openrouter", Endpoint::ChatCompletions, 200, &body);
    }
}

#[test]
fn an_organisation_is_named_by_the_providers_own_header() {
    let cases = [
        ("anthropic", vec![("anthropic-organization-id", "617d109c-a187")], Some("617d109c-a187")),
        ("openai", vec![("openai-organization", "org-a")], Some("org-a")),
        ("openai", vec![("anthropic-organization-id", "617d109c-a187")], None),
        ("groq", vec![("openai-organization", "org-a")], None),
        ("openai", vec![("openai-organization", "")], None),
        ("openai", vec![("openai-organization", "org a\tb")], None),
        // A subscription's limits are those of its seat.
        (
            "anthropic",
            vec![("anthropic-organization-id", "617d"), ("anthropic-ratelimit-unified-status", "allowed")],
            None,
        ),
    ];
    for (name, pairs, want) in cases {
        let provider = Catalog::embedded().provider(name).expect("known");
        let headers: HeaderMap = pairs
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)))
            .collect();
        assert_eq!(organisation(provider, &headers), want, "{name} {pairs:?}");
    }
}
