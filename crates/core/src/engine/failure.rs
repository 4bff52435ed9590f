//! What a failed attempt means for its request: again, elsewhere, later, or the end.

use super::records::Attempt;
use super::{AttemptId, Engine, Priority, Verdict};
use crate::feedback::{Class, Failure, LimitSeen};
use crate::limiter::Outcome;
use crate::queue::Key;
use crate::retry::backoff;
use crate::time::Time;

impl Engine {
    pub(super) fn handle_failure(
        &mut self,
        now: Time,
        attempt: AttemptId,
        failure: &Failure,
        limits: &[LimitSeen],
        committed: bool,
    ) {
        let Some(record) = self.take_attempt(attempt) else { return };
        let class = self.effective_class(failure);
        self.teach_limiter(now, &record, failure, class, limits);
        self.teach_breaker(now, &record, failure, class);
        self.unblock();
        let key = record.request;
        self.requests[key].avoid = Some(record.lane.upstream);
        if committed {
            return self.finish(key, Verdict::Final(class));
        }
        let late = self.requests[key].submission.deadline.is_some_and(|deadline| deadline <= now);
        match class {
            Class::TooBig | Class::Policy | Class::BadRequest => self.finish(key, Verdict::Final(class)),
            Class::Money | Class::Auth => self.try_elsewhere(now, key, class),
            _ if late => self.finish(key, Verdict::TooLate { wait: None }),
            Class::Throttled | Class::Ramp | Class::Concurrency | Class::Daily => self.enqueue(key),
            Class::Overloaded | Class::Transient => self.retry(now, key, &record, failure, class),
        }
    }

    /// A wait that is too long to sit out is a daily limit, whatever it is called.
    fn effective_class(&self, failure: &Failure) -> Class {
        let long = failure.wait.is_some_and(|wait| self.config.longest_hint < wait);
        if failure.class == Class::Throttled && long { Class::Daily } else { failure.class }
    }

    fn teach_limiter(
        &mut self,
        now: Time,
        record: &Attempt,
        failure: &Failure,
        class: Class,
        limits: &[LimitSeen],
    ) {
        let jitter = self.chance.f64();
        let limiter = &mut self.limiters[record.lane.limiter.0 as usize];
        let refused = matches!(class, Class::Throttled | Class::Ramp | Class::Concurrency | Class::Daily);
        let outcome = match class {
            _ if failure.unprocessed => Outcome::Unprocessed,
            _ if refused => Outcome::Refused,
            Class::Overloaded | Class::Money | Class::Auth | Class::TooBig | Class::BadRequest => {
                Outcome::Refused
            }
            Class::Policy | Class::Transient => Outcome::Unknown { produced: record.produced },
            Class::Throttled | Class::Ramp | Class::Concurrency | Class::Daily => Outcome::Refused,
        };
        limiter.settle(now, &record.reservation, outcome);
        if refused {
            self.throttled += 1;
            let failure = Failure { class, ..failure.clone() };
            limiter.handle_refusal(now, record.id, &record.reservation, &failure, limits, jitter);
        } else {
            limiter.handle_accepted(now, record.id, &record.reservation);
            limiter.handle_reports(now, &record.reservation, limits);
        }
        if class == Class::Overloaded && limiter.is_self_hosted() {
            limiter.slots.handle_refusal(now, record.reservation.sent_at);
        }
    }

    fn teach_breaker(&mut self, now: Time, record: &Attempt, failure: &Failure, class: Class) {
        let jitter = self.chance.f64();
        // Once is chance, such as a connection that had grown old. Twice in a row, nobody is there.
        let chance = failure.unprocessed && !self.requests[record.request].repeated;
        let breaker = &mut self.upstreams[record.lane.upstream.0 as usize].breaker;
        match class {
            Class::Overloaded | Class::Transient if !chance => {
                if breaker.handle_failure(now, jitter) {
                    self.limiters[record.lane.limiter.0 as usize].spoil_burst(now);
                }
            }
            Class::Overloaded | Class::Transient => {
                if record.probe {
                    breaker.handle_unknown();
                }
            }
            Class::Money | Class::Auth => breaker.take_out(now, class),
            // The upstream answered, so it is alive.
            _ => breaker.handle_success(now, record.reservation.sent_at),
        }
    }

    fn retry(&mut self, now: Time, key: Key, record: &Attempt, failure: &Failure, class: Class) {
        let request = &mut self.requests[key];
        if failure.unprocessed && !request.repeated {
            request.repeated = true;
            return self.enqueue(key);
        }
        request.failures += 1;
        let batch = request.submission.priority == Priority::Batch;
        // A batch outlasts an outage, so its tests of the upstream are free. Who is waited for learns that it is down, even
        // where nobody else is there to test it.
        if class == Class::Transient && !(record.probe && batch) {
            request.spent += 1;
            if self.config.max_attempts <= request.spent {
                return self.finish(key, Verdict::AttemptsExhausted(class));
            }
        }
        if record.probe {
            // Another request goes next, lest one bad request test for ever. The breaker sets the pace.
            self.arrivals += 1;
            request.entry.arrival = self.arrivals;
            return self.enqueue(key);
        }
        let failures = request.failures;
        let jitter = self.chance.f64();
        let wait = backoff(&self.config, failures, jitter).max(failure.wait.unwrap_or_default());
        if self.budget.try_withdraw(now) {
            self.park(key, now + wait.min(self.config.longest_hint));
        } else if batch {
            // Nobody waits for it: later is better than never. The budget is asked again by the next failure.
            self.park(key, now + wait.max(self.config.backoff_cap.mul_f64(0.5 + 0.5 * jitter)));
        } else {
            self.finish(key, Verdict::BudgetExhausted(class));
        }
    }

    /// The credential is out of service: another upstream may do.
    fn try_elsewhere(&mut self, now: Time, key: Key, class: Class) {
        let submission = self.requests[key].submission;
        match self.check_route(now, &submission) {
            Ok(()) => self.enqueue(key),
            Err(_) => self.finish(key, Verdict::NoUpstream(class)),
        }
    }
}
