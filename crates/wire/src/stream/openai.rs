//! One chunk of a chat completion or of an old-style completion.
//!
//! The kin differ in where they put things: usage in a chunk without choices (OpenAI), in the last chunk with one
//! (Mistral, DeepSeek), in every chunk (vLLM on request), or below `x_groq`; errors at the top (most), as
//! `"object":"error"` (older vLLM), in a choice (OpenRouter), below `x_groq`, or wrapped in an array (Gemini).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::weight::Weight;
use super::{Sign, failed, failed_with, usage};
use crate::dialect::Endpoint;

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Option<&'a RawValue>,
    usage: Option<&'a RawValue>,
    x_groq: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
    object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    index: Option<u32>,
    #[serde(default)]
    delta: Weight,
    #[serde(default)]
    text: Weight,
    #[serde(borrow)]
    finish_reason: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Groq<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

pub(super) fn read(endpoint: Endpoint, data: &str) -> Option<Sign> {
    if data.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(data).ok()?;
        return read_chunk(endpoint, items.first()?.get());
    }
    read_chunk(endpoint, data)
}

fn read_chunk(endpoint: Endpoint, data: &str) -> Option<Sign> {
    let chunk: Chunk<'_> = serde_json::from_str(data).ok()?;
    if chunk.error.is_some() || chunk.object.is_some_and(|object| object.get() == "\"error\"") {
        return Some(failed(data));
    }
    let mut sign = Sign { usage: usage(endpoint, chunk.usage), ..Sign::default() };
    if let Some(groq) = chunk.x_groq.and_then(|groq| serde_json::from_str::<Groq<'_>>(groq.get()).ok()) {
        if let Some(message) = groq.error {
            return Some(failed(&format!("{{\"error\":{{\"message\":{message}}}}}")));
        }
        sign.usage = sign.usage.or_else(|| usage(endpoint, groq.usage));
    }
    sign.usage_is_final = sign.usage.is_some();
    let choices =
        chunk.choices.and_then(|choices| serde_json::from_str::<Vec<Choice<'_>>>(choices.get()).ok());
    for choice in choices.unwrap_or_default() {
        if let Some(error) = choice.error {
            return Some(failed_with(error));
        }
        let bit = 1_u128.checked_shl(choice.index.unwrap_or(0)).unwrap_or(0);
        sign.opened |= bit;
        sign.produced_bytes += choice.delta.0.saturating_add(choice.text.0);
        match choice.finish_reason.map(RawValue::get) {
            Some("\"error\"") => return Some(failed(r#"{"error":{"message":"finish_reason `error`"}}"#)),
            Some(_) => sign.finished |= bit,
            None => {}
        }
    }
    Some(sign)
}
