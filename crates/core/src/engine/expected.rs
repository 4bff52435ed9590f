//! How long a request would wait for its start, told before it waits: that is the honest refusal.

use std::time::Duration;

use super::dispatch::is_in_time;
use super::{Engine, Lane, Priority, Submission};
use crate::limiter::{Applicant, Limiter};
use crate::time::Time;
use crate::tuning::EXPECTED_WAIT_MARGIN;

/// What the lanes of one tier offer a request.
struct Offer {
    room_at: Time,   // When the first of them has room.
    rates: [f64; 4], // How fast they serve, all together.
}

impl Engine {
    /// Until there is room for it, and then for what waits before it, by how fast that is served.
    pub(super) fn expected_wait(&mut self, now: Time, submission: &Submission) -> Duration {
        let Some(Offer { room_at, rates }) = self.best_offer(now, submission) else { return Duration::MAX };
        let queue = &self.routes[submission.route.0 as usize].queue;
        let ahead = [Priority::Interactive, Priority::Normal, Priority::Batch]
            .into_iter()
            .filter(|&class| class <= submission.priority)
            .map(|class| queue.class(class));
        let (requests, input) = ahead
            .fold((0.0, 0.0), |sum, class| (sum.0 + class.len() as f64, sum.1 + class.input_tokens() as f64));
        let seconds = (requests / rates[0]).max(input / rates[1]).max(input / rates[3]);
        let queued = Duration::try_from_secs_f64(seconds * EXPECTED_WAIT_MARGIN).unwrap_or(Duration::MAX);
        queued.saturating_add(room_at.since(now))
    }

    /// What the first tier offers that can serve in time; when none can, what the very first does.
    fn best_offer(&mut self, now: Time, submission: &Submission) -> Option<Offer> {
        let Self { routes, limiters, upstreams, .. } = self;
        let lanes = &routes[submission.route.0 as usize].lanes;
        let serves = |lane: &&Lane| !upstreams[lane.upstream.0 as usize].taken_out;
        // When all are taken out, any may be put back at any time.
        let some_serve = lanes.iter().any(|lane| serves(&lane));
        let mut first = None;
        for tier in lanes.chunk_by(|one, next| one.tier == next.tier) {
            let mut lanes = tier.iter().filter(|lane| !some_serve || serves(lane)).peekable();
            if lanes.peek().is_none() {
                continue;
            }
            let offer = offer(limiters, now, lanes, submission);
            if is_in_time(now, offer.room_at, submission.deadline) {
                return Some(offer);
            }
            first.get_or_insert(offer);
        }
        first
    }
}

fn offer<'a>(
    limiters: &mut [Limiter],
    now: Time,
    tier: impl Iterator<Item = &'a Lane>,
    submission: &Submission,
) -> Offer {
    let mut offer = Offer { room_at: Time::NEVER, rates: [0.0; 4] };
    let applicant = Applicant { priority: submission.priority, hold: &[0; 4], gather: &[0; 4] };
    for lane in tier {
        let limiter = &mut limiters[lane.limiter.0 as usize];
        let charges = limiter.charges(now, &submission.demand);
        let ready_at = limiter.ready_at(now, &applicant, &charges);
        offer.room_at = offer.room_at.min(limiter.as_known(now, ready_at));
        for (sum, rate) in offer.rates.iter_mut().zip(limiter.rates(now)) {
            *sum += rate;
        }
    }
    offer
}
