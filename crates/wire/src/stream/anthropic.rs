//! One event of a Messages stream.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::weight::Weight;
use super::{Sign, failed, usage};
use crate::dialect::Endpoint;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    message: Option<&'a RawValue>,
    content_block: Option<&'a RawValue>,
    delta: Option<&'a RawValue>,
    usage: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    content: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    stop_reason: Option<&'a RawValue>,
}

/// What a block starts with; results of the provider's own tools are blocks too, and nothing the model wrote.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Block {
    text: Weight,
    thinking: Weight,
    name: Weight,
}

pub(super) fn read(name: &str, data: &str) -> Option<Sign> {
    let event: Event<'_> = serde_json::from_str(data).ok()?;
    if event.error.is_some() {
        return Some(failed(data));
    }
    let mut sign = Sign::default();
    match if event.kind.is_empty() { name } else { &event.kind } {
        "message_start" => {
            sign.opened = 1;
            if let Some(message) = parse::<Message<'_>>(event.message) {
                sign.usage = usage(Endpoint::Messages, message.usage);
                sign.produced_bytes = Weight::of(message.content);
            }
        }
        "content_block_start" => {
            let block = parse::<Block>(event.content_block).unwrap_or_default();
            sign.produced_bytes = block.text.0.saturating_add(block.thinking.0).saturating_add(block.name.0);
        }
        "content_block_delta" => sign.produced_bytes = Weight::of(event.delta),
        "message_delta" => {
            sign.usage = usage(Endpoint::Messages, event.usage);
            sign.usage_is_final = sign.usage.is_some();
            let stopped = parse::<Delta<'_>>(event.delta).is_some_and(|delta| delta.stop_reason.is_some());
            sign.finished = u128::from(stopped);
        }
        "message_stop" => sign.ended = true,
        "error" => return Some(failed(data)),
        _ => {} // Pings, the ends of blocks, and whatever will be added.
    }
    Some(sign)
}

fn parse<'a, T: Deserialize<'a>>(value: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(value?.get()).ok()
}
