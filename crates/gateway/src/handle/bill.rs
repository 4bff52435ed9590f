//! Sees to it that what a request used is booked once, however it ends.

use paceline::wire::FullUsage;
use paceline::{Candidate, SendError, Trip};
use paceline_wire::estimate::Ratio;
use paceline_wire::price;
use paceline_wire::request::{self, Peek};

use super::access::{Ask, Guard, Used};
use crate::admin::Sent;

/// What one request owes, where there is a purse to pay from.
#[derive(Default)]
pub(super) struct Bill(Option<Open>);

struct Open {
    guard: Box<dyn Guard>,
    sent: Sent,
    candidates: Vec<Candidate>,
}

impl Bill {
    /// A bill that `guard` pays. `sent` tells whether any attempt has gone out.
    pub(super) fn new(guard: Box<dyn Guard>, sent: Sent, candidates: Vec<Candidate>) -> Self {
        Self(Some(Open { guard, sent, candidates }))
    }

    /// Books what the upstream says was used; without its word the reservation stands.
    pub(super) fn settle(&mut self, trip: &Trip, usage: Option<&FullUsage>) {
        let Some(Open { guard, candidates, .. }) = self.0.take() else { return };
        let used = usage.map(|usage| {
            let server = candidates.iter().find(|candidate| candidate.upstream() == &*trip.upstream);
            let cost = server.and_then(|server| price::cost(server.provider(), &trip.model, usage));
            Used { tokens: usage.prompt_tokens().saturating_add(usage.output_tokens), cost }
        });
        guard.settle(used);
    }

    /// A request that failed has cost what its last answer says, and nothing if that says nothing: providers charge for
    /// answers.
    pub(super) fn settle_failed(&mut self, error: &SendError) {
        match error {
            SendError::Failed(failed)
                if failed.usage.is_some() || failed.status.is_some_and(|status| status.is_success()) =>
            {
                self.settle(&failed.trip, failed.usage.as_ref());
            }
            _ => self.0 = None,
        }
    }
}

impl Drop for Bill {
    /// The caller has left before the end. What was sent is charged all the same, whether we see the answer or not.
    fn drop(&mut self) {
        if let Some(Open { guard, sent, .. }) = self.0.take()
            && sent.is_marked()
        {
            guard.settle(None);
        }
    }
}

/// The most that a request may use at whoever may serve it. One whose body is not read costs nobody knows what, unless
/// it only looks something up.
pub(super) fn ask(peek: Option<&Peek<'_>>, looks_up: bool, candidates: &[Candidate]) -> Ask {
    let Some(peek) = peek else {
        return Ask { tokens: 0, cost: looks_up.then_some(price::MicroUsd::ZERO) };
    };
    let mut most = Ask { tokens: 0, cost: None };
    for candidate in candidates {
        let provider = candidate.provider();
        let demand = request::demand(provider, peek, &Ratio::prior(provider));
        let output = demand.max_output_tokens.unwrap_or(0);
        let usage =
            FullUsage { input_tokens: demand.input_tokens, output_tokens: output, ..FullUsage::default() };
        most.tokens = most.tokens.max(demand.input_tokens.saturating_add(output));
        most.cost = most.cost.max(price::cost(provider, candidate.model(), &usage));
    }
    most
}
