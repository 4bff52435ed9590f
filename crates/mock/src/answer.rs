//! A successful answer in every shape it can be asked for, whole or as the events of a stream.

mod anthropic;
mod openai_chat;
mod openai_other;
mod openai_responses;

use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;

use crate::asked::{Asked, Endpoint, MAX_OUTPUT};
use crate::model::Call;
use crate::profile::{Dialect, Profile};
use crate::text::Text;

pub(crate) use self::openai_other::{models_anthropic, models_openai};

/// One server-sent event before it is written: its name, where the dialect has names, and its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) name: Option<&'static str>,
    pub(crate) data: String,
}

impl Frame {
    fn named(name: &'static str, data: &Value) -> Frame {
        Frame { name: Some(name), data: data.to_string() }
    }

    fn bare(data: &Value) -> Frame {
        Frame { name: None, data: data.to_string() }
    }
}

/// All that an answer will say, decided before the first byte.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) endpoint: Endpoint,
    pub(crate) asked: Asked,
    /// Letters and digits that make its identifiers unique.
    pub(crate) token: String,
    /// Seconds since 1970.
    pub(crate) created: u64,
    pub(crate) text: Text,
    /// The text ends because `max_tokens` does.
    pub(crate) cut: bool,
    seed: u64,
}

impl Answer {
    /// The same answer for the same seed and request; only `token`, its identifier, is new each time.
    pub(crate) fn compose(
        profile: &Profile,
        endpoint: Endpoint,
        asked: Asked,
        seed: u64,
        token: String,
        unix: Duration,
    ) -> Self {
        let mut rng = Rng::with_seed(seed);
        let wished =
            if endpoint.generates() { profile.output_tokens.draw(&mut rng).max(1.0) as u64 } else { 0 };
        let most = asked.max_tokens.unwrap_or(MAX_OUTPUT).min(MAX_OUTPUT);
        let bounded = |tokens: u64| usize::try_from(tokens).unwrap_or(usize::MAX);
        let (text, wished) = match &asked.tool {
            Some(tool) => {
                let (text, tokens) = Text::quote(&tool.arguments, bounded(most));
                (text, tokens as u64)
            }
            None => (Text::write(&mut rng, bounded(wished.min(most))), wished),
        };
        Answer { endpoint, asked, token, created: unix.as_secs(), text, cut: most < wished, seed }
    }

    /// How it will come, for the meter.
    pub(crate) fn call(&self, profile: &Profile, id: u64) -> Call {
        let mut rng = Rng::with_seed(self.seed ^ 0x5eed);
        let millis = |ms: f64| Duration::from_secs_f64((ms / 1e3).min(3600.0));
        Call {
            id,
            input_tokens: self.asked.charged_input,
            max_tokens: self.asked.max_tokens,
            output_tokens: self.output_tokens(),
            first_token_after: millis(profile.first_token_ms.draw(&mut rng)),
            token_every: millis(profile.token_every_ms.draw(&mut rng)),
        }
    }

    /// What the usage says was produced, all choices together.
    pub(crate) fn output_tokens(&self) -> u64 {
        let choices = if self.endpoint.generates() { self.asked.parts } else { 0 };
        self.text.tokens() as u64 * choices
    }

    /// The answer in one piece.
    pub(crate) fn whole(&self) -> Value {
        match self.endpoint {
            Endpoint::Messages => anthropic::message(self),
            Endpoint::CountTokens => serde_json::json!({"input_tokens": self.asked.input_tokens}),
            Endpoint::Chat => openai_chat::chat(self),
            Endpoint::Completions => openai_chat::completion(self),
            Endpoint::Responses => openai_responses::response(self, openai_responses::Stage::Done),
            Endpoint::ResponseTokens => openai_other::response_tokens(self),
            Endpoint::Embeddings => openai_other::embeddings(self),
            Endpoint::Moderations => openai_other::moderations(self),
            Endpoint::Models | Endpoint::Root => Value::Null,
        }
    }

    /// The events before the text.
    pub(crate) fn opening(&self) -> Vec<Frame> {
        match self.endpoint {
            Endpoint::Messages => anthropic::opening(self),
            Endpoint::Chat => openai_chat::opening(self),
            Endpoint::Responses => openai_responses::opening(self),
            _ => Vec::new(),
        }
    }

    /// The event with tokens `from` to before `to`, which is the `nth` of its kind.
    pub(crate) fn delta(&self, nth: u64, from: usize, to: usize) -> Frame {
        let piece = self.text.piece(from, to);
        match self.endpoint {
            Endpoint::Messages => anthropic::delta(self, piece),
            Endpoint::Responses => openai_responses::delta(self, nth, piece),
            Endpoint::Completions => openai_chat::completion_delta(self, piece),
            _ => openai_chat::delta(self, nth, piece),
        }
    }

    /// The events after the text, of which there were `deltas`.
    pub(crate) fn closing(&self, deltas: u64) -> Vec<Frame> {
        match self.endpoint {
            Endpoint::Messages => anthropic::closing(self),
            Endpoint::Responses => openai_responses::closing(self, deltas),
            Endpoint::Completions => openai_chat::completion_closing(self),
            _ => openai_chat::closing(self),
        }
    }

    /// Random letters for padding, the same for the same answer and place.
    fn padding(&self, place: u64) -> String {
        let mut rng = Rng::with_seed(self.seed.rotate_left(17) ^ place);
        let length = rng.usize(4..20);
        std::iter::repeat_with(|| rng.alphanumeric()).take(length).collect()
    }
}

/// The identifier of a request, as its provider forms them.
pub(crate) fn request_id(dialect: Dialect, rng: &mut Rng) -> String {
    match dialect {
        Dialect::Anthropic => {
            let tail: String = std::iter::repeat_with(|| rng.alphanumeric()).take(20).collect();
            format!("req_011C{tail}")
        }
        Dialect::OpenAi => format!("req_{:016x}{:016x}", rng.u64(..), rng.u64(..)),
    }
}

#[cfg(test)]
mod tests;
