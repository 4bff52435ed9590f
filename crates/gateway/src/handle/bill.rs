//! Sees to it that what a request used is booked once, however it ends: from the purse that pays, and in the usage ledger.

use paceline::wire::FullUsage;
use paceline::{Candidate, Failed, SendError, StreamError, Trip};
use paceline_usage::{Ended, Expected, Finish, Record};
use paceline_wire::price;
use paceline_wire::request::Peek;

use super::access::{Ask, Guard, Used};
use crate::admin::{Passing, Sent};

/// What one request owes, where there is a purse to pay from or a ledger to record it in, and where its end is noted.
#[derive(Default)]
pub(super) struct Bill {
    guard: Option<Box<dyn Guard>>,
    record: Option<Record>,
    passing: Option<Passing>,
    sent: Sent,
    candidates: Vec<Candidate>,
}

impl Bill {
    /// A bill that `guard` pays. `sent` tells whether any attempt has gone out.
    pub(super) fn new(
        guard: Option<Box<dyn Guard>>,
        record: Option<Record>,
        sent: Sent,
        candidates: Vec<Candidate>,
    ) -> Self {
        Self { guard, record, passing: None, sent, candidates }
    }

    /// Its end is noted there, too.
    pub(super) fn noted(mut self, passing: Option<Passing>) -> Self {
        self.passing = passing;
        self
    }

    /// Books what a whole answer says was used; without its word the reservation stands.
    pub(super) fn settle(&mut self, trip: &Trip, usage: Option<&FullUsage>) {
        self.end(|candidates| Ended::answered(trip, usage, candidates));
        self.pay(trip, usage);
    }

    /// A stream has broken off. It may have cost more than it has told until then, so the reservation stands.
    pub(super) fn settle_broken(&mut self, error: &StreamError, trip: &Trip, usage: Option<&FullUsage>) {
        self.end(|candidates| Ended::broken(error, trip, usage, candidates));
        self.pay(trip, None);
    }

    /// The caller has left in the middle of an answer. It may cost more than it has told until then.
    pub(super) fn settle_left(&mut self, trip: &Trip, usage: Option<&FullUsage>) {
        self.end(|candidates| Ended::left(trip, usage, candidates));
        self.pay(trip, None);
    }

    /// A request that failed has cost what its last answer says, and nothing if that says nothing: providers charge for
    /// answers. Where an attempt broke off nobody knows.
    pub(super) fn settle_failed(&mut self, error: &SendError) {
        self.end(|candidates| Ended::failed(error, candidates));
        match error {
            SendError::Failed(failed) if may_cost(failed) => {
                self.pay(&failed.trip, failed.usage.as_ref().filter(|_| !failed.maybe_billed));
            }
            _ => self.guard = None,
        }
    }

    fn end(&mut self, ended: impl FnOnce(&[Candidate]) -> Ended) {
        let (record, passing) = (self.record.take(), self.passing.take());
        if record.is_none() && passing.is_none() {
            return;
        }
        let ended = ended(&self.candidates);
        if let Some(passing) = passing {
            passing.end(ended.clone());
        }
        if let Some(record) = record {
            record.end(ended);
        }
    }

    fn pay(&mut self, trip: &Trip, usage: Option<&FullUsage>) {
        let Some(guard) = self.guard.take() else { return };
        let used = usage.map(|usage| {
            let server = self.candidates.iter().find(|candidate| candidate.upstream() == &*trip.upstream);
            let cost = server.and_then(|server| price::cost(server.provider(), &trip.model, usage));
            Used { tokens: usage.prompt_tokens().saturating_add(usage.output_tokens), cost }
        });
        guard.settle(used);
    }
}

impl Drop for Bill {
    /// The caller has left before the end. What was sent is charged all the same, whether we see the answer or not. The
    /// record says so by itself.
    fn drop(&mut self) {
        if let Some(passing) = self.passing.take() {
            passing.end(Ended { in_doubt: self.sent.is_marked(), ..Ended::of(Finish::Canceled) });
        }
        if let Some(guard) = self.guard.take()
            && self.sent.is_marked()
        {
            guard.settle(None);
        }
    }
}

fn may_cost(failed: &Failed) -> bool {
    let succeeded = failed.status.is_some_and(|status| status.is_success());
    failed.usage.is_some() || failed.maybe_billed || succeeded
}

/// The most that a request may use at whoever may serve it. One whose body is not read costs nobody knows what, unless
/// it only looks something up.
pub(super) fn ask(peek: Option<&Peek<'_>>, looks_up: bool, candidates: &[Candidate]) -> Ask {
    let Some(peek) = peek else {
        return Ask { tokens: 0, cost: looks_up.then_some(price::MicroUsd::ZERO) };
    };
    let Expected { tokens, cost } = Expected::of(peek, candidates);
    Ask { tokens, cost }
}
