//! How jobs come into the engine: as fast as there is room for them, or each at its own time.

use std::time::Duration;

use paceline_core::engine::{Event, Priority, RequestId, Submission, TenantId};
use paceline_core::quota::Demand;
use paceline_core::time::Time;

use super::World;
use super::heap::Happening;
use crate::plan::setting::{Coming, Recorded};

/// How one answer comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) output_tokens: u64,
    pub(super) first_token_after: Duration,
    pub(super) token_every: Duration,
}

impl<'a> World<'a> {
    /// The first jobs come.
    pub(super) fn begin(&mut self) {
        match &self.setting.coming {
            Coming::Batch(_) => self.feed(),
            Coming::Recorded(_) => self.await_arrival(),
        }
    }

    /// Hands over jobs for as long as there is room.
    pub(super) fn feed(&mut self) {
        let Coming::Batch(ahead) = self.setting.coming else { return };
        while (self.next as u64) < self.jobs
            && self.under_way < ahead.jobs
            && self.bytes_under_way < ahead.bytes
        {
            self.submit(Priority::Batch, TenantId::default());
        }
    }

    /// A job comes that was recorded.
    pub(super) fn arrive(&mut self) {
        if let Some(recorded) = self.recorded(self.next) {
            self.submit(recorded.priority, recorded.tenant);
            self.await_arrival();
            self.obey();
        }
    }

    fn await_arrival(&mut self) {
        if let Some(recorded) = self.recorded(self.next) {
            self.heap.push(Time::ZERO + recorded.at, Happening::Arrive);
        }
    }

    /// What is known of a job that was recorded.
    pub(super) fn recorded(&self, number: usize) -> Option<&'a Recorded> {
        match &self.setting.coming {
            Coming::Batch(_) => None,
            Coming::Recorded(all) => all.get(number),
        }
    }

    fn submit(&mut self, priority: Priority, tenant: TenantId) {
        let job = self.job(self.next);
        let kind = usize::from(job.kind);
        let submission = Submission {
            request: RequestId(self.next as u64),
            route: self.routes[kind],
            demand: Demand {
                input_tokens: self.ratios[kind].tokens(job.size()),
                max_output_tokens: job.most_output(),
            },
            priority,
            tenant,
            prefer: None,
            not_before: None,
            deadline: None,
        };
        self.next += 1;
        self.under_way += 1;
        self.bytes_under_way += job.body_bytes as usize;
        self.waiting[kind] += 1;
        self.engine.handle_event(self.now, Event::Submitted(submission));
    }

    /// An attempt goes out, which may be the one that is answered.
    pub(super) fn handle_sent(&mut self, request: RequestId) {
        let number = request.0 as usize;
        let kind = usize::from(self.job(number).kind);
        self.waiting[kind] -= 1;
        if let Some(recorded) = self.recorded(number) {
            self.play.waits[number] = Some(self.now.since(Time::ZERO + recorded.at));
        }
    }

    /// It was refused there, and waits again.
    pub(super) fn handle_throttled(&mut self, request: RequestId) {
        self.play.throttled += 1;
        let kind = usize::from(self.job(request.0 as usize).kind);
        self.waiting[kind] += 1;
    }

    /// It gets no answer.
    pub(super) fn handle_refused(&mut self, request: RequestId) {
        let number = request.0 as usize;
        let kind = usize::from(self.job(number).kind);
        self.waiting[kind] -= 1;
        if let Some(wait) = self.play.waits.get_mut(number) {
            *wait = None;
        }
    }

    /// How the answer to a job comes: as it came, or by chance.
    pub(super) fn answer(&self, number: usize) -> Answer {
        if let Some(recorded) = self.recorded(number) {
            return Answer {
                output_tokens: recorded.output_tokens,
                first_token_after: recorded.first_token_after,
                token_every: recorded.token_every,
            };
        }
        let job = self.job(number);
        let answers = &self.answers[usize::from(job.kind)];
        let mut chance = self.chance(number);
        let output_tokens = answers.of(job.most_output()).draw(&mut chance, job.most_output());
        let (first_token_after, token_every) = answers.draw_times(&mut chance);
        Answer { output_tokens, first_token_after, token_every }
    }
}
