//! What is happening, for whoever wants to look: events as they happen, and the standing of everything right now.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::engine::{self, LimiterView, Priority, UpstreamView, Verdict};
use paceline_core::feedback::Class;
use paceline_core::quota::Quota;
use paceline_wire::{Endpoint, FullUsage};

use crate::candidate::Candidate;

/// Something that happened to a request. Requests are numbered from 1 by each client.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ClientEvent {
    /// An attempt was sent.
    Sent {
        /// Which request.
        request: u64,
        /// Where to.
        upstream: Arc<str>,
        /// The same, with all that is known of it, and the model's name there.
        to: Candidate,
        /// What is asked for.
        asked: Asked,
        /// Its number: 1 for the first.
        attempt: u32,
        /// Time since the request was handed over.
        waited: Duration,
    },
    /// The head of an answer arrived that says success so far.
    Head {
        /// Which request.
        request: u64,
        /// From where.
        upstream: Arc<str>,
        /// Time since the attempt was sent.
        after: Duration,
    },
    /// The provider asked for patience; the request waits again and loses no attempt.
    Throttled {
        /// Which request.
        request: u64,
        /// By whom.
        upstream: Arc<str>,
        /// In which way.
        class: Class,
        /// How long the provider asks to wait.
        wait: Option<Duration>,
    },
    /// An attempt failed otherwise, before any of its answer was handed over. Another one may follow.
    Failed {
        /// Which request.
        request: u64,
        /// By whom.
        upstream: Arc<str>,
        /// What the failure means.
        class: Class,
    },
    /// An attempt failed, and another one was sent.
    Retried {
        /// Which request.
        request: u64,
        /// How the earlier attempt failed.
        after: Class,
        /// The number of the new attempt.
        attempt: u32,
    },
    /// The request has its whole answer.
    Finished {
        /// Which request.
        request: u64,
        /// Who served it.
        upstream: Arc<str>,
        /// What it used.
        usage: Option<FullUsage>,
        /// Time since the attempt was sent.
        took: Duration,
    },
    /// The request ended without success.
    Refused {
        /// Which request.
        request: u64,
        /// Why.
        verdict: Verdict,
        /// What was asked for.
        asked: Asked,
    },
    /// A stream that had begun broke off.
    Broken {
        /// Which request.
        request: u64,
        /// By whom.
        upstream: Arc<str>,
        /// What the failure means.
        class: Class,
    },
    /// The caller left before the end.
    Canceled {
        /// Which request.
        request: u64,
        /// What was asked for.
        asked: Asked,
    },
}

/// What a request asks for, for those who watch. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The model, as the request names it; empty when it names none.
    pub model: Arc<str>,
    /// At which endpoint.
    pub endpoint: Endpoint,
    /// Its class.
    pub priority: Priority,
    /// Time since it was handed over.
    pub age: Duration,
}

/// Who is told of each event as it happens.
#[derive(Clone)]
pub(crate) struct OnEvent(pub(crate) Arc<dyn Fn(&ClientEvent) + Send + Sync>);

impl fmt::Debug for OnEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnEvent").finish_non_exhaustive()
    }
}

/// Requests in flight that a snapshot names at most: those under way for longest.
pub const FLIGHTS_SHOWN: usize = 50;

/// The standing of everything at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Requests waiting, by priority: interactive, normal, batch.
    pub waiting: [usize; 3],
    /// When the first in line of each class can go; `None` where nobody waits or no time is known.
    pub next_in: [Option<Duration>; 3],
    /// How long a newcomer of each class would wait behind those who do.
    pub newcomer_waits: [Option<Duration>; 3],
    /// Who has requests waiting, most first; those with most only.
    pub tenants: Vec<TenantStanding>,
    /// Who is in flight, longest first; the first [`FLIGHTS_SHOWN`] only.
    pub flights: Vec<Flight>,
    /// Attempts in flight.
    pub in_flight: usize,
    /// Attempts sent since the start.
    pub sent: u64,
    /// Attempts throttled since the start.
    pub throttled: u64,
    /// Retries charged to the retry budget since the start.
    pub retries: u64,
    /// Sending is paused.
    pub paused: bool,
    /// The meters, one set for each account and model pool.
    pub limiters: Vec<LimiterStanding>,
    /// The upstreams.
    pub upstreams: Vec<UpstreamStanding>,
}

/// A tenant with requests waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantStanding {
    /// Its name; empty for those who gave none.
    pub name: Arc<str>,
    /// Its requests, by priority.
    pub waiting: [usize; 3],
}

/// A request in flight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flight {
    /// Which, as [`ClientEvent`] numbers it.
    pub request: u64,
    /// The model's name where it is.
    pub model: Arc<str>,
    /// Where it is.
    pub upstream: Arc<str>,
    /// Whom it counts for.
    pub tenant: String,
    /// Its class.
    pub priority: Priority,
    /// The number of its attempt.
    pub attempt: u32,
    /// How long it waited for it.
    pub waited: Duration,
    /// How long it is under way.
    pub age: Duration,
    /// Its answer has begun.
    pub begun: bool,
}

/// The meters of one account for one set of models.
#[derive(Clone, Debug, PartialEq)]
pub struct LimiterStanding {
    /// Whose.
    pub account: String,
    /// For which models: a pool of the provider, a pattern of typed ceilings, or a model's name.
    pub models: String,
    /// Its buckets.
    pub view: LimiterView,
}

/// One upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamStanding {
    /// Its name.
    pub name: Arc<str>,
    /// The account of the caller whose own credential it is used with; `None` for the upstream's own.
    pub caller: Option<String>,
    /// How it does.
    pub view: UpstreamView,
}

/// A ceiling to hold at the meters of one account for one set of models, as [`LimiterStanding`] names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retune {
    pub(crate) account: String,
    pub(crate) models: String,
    pub(crate) ceiling: Quota,
}

/// What was learned about the limits of one account for one set of models: keep it, and give it to the next client's
/// [`crate::Builder::learned`], so that learning needn't start again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnedLimits {
    /// The provider's name.
    pub provider: String,
    /// Whose.
    pub account: String,
    /// For which models.
    pub models: String,
    /// The limits, with the time since each was last confirmed.
    pub limits: Vec<engine::Learned>,
}
