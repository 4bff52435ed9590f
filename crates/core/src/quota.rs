//! What an account may use, and how its provider counts.

use std::time::Duration;

/// More tokens than any request has: what claims more is counted as this, so that sums cannot overflow.
pub(crate) const MOST_UNITS: u64 = 1 << 36;
/// More than any limit: what claims more is held to this.
pub(crate) const MOST_LIMIT: u64 = 1 << 50;
/// Nobody meters a shorter window ...
pub(crate) const SHORTEST_WINDOW: Duration = Duration::from_millis(1);
/// ... or a longer one.
pub(crate) const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 86_400);

/// What a quota counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// One per attempt that reaches the provider.
    Requests,
    /// Input tokens, as the provider charges them (cache reads are often free).
    InputTokens,
    /// Tokens the model produces.
    OutputTokens,
    /// Input and output on one meter.
    TotalTokens,
}

impl Dimension {
    /// Every dimension, in the order people read them.
    pub const ALL: [Dimension; 4] =
        [Dimension::Requests, Dimension::InputTokens, Dimension::OutputTokens, Dimension::TotalTokens];

    /// The name in config, metrics and messages.
    pub fn name(self) -> &'static str {
        match self {
            Dimension::Requests => "requests",
            Dimension::InputTokens => "input_tokens",
            Dimension::OutputTokens => "output_tokens",
            Dimension::TotalTokens => "tokens",
        }
    }
}

/// An allowance: at most `limit` of `dimension` in any `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// What is counted.
    pub dimension: Dimension,
    /// Over how long.
    pub window: Duration,
    /// How much.
    pub limit: u64,
}

/// When a provider charges output tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputRule {
    /// As they are produced; `max_tokens` plays no part (Anthropic).
    #[default]
    Produced,
    /// `max_tokens` at admission, and nothing is given back (Azure).
    UpFront,
    /// `max_tokens` at admission, corrected to the usage at the end (Bedrock, Cerebras).
    Reserved,
    /// Never (OpenAI's recordings since 2025).
    NotCounted,
}

/// How a provider counts: data of the provider, the same for all its quotas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Metering {
    /// When output is charged, on `OutputTokens` and `TotalTokens` alike.
    pub output: OutputRule,
    /// The charge for input is the provider's own estimate, known before sending and never corrected by the usage.
    pub input_is_estimate: bool,
    /// A refused attempt counts against the request quota all the same (OpenAI, Azure).
    pub refusals_count: bool,
}

/// What a request is expected to consume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Input tokens as the provider will charge them: without expected cache reads where those are free.
    pub input_tokens: u64,
    /// The most it may produce (`max_tokens`); `None` when the request does not say.
    pub max_output_tokens: Option<u64>,
}

impl Demand {
    /// The same, if it claimed an amount that can be.
    pub(crate) fn bounded(self) -> Self {
        Self {
            input_tokens: self.input_tokens.min(MOST_UNITS),
            max_output_tokens: self.max_output_tokens.map(|most| most.min(MOST_UNITS)),
        }
    }
}

/// What a request did consume.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens as the provider charges them against its limit: free cache reads are already left out.
    pub input_tokens: u64,
    /// Tokens produced.
    pub output_tokens: u64,
}
