//! Chat completions and the older completions, whole and streamed.

use serde_json::{Value, json};

use super::{Answer, Frame};
use crate::asked::ToolCall;

/// The whole chat completion.
pub(super) fn chat(answer: &Answer) -> Value {
    let choice = |index: u64| {
        let mut message = json!({"role": "assistant", "content": null, "refusal": null, "annotations": []});
        match &answer.asked.tool {
            Some(tool) => {
                message["tool_calls"] = json!([tool_call(answer, index, tool, answer.text.as_str())])
            }
            None => message["content"] = Value::from(answer.text.as_str()),
        }
        json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish_reason(answer)})
    };
    let choices: Vec<Value> = (0..answer.asked.parts).map(choice).collect();
    let mut whole = shell(answer, "chat.completion");
    whole["choices"] = Value::from(choices);
    whole["usage"] = usage(answer);
    whole
}

pub(super) fn opening(answer: &Answer) -> Vec<Frame> {
    let first = |index: u64| {
        let mut delta = json!({"role": "assistant", "content": "", "refusal": null});
        if let Some(tool) = &answer.asked.tool {
            delta["content"] = Value::Null;
            delta["tool_calls"] = json!([tool_call(answer, index, tool, "")]);
            delta["tool_calls"][0]["index"] = Value::from(0);
        }
        chunk(answer, u64::MAX - index, json!([choice(index, delta, Value::Null)]))
    };
    (0..answer.asked.parts).map(first).collect()
}

/// The `nth` piece; with several choices they say the same, one after the other in one chunk.
pub(super) fn delta(answer: &Answer, nth: u64, piece: &str) -> Frame {
    let delta = match answer.asked.tool {
        Some(_) => json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}),
        None => json!({"content": piece}),
    };
    let said = |index: u64| choice(index, delta.clone(), Value::Null);
    chunk(answer, nth, (0..answer.asked.parts).map(said).collect())
}

pub(super) fn closing(answer: &Answer) -> Vec<Frame> {
    let last = |index: u64| {
        let end = choice(index, json!({}), finish_reason(answer));
        chunk(answer, u64::MAX / 2 - index, json!([end]))
    };
    let mut frames: Vec<Frame> = (0..answer.asked.parts).map(last).collect();
    if answer.asked.include_usage {
        let mut chunk = chunk_value(answer, u64::MAX / 3, json!([]));
        chunk["usage"] = usage(answer);
        frames.push(Frame::bare(&chunk));
    }
    frames.push(done());
    frames
}

/// The whole text completion.
pub(super) fn completion(answer: &Answer) -> Value {
    let choices: Vec<Value> = (0..answer.asked.parts)
        .map(|index| completion_choice(index, answer.text.as_str(), finish_reason(answer)))
        .collect();
    let mut whole = shell(answer, "text_completion");
    whole["choices"] = Value::from(choices);
    whole["usage"] = usage(answer);
    whole
}

pub(super) fn completion_delta(answer: &Answer, piece: &str) -> Frame {
    let mut chunk = shell(answer, "text_completion");
    let said = |index: u64| completion_choice(index, piece, Value::Null);
    chunk["choices"] = (0..answer.asked.parts).map(said).collect();
    Frame::bare(&chunk)
}

pub(super) fn completion_closing(answer: &Answer) -> Vec<Frame> {
    let mut chunk = shell(answer, "text_completion");
    let last = |index: u64| completion_choice(index, "", finish_reason(answer));
    chunk["choices"] = (0..answer.asked.parts).map(last).collect();
    let mut frames = vec![Frame::bare(&chunk)];
    if answer.asked.include_usage {
        chunk["choices"] = json!([]);
        chunk["usage"] = usage(answer);
        frames.push(Frame::bare(&chunk));
    }
    frames.push(done());
    frames
}

fn shell(answer: &Answer, object: &str) -> Value {
    let prefix = if object == "text_completion" { "cmpl" } else { "chatcmpl" };
    json!({
        "id": format!("{prefix}-{}", answer.token),
        "object": object,
        "created": answer.created,
        "model": answer.asked.model,
        "service_tier": "default",
        "system_fingerprint": "fp_50906f2aac",
    })
}

fn choice(index: u64, delta: Value, finish_reason: Value) -> Value {
    json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": finish_reason})
}

fn completion_choice(index: u64, text: &str, finish_reason: Value) -> Value {
    json!({"index": index, "text": text, "logprobs": null, "finish_reason": finish_reason})
}

fn chunk(answer: &Answer, place: u64, choices: Value) -> Frame {
    Frame::bare(&chunk_value(answer, place, choices))
}

fn chunk_value(answer: &Answer, place: u64, choices: Value) -> Value {
    let mut chunk = shell(answer, "chat.completion.chunk");
    chunk["choices"] = choices;
    if answer.asked.include_usage {
        chunk["usage"] = Value::Null;
    }
    if answer.asked.include_obfuscation {
        chunk["obfuscation"] = Value::from(answer.padding(place));
    }
    chunk
}

/// A tool that choice `index` calls; each choice makes a call of its own.
fn tool_call(answer: &Answer, index: u64, tool: &ToolCall, arguments: &str) -> Value {
    let id = format!("call_{}{index}", answer.token);
    json!({"id": id, "type": "function", "function": {"name": tool.name, "arguments": arguments}})
}

fn done() -> Frame {
    Frame { name: None, data: "[DONE]".to_owned() }
}

fn usage(answer: &Answer) -> Value {
    let (input, output) = (answer.asked.input_tokens, answer.output_tokens());
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

fn finish_reason(answer: &Answer) -> Value {
    Value::from(match (answer.cut, &answer.asked.tool) {
        (true, _) => "length",
        (false, Some(_)) => "tool_calls",
        (false, None) => "stop",
    })
}
