//! What a client says of a request's end, in the ledger's words.

use std::sync::Arc;

use paceline::{Candidate, Failed, SendError, StreamError, Trip};
use paceline_wire::FullUsage;
use paceline_wire::price::{self, MicroUsd};

use crate::row::{Ended, Finish};

impl Ended {
    /// It has its whole answer. `candidates` are those who could have served it.
    pub fn answered(trip: &Trip, usage: Option<&FullUsage>, candidates: &[Candidate]) -> Self {
        // Nobody knows what an answer took that does not say it.
        Self { in_doubt: usage.is_none(), ..Self::told(Finish::Done, trip, usage, candidates) }
    }

    /// Its stream broke off. What it has told of its usage so far may not be all.
    pub fn broken(
        error: &StreamError,
        trip: &Trip,
        usage: Option<&FullUsage>,
        candidates: &[Candidate],
    ) -> Self {
        let class = match error {
            StreamError::Reported { class, .. } => class.name(),
            // Cut off, or what a later client may say.
            _ => "cut",
        };
        Self { class: Some(class), in_doubt: true, ..Self::told(Finish::Failed, trip, usage, candidates) }
    }

    /// Its caller left in the middle of its answer.
    pub fn left(trip: &Trip, usage: Option<&FullUsage>, candidates: &[Candidate]) -> Self {
        Self { in_doubt: true, ..Self::told(Finish::Canceled, trip, usage, candidates) }
    }

    /// It ended without an answer.
    pub fn failed(error: &SendError, candidates: &[Candidate]) -> Self {
        let refused =
            |class| Self { class: Some(class), cost: Some(MicroUsd::ZERO), ..Self::of(Finish::Refused) };
        match error {
            SendError::Failed(failed) => Self::failed_there(failed, candidates),
            SendError::Invalid { .. } => refused("invalid"),
            SendError::TooLarge { .. } => refused("too_large"),
            SendError::TooLate { .. } => refused("too_late"),
            SendError::QueueFull => refused("queue_full"),
            SendError::Vetoed => refused("not_recorded"),
            SendError::NoUpstream { class } => refused(class.name()),
            SendError::Closed => Self { class: Some("closed"), in_doubt: true, ..Self::of(Finish::Canceled) },
            // What a later client may say.
            _ => Self { in_doubt: true, ..Self::of(Finish::Failed) },
        }
    }

    /// Providers charge for answers: a failure has cost what it says, or nothing if it says nothing, unless it broke off
    /// where nobody can tell.
    fn failed_there(failed: &Failed, candidates: &[Candidate]) -> Self {
        let usage = failed.usage.as_ref();
        let succeeded = failed.status.is_some_and(|status| status.is_success());
        let in_doubt = failed.maybe_billed || (succeeded && usage.is_none());
        let told = Self::told(Finish::Failed, &failed.trip, usage, candidates);
        let cost = if usage.is_some() || in_doubt { told.cost } else { Some(MicroUsd::ZERO) };
        Self { class: Some(failed.class.name()), in_doubt, cost, ..told }
    }

    fn told(finish: Finish, trip: &Trip, usage: Option<&FullUsage>, candidates: &[Candidate]) -> Self {
        let server = candidates.iter().find(|candidate| candidate.upstream() == &*trip.upstream);
        Self {
            usage: usage.copied(),
            cost: usage.and_then(|usage| {
                server.and_then(|server| price::cost(server.provider(), &trip.model, usage))
            }),
            upstream: (!trip.upstream.is_empty()).then(|| trip.upstream.clone()),
            account: server.map(|server| Arc::from(server.account())),
            sent_as: server.map(|_| trip.model.clone()),
            waited: Some(trip.waited),
            first_byte: trip.first_byte,
            attempts: trip.attempts,
            throttled: trip.throttled,
            exchange: trip.request_id.clone(),
            ..Self::of(finish)
        }
    }
}
