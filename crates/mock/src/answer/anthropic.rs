//! The Messages API's message and stream.

use serde_json::{Value, json};

use super::{Answer, Frame};

/// The whole message.
pub(super) fn message(answer: &Answer) -> Value {
    let mut message = shell(answer, answer.output_tokens());
    message["content"] = json!([block(answer, answer.text.as_str())]);
    message["stop_reason"] = stop_reason(answer);
    message
}

pub(super) fn opening(answer: &Answer) -> Vec<Frame> {
    let start = json!({"type": "message_start", "message": shell(answer, 1)});
    let block = json!({"type": "content_block_start", "index": 0, "content_block": block(answer, "")});
    vec![
        Frame::named("message_start", &start),
        Frame::named("content_block_start", &block),
        Frame { name: Some("ping"), data: r#"{"type": "ping"}"#.to_owned() },
    ]
}

pub(super) fn delta(answer: &Answer, piece: &str) -> Frame {
    let delta = match answer.asked.tool {
        Some(_) => json!({"type": "input_json_delta", "partial_json": piece}),
        None => json!({"type": "text_delta", "text": piece}),
    };
    Frame::named("content_block_delta", &json!({"type": "content_block_delta", "index": 0, "delta": delta}))
}

pub(super) fn closing(answer: &Answer) -> Vec<Frame> {
    let delta = json!({
        "type": "message_delta",
        "delta": {"stop_reason": stop_reason(answer), "stop_sequence": null},
        "usage": {
            "input_tokens": answer.asked.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": answer.output_tokens(),
        },
    });
    vec![
        Frame::named("content_block_stop", &json!({"type": "content_block_stop", "index": 0})),
        Frame::named("message_delta", &delta),
        Frame::named("message_stop", &json!({"type": "message_stop"})),
    ]
}

/// A message without content.
fn shell(answer: &Answer, output_tokens: u64) -> Value {
    json!({
        "id": format!("msg_01{}", &answer.token),
        "type": "message",
        "role": "assistant",
        "model": answer.asked.model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {
            "input_tokens": answer.asked.input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
            "output_tokens": output_tokens,
            "service_tier": "standard",
        },
    })
}

/// The one block of content: what is said, or the tool that is called. Input that is not whole is left out.
fn block(answer: &Answer, said: &str) -> Value {
    match &answer.asked.tool {
        Some(tool) => {
            let input: Value = serde_json::from_str(said).unwrap_or_else(|_| json!({}));
            json!({"type": "tool_use", "id": format!("toolu_01{}", answer.token), "name": tool.name, "input": input})
        }
        None => json!({"type": "text", "text": said}),
    }
}

fn stop_reason(answer: &Answer) -> Value {
    Value::from(match (answer.cut, &answer.asked.tool) {
        (true, _) => "max_tokens",
        (false, Some(_)) => "tool_use",
        (false, None) => "end_turn",
    })
}
