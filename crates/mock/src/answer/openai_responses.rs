//! The responses API: one object in several stages, and the numbered events between them.

use serde_json::{Value, json};

use super::{Answer, Frame};

/// How far a response has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Begun,
    Done,
}

/// The response object.
pub(super) fn response(answer: &Answer, stage: Stage) -> Value {
    let done = stage == Stage::Done;
    let status = if done { final_status(answer) } else { "in_progress" };
    let incomplete = if done && answer.cut { json!({"reason": "max_output_tokens"}) } else { Value::Null };
    let output = if done { json!([item(answer, stage)]) } else { json!([]) };
    json!({
        "id": format!("resp_{}", answer.token),
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": false,
        "error": null,
        "incomplete_details": incomplete,
        "instructions": null,
        "max_output_tokens": answer.asked.max_tokens,
        "model": answer.asked.model,
        "output": output,
        "parallel_tool_calls": true,
        "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null},
        "service_tier": "default",
        "store": true,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": if done { usage(answer) } else { Value::Null },
        "user": null,
        "metadata": {},
    })
}

pub(super) fn opening(answer: &Answer) -> Vec<Frame> {
    let begun = response(answer, Stage::Begun);
    let mut events = vec![
        ("response.created", json!({"response": begun})),
        ("response.in_progress", json!({"response": begun})),
        ("response.output_item.added", json!({"output_index": 0, "item": item(answer, Stage::Begun)})),
    ];
    if answer.asked.tool.is_none() {
        events.push(("response.content_part.added", placed(answer, json!({"part": part("")}))));
    }
    let numbered = events.into_iter().zip(0..);
    numbered.map(|((name, fields), number)| event(name, number, fields)).collect()
}

pub(super) fn delta(answer: &Answer, nth: u64, piece: &str) -> Frame {
    let (name, mut fields) = match answer.asked.tool {
        Some(_) => ("response.function_call_arguments.delta", of_item(answer, json!({"delta": piece}))),
        None => ("response.output_text.delta", placed(answer, json!({"delta": piece, "logprobs": []}))),
    };
    if answer.asked.include_obfuscation {
        fields["obfuscation"] = Value::from(answer.padding(nth));
    }
    event(name, opening_events(answer) + nth, fields)
}

pub(super) fn closing(answer: &Answer, deltas: u64) -> Vec<Frame> {
    let text = answer.text.as_str();
    let last = if answer.cut { "response.incomplete" } else { "response.completed" };
    let mut events = match &answer.asked.tool {
        Some(tool) => {
            let done = of_item(answer, json!({"name": tool.name, "arguments": text}));
            vec![("response.function_call_arguments.done", done)]
        }
        None => vec![
            ("response.output_text.done", placed(answer, json!({"text": text, "logprobs": []}))),
            ("response.content_part.done", placed(answer, json!({"part": part(text)}))),
        ],
    };
    events.push(("response.output_item.done", json!({"output_index": 0, "item": item(answer, Stage::Done)})));
    events.push((last, json!({"response": response(answer, Stage::Done)})));
    let numbered = events.into_iter().zip(opening_events(answer) + deltas..);
    numbered.map(|((name, fields), number)| event(name, number, fields)).collect()
}

/// Events before the first delta, whose numbers are taken: a call has no parts, whose beginning would be told.
fn opening_events(answer: &Answer) -> u64 {
    if answer.asked.tool.is_some() { 3 } else { 4 }
}

fn event(name: &'static str, number: u64, mut fields: Value) -> Frame {
    fields["type"] = Value::from(name);
    fields["sequence_number"] = Value::from(number);
    Frame::named(name, &fields)
}

/// `fields` and the place of the text they are about.
fn placed(answer: &Answer, fields: Value) -> Value {
    let mut fields = of_item(answer, fields);
    fields["content_index"] = Value::from(0);
    fields
}

/// `fields` and the item they are about.
fn of_item(answer: &Answer, mut fields: Value) -> Value {
    fields["item_id"] = Value::from(item_id(answer));
    fields["output_index"] = Value::from(0);
    fields
}

fn item(answer: &Answer, stage: Stage) -> Value {
    let (status, content, said) = match stage {
        Stage::Begun => ("in_progress", json!([]), ""),
        Stage::Done => (final_status(answer), json!([part(answer.text.as_str())]), answer.text.as_str()),
    };
    if let Some(tool) = &answer.asked.tool {
        return json!({
            "id": item_id(answer),
            "type": "function_call",
            "status": status,
            "arguments": said,
            "call_id": format!("call_{}", answer.token),
            "name": tool.name,
        });
    }
    json!({"id": item_id(answer), "type": "message", "status": status, "role": "assistant", "content": content})
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn item_id(answer: &Answer) -> String {
    let kind = if answer.asked.tool.is_some() { "fc" } else { "msg" };
    format!("{kind}_{}", answer.token)
}

fn final_status(answer: &Answer) -> &'static str {
    if answer.cut { "incomplete" } else { "completed" }
}

fn usage(answer: &Answer) -> Value {
    let (input, output) = (answer.asked.input_tokens, answer.output_tokens());
    json!({
        "input_tokens": input,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": input + output,
    })
}
