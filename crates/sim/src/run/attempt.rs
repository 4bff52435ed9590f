//! The way of one attempt: to the provider, through its meter, and back.

use paceline_core::engine::{AttemptId, Event, Priority, RequestId, UpstreamId};
use paceline_core::feedback::{Class, LimitSeen};
use paceline_core::quota::{Dimension, Usage};
use paceline_core::time::Time;

use super::heap::Happening;
use super::{STREAM_TICK, World};
use crate::provider::Ending;
use crate::record::{End, Sent, Throttled};

/// One exchange.
#[derive(Debug)]
pub(super) struct Attempt {
    caller: usize,
    name: AttemptId,
    request: usize,
    account: usize,
    /// Nobody listens any more.
    pub(super) over: bool,
    /// The meter knows it.
    admitted: bool,
    streams: bool,
    /// First byte at our side, when it streams.
    head_at: Option<Time>,
    limits: Vec<LimitSeen>,
    ending: Ending,
    /// What had run out, when it was refused.
    exhausted: Option<Dimension>,
}

impl World<'_> {
    pub(super) fn send(&mut self, caller: usize, request: RequestId, name: AttemptId, upstream: UpstreamId) {
        let now = self.now;
        let account = usize::try_from(upstream.0).unwrap_or(usize::MAX);
        let exists = account < self.accounts.len();
        self.court.demand(exists, "actions are about what exists", now, || format!("send to {upstream:?}"));
        let Some(request) = self.known(caller, request).filter(|_| exists) else { return };
        let record = &mut self.outcome.records[request];
        record.attempts += 1;
        record.first_sent.get_or_insert(now);
        record.last_sent = Some(now);
        let streams = record.job.priority == Priority::Interactive;
        self.outcome.sends.push(Sent { at: now, request });
        let index = self.attempts.len();
        let reused = self.callers[caller].attempts.insert(name, index).is_some();
        self.court.demand(!reused, "attempts have names of their own", now, || format!("{name:?}"));
        self.attempts.push(Attempt {
            caller,
            name,
            request,
            account,
            over: false,
            admitted: false,
            streams,
            head_at: None,
            limits: Vec::new(),
            ending: Ending::Success,
            exhausted: None,
        });
        let latency = self.latency();
        self.heap.push(now + latency, Happening::Reach(index));
    }

    pub(super) fn reach(&mut self, index: usize) {
        let (now, attempt) = (self.now, &self.attempts[index]);
        if attempt.over {
            return;
        }
        let (account, request, streams) = (attempt.account, attempt.request, attempt.streams);
        let job = self.outcome.records[request].job;
        let answer = self.accounts[account].answer(now, index as u64, &job);
        self.trace.note(now, 4, (index as u64) << 1 | u64::from(answer.admitted));
        if answer.admitted {
            self.note_admitted(account, request);
            self.heap.push(now + answer.ends_after, Happening::ProviderEnd(index));
        }
        let mut back = now + answer.ends_after + self.latency();
        if let Some(first) = answer.first_token_after.filter(|_| streams) {
            let head = now + first + self.latency();
            back = back.max(head);
            self.attempts[index].head_at = Some(head);
            self.heap.push(head, Happening::Head(index));
        }
        self.heap.push(back, Happening::Back(index));
        let attempt = &mut self.attempts[index];
        attempt.admitted = answer.admitted;
        attempt.exhausted = answer.exhausted;
        (attempt.limits, attempt.ending) = (answer.limits, answer.ending);
    }

    pub(super) fn provider_end(&mut self, index: usize) {
        let attempt = &mut self.attempts[index];
        if !std::mem::take(&mut attempt.admitted) {
            return; // It was canceled before.
        }
        let account = &mut self.accounts[attempt.account];
        match attempt.ending {
            Ending::Success => account.finish(self.now, index as u64),
            Ending::Failure(..) => account.cancel(self.now, index as u64),
        }
    }

    pub(super) fn hang_up(&mut self, index: usize) {
        let attempt = &mut self.attempts[index];
        if std::mem::take(&mut attempt.admitted) {
            self.accounts[attempt.account].cancel(self.now, index as u64);
        }
    }

    pub(super) fn head(&mut self, index: usize) {
        let attempt = &mut self.attempts[index];
        if attempt.over {
            return;
        }
        let event = Event::Head { attempt: attempt.name, limits: std::mem::take(&mut attempt.limits) };
        let caller = attempt.caller;
        self.heap.push(self.now + STREAM_TICK, Happening::Produced(index));
        self.tell(caller, event);
    }

    pub(super) fn produced(&mut self, index: usize) {
        let attempt = &self.attempts[index];
        let Some(head) = attempt.head_at.filter(|_| !attempt.over) else { return };
        let job = &self.outcome.records[attempt.request].job;
        let tokens = self.now.since(head).as_secs_f64() / job.token_every.as_secs_f64();
        let output_tokens = (tokens as u64 + 1).min(job.output_tokens);
        let (caller, name) = (attempt.caller, attempt.name);
        self.heap.push(self.now + STREAM_TICK, Happening::Produced(index));
        self.tell(caller, Event::Produced { attempt: name, output_tokens });
    }

    pub(super) fn back(&mut self, index: usize) {
        let attempt = &mut self.attempts[index];
        if attempt.over {
            return;
        }
        attempt.over = true;
        let (caller, name, request) = (attempt.caller, attempt.name, attempt.request);
        let limits = std::mem::take(&mut attempt.limits);
        let dimension = attempt.exhausted;
        let has_head = attempt.head_at.is_some();
        let ending = std::mem::replace(&mut attempt.ending, Ending::Success);
        self.callers[caller].attempts.remove(&name);
        match ending {
            Ending::Success => {
                self.trace.note(self.now, 5, index as u64);
                self.end(request, End::Done);
                if !has_head {
                    self.tell(caller, Event::Head { attempt: name, limits });
                }
                let job = &self.outcome.records[request].job;
                let usage = Usage { input_tokens: job.input_tokens, output_tokens: job.output_tokens };
                self.tell(caller, Event::Succeeded { attempt: name, usage: Some(usage) });
            }
            Ending::Failure(failure, produced) => {
                self.trace.note(self.now, 6, index as u64);
                if failure.class == Class::Throttled {
                    self.outcome.records[request].throttled += 1;
                    self.outcome.throttles.push(Throttled { at: self.now, dimension });
                }
                let committed = has_head && 0 < produced;
                self.tell(caller, Event::Failed { attempt: name, failure, limits, committed });
            }
        }
    }
}
