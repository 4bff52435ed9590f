//! Everything that may happen to an engine, in any order, and a book that checks what it does about it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use paceline_core::engine::{
    Action, AttemptId, Config, Engine, Event, Lane, LimiterId, LimiterSpec, RequestId, Submission, TenantId,
};
use paceline_core::feedback::{Failure, LimitSeen};
use paceline_core::quota::{Quota, Usage};
use paceline_core::time::Time;

/// Something happens. Numbers that pick one of several wrap around.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Submit(Submission),
    Wait(Duration),
    /// Time jumps, maybe backwards.
    Jump(u64),
    Head(usize, Vec<LimitSeen>),
    Produced(usize, u64),
    Succeed(usize, Option<Usage>),
    Fail(usize, Failure, Vec<LimitSeen>, bool),
    Cancel(u64),
    Ceilings(u32, Vec<Quota>),
    Weight(u32, u32),
    /// An event for an attempt that never was.
    Stranger(u64),
}

/// More actions than one step can ask for.
const MOST_ACTIONS: usize = 100_000;

pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Time,
    /// Requests that are not over, and how often each was sent.
    open: HashMap<RequestId, u32>,
    under_way: Vec<(AttemptId, RequestId)>,
    seen: HashSet<AttemptId>,
    pub(crate) trace: Vec<(Time, Action)>,
}

impl World {
    /// Two accounts, the first with two keys; a route over all and a route with a fallback.
    pub(crate) fn new(config: Config, specs: [LimiterSpec; 2], start: Time) -> Self {
        let mut engine = Engine::new(config, 3);
        let limiters = specs.map(|spec| engine.add_limiter(start, spec));
        let lane = |upstream, limiter, tier| Lane { upstream, limiter, tier, weight: 1 };
        let keys = [engine.add_upstream(), engine.add_upstream(), engine.add_upstream()];
        let lanes = |tier| {
            vec![
                lane(keys[0], limiters[0], 0),
                lane(keys[1], limiters[0], 0),
                lane(keys[2], limiters[1], tier),
            ]
        };
        engine.add_route(lanes(0));
        engine.add_route(lanes(1));
        let (open, under_way, seen, trace) = Default::default();
        Self { engine, now: start, open, under_way, seen, trace }
    }

    /// Does one step and everything that the engine asks for then.
    pub(crate) fn step(&mut self, step: &Step) {
        match step.clone() {
            Step::Submit(submission) => {
                self.open.entry(submission.request).or_insert(0);
                self.tell(Event::Submitted(submission));
            }
            Step::Wait(span) => {
                self.now += span;
                self.engine.handle_timeout(self.now);
            }
            Step::Jump(nanos) => {
                self.now = Time::from_nanos(nanos);
                self.engine.handle_timeout(self.now);
            }
            Step::Cancel(id) => {
                let request = RequestId(id);
                self.tell(Event::Canceled { request });
                self.open.remove(&request);
            }
            Step::Ceilings(limiter, ceilings) => {
                self.engine.set_ceilings(self.now, LimiterId(limiter), &ceilings);
            }
            Step::Weight(tenant, weight) => self.engine.set_weight(TenantId(tenant), weight),
            Step::Stranger(attempt) => self.answer_stranger(AttemptId(attempt)),
            Step::Head(..) | Step::Produced(..) | Step::Succeed(..) | Step::Fail(..) => self.answer(step),
        }
        self.poll();
        self.check_books();
    }

    fn tell(&mut self, event: Event) {
        self.engine.handle_event(self.now, event);
    }

    fn answer(&mut self, step: &Step) {
        let pick = |index: usize| (!self.under_way.is_empty()).then(|| index % self.under_way.len().max(1));
        match step.clone() {
            Step::Head(index, limits) => {
                let Some(at) = pick(index) else { return };
                self.tell(Event::Head { attempt: self.under_way[at].0, limits });
            }
            Step::Produced(index, output_tokens) => {
                let Some(at) = pick(index) else { return };
                self.tell(Event::Produced { attempt: self.under_way[at].0, output_tokens });
            }
            Step::Succeed(index, usage) => {
                let Some(at) = pick(index) else { return };
                self.succeed(at, usage);
            }
            Step::Fail(index, failure, limits, committed) => {
                let Some(at) = pick(index) else { return };
                let (attempt, _) = self.under_way.remove(at);
                self.tell(Event::Failed { attempt, failure, limits, committed });
            }
            _ => unreachable!("not an answer"),
        }
    }

    fn succeed(&mut self, at: usize, usage: Option<Usage>) {
        let (attempt, request) = self.under_way.remove(at);
        self.tell(Event::Succeeded { attempt, usage });
        assert!(self.open.remove(&request).is_some(), "{request:?} succeeded, and had ended before");
    }

    fn answer_stranger(&mut self, attempt: AttemptId) {
        if self.under_way.iter().any(|(known, _)| *known == attempt) {
            return;
        }
        let failure = crate::support::failure(paceline_core::feedback::Class::Auth);
        self.tell(Event::Head { attempt, limits: Vec::new() });
        self.tell(Event::Produced { attempt, output_tokens: u64::MAX });
        self.tell(Event::Succeeded { attempt, usage: None });
        self.tell(Event::Failed { attempt, failure, limits: Vec::new(), committed: true });
    }

    fn poll(&mut self) {
        for _ in 0..MOST_ACTIONS {
            let Some(action) = self.engine.poll_action(self.now) else { return };
            self.note(&action);
            self.trace.push((self.now, action));
        }
        panic!("actions without end at {}", self.now);
    }

    fn note(&mut self, action: &Action) {
        match *action {
            Action::Send { request, attempt, ordinal, .. } => {
                let sent =
                    self.open.get_mut(&request).expect("only what was submitted and is not over is sent");
                *sent += 1;
                assert_eq!(*sent, ordinal, "{request:?}");
                assert!(self.seen.insert(attempt), "{attempt:?} was used before");
                assert!(
                    self.under_way.iter().all(|(_, other)| *other != request),
                    "{request:?} is under way"
                );
                self.under_way.push((attempt, request));
            }
            Action::Finish { request, .. } => {
                assert!(self.open.remove(&request).is_some(), "{request:?} ended twice");
                assert!(
                    self.under_way.iter().all(|(_, other)| *other != request),
                    "{request:?} is under way"
                );
            }
            Action::Abort { attempt } => {
                let at = self.under_way.iter().position(|(other, _)| *other == attempt);
                self.under_way.remove(at.expect("only what is under way is aborted"));
            }
        }
    }

    fn check_books(&self) {
        let snapshot = self.engine.snapshot(self.now);
        let by_upstream: u32 = snapshot.upstreams.iter().map(|view| view.in_flight).sum();
        let by_limiter: u32 = snapshot.limiters.iter().map(|view| view.in_flight.0).sum();
        let under_way = self.under_way.len();
        assert_eq!([snapshot.in_flight, by_upstream as usize, by_limiter as usize], [under_way; 3]);
        let waiting: usize = snapshot.waiting.iter().sum();
        assert!(waiting + under_way <= self.open.len(), "{waiting} waiting of {}", self.open.len());
    }

    /// The engine must not ask to be woken at once again, and must name a time while anybody waits for nothing else.
    pub(crate) fn check_progress(&self) {
        let next = self.engine.poll_timeout();
        assert!(next.is_none_or(|next| self.now < next), "would spin at {}: {next:?}", self.now);
        let waits_for_time = !self.open.is_empty() && self.under_way.is_empty();
        assert!(!waits_for_time || next.is_some(), "{:?} wait for ever at {}", self.open.keys(), self.now);
    }

    /// Answers whatever is sent, until every request is over.
    pub(crate) fn drain(&mut self) {
        const MOST_STEPS: usize = 20_000;
        for _ in 0..MOST_STEPS {
            if self.open.is_empty() {
                return;
            }
            if self.under_way.is_empty() {
                self.check_progress();
                self.now = self.now.max(self.engine.poll_timeout().unwrap_or(self.now));
                self.engine.handle_timeout(self.now);
            } else {
                self.succeed(0, None);
            }
            self.poll();
            self.check_books();
        }
        panic!("{} requests are not over at {}", self.open.len(), self.now);
    }
}
