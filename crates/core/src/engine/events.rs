//! What happened: requests come, answers come, callers leave, time passes.

use std::collections::btree_map::Entry::{Occupied, Vacant};

use super::records::{Attempt, Request, State, attempt_key};
use super::{Action, AttemptId, Engine, Event, Priority, RequestId, Submission, Verdict};
use crate::limiter::Outcome;
use crate::queue::{Entry, Key};
use crate::quota::Usage;
use crate::time::Time;

impl Engine {
    /// Tells what happened. Events that name something the engine no longer knows are ignored.
    pub fn handle_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Submitted(submission) => {
                self.submit(now, Submission { demand: submission.demand.bounded(), ..submission });
            }
            Event::Head { attempt, limits } => self.handle_head(now, attempt, &limits),
            Event::Produced { attempt, output_tokens } => {
                if let Some(attempt) = self.attempt_mut(attempt) {
                    attempt.produced = attempt.produced.max(output_tokens);
                }
            }
            Event::Succeeded { attempt, usage } => self.handle_success(now, attempt, usage),
            Event::Failed { attempt, failure, limits, committed } => {
                self.handle_failure(now, attempt, &failure, &limits, committed);
            }
            Event::Canceled { request } => self.cancel(now, request),
        }
    }

    /// Tells that time has passed (the instant [`Engine::poll_timeout`] named has come).
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(&(at, key)) = self.parked.first().filter(|(at, _)| *at <= now) {
            self.parked.remove(&(at, key));
            self.enqueue(key);
        }
        while let Some(&(at, key)) = self.deadlines.first().filter(|(at, _)| *at <= now) {
            self.deadlines.remove(&(at, key));
            if !matches!(self.requests[key].state, State::InFlight(_)) {
                self.finish(key, Verdict::TooLate { wait: None });
            }
        }
    }

    fn submit(&mut self, now: Time, submission: Submission) {
        let request = submission.request;
        let refused = self.check(now, &submission).err();
        let key = self.requests.vacant_key();
        match (self.by_id.entry(request), refused) {
            (Occupied(_), _) => return, // The name is taken: the one who has it keeps it.
            (Vacant(_), Some(verdict)) => {
                self.actions.push_back(Action::Finish { request, verdict });
                return;
            }
            (Vacant(place), None) => place.insert(key),
        };
        self.arrivals += 1;
        let urgency = if submission.priority == Priority::Interactive { submission.deadline } else { None };
        let entry = Entry { urgency: urgency.unwrap_or(Time::NEVER), arrival: self.arrivals, key };
        self.requests.insert(Request {
            submission,
            entry,
            submitted: now,
            state: State::Waiting,
            sent: 0,
            spent: 0,
            failures: 0,
            repeated: false,
            avoid: None,
        });
        if let Some(deadline) = submission.deadline {
            self.deadlines.insert((deadline, key));
        }
        match submission.not_before.filter(|at| now < *at) {
            Some(at) => self.park(key, at),
            None => self.enqueue(key),
        }
    }

    /// Whether a request may wait at all.
    fn check(&mut self, now: Time, submission: &Submission) -> Result<(), Verdict> {
        if self.config.queue_limit <= self.waiting + self.parked.len() {
            return Err(Verdict::QueueFull);
        }
        self.check_route(now, submission)?;
        let Some(deadline) = submission.deadline else { return Ok(()) };
        let earliest = submission.not_before.unwrap_or(now).since(now);
        let wait = self.expected_wait(now, submission).max(earliest);
        if deadline < now + wait { Err(Verdict::TooLate { wait: Some(wait) }) } else { Ok(()) }
    }

    /// Puts a request into its route's queue.
    pub(super) fn enqueue(&mut self, key: Key) {
        let request = &mut self.requests[key];
        request.state = State::Waiting;
        self.waiting += 1;
        let Submission { route, priority, tenant, demand, .. } = request.submission;
        let class = self.routes[route.0 as usize].queue.class_mut(priority);
        class.push(tenant, request.entry, &demand);
        // A newcomer at the end of a long queue changes nothing for those before it.
        if class.len() <= crate::tuning::LOOK_AHEAD || class.head() == Some(key) {
            class.blocked_until = Time::ZERO;
        }
    }

    /// Puts a request aside until `at`.
    pub(super) fn park(&mut self, key: Key, at: Time) {
        self.requests[key].state = State::Parked(at);
        self.parked.insert((at, key));
    }

    /// Takes a waiting request out of its queue.
    pub(super) fn dequeue(&mut self, key: Key) {
        let request = &self.requests[key];
        let Submission { route, priority, tenant, demand, .. } = request.submission;
        self.routes[route.0 as usize].queue.class_mut(priority).remove(tenant, request.entry, &demand);
        self.waiting -= 1;
    }

    fn handle_head(&mut self, now: Time, attempt: AttemptId, limits: &[crate::feedback::LimitSeen]) {
        let Some(record) = self.attempts.get(attempt_key(attempt)).filter(|record| record.id == attempt)
        else {
            return;
        };
        let limiter = &mut self.limiters[record.lane.limiter.0 as usize];
        limiter.handle_accepted(now, attempt, &record.reservation);
        if !limits.is_empty() {
            limiter.handle_reports(now, &record.reservation, limits);
            self.unblock();
        }
    }

    fn handle_success(&mut self, now: Time, attempt: AttemptId, usage: Option<Usage>) {
        let Some(record) = self.take_attempt(attempt) else { return };
        let limiter = &mut self.limiters[record.lane.limiter.0 as usize];
        limiter.handle_accepted(now, attempt, &record.reservation);
        let produced = record.produced;
        limiter.settle(now, &record.reservation, usage.map_or(Outcome::Unknown { produced }, Outcome::Used));
        limiter.slots.handle_success();
        let sent_at = record.reservation.sent_at;
        self.upstreams[record.lane.upstream.0 as usize].breaker.handle_success(now, sent_at);
        self.forget(record.request);
        self.unblock();
    }

    fn cancel(&mut self, now: Time, request: RequestId) {
        let Some(&key) = self.by_id.get(&request) else { return };
        if let State::InFlight(attempt) = self.requests[key].state {
            let record = self.attempts.remove(attempt);
            let upstream = &mut self.upstreams[record.lane.upstream.0 as usize];
            upstream.in_flight -= 1;
            if record.probe {
                upstream.breaker.handle_unknown();
            }
            let limiter = &mut self.limiters[record.lane.limiter.0 as usize];
            limiter.settle(now, &record.reservation, Outcome::Unknown { produced: record.produced });
            self.actions.push_back(Action::Abort { attempt: record.id });
            self.unblock();
        }
        self.remove_waiting(key);
        self.forget(key);
    }

    /// Ends a request without success.
    pub(super) fn finish(&mut self, key: Key, verdict: Verdict) {
        let request = self.requests[key].submission.request;
        self.remove_waiting(key);
        self.forget(key);
        self.actions.push_back(Action::Finish { request, verdict });
    }

    fn remove_waiting(&mut self, key: Key) {
        match self.requests[key].state {
            State::Waiting => self.dequeue(key),
            State::Parked(at) => {
                self.parked.remove(&(at, key));
            }
            State::InFlight(_) => {}
        }
    }

    fn forget(&mut self, key: Key) {
        let request = self.requests.remove(key);
        self.by_id.remove(&request.submission.request);
        if let Some(deadline) = request.submission.deadline {
            self.deadlines.remove(&(deadline, key));
        }
    }

    fn attempt_mut(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.attempts.get_mut(attempt_key(id)).filter(|attempt| attempt.id == id)
    }

    /// Takes an attempt that has ended from the books, but for its reservation, which the caller settles.
    pub(super) fn take_attempt(&mut self, id: AttemptId) -> Option<Attempt> {
        self.attempt_mut(id)?;
        let record = self.attempts.remove(attempt_key(id));
        self.upstreams[record.lane.upstream.0 as usize].in_flight -= 1;
        Some(record)
    }
}
