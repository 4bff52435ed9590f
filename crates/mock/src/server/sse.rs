//! Writes the events of a stream, in plain form or in one of the forms that clients must bear.

use bytes::Bytes;
use serde_json::json;

use crate::answer::Frame;
use crate::asked::Endpoint;
use crate::problem::Problem;
use crate::profile::Dialect;
use crate::script::{Disguises, Fault};

/// Every so many events a comment, ping or unknown event is put in, if any.
const ODDITY_EVERY: u64 = 3;

/// The bytes of the `nth` event of a stream.
pub(super) fn write(frame: &Frame, nth: u64, endpoint: Endpoint, disguises: &Disguises) -> String {
    let mut text = String::with_capacity(frame.data.len() + 64);
    if nth.is_multiple_of(ODDITY_EVERY) {
        if disguises.has(Fault::Comments) {
            text.push_str(": keep-alive\n\n");
        }
        if disguises.has(Fault::Pings) {
            text.push_str(ping(endpoint));
        }
        if disguises.has(Fault::UnknownEvents) {
            text.push_str(unknown_event(endpoint));
        }
    }
    let data = if disguises.has(Fault::Padding) { padded(&frame.data, nth) } else { frame.data.clone() };
    match frame.name {
        Some(name) if disguises.has(Fault::DataFirst) => {
            text.push_str(&format!("data: {data}\nevent: {name}\n\n"));
        }
        Some(name) => text.push_str(&format!("event: {name}\ndata: {data}\n\n")),
        None => text.push_str(&format!("data: {data}\n\n")),
    }
    if disguises.has(Fault::Crlf) { text.replace('\n', "\r\n") } else { text }
}

/// The event that tells of a failure after the head has gone out as 200.
pub(super) fn error(problem: &Problem, endpoint: Endpoint, nth: u64) -> Frame {
    let (kind, message) = (problem.kind, &problem.message);
    match endpoint {
        Endpoint::Messages => {
            let data = json!({"type": "error", "error": {"type": kind, "message": message}});
            Frame { name: Some("error"), data: data.to_string() }
        }
        Endpoint::Responses => {
            let data = json!({"type": "error", "code": kind, "message": message, "param": null, "sequence_number": nth});
            Frame { name: Some("error"), data: data.to_string() }
        }
        _ => Frame { name: None, data: problem.body(Dialect::OpenAi, "").to_string() },
    }
}

/// Cuts an event where it hurts: within a character of several bytes, and within its last line end.
pub(super) fn split(bytes: Bytes) -> Vec<Bytes> {
    let inside = bytes.iter().position(|byte| 0x80 <= *byte).map_or(bytes.len() / 2, |at| at + 1);
    let near_end = bytes.len().saturating_sub(1).max(inside);
    let parts = [bytes.slice(..inside), bytes.slice(inside..near_end), bytes.slice(near_end..)];
    parts.into_iter().filter(|part| !part.is_empty()).collect()
}

fn ping(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Messages => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        _ => ": ping\n\n",
    }
}

/// Something that a later version of the API might send. Chat chunks have no names, so that theirs is an empty chunk
/// with a field that nobody knows, as Azure sends it.
fn unknown_event(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Messages => {
            "event: content_block_note\ndata: {\"type\":\"content_block_note\",\"note\":{}}\n\n"
        }
        Endpoint::Responses => {
            "event: response.note\ndata: {\"type\":\"response.note\",\"sequence_number\":0}\n\n"
        }
        Endpoint::Completions => {
            "data: {\"id\":\"\",\"object\":\"text_completion\",\"created\":0,\"model\":\"\",\"choices\":[],\"note\":[]}\n\n"
        }
        _ => {
            "data: {\"id\":\"\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":\"\",\"choices\":[],\
             \"prompt_filter_results\":[]}\n\n"
        }
    }
}

fn padded(data: &str, nth: u64) -> String {
    match data.strip_suffix('}') {
        Some(start) => format!("{start}{}}}", " ".repeat(usize::try_from(nth % 14).unwrap_or(0))),
        None => data.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{Director, Facts, Script};

    fn disguises(faults: &[&str]) -> Disguises {
        let text: String = faults.iter().map(|fault| format!("[[rule]]\nfault = \"{fault}\"\n")).collect();
        let facts = Facts {
            since_start: std::time::Duration::ZERO,
            path: "",
            key: "",
            model: "",
            body: b"",
            attempt: 1,
            stream: true,
        };
        Director::new(Script::parse("test", &text).unwrap().rules, 0).choose(&facts).disguises
    }

    #[test]
    fn each_disguise_changes_the_form_and_not_the_event() {
        let frame = Frame { name: Some("message_stop"), data: "{\"type\":\"message_stop\"}".to_owned() };
        let cases: [(&[&str], u64, &str); 6] = [
            (&[], 1, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
            (&["crlf"], 1, "event: message_stop\r\ndata: {\"type\":\"message_stop\"}\r\n\r\n"),
            (&["data-first"], 1, "data: {\"type\":\"message_stop\"}\nevent: message_stop\n\n"),
            (&["padding"], 4, "event: message_stop\ndata: {\"type\":\"message_stop\"    }\n\n"),
            (&["comments"], 3, ": keep-alive\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
            (&["comments", "pings"], 4, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        ];
        for (faults, nth, text) in cases {
            assert_eq!(write(&frame, nth, Endpoint::Messages, &disguises(faults)), text, "{faults:?}");
        }
    }

    #[test]
    fn splits_within_a_character() {
        let whole = Bytes::from_static("data: café\n\n".as_bytes());
        let parts = split(whole.clone());
        assert_eq!(parts.concat(), whole);
        assert!(std::str::from_utf8(&parts[0]).is_err());
        assert_eq!(split(Bytes::from_static(b"x")).concat(), b"x");
    }
}
