//! Writes the result of a job as the provider's own batch would, and reads such lines again.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Family;
use super::id::read_id;

/// The most of a body that is no JSON which goes into a result, as a string.
const GARBAGE_CAP: usize = 64 << 10;

/// What a provider answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The provider's id of the request, from its headers.
    pub request_id: Option<&'a str>,
    /// The body, as it came.
    pub body: &'a [u8],
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// With a whole answer.
    Succeeded(Answer<'a>),
    /// With an error: the provider's, or ours when no answer came.
    Failed {
        /// The last answer, if there was one.
        answer: Option<Answer<'a>>,
        /// A word for programs: a failure class's name, or another of that kind.
        code: &'a str,
        /// A sentence for people.
        message: &'a str,
    },
    /// Its deadline passed first.
    Expired,
    /// It was given up before it ended.
    Canceled,
}

/// The result line of the job `id`, line feed included: one JSON object on one line, whatever the body was.
///
/// A body without line breaks is taken byte for byte; one with them loses those and nothing else, since in JSON they
/// can only stand between tokens. A body that is no JSON becomes a string.
pub fn result_line(family: Family, id: &str, outcome: &Outcome<'_>) -> Vec<u8> {
    let line = match family {
        Family::AnthropicBatch => {
            format!("{{\"custom_id\":{},\"result\":{}}}\n", quoted(id), anthropic(outcome))
        }
        Family::OpenAiBatch | Family::Body | Family::Prompt => {
            let name = fingerprint(id);
            let (response, error) = openai(outcome);
            let id = quoted(id);
            format!(
                "{{\"id\":\"batch_req_{name:032x}\",\"custom_id\":{id},\"response\":{response},\"error\":{error}}}\n"
            )
        }
    };
    line.into_bytes()
}

fn anthropic(outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Succeeded(answer) => {
            format!("{{\"type\":\"succeeded\",\"message\":{}}}", one_line(answer.body))
        }
        Outcome::Failed { answer, code, message } => {
            let told = answer.as_ref().filter(|answer| is_anthropic_error(answer.body));
            let error = told.map_or_else(
                || anthropic_error(answer.as_ref(), code, message).into(),
                |answer| one_line(answer.body),
            );
            format!("{{\"type\":\"errored\",\"error\":{error}}}")
        }
        Outcome::Expired => "{\"type\":\"expired\"}".to_owned(),
        Outcome::Canceled => "{\"type\":\"canceled\"}".to_owned(),
    }
}

fn is_anthropic_error(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(rename = "error")]
        _error: Inner<'a>,
    }
    #[derive(Deserialize)]
    struct Inner<'a> {
        #[serde(borrow, rename = "type")]
        _kind: Cow<'a, str>,
    }
    serde_json::from_slice::<Envelope<'_>>(body).is_ok_and(|envelope| envelope.kind == "error")
}

/// An error of ours in Anthropic's envelope, with the nearest of its types.
fn anthropic_error(answer: Option<&Answer<'_>>, code: &str, message: &str) -> String {
    let kind = match code {
        "throttled" | "ramp" | "concurrency" | "daily" => "rate_limit_error",
        "overloaded" => "overloaded_error",
        "money" => "billing_error",
        "auth" => "authentication_error",
        "too_big" => "request_too_large",
        "policy" | "bad_request" | "invalid_line" => "invalid_request_error",
        _ => "api_error",
    };
    let request_id = optional(answer.and_then(|answer| answer.request_id));
    let message = quoted(message);
    format!(
        "{{\"type\":\"error\",\"error\":{{\"type\":\"{kind}\",\"message\":{message}}},\"request_id\":{request_id}}}"
    )
}

/// The values of `response` and `error`.
fn openai(outcome: &Outcome<'_>) -> (String, String) {
    let null = || "null".to_owned();
    match outcome {
        Outcome::Succeeded(answer) => (response(answer), null()),
        Outcome::Failed { answer, code, message } => {
            (answer.as_ref().map_or_else(null, response), error(code, message))
        }
        Outcome::Expired => (null(), error("batch_expired", "the job's deadline passed before it could run")),
        Outcome::Canceled => (null(), error("batch_cancelled", "the job was canceled before it ended")),
    }
}

fn response(answer: &Answer<'_>) -> String {
    let Answer { status, request_id, body } = answer;
    let (request_id, body) = (optional(*request_id), one_line(body));
    format!("{{\"status_code\":{status},\"request_id\":{request_id},\"body\":{body}}}")
}

fn error(code: &str, message: &str) -> String {
    format!("{{\"code\":{},\"message\":{}}}", quoted(code), quoted(message))
}

/// A body as one line of JSON.
fn one_line(body: &[u8]) -> Cow<'_, str> {
    let Ok(json) = serde_json::from_slice::<&RawValue>(body) else {
        let end = body.len().min(GARBAGE_CAP);
        return quoted(&String::from_utf8_lossy(&body[..end])).into();
    };
    match memchr::memchr2(b'\n', b'\r', json.get().as_bytes()) {
        Some(_) => json.get().replace(['\n', '\r'], "").into(),
        None => json.get().into(),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn optional(text: Option<&str>) -> String {
    text.map_or_else(|| "null".to_owned(), quoted)
}

/// FNV-1a: names a job's result, so that the same job always gets the same one; nothing relies on it being secret.
fn fingerprint(text: &str) -> u128 {
    text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

/// What a result line says of its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResultId<'a> {
    /// The job's id.
    pub id: Cow<'a, str>,
    /// Whether it succeeded.
    pub succeeded: bool,
}

/// Reads which job a result line is about and whether that succeeded; `None` for a torn line or none of ours.
pub fn result_id(line: &[u8]) -> Option<ResultId<'_>> {
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow)]
        custom_id: &'a RawValue,
        response: Option<Response>,
        error: Option<serde::de::IgnoredAny>,
        result: Option<Ended<'a>>,
    }
    #[derive(Deserialize)]
    struct Response {
        status_code: u16,
    }
    #[derive(Deserialize)]
    struct Ended<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
    }
    let written: Written<'_> = serde_json::from_slice(line).ok()?;
    let succeeded = match (written.result, written.response) {
        (Some(ended), _) => ended.kind == "succeeded",
        (None, Some(response)) => written.error.is_none() && (200..300).contains(&response.status_code),
        (None, None) if written.error.is_some() => false,
        (None, None) => return None,
    };
    Some(ResultId { id: read_id("custom_id", written.custom_id).ok()?, succeeded })
}
