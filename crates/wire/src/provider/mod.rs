//! What a provider is, as data: where it lives, how it meters, how its headers read, what it costs.
//!
//! Nothing here is a constant of the program. The data ships in `providers.toml`, and a file of the same grammar
//! overrides any part of it.

mod catalog;
mod checked;
mod file;
mod model;
mod price;
pub mod rate;

use paceline_core::quota::{Metering, Quota};
use serde::Deserialize;

use crate::dialect::Dialect;
pub use catalog::{Catalog, CatalogError, EMBEDDED};
pub use file::{Date, LongContextFile, PicoUsd};
pub use model::Pattern;
pub use price::{LongContext, Origin, Price, Rates};

/// A company's API (or a server of one's own) with its rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Its name in config, such as `anthropic`.
    pub name: String,
    /// The wire format it speaks.
    pub dialect: Dialect,
    /// Where it lives; `None` when only the user can know (Azure, a server of one's own).
    pub base_url: Option<String>,
    /// How it wants its key.
    pub auth: Auth,
    /// Environment variables that usually hold its key, most usual first.
    pub env: Vec<String>,
    /// Headers that every request must carry unless the caller sets them: lower-case name and value.
    pub headers: Vec<(String, String)>,
    /// The response header that names a request.
    pub request_id: Option<String>,
    /// Response headers that name the organisation whose limits the credential draws on; the first that is there counts.
    pub organisation: Vec<String>,
    /// Response headers that say that the credential has limits of its own all the same.
    pub organisation_unless: Vec<String>,
    /// How its limit headers read.
    pub limit_headers: LimitHeaders,
    /// How it counts.
    pub metering: Metering,
    /// How it estimates a request's input before running it, when its meter uses that estimate.
    pub input_estimate: Option<InputEstimate>,
    /// Whether reading from its prompt cache is free of charge against the limits.
    pub cache_reads: CacheReads,
    /// Servers of one's own have slots and a queue, not quotas.
    pub self_hosted: bool,
    /// Bytes of a request's text per input token, in thousandths: the prior until usage has taught better.
    pub milli_bytes_per_token: u32,
    /// Input tokens of one image, whose size we don't look at.
    pub tokens_per_image: u32,
    /// Input tokens that the provider adds when a request has tools.
    pub tool_prompt_tokens: u32,
    /// How fast a model writes, in tokens per second: the prior until answers have taught better.
    pub tokens_per_second: u32,
    /// What departs from the dialect.
    pub quirks: Quirks,
    /// Models that share one limit; a model in none has its own.
    pub pools: Vec<ModelPool>,
    /// Limits by tier, in the provider's own words.
    pub tiers: Vec<Tier>,
    /// What models cost.
    pub prices: Vec<Price>,
}

/// How a provider wants its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Auth {
    /// `Authorization: Bearer <key>`.
    Bearer,
    /// `x-api-key: <key>`.
    XApiKey,
    /// `api-key: <key>`.
    ApiKey,
    /// No key at all (a server of one's own), though one that is configured is sent as a bearer token.
    None,
}

impl Auth {
    /// The header's lower-case name and its value for `key`.
    pub fn header(self, key: &str) -> (&'static str, String) {
        match self {
            Auth::Bearer | Auth::None => ("authorization", format!("Bearer {key}")),
            Auth::XApiKey => ("x-api-key", key.to_owned()),
            Auth::ApiKey => ("api-key", key.to_owned()),
        }
    }
}

/// The grammar of the response headers that tell limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitHeaders {
    /// The provider sends none.
    None,
    /// `anthropic-ratelimit-<what>-<limit|remaining|reset>`; the reset is an RFC 3339 instant; tokens are rounded to 1000.
    Anthropic,
    /// `x-ratelimit-<limit|remaining|reset>-<what>`; the reset is a Go duration until full; `requests` may be the
    /// minute's or the day's.
    #[serde(rename = "openai")]
    OpenAi,
    /// As OpenAI's, but `requests` is always the day's and `tokens` the minute's.
    Groq,
    /// As OpenAI's with bare integers of doubtful unit; zero or negative limits are unknown.
    Azure,
    /// `x-ratelimit-<limit|remaining>-<what>-<window>` with the window in the name and no reset.
    Mistral,
    /// As Mistral's with a reset in seconds, a float.
    Cerebras,
    /// Limits in tokens per second.
    Fireworks,
    /// `x-ratelimit-reset` in seconds; older ones per second.
    Together,
    /// On refusals only; the reset is an epoch in milliseconds.
    #[serde(rename = "openrouter")]
    OpenRouter,
}

/// A provider's own estimate of a request's input: `ceil(chars / chars_per_token) + per_message * messages + per_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputEstimate {
    /// Characters per token.
    pub chars_per_token: u64,
    /// Tokens added for each message.
    pub per_message: u64,
    /// Tokens added once.
    pub per_request: u64,
}

impl InputEstimate {
    /// The estimate for a request of so much text in so many messages.
    pub fn tokens(&self, chars: u64, messages: u64) -> u64 {
        chars
            .div_ceil(self.chars_per_token.max(1))
            .saturating_add(self.per_message.saturating_mul(messages))
            .saturating_add(self.per_request)
    }
}

/// Whether input that is read from the prompt cache counts against the limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheReads {
    /// Free in general.
    pub free: bool,
    /// Models for which the opposite holds.
    pub except: Vec<Pattern>,
}

/// What departs from the dialect. All false for the provider that the dialect is named after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quirks {
    /// A bare 429 means too many requests in flight (DeepSeek).
    pub throttled_is_concurrency: bool,
    /// A 503 means that the queue is full (Ollama, vLLM).
    pub overloaded_is_concurrency: bool,
    /// Every stream ends with its usage, asked for or not (Mistral, DeepSeek, Groq).
    pub always_streams_usage: bool,
    /// Daily quotas come back at midnight in this many hours from UTC rather than bit by bit (Gemini: -8).
    pub day_resets_at_utc_offset: Option<i8>,
}

/// Models that draw on one limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPool {
    /// Its name, which keys the limit.
    pub name: String,
    /// Which models.
    pub models: Vec<Pattern>,
}

/// The limits of one tier, as published on a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// The provider's name for it, in lower case.
    pub name: String,
    /// When this was read, as `YYYY-MM-DD`.
    pub as_of: String,
    /// Where; empty when a file of the user's own does not say.
    pub source: String,
    /// What is granted; the first entry whose pattern matches a model is its own.
    pub limits: Vec<TierLimit>,
}

/// What a tier grants to some models, each pool separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierLimit {
    /// Which models.
    pub models: Vec<Pattern>,
    /// The allowances.
    pub quotas: Vec<Quota>,
    /// The most requests in flight.
    pub in_flight: Option<u32>,
}

impl Provider {
    /// Whether tokens that `model` reads from the prompt cache are free of charge against the limits.
    pub fn cache_reads_free(&self, model: &str) -> bool {
        let excepted = self.cache_reads.except.iter().any(|pattern| pattern.matches(model));
        self.cache_reads.free != excepted
    }

    /// The name under which `model` is limited: its pool's, else its own.
    pub fn pool<'a>(&'a self, model: &'a str) -> &'a str {
        let pool = self.pools.iter().find(|pool| pool.models.iter().any(|pattern| pattern.matches(model)));
        pool.map_or(model, |pool| &pool.name)
    }

    /// What the tier called `tier` grants to `model`.
    pub fn limit(&self, tier: &str, model: &str) -> Option<&TierLimit> {
        let tier = self.tiers.iter().find(|known| known.name == tier)?;
        tier.limits.iter().find(|limit| limit.models.iter().any(|pattern| pattern.matches(model)))
    }
}
