//! One event of a Responses stream.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::weight::Weight;
use super::{Sign, failed, failed_with, usage};
use crate::dialect::Endpoint;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Cow<'a, str>,
    delta: Option<&'a RawValue>,
    response: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
    error: Option<&'a RawValue>,
}

pub(super) fn read(name: &str, data: &str) -> Option<Sign> {
    let whole: &RawValue = serde_json::from_str(data).ok()?;
    let event: Event<'_> = serde_json::from_str(data).ok()?;
    if event.error.is_some() {
        return Some(failed(data));
    }
    let kind = if event.kind.is_empty() { name } else { &event.kind };
    let mut sign = Sign::default();
    match kind {
        "response.completed" | "response.incomplete" => {
            let answer = parse_answer(event.response);
            sign.usage = usage(Endpoint::Responses, answer.and_then(|answer| answer.usage));
            sign.usage_is_final = sign.usage.is_some();
            sign.ended = true;
        }
        "response.failed" | "response.cancelled" => {
            let answer = parse_answer(event.response);
            let usage = usage(Endpoint::Responses, answer.as_ref().and_then(|answer| answer.usage));
            let error = answer.and_then(|answer| answer.error);
            return Some(Sign { usage, ..failed_with(error.unwrap_or(whole)) });
        }
        // Here the event itself is the error: its code and message stand beside its type.
        "error" => return Some(failed_with(whole)),
        _ if kind.ends_with(".delta") && !kind.ends_with("audio.delta") => {
            sign.produced_bytes = Weight::of(event.delta);
        }
        _ => {} // The frame around the deltas, and whatever will be added.
    }
    Some(sign)
}

fn parse_answer(answer: Option<&RawValue>) -> Option<Answer<'_>> {
    serde_json::from_str(answer?.get()).ok()
}
