use proptest::prelude::*;

use super::*;
use crate::sse::Parser;

const ANTHROPIC: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_01","type":"message","role":"assistant","content":[],"usage":{"input_tokens":17,"cache_creation_input_tokens":3,"cache_read_input_tokens":5,"output_tokens":1}}        }

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}           }

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Here"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0        }

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":108}            }

event: message_stop
data: {"type":"message_stop"          }

"#;

const OPENAI: &str = r#": OPENROUTER PROCESSING

data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"T3FmnOmia"}

data: {"choices":[{"index":0,"delta":{"content":"10"},"logprobs":null,"finish_reason":null}],"usage":null,"p":"abcdefghij"}

data: {"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}

data: {"choices":[],"usage":{"prompt_tokens":24,"completion_tokens":8,"total_tokens":32,"prompt_tokens_details":{"cached_tokens":4}}}

data: [DONE]

"#;

const RESPONSES: &str = r#"event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","status":"in_progress","error":null,"usage":null}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":0,"delta":"Hello"}

event: response.completed
data: {"type":"response.completed","sequence_number":9,"response":{"id":"resp_1","error":null,"usage":{"input_tokens":11,"output_tokens":5,"output_tokens_details":{"reasoning_tokens":2}}}}

"#;

fn observe(dialect: Dialect, endpoint: Endpoint, stream: &[u8]) -> Observer {
    let mut parser = Parser::new();
    let mut observer = Observer::new(dialect, endpoint);
    parser.push(stream, |event| observer.handle_event(event));
    if let Some(event) = parser.finish() {
        observer.handle_event(event);
    }
    observer
}

fn chat(stream: &str) -> Observer {
    observe(Dialect::OpenAi, Endpoint::ChatCompletions, stream.as_bytes())
}

#[test]
fn whole_streams_tell_their_usage() {
    use Endpoint::*;
    let usage = |input, write, read, output, reasoning| FullUsage {
        input_tokens: input,
        cache_write_tokens: write,
        cache_read_tokens: read,
        output_tokens: output,
        reasoning_tokens: reasoning,
        ..FullUsage::default()
    };
    let cases = [
        (Dialect::Anthropic, Messages, ANTHROPIC, 4, usage(17, 3, 5, 108, 0)),
        (Dialect::OpenAi, ChatCompletions, OPENAI, 2, usage(20, 0, 4, 8, 0)),
        (Dialect::OpenAi, Responses, RESPONSES, 5, usage(11, 0, 0, 5, 2)),
        (
            Dialect::OpenAi,
            Completions,
            "data: {\"choices\":[{\"index\":0,\"text\":\"abc\",\"finish_reason\":\"stop\"}],\
             \"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
            3,
            usage(1, 0, 0, 2, 0),
        ),
    ];
    for (dialect, endpoint, stream, bytes, usage) in cases {
        let observer = observe(dialect, endpoint, stream.as_bytes());
        assert_eq!(observer.produced_bytes(), bytes, "{endpoint:?}");
        assert_eq!(observer.output_tokens(), usage.output_tokens, "{endpoint:?}");
        assert!(observer.ended() && observer.has_content(), "{endpoint:?}");
        assert_eq!(observer.finish(), Ending::Complete { usage: Some(usage) }, "{endpoint:?}");
    }
}

/// However short the cut, only a stream whose closing event arrived is complete.
#[test]
fn a_stream_cut_anywhere_is_never_complete() {
    let cases = [
        (Dialect::Anthropic, Endpoint::Messages, ANTHROPIC, "\"message_stop\"          }"),
        (Dialect::OpenAi, Endpoint::ChatCompletions, OPENAI, "[DONE]"),
        (Dialect::OpenAi, Endpoint::Responses, RESPONSES, "\"reasoning_tokens\":2}}}}"),
    ];
    for (dialect, endpoint, stream, closing) in cases {
        let whole_from = stream.find(closing).unwrap() + closing.len();
        for cut in 0..=stream.len() {
            let ending = observe(dialect, endpoint, &stream.as_bytes()[..cut]).finish();
            let complete = matches!(ending, Ending::Complete { .. });
            assert_eq!(complete, cut >= whole_from, "{endpoint:?} cut at {cut}: {ending:?}");
        }
    }
}

#[test]
fn a_cut_behind_the_last_finish_reason_says_that_the_answer_is_whole() {
    let choice = |index: u32, reason: &str| {
        format!("data: {{\"choices\":[{{\"index\":{index},\"delta\":{{}},\"finish_reason\":{reason}}}]}}\n\n")
    };
    let one = choice(0, "null") + &choice(1, "null") + &choice(0, "\"stop\"");
    assert_eq!(chat(&one).finish(), Ending::Truncated { answer_whole: false });
    let both = one + &choice(1, "\"length\"");
    assert_eq!(chat(&both).finish(), Ending::Truncated { answer_whole: true });
    assert_eq!(chat("").finish(), Ending::Truncated { answer_whole: false });
    let end = ANTHROPIC.find("event: message_stop").unwrap();
    let anthropic = observe(Dialect::Anthropic, Endpoint::Messages, &ANTHROPIC.as_bytes()[..end]);
    assert_eq!(anthropic.finish(), Ending::Truncated { answer_whole: true });
}

#[test]
fn errors_inside_a_stream_come_out_in_their_envelope() {
    use Endpoint::*;
    let cases = [
        (
            Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n",
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
        ),
        (Messages, "event: error\ndata: upstream gone\n\n", "upstream gone"),
        (
            ChatCompletions, // vLLM: the closing mark after an error mends nothing.
            "data: {\"error\":{\"message\":\"m\"}}\n\ndata: [DONE]\n\n",
            r#"{"error":{"message":"m"}}"#,
        ),
        (
            ChatCompletions,
            "data: {\"object\":\"error\",\"message\":\"m\"}\n\n",
            r#"{"object":"error","message":"m"}"#,
        ),
        (
            ChatCompletions, // OpenRouter.
            "data: {\"error\":{\"code\":429},\"choices\":[{\"index\":0,\"finish_reason\":\"error\"}]}\n\n",
            r#"{"error":{"code":429},"choices":[{"index":0,"finish_reason":"error"}]}"#,
        ),
        (
            ChatCompletions,
            "data: {\"choices\":[{\"index\":0,\"error\":{\"code\":502},\"finish_reason\":\"error\"}]}\n\n",
            r#"{"error":{"code":502}}"#,
        ),
        (
            ChatCompletions,
            "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"error\"}]}\n\n",
            r#"{"error":{"message":"finish_reason `error`"}}"#,
        ),
        (
            ChatCompletions,
            "data: {\"x_groq\":{\"error\":\"stopped\"}}\n\n",
            r#"{"error":{"message":"stopped"}}"#,
        ),
        (
            ChatCompletions, // Gemini.
            "data: [{\"error\":{\"code\":429}}]\n\n",
            r#"{"error":{"code":429}}"#,
        ),
        (ChatCompletions, "data: <html>busy</html>\n\n", "<html>busy</html>"),
        (
            Responses,
            "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"rate_limit_exceeded\"}}}\n\n",
            r#"{"error":{"code":"rate_limit_exceeded"}}"#,
        ),
        (
            Responses,
            "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\",\"param\":null}\n\n",
            r#"{"error":{"type":"error","code":"server_error","message":"m","param":null}}"#,
        ),
        (Embeddings, "event: error\ndata: {\"message\":\"m\"}\n\n", r#"{"message":"m"}"#),
    ];
    for (endpoint, stream, error) in cases {
        let observer = observe(Dialect::OpenAi, endpoint, stream.as_bytes());
        assert_eq!(observer.error().map(String::from_utf8_lossy).as_deref(), Some(error), "{stream}");
        assert_eq!(observer.finish(), Ending::Failed { error: error.into() }, "{stream}");
    }
}

#[test]
fn usage_is_read_wherever_the_kin_put_it() {
    let told = r#"{"prompt_tokens":18,"completion_tokens":4}"#;
    let cases = [
        format!("data: {{\"choices\":[],\"usage\":{told}}}\n\n"),
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{}},\"finish_reason\":\"stop\"}}],\"usage\":{told}}}\n\n"
        ),
        format!("data: {{\"choices\":[],\"x_groq\":{{\"id\":\"req_1\",\"usage\":{told}}}}}\n\n"),
        format!(
            "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":18,\"completion_tokens\":1}}}}\n\ndata: {{\"usage\":{told}}}\n\n"
        ),
        format!("data: {{\"choices\":null,\"usage\":{told},\"x_groq\":7}}\n\n"),
    ];
    for stream in cases {
        let usage = chat(&stream).usage().unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (18, 4), "{stream}");
    }
}

#[test]
fn output_is_estimated_until_the_provider_tells() {
    let start = &ANTHROPIC[..ANTHROPIC.find("event: content_block_stop").unwrap()];
    let delta = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{12345}\"}}\n\n";
    let observer = observe(Dialect::Anthropic, Endpoint::Messages, format!("{start}{delta}").as_bytes());
    assert_eq!(observer.output_tokens(), 3, "11 bytes");
    assert_eq!(observer.usage().map(|usage| (usage.input_tokens, usage.output_tokens)), Some((17, 3)));
    let silent = chat("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"12345\"}}]}\n\n");
    assert_eq!((silent.output_tokens(), silent.usage()), (2, None));
}

#[test]
fn content_begins_with_the_first_text_not_with_the_frame() {
    let cases = [
        (
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
            false,
        ),
        ("data: {\"choices\":[],\"usage\":null}\n\n", false),
        ("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n", true),
        (
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"function\":{\"name\":\"f\"}}]}}]}\n\n",
            true,
        ),
        ("data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n", true),
    ];
    for (stream, want) in cases {
        assert_eq!(chat(stream).has_content(), want, "{stream}");
    }
}

#[test]
fn oddities_are_no_failures() {
    let cases = [
        "data:\n\n",
        "data: {\"choices\":\"odd\",\"usage\":[]}\n\n",
        "data: {\"choices\":[{\"index\":400,\"delta\":null,\"finish_reason\":\"stop\"}]}\n\n",
        "event: keepalive\ndata: anything\n\n",
    ];
    for stream in cases {
        assert_eq!(chat(stream).error(), None, "{stream}");
    }
    let mut invalid = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\xff\"}}]}\n\n".to_vec();
    invalid.extend_from_slice(b"data: [DONE]\n\n");
    let observer = observe(Dialect::OpenAi, Endpoint::ChatCompletions, &invalid);
    assert_eq!(observer.finish(), Ending::Complete { usage: None });
}

#[test]
fn an_answer_too_big_to_look_at_still_closes_a_responses_stream() {
    for (endpoint, complete) in [(Endpoint::Responses, true), (Endpoint::ChatCompletions, false)] {
        let mut observer = Observer::new(Dialect::OpenAi, endpoint);
        observer.handle_event(Event::Oversized);
        assert_eq!(matches!(observer.finish(), Ending::Complete { .. }), complete, "{endpoint:?}");
    }
}

proptest! {
    #[test]
    fn no_event_panics(name in "[a-z_.]{0,24}", data in prop_oneof!["\\PC{0,60}", json()], endpoint in 0_usize..4) {
        let endpoint =
            [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses, Endpoint::Completions][endpoint];
        let mut observer = Observer::new(Dialect::OpenAi, endpoint);
        observer.handle_event(Event::Message { name: name.as_bytes(), data: data.as_bytes() });
        prop_assert!(observer.usage().is_none_or(|usage| usage.output_tokens >= observer.output_tokens()));
        observer.finish();
    }
}

/// Objects with the members that matter, holding values that may not.
fn json() -> impl Strategy<Value = String> {
    let leaf =
        prop_oneof!["null", "true", "-1", "1e400", "18446744073709551616", "\"x\"", "\\[\\]", "\\{\\}"];
    let key = prop_oneof![
        Just("type"),
        Just("choices"),
        Just("index"),
        Just("delta"),
        Just("usage"),
        Just("error"),
        Just("x_groq"),
        Just("message"),
        Just("content_block"),
        Just("response"),
        Just("output_tokens"),
        Just("finish_reason"),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..4).prop_map(|members| {
                let members: Vec<_> =
                    members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}
