//! Who is in flight.

use paceline::Priority;
use serde::{Deserialize, Serialize};

/// A request in flight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flight {
    /// The client's number for it.
    pub request: u64,
    /// The model's name where it is.
    pub model: String,
    /// Where it is.
    pub upstream: String,
    /// Whom it counts for; empty for those who gave no name.
    pub tenant: String,
    /// Its class: `interactive`, `normal` or `batch`.
    pub priority: String,
    /// The number of its attempt.
    pub attempt: u32,
    /// How long it waited for it.
    pub waited_seconds: f64,
    /// How long it is under way.
    pub age_seconds: f64,
    /// Its answer has begun.
    pub begun: bool,
}

impl Flight {
    pub(crate) fn of(flight: &paceline::Flight) -> Self {
        Self {
            request: flight.request,
            model: flight.model.to_string(),
            upstream: flight.upstream.to_string(),
            tenant: flight.tenant.clone(),
            priority: priority(flight.priority).to_owned(),
            attempt: flight.attempt,
            waited_seconds: flight.waited.as_secs_f64(),
            age_seconds: flight.age.as_secs_f64(),
            begun: flight.begun,
        }
    }
}

/// The name of a class.
pub fn priority(priority: Priority) -> &'static str {
    match priority {
        Priority::Interactive => "interactive",
        Priority::Normal => "normal",
        Priority::Batch => "batch",
    }
}
