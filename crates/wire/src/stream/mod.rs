//! Watches a streamed answer go by: what it has consumed, whether it failed, and whether it is all there.
//!
//! A stream can fail after its status said 200, and it can end early without a word. Only the dialect's own closing
//! event tells a whole answer from a cut one, so nothing counts as complete without it.

mod anthropic;
mod openai;
mod responses;
mod weight;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::dialect::{Dialect, Endpoint};
use crate::response;
use crate::sse::Event;
use crate::usage::FullUsage;

/// The most that is kept of an error inside a stream.
pub const ERROR_CAP: usize = 64 << 10;

/// Bytes of text that make a token, for output no usage has been told of yet.
const BYTES_PER_TOKEN: u64 = 4;

/// Watches one streamed answer, event by event.
#[derive(Debug)]
pub struct Observer {
    endpoint: Endpoint,
    usage: Option<FullUsage>,
    usage_is_final: bool,
    produced_bytes: u64,
    opened: u128,   // The choices seen, as bits.
    finished: u128, // Those of them that told why they ended.
    last_oversized: bool,
    ended: bool,
    error: Option<Vec<u8>>,
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The closing event came.
    Complete {
        /// What it consumed, when the stream told.
        usage: Option<FullUsage>,
    },
    /// The stream ended without its closing event: a failure, whatever the status was.
    Truncated {
        /// Every choice had told why it ended: only the closing mark is missing, and perhaps the usage.
        answer_whole: bool,
    },
    /// The stream carried an error, or something that is no event of its dialect.
    Failed {
        /// The error in the dialect's envelope, such as `{"error":{...}}`, or the bytes that could not be read: for
        /// [`class::from_error_body`](crate::class::from_error_body) to tell what it means.
        error: Vec<u8>,
    },
}

/// What one event says.
#[derive(Debug, Default)]
struct Sign {
    produced_bytes: u64,
    usage: Option<FullUsage>,
    usage_is_final: bool,
    opened: u128,
    finished: u128,
    ended: bool,
    error: Option<Vec<u8>>,
}

impl Observer {
    /// An observer for a stream that answers `endpoint`.
    pub fn new(dialect: Dialect, endpoint: Endpoint) -> Self {
        let endpoint = match (dialect, endpoint) {
            // Clouds serve the Messages API under paths of their own (`...:streamRawPredict`).
            (Dialect::Anthropic, Endpoint::Other) => Endpoint::Messages,
            (_, endpoint) => endpoint,
        };
        Self {
            endpoint,
            usage: None,
            usage_is_final: false,
            produced_bytes: 0,
            opened: 0,
            finished: 0,
            last_oversized: false,
            ended: false,
            error: None,
        }
    }

    /// Takes in the next event.
    pub fn handle_event(&mut self, event: Event<'_>) {
        let Event::Message { name, data } = event else {
            self.last_oversized = true;
            return;
        };
        self.last_oversized = false;
        let data = data.trim_ascii();
        if data.is_empty() || self.error.is_some() {
            return;
        }
        let (name, data) = (text(name), text(data));
        match read(self.endpoint, &name, &data) {
            Some(sign) => self.add(sign),
            None => self.error = Some(head(&data)),
        }
    }

    /// Whether the closing event has been seen.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The error inside the stream, as [`Ending::Failed`] tells it: an early one can still be retried unseen.
    pub fn error(&self) -> Option<&[u8]> {
        self.error.as_deref()
    }

    /// Whether the answer has begun: text, thinking or a tool call came, or a reason to stop without any.
    pub fn has_content(&self) -> bool {
        self.produced_bytes > 0 || self.finished != 0
    }

    /// The bytes of text produced so far.
    pub fn produced_bytes(&self) -> u64 {
        self.produced_bytes
    }

    /// Tokens produced so far: as the provider told when it has, else by the text seen.
    pub fn output_tokens(&self) -> u64 {
        let told = self.usage.map_or(0, |usage| usage.output_tokens);
        if self.usage_is_final { told } else { told.max(self.produced_bytes.div_ceil(BYTES_PER_TOKEN)) }
    }

    /// The usage so far, once any has been told; its output is at least what was seen to be produced.
    pub fn usage(&self) -> Option<FullUsage> {
        self.usage.map(|usage| FullUsage { output_tokens: self.output_tokens(), ..usage })
    }

    /// What it came to, now that no more bytes will.
    pub fn finish(self) -> Ending {
        // The one event that outgrows any cap and ends a stream is the Responses API's copy of the whole answer.
        let closed_unread = self.endpoint == Endpoint::Responses && self.last_oversized;
        let usage = self.usage();
        match self.error {
            Some(error) => Ending::Failed { error },
            None if self.ended || closed_unread || !self.endpoint.generates() => Ending::Complete { usage },
            None => Ending::Truncated { answer_whole: self.opened != 0 && self.opened == self.finished },
        }
    }

    fn add(&mut self, sign: Sign) {
        self.produced_bytes = self.produced_bytes.saturating_add(sign.produced_bytes);
        self.opened |= sign.opened | sign.finished;
        self.finished |= sign.finished;
        self.ended |= sign.ended;
        self.usage_is_final |= sign.usage_is_final;
        self.error = sign.error;
        if let Some(told) = sign.usage {
            self.usage = Some(match self.usage {
                Some(before) if self.endpoint == Endpoint::Messages => largest(before, told),
                _ => told,
            });
        }
    }
}

/// Reads one event; `None` when it should be readable and isn't.
fn read(endpoint: Endpoint, name: &str, data: &str) -> Option<Sign> {
    if data == "[DONE]" {
        return Some(Sign { ended: endpoint != Endpoint::Messages, ..Sign::default() });
    }
    let sign = match endpoint {
        Endpoint::Messages => anthropic::read(name, data),
        Endpoint::Responses => responses::read(name, data),
        Endpoint::ChatCompletions | Endpoint::Completions => openai::read(endpoint, data),
        _ => Some(Sign::default()),
    };
    match sign {
        Some(sign) if name == "error" && sign.error.is_none() => Some(failed(data)),
        // Events that we have no name for may hold anything.
        None if !matches!(name, "" | "error" | "message") && !is_known(name) => Some(Sign::default()),
        sign => sign,
    }
}

/// Mostly it is text as it stands, and to find just that is many times faster than to look for what is none.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn is_known(name: &str) -> bool {
    ["message_", "content_block_", "response."].iter().any(|start| name.starts_with(start))
}

fn failed(error: &str) -> Sign {
    Sign { error: Some(head(error)), ..Sign::default() }
}

/// A sign of failure whose error is `{"error": <error>}`.
fn failed_with(error: &RawValue) -> Sign {
    failed(&format!("{{\"error\":{error}}}"))
}

fn head(data: &str) -> Vec<u8> {
    data.as_bytes()[..data.len().min(ERROR_CAP)].to_vec()
}

fn usage(endpoint: Endpoint, usage: Option<&RawValue>) -> Option<FullUsage> {
    let usage = serde_json::from_str(usage?.get()).ok()?;
    response::usage::read(endpoint, &usage)
}

/// Anthropic's counts are cumulative, and its later ones leave out what an earlier event told.
fn largest(a: FullUsage, b: FullUsage) -> FullUsage {
    FullUsage {
        input_tokens: a.input_tokens.max(b.input_tokens),
        cache_write_tokens: a.cache_write_tokens.max(b.cache_write_tokens),
        cache_write_1h_tokens: a.cache_write_1h_tokens.max(b.cache_write_1h_tokens),
        cache_read_tokens: a.cache_read_tokens.max(b.cache_read_tokens),
        output_tokens: a.output_tokens.max(b.output_tokens),
        reasoning_tokens: a.reasoning_tokens.max(b.reasoning_tokens),
    }
}

#[cfg(test)]
mod tests;
