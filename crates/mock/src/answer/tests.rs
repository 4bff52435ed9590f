use std::time::Duration;

use serde_json::{Value, json};

use super::Answer;
use crate::asked::{Asked, Endpoint};
use crate::profile::Profile;

fn answer(endpoint: Endpoint, max_tokens: u64) -> Answer {
    let schema = json!({"type": "object"});
    let body = json!({
        "model": "m",
        "max_tokens": max_tokens,
        "messages": [{"role": "user", "content": "Call sum({\"terms\": [1, 2, 3]})"}],
        "input": "Call sum({\"terms\": [1, 2, 3]})",
        "tools": [{"name": "sum", "input_schema": schema, "type": "function", "function": {"name": "sum", "parameters": schema}}],
    });
    let asked = Asked::read(endpoint, body.to_string().as_bytes()).unwrap();
    Answer::compose(&Profile::named("unlimited").unwrap(), endpoint, asked, 1, "t".to_owned(), Duration::ZERO)
}

/// What the deltas of a stream say, joined.
fn joined(answer: &Answer, path: &str) -> String {
    let tokens = answer.text.tokens();
    let delta = |at: usize| serde_json::from_str::<Value>(&answer.delta(at as u64, at, at + 1).data).unwrap();
    (0..tokens).map(|at| delta(at).pointer(path).unwrap().as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_tool_is_called_whole_and_in_pieces() {
    let arguments = r#"{"terms":[1,2,3]}"#;
    let message = answer(Endpoint::Messages, 100);
    assert_eq!(message.whole()["content"][0]["input"], json!({"terms": [1, 2, 3]}));
    assert_eq!(message.whole()["stop_reason"], "tool_use");
    assert_eq!(joined(&message, "/delta/partial_json"), arguments);

    let chat = answer(Endpoint::Chat, 100);
    assert_eq!(chat.whole()["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], arguments);
    assert_eq!(chat.whole()["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(joined(&chat, "/choices/0/delta/tool_calls/0/function/arguments"), arguments);

    let response = answer(Endpoint::Responses, 100);
    assert_eq!(response.whole()["output"][0]["arguments"], arguments);
    assert_eq!(joined(&response, "/delta"), arguments);
    let count = (response.opening().len() + response.text.tokens()) as u64;
    let done: Value = serde_json::from_str(&response.closing(response.text.tokens() as u64)[0].data).unwrap();
    assert_eq!((&done["sequence_number"], &done["arguments"]), (&json!(count), &json!(arguments)));
}

#[test]
fn a_call_that_is_cut_says_so() {
    let message = answer(Endpoint::Messages, 2).whole();
    assert_eq!(
        (&message["stop_reason"], &message["content"][0]["input"]),
        (&json!("max_tokens"), &json!({}))
    );
    assert_eq!(message["usage"]["output_tokens"], 2);
    assert_eq!(answer(Endpoint::Chat, 2).whole()["choices"][0]["finish_reason"], "length");
}
