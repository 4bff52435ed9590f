//! What the engine shows of itself: for progress lines, dashboards and plans.

use std::time::Duration;

use super::api::{LimiterId, TenantId, UpstreamId};
use crate::quota::{Dimension, Quota};

/// Tenants that a snapshot names at most: those with most requests waiting.
pub const TENANTS_SHOWN: usize = 100;

/// The whole engine at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Requests waiting, by priority: interactive, normal, batch.
    pub waiting: [usize; 3],
    /// When the first in line of each class can go, the soonest of all routes; `None` where nobody waits or no time is known.
    pub next_in: [Option<Duration>; 3],
    /// How long a newcomer of each class would wait behind those who do, at the route where that is longest.
    pub newcomer_waits: [Option<Duration>; 3],
    /// Who has requests waiting, most first.
    pub tenants: Vec<TenantView>,
    /// Attempts in flight.
    pub in_flight: usize,
    /// Attempts sent since the start.
    pub sent: u64,
    /// Attempts throttled since the start.
    pub throttled: u64,
    /// Retries that were charged to the retry budget since the start.
    pub retries: u64,
    /// Each limiter's meters.
    pub limiters: Vec<LimiterView>,
    /// Each upstream's health.
    pub upstreams: Vec<UpstreamView>,
}

/// A tenant with requests waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TenantView {
    /// Which.
    pub id: TenantId,
    /// Its requests, by priority.
    pub waiting: [usize; 3],
}

/// One limiter.
#[derive(Clone, Debug, PartialEq)]
pub struct LimiterView {
    /// Which.
    pub id: LimiterId,
    /// Its buckets.
    pub buckets: Vec<BucketView>,
    /// Attempts in flight, and the most allowed when that is limited.
    pub in_flight: (u32, Option<u32>),
    /// A refusal closed it for this much longer.
    pub closed_for: Option<Duration>,
    /// Attempts that were throttled since the start.
    pub throttled: u64,
    /// What held back the head of its queue when it was last asked.
    pub binds: Option<Bind>,
}

/// What holds requests back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// The quota of this dimension and window.
    Quota(Dimension, Duration),
    /// The limit on attempts in flight.
    InFlight,
    /// The gate after a refusal.
    Gate,
    /// The limit is not known yet: the rate is raised step by step.
    Learning,
    /// A breaker is open, or all credentials are out of service.
    Health,
}

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BucketView {
    /// The quota it holds to; its limit is what is believed now.
    pub quota: Quota,
    /// Where the limit comes from.
    pub source: LimitSource,
    /// Charged in the last window.
    pub used: u64,
}

/// Where a limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitSource {
    /// The user typed it.
    Typed,
    /// A response said so.
    Reported,
    /// Learned from refusals.
    Learned,
}

/// One upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpstreamView {
    /// Which.
    pub id: UpstreamId,
    /// How it does.
    pub health: Health,
    /// Attempts in flight.
    pub in_flight: u32,
    /// An operator took it out: see [`Engine::take_out`](super::Engine::take_out).
    pub taken_out: bool,
}

/// How an upstream does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Traffic flows.
    Closed,
    /// No traffic for this much longer, after too many failures.
    Open(Duration),
    /// A probe is under way.
    HalfOpen,
    /// The credential was refused or is out of money; probed rarely.
    OutOfService(crate::feedback::Class),
}
