//! The words between the engine and its shells.

use std::time::Duration;

use super::snapshot::LimitSource;
use crate::feedback::{Class, Failure, LimitSeen};
use crate::quota::{Demand, Dimension, Metering, Quota, Usage};
use crate::time::Time;

/// A request, named by the shell. Any number that is not in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// An attempt, named by the engine. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u64);

/// An upstream of [`crate::engine::Engine::add_upstream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UpstreamId(pub u32);

/// A limiter of [`crate::engine::Engine::add_limiter`]: the quotas of one account for one set of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimiterId(pub u32);

/// A route of [`crate::engine::Engine::add_route`]: the lanes that can serve one model name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u32);

/// Whom capacity is shared between fairly. The shell maps names to numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(pub u32);

/// Which class a request is in. Earlier classes go first; aging keeps the later ones from starving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Somebody is waiting.
    Interactive,
    /// The default.
    #[default]
    Normal,
    /// A file of prompts.
    Batch,
}

/// What a limiter starts from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LimiterSpec {
    /// How the provider counts.
    pub metering: Metering,
    /// Typed quotas: ceilings, never exceeded whatever headers say. Empty: everything is learned.
    pub ceilings: Vec<Quota>,
    /// Limits learned earlier, with their age: where learning starts.
    pub learned: Vec<Learned>,
    /// At most this many attempts in flight; `None` leaves it to what is learned.
    pub in_flight: Option<u32>,
    /// No quota, only slots (Ollama, vLLM, DeepSeek): the in-flight limit adapts.
    pub self_hosted: bool,
}

/// A limit that an earlier session learned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Learned {
    /// The limit.
    pub quota: Quota,
    /// Where it came from: what a provider reported is believed again, what refusals taught is probed anew.
    pub source: LimitSource,
    /// How long ago it was last confirmed.
    pub age: Duration,
    /// What was charged in the window that ended then: a day's quota outlives a session, and a session may end and another
    /// begin within a minute.
    pub used: u64,
}

/// One way to serve a route: an upstream, and the limiter that meters it for this model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lane {
    /// Where to send.
    pub upstream: UpstreamId,
    /// Which meters it passes.
    pub limiter: LimiterId,
    /// Order: a lane is used only when no lane of a lower tier can take the request in time.
    pub tier: u8,
    /// Share within its tier when several lanes have room.
    pub weight: u32,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A request wants to be sent.
    Submitted(Submission),
    /// The response's head arrived, with a status that says success so far.
    Head {
        /// Which attempt.
        attempt: AttemptId,
        /// Limits its headers report.
        limits: Vec<LimitSeen>,
    },
    /// A stream has produced so many output tokens in all (an estimate will do).
    Produced {
        /// Which attempt.
        attempt: AttemptId,
        /// Total so far.
        output_tokens: u64,
    },
    /// The response ended well. The request is over.
    Succeeded {
        /// Which attempt.
        attempt: AttemptId,
        /// What it used, when the response told.
        usage: Option<Usage>,
    },
    /// The attempt failed.
    Failed {
        /// Which attempt.
        attempt: AttemptId,
        /// What the failure means.
        failure: Failure,
        /// Limits its headers report.
        limits: Vec<LimitSeen>,
        /// Bytes have gone to the caller, so that nothing may be replayed.
        committed: bool,
    },
    /// The caller left. Its attempt, if any, must be aborted: the engine says so.
    Canceled {
        /// Which request.
        request: RequestId,
    },
}

/// A request to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Its name.
    pub request: RequestId,
    /// Which lanes can serve it.
    pub route: RouteId,
    /// What it is expected to consume.
    pub demand: Demand,
    /// Its class.
    pub priority: Priority,
    /// Whom it counts for.
    pub tenant: TenantId,
    /// Where it goes if there is room at once, before others of the same tier: such as to who has its beginning cached.
    pub prefer: Option<UpstreamId>,
    /// Not to be sent earlier.
    pub not_before: Option<Time>,
    /// Of no use after: refused as soon as that is foreseeable.
    pub deadline: Option<Time>,
}

/// What the shell is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send this attempt there.
    Send {
        /// The request.
        request: RequestId,
        /// The attempt's name, for the events to come.
        attempt: AttemptId,
        /// Where to.
        upstream: UpstreamId,
        /// By which of its lanes: an upstream may serve in several tiers, under another model's name in each.
        tier: u8,
        /// Its number: 1 for the first.
        ordinal: u32,
    },
    /// The request is over without success: tell the caller.
    Finish {
        /// The request.
        request: RequestId,
        /// Why.
        verdict: Verdict,
    },
    /// Cancel this attempt: nobody wants its answer. No event needs to follow.
    Abort {
        /// The attempt.
        attempt: AttemptId,
    },
}

/// Why a request ended without success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The provider's answer stands: retrying would not help, or may not.
    Final(Class),
    /// Failed as often as attempts are allowed; the last class.
    AttemptsExhausted(Class),
    /// The shared retry budget is spent; the class of the failure.
    BudgetExhausted(Class),
    /// It could not start before its deadline: it would start after this long.
    TooLate {
        /// The computed wait, when one could be computed.
        wait: Option<Duration>,
    },
    /// It asks for more than any lane grants at once.
    TooLarge {
        /// The dimension it exceeds.
        dimension: Dimension,
        /// What it asks for.
        want: u64,
        /// What the limit is.
        limit: u64,
    },
    /// The queue is full.
    QueueFull,
    /// No lane can serve it: all credentials are out of service.
    NoUpstream(Class),
}
