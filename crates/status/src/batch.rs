//! How a batch gets on.

use serde::{Deserialize, Serialize};

/// A batch at one instant. Money is in millionths of a US dollar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Batch {
    /// Where its jobs come from.
    pub input: String,
    /// Where its results go.
    pub output: String,
    /// Jobs chosen.
    pub total: u64,
    /// Jobs that are done, those of earlier runs included.
    pub done: u64,
    /// Jobs that failed in this run.
    pub failed: u64,
    /// Jobs with an attempt under way.
    pub in_flight: u64,
    /// Jobs handed over that wait for an attempt.
    pub waiting: u64,
    /// When it will be over, at the pace it has had so far.
    pub eta_seconds: Option<f64>,
    /// Which limit holds it back: `requests/min`, say.
    pub binds: Option<String>,
    /// Requests a minute, of late.
    pub requests_per_minute: u64,
    /// Tokens a minute, of late.
    pub tokens_per_minute: u64,
    /// Spent so far.
    pub cost_micro_usd: u64,
    /// What it will have cost, if the rest costs what the jobs so far did.
    pub projected_micro_usd: Option<u64>,
    /// What it may cost.
    pub budget_micro_usd: Option<u64>,
}
