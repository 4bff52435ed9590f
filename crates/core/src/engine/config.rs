//! How the engine behaves where its users may choose.

use std::time::Duration;

/// Choices with defaults that serve.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Attempts per request before it fails, throttled ones not counted.
    pub max_attempts: u32,
    /// Share of requests that may be retried, over a window of ten seconds.
    pub retry_share: f64,
    /// Retries per second that are always allowed on top.
    pub retry_floor_per_second: f64,
    /// First backoff; doubles with each attempt, with full jitter.
    pub backoff_base: Duration,
    /// Longest backoff.
    pub backoff_cap: Duration,
    /// Most requests waiting at once; the next one is refused.
    pub queue_limit: usize,
    /// A wait hint above this is a daily limit, not a sleep.
    pub longest_hint: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_attempts: 3,
            retry_share: 0.2,
            retry_floor_per_second: 10.0,
            backoff_base: Duration::from_millis(500),
            backoff_cap: Duration::from_secs(30),
            queue_limit: 1_000_000,
            longest_hint: Duration::from_secs(900),
        }
    }
}
