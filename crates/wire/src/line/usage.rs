//! Reads what a result line says its job used.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dialect::Endpoint;
use crate::response::usage;
use crate::usage::FullUsage;

/// The usage of a job that succeeded, whichever provider answered; `None` when the line tells none.
pub fn result_usage(line: &[u8]) -> Option<FullUsage> {
    #[derive(Deserialize)]
    struct Written<'a> {
        #[serde(borrow)]
        response: Option<Response<'a>>,
        #[serde(borrow)]
        result: Option<Ended<'a>>,
    }
    #[derive(Deserialize)]
    struct Response<'a> {
        #[serde(borrow)]
        body: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Ended<'a> {
        #[serde(borrow)]
        message: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow, rename = "type", default)]
        kind: Option<Cow<'a, str>>,
        usage: Value,
    }
    let written: Written<'_> = serde_json::from_slice(line).ok()?;
    let of_batch = written.result.and_then(|ended| ended.message);
    let body = of_batch.or_else(|| written.response?.body)?;
    let body: Body<'_> = serde_json::from_str(body.get()).ok()?;
    let endpoint = match body.kind.as_deref() {
        Some("message") => Endpoint::Messages,
        _ => Endpoint::ChatCompletions,
    };
    usage::read(endpoint, &body.usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_of_results_tells_its_usage() {
        let message = r#"{"type":"message","content":[],"usage":{"input_tokens":5,"cache_read_input_tokens":7,"output_tokens":3}}"#;
        let chat = r#"{"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":3}}"#;
        let openai = |body: &str| {
            format!(r#"{{"custom_id":"a","response":{{"status_code":200,"body":{body}}},"error":null}}"#)
        };
        let batch = format!(r#"{{"custom_id":"a","result":{{"type":"succeeded","message":{message}}}}}"#);
        for line in [openai(message), openai(chat), batch] {
            let usage = result_usage(line.as_bytes()).unwrap();
            assert_eq!((usage.prompt_tokens(), usage.output_tokens), (12, 3), "{line}");
        }
    }

    #[test]
    fn what_tells_no_usage_has_none() {
        let failed = r#"{"custom_id":"a","response":null,"error":{"code":"x","message":"y"}}"#;
        let garbage = r#"{"custom_id":"a","response":{"status_code":200,"body":"text"},"error":null}"#;
        for line in [failed, garbage, "{", "", r#"{"result":{"type":"expired"}}"#] {
            assert_eq!(result_usage(line.as_bytes()), None, "{line}");
        }
    }
}
