//! Where is sent to, and how it does there.

use paceline::UpstreamStanding;
use paceline::core::engine;
use serde::{Deserialize, Serialize};

use crate::words;

/// One upstream.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upstream {
    /// Its name.
    pub name: String,
    /// The account of the caller whose own credential it is used with; `None` for the upstream's own.
    pub credential: Option<String>,
    /// How it does.
    pub health: Health,
    /// No traffic for this much longer.
    pub for_seconds: Option<f64>,
    /// Which kind of answer put it out of service.
    pub class: Option<String>,
    /// Attempts in flight.
    pub in_flight: u64,
    /// An operator took it out, until it is put back.
    pub taken_out: bool,
    /// Its health in words.
    pub reason: String,
}

/// How an upstream does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Traffic flows.
    #[default]
    Closed,
    /// No traffic, after too many failures.
    Open,
    /// A probe is under way.
    HalfOpen,
    /// The credential was refused or is out of money.
    OutOfService,
}

impl Health {
    /// All of them.
    pub const ALL: [Health; 4] = [Health::Closed, Health::Open, Health::HalfOpen, Health::OutOfService];

    /// The name in documents and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Health::Closed => "closed",
            Health::Open => "open",
            Health::HalfOpen => "half_open",
            Health::OutOfService => "out_of_service",
        }
    }
}

impl From<engine::Health> for Health {
    fn from(health: engine::Health) -> Self {
        match health {
            engine::Health::Closed => Health::Closed,
            engine::Health::Open(_) => Health::Open,
            engine::Health::HalfOpen => Health::HalfOpen,
            engine::Health::OutOfService(_) => Health::OutOfService,
        }
    }
}

/// An attempt that a provider throttled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Throttle {
    /// By whom.
    pub upstream: String,
    /// In which way.
    pub class: String,
    /// How long ago.
    pub ago_seconds: f64,
    /// How long the provider asked to wait.
    pub wait_seconds: Option<f64>,
}

impl Upstream {
    pub(crate) fn of(standing: &UpstreamStanding) -> Self {
        let health = standing.view.health;
        Self {
            name: standing.name.to_string(),
            credential: standing.caller.clone(),
            health: health.into(),
            for_seconds: match health {
                engine::Health::Open(wait) => Some(wait.as_secs_f64()),
                _ => None,
            },
            class: match health {
                engine::Health::OutOfService(class) => Some(class.name().to_owned()),
                _ => None,
            },
            in_flight: standing.view.in_flight.into(),
            taken_out: standing.view.taken_out,
            reason: match standing.view.taken_out {
                true => words::TAKEN_OUT.to_owned(),
                false => words::health(health),
            },
        }
    }
}
