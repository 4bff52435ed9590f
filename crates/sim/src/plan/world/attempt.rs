//! The way of one attempt: to the provider, through its meter, and back.

use std::time::Duration;

use paceline_core::engine::{AttemptId, Event, RequestId, UpstreamId};
use paceline_core::feedback::{Class, Failure, LimitSeen, NamedLimit};
use paceline_core::quota::Usage;
use paceline_mock::model::{Call, Refused};

use super::World;
use super::heap::Happening;
use crate::told;

/// How long a provider takes to refuse.
const REFUSED_AFTER: Duration = Duration::from_millis(5);

/// One exchange.
#[derive(Debug)]
pub(super) struct Attempt {
    name: AttemptId,
    request: RequestId,
    meter: usize,
    limits: Vec<LimitSeen>,
    ending: Ending,
}

#[derive(Debug)]
enum Ending {
    Answered(Usage),
    Refused(Failure),
}

impl World<'_> {
    pub(super) fn send(&mut self, request: RequestId, name: AttemptId, upstream: UpstreamId) {
        self.attempts_made += 1;
        self.handle_sent(request);
        let kind = usize::from(self.job(request.0 as usize).kind);
        let lanes = &self.setting.kinds[kind].lanes;
        // Upstreams were added in the order of their numbers.
        let lane = lanes.iter().find(|lane| lane.upstream == upstream.0 as usize);
        let meter = lane.map_or(0, |lane| lane.meter);
        let usage = Usage { input_tokens: 0, output_tokens: 0 };
        let attempt = Attempt { name, request, meter, limits: Vec::new(), ending: Ending::Answered(usage) };
        let index = self.attempts.insert(attempt);
        let latency = self.latency();
        self.heap.push(self.now + latency, Happening::Reach(index));
    }

    pub(super) fn reach(&mut self, index: usize) {
        let Attempt { request, meter, .. } = self.attempts[index];
        let call = self.call(index, request);
        let account = &mut self.meters[meter];
        let refused = account.admit(self.now, &call).err();
        let manners = self.setting.meters[meter].manners;
        let limits = manners.map(|manners| told::limits(manners, &account.standing(self.now), self.now));
        let names_limits = manners.is_some();
        let attempt = &mut self.attempts[index];
        attempt.limits = limits.unwrap_or_default();
        let after = match refused {
            Some(refused) => {
                attempt.ending = Ending::Refused(failure(&refused, names_limits));
                REFUSED_AFTER
            }
            None => {
                let Call { input_tokens, output_tokens, .. } = call;
                attempt.ending = Ending::Answered(Usage { input_tokens, output_tokens });
                let tokens = u32::try_from(output_tokens).unwrap_or(u32::MAX);
                call.first_token_after.saturating_add(call.token_every.saturating_mul(tokens))
            }
        };
        self.heap.push(self.now + after, Happening::Over(index));
    }

    /// What will be true of an attempt for a job.
    fn call(&self, id: usize, request: RequestId) -> Call {
        let number = request.0 as usize;
        let job = self.job(number);
        let answer = self.answer(number);
        Call {
            id: id as u64,
            input_tokens: self.setting.kinds[usize::from(job.kind)].input_tokens(job),
            max_tokens: job.most_output(),
            output_tokens: answer.output_tokens,
            first_token_after: answer.first_token_after,
            token_every: answer.token_every,
        }
    }

    pub(super) fn over(&mut self, index: usize) {
        let Attempt { meter, ending, .. } = &self.attempts[index];
        if matches!(ending, Ending::Answered(_)) {
            self.meters[*meter].finish(self.now, index as u64);
        }
        let latency = self.latency();
        self.heap.push(self.now + latency, Happening::Back(index));
    }

    pub(super) fn back(&mut self, index: usize) {
        let Attempt { name: attempt, request, limits, ending, .. } = self.attempts.remove(index);
        match ending {
            Ending::Answered(usage) => {
                let job = self.job(request.0 as usize);
                self.ratios[usize::from(job.kind)].observe(job.size(), usage.input_tokens);
                self.engine.handle_event(self.now, Event::Head { attempt, limits });
                let usage = Some(usage);
                self.engine.handle_event(self.now, Event::Succeeded { attempt, usage });
                self.end(request, false);
            }
            Ending::Refused(failure) => {
                self.handle_throttled(request);
                let event = Event::Failed { attempt, failure, limits, committed: false };
                self.engine.handle_event(self.now, event);
            }
        }
        self.obey();
    }
}

fn failure(refused: &Refused, names_limits: bool) -> Failure {
    let class = if refused.dimension.is_some() { Class::Throttled } else { Class::Concurrency };
    let named = refused.dimension.filter(|_| names_limits).map(|dimension| NamedLimit {
        dimension,
        window: Some(refused.window),
        limit: Some(refused.limit),
        used: None,
        requested: None,
    });
    let seconds = refused.retry_in.as_millis().div_ceil(1_000).max(1);
    let wait = Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX));
    Failure { class, wait: Some(wait), named, unprocessed: false }
}
