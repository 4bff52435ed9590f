//! What an upstream's answer tells the engine, in words that no provider owns.

use std::time::Duration;

use crate::quota::Dimension;

/// One limit as a response's headers (or an error's text) reported it.
///
/// Evidence, never the truth: values may be stale, rounded, or describe the moment of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitSeen {
    /// What it counts.
    pub dimension: Dimension,
    /// Over how long, when the name or the arithmetic of the header tells; `None` when it doesn't.
    pub window: Option<Duration>,
    /// No name tells the window: it is the one that makes the numbers agree, which others may do by chance.
    pub window_is_guessed: bool,
    /// The limit; unknown when absent, zero or negative on the wire.
    pub limit: Option<u64>,
    /// What was left when the request was admitted.
    pub remaining: Option<u64>,
    /// Time until the meter is full again.
    pub reset: Option<Duration>,
    /// `remaining` is a multiple of this (Anthropic rounds tokens to 1000); 1 when exact.
    pub rounding: u64,
}

/// What a failed attempt means. One column of the provider fact sheet; the engine owns what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// 429: a rate limit is exhausted; wait.
    Throttled,
    /// The provider asks for a slower rise (`slow_down`, acceleration limits).
    Ramp,
    /// 503, 529: the provider itself has no room.
    Overloaded,
    /// Too many requests in flight.
    Concurrency,
    /// A daily (or longer) quota is exhausted.
    Daily,
    /// No credit, or a spend limit: a human must act.
    Money,
    /// The credential is refused.
    Auth,
    /// This request can never fit (its size, the model's context).
    TooBig,
    /// Content was refused.
    Policy,
    /// The request is wrong.
    BadRequest,
    /// Passing trouble: 5xx, reset, timeout before the first byte, a body cut short.
    Transient,
}

impl Class {
    /// The name in logs, metrics and results.
    pub fn name(self) -> &'static str {
        match self {
            Class::Throttled => "throttled",
            Class::Ramp => "ramp",
            Class::Overloaded => "overloaded",
            Class::Concurrency => "concurrency",
            Class::Daily => "daily",
            Class::Money => "money",
            Class::Auth => "auth",
            Class::TooBig => "too_big",
            Class::Policy => "policy",
            Class::BadRequest => "bad_request",
            Class::Transient => "transient",
        }
    }
}

/// A failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means.
    pub class: Class,
    /// How long the provider asks to wait, by the best of its hints.
    pub wait: Option<Duration>,
    /// The exhausted limit, when the answer names one: dimension, window, and the numbers in the text.
    pub named: Option<NamedLimit>,
    /// The attempt was never processed (refused connection, reset of a reused connection before any byte): it costs
    /// nothing and may be repeated free of the attempt count, once.
    pub unprocessed: bool,
}

/// The limit an error names, such as "on tokens per min (TPM): Limit 30000, Used 28039, Requested 3906".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedLimit {
    /// What it counts.
    pub dimension: Dimension,
    /// Over how long, when the text says so.
    pub window: Option<Duration>,
    /// The limit it names.
    pub limit: Option<u64>,
    /// What was used, as it says.
    pub used: Option<u64>,
    /// What the request asked for, as it says.
    pub requested: Option<u64>,
}
