//! A shell without sockets: it polls, keeps what is in flight, and steps time from one wake-up to the next.

use std::time::Duration;

use paceline_core::engine::{
    Action, AttemptId, Config, Engine, Event, Lane, LimiterId, LimiterSpec, LimiterView, Priority, RequestId,
    RouteId, Snapshot, Submission, TenantId, UpstreamId, Verdict,
};
use paceline_core::feedback::{Class, Failure, LimitSeen};
use paceline_core::quota::{Demand, Dimension, Quota, Usage};
use paceline_core::time::Time;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// More wake-ups than any test needs: beyond, the engine spins.
const MOST_ROUNDS: u32 = 200_000;

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// So much of a dimension per minute.
pub(crate) fn per_minute(dimension: Dimension, limit: u64) -> Quota {
    Quota { dimension, window: MINUTE, limit }
}

/// A typed limit of so many requests per minute.
pub(crate) fn rpm(limit: u64) -> LimiterSpec {
    LimiterSpec { ceilings: vec![per_minute(Dimension::Requests, limit)], ..LimiterSpec::default() }
}

/// A quota that no test reaches: what holds requests back is something else.
pub(crate) fn roomy() -> LimiterSpec {
    rpm(1_000_000)
}

/// Room for so many at once, and no quota in the way.
pub(crate) fn slots(in_flight: u32) -> LimiterSpec {
    LimiterSpec { in_flight: Some(in_flight), ..roomy() }
}

/// A request of the normal class with a little input, for the first route.
pub(crate) fn job(id: u64) -> Submission {
    Submission {
        request: RequestId(id),
        route: RouteId(0),
        demand: Demand { input_tokens: 100, max_output_tokens: Some(100) },
        priority: Priority::Normal,
        tenant: TenantId(0),
        prefer: None,
        not_before: None,
        deadline: None,
    }
}

pub(crate) fn failure(class: Class) -> Failure {
    Failure { class, wait: None, named: None, unprocessed: false }
}

/// What a header says of a limit per minute.
pub(crate) fn seen(dimension: Dimension, limit: u64, remaining: u64) -> LimitSeen {
    LimitSeen {
        dimension,
        window: Some(MINUTE),
        window_is_guessed: false,
        limit: Some(limit),
        remaining: Some(remaining),
        reset: None,
        rounding: 1,
    }
}

/// An attempt that the engine asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) at: Time,
    pub(crate) id: u64,
    pub(crate) attempt: AttemptId,
    pub(crate) upstream: UpstreamId,
    pub(crate) ordinal: u32,
}

/// What the engine did in some span of time.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) sent: Vec<Sent>,
    pub(crate) ended: Vec<(u64, Verdict)>,
    pub(crate) aborted: Vec<AttemptId>,
}

impl Seen {
    /// The requests that were sent, in order.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.sent.iter().map(|sent| sent.id).collect()
    }
}

pub(crate) struct Bench {
    pub(crate) engine: Engine,
    pub(crate) now: Time,
}

impl Bench {
    pub(crate) fn new(config: Config) -> Self {
        Self { engine: Engine::new(config, 7), now: Time::ZERO }
    }

    /// One upstream with one limiter.
    pub(crate) fn with(spec: LimiterSpec) -> Self {
        Self::configured(Config::default(), spec)
    }

    pub(crate) fn configured(config: Config, spec: LimiterSpec) -> Self {
        let mut bench = Self::new(config);
        bench.route(vec![(spec, 0, 1)]);
        bench
    }

    /// Adds a route: a lane with an upstream and a limiter of its own for each spec, tier and weight.
    pub(crate) fn route(&mut self, lanes: Vec<(LimiterSpec, u8, u32)>) -> RouteId {
        let mut added = Vec::new();
        for (spec, tier, weight) in lanes {
            let limiter = self.engine.add_limiter(self.now, spec);
            added.push(Lane { upstream: self.engine.add_upstream(), limiter, tier, weight });
        }
        self.engine.add_route(added)
    }

    pub(crate) fn submit(&mut self, submission: Submission) {
        self.engine.handle_event(self.now, Event::Submitted(submission));
    }

    /// Submits and returns what follows at once.
    pub(crate) fn submitted(&mut self, submission: Submission) -> Seen {
        self.submit(submission);
        self.poll()
    }

    /// Submits and expects it to be sent at once.
    pub(crate) fn send(&mut self, submission: Submission) -> Sent {
        let seen = self.submitted(submission);
        assert_eq!(seen.ids(), [submission.request.0], "expected to be sent at once: {seen:?}");
        seen.sent[0]
    }

    /// Submits and waits a little for it to be sent.
    pub(crate) fn sent_soon(&mut self, submission: Submission) -> Sent {
        self.submit(submission);
        self.next_sent(secs(5))
    }

    pub(crate) fn fail(&mut self, sent: Sent, failure: Failure) -> Seen {
        self.fail_with(sent, failure, Vec::new())
    }

    pub(crate) fn fail_with(&mut self, sent: Sent, failure: Failure, limits: Vec<LimitSeen>) -> Seen {
        let attempt = sent.attempt;
        self.engine.handle_event(self.now, Event::Failed { attempt, failure, limits, committed: false });
        self.poll()
    }

    pub(crate) fn succeed(&mut self, sent: Sent) -> Seen {
        let usage = Some(Usage { input_tokens: 100, output_tokens: 100 });
        self.engine.handle_event(self.now, Event::Succeeded { attempt: sent.attempt, usage });
        self.poll()
    }

    pub(crate) fn head(&mut self, sent: Sent, limits: Vec<LimitSeen>) -> Seen {
        self.engine.handle_event(self.now, Event::Head { attempt: sent.attempt, limits });
        self.poll()
    }

    pub(crate) fn cancel(&mut self, id: u64) -> Seen {
        self.engine.handle_event(self.now, Event::Canceled { request: RequestId(id) });
        self.poll()
    }

    /// Does what is to be done now.
    pub(crate) fn poll(&mut self) -> Seen {
        let mut seen = Seen::default();
        self.poll_into(&mut seen);
        seen
    }

    fn poll_into(&mut self, seen: &mut Seen) {
        for _ in 0..MOST_ROUNDS {
            match self.engine.poll_action(self.now) {
                None => return,
                Some(Action::Send { request, attempt, upstream, ordinal, .. }) => {
                    seen.sent.push(Sent { at: self.now, id: request.0, attempt, upstream, ordinal });
                }
                Some(Action::Finish { request, verdict }) => seen.ended.push((request.0, verdict)),
                Some(Action::Abort { attempt }) => seen.aborted.push(attempt),
            }
        }
        panic!("actions without end at {}", self.now);
    }

    /// Lets time pass, waking whenever the engine asks to be.
    pub(crate) fn advance(&mut self, span: Duration) -> Seen {
        let mut seen = Seen::default();
        let end = self.now + span;
        while let Some(at) = self.wake(end) {
            self.step_to(at, &mut seen);
        }
        self.step_to(end, &mut seen);
        seen
    }

    /// Lets time pass until something happens, at most for `span`.
    pub(crate) fn next(&mut self, span: Duration) -> Seen {
        let mut seen = self.poll();
        let end = self.now + span;
        while seen.sent.is_empty() && seen.ended.is_empty() {
            let Some(at) = self.wake(end) else {
                self.step_to(end, &mut seen);
                break;
            };
            self.step_to(at, &mut seen);
        }
        seen
    }

    /// The next attempt, which must come within `span`.
    pub(crate) fn next_sent(&mut self, span: Duration) -> Sent {
        let seen = self.next(span);
        assert!(seen.ended.is_empty(), "expected an attempt: {seen:?}");
        *seen.sent.first().unwrap_or_else(|| panic!("nothing was sent within {span:?}"))
    }

    /// Serves everything, each attempt for `latency`, until nothing is left or `span` is over.
    pub(crate) fn serve(&mut self, latency: Duration, span: Duration) -> Seen {
        self.serve_with(latency, span, |_| Some(Usage { input_tokens: 100, output_tokens: 100 }))
    }

    /// The same, with a usage for each request.
    pub(crate) fn serve_with(
        &mut self,
        latency: Duration,
        span: Duration,
        usage: impl Fn(u64) -> Option<Usage>,
    ) -> Seen {
        let mut all = self.poll();
        let end = self.now + span;
        let mut served = 0;
        loop {
            let done_at = all.sent.get(served).map(|sent| sent.at + latency);
            let wake = self.wake(end);
            let Some(at) = done_at.into_iter().chain(wake).min().filter(|&at| at <= end) else { break };
            if done_at == Some(at) {
                self.now = self.now.max(at);
                let sent = all.sent[served];
                served += 1;
                let answer = Event::Succeeded { attempt: sent.attempt, usage: usage(sent.id) };
                self.engine.handle_event(self.now, answer);
            }
            self.step_to(at, &mut all);
        }
        self.now = end;
        all
    }

    fn wake(&self, end: Time) -> Option<Time> {
        self.engine.poll_timeout().filter(|&at| at <= end)
    }

    fn step_to(&mut self, at: Time, seen: &mut Seen) {
        self.now = self.now.max(at);
        self.engine.handle_timeout(self.now);
        self.poll_into(seen);
        let next = self.engine.poll_timeout();
        assert!(next.is_none_or(|next| self.now < next), "would spin at {}: {next:?}", self.now);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.engine.snapshot(self.now)
    }

    pub(crate) fn limiter(&self, id: u32) -> LimiterView {
        self.snapshot().limiters.into_iter().find(|view| view.id == LimiterId(id)).expect("it was added")
    }

    /// The limit held to, per minute, if there is one.
    pub(crate) fn limit(&self, dimension: Dimension) -> Option<u64> {
        self.quota(dimension, MINUTE)
    }

    pub(crate) fn quota(&self, dimension: Dimension, window: Duration) -> Option<u64> {
        let buckets = self.limiter(0).buckets;
        let quota = buckets.iter().map(|bucket| bucket.quota);
        quota.filter(|quota| (quota.dimension, quota.window) == (dimension, window)).map(|q| q.limit).next()
    }
}

/// A deadline, or a time to begin.
pub(crate) fn later(now: Time, span: Duration) -> Option<Time> {
    Some(now + span)
}

impl Bench {
    /// Submits, waits, and tells where it was sent.
    pub(crate) fn next_after(&mut self, submission: Submission) -> UpstreamId {
        self.submit(submission);
        self.next_sent(secs(60)).upstream
    }
}
