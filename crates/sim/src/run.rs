//! The world in virtual time: callers, network, accounts, and one queue of things to come.

mod attempt;
mod end;
mod heap;
mod script;

use std::time::Duration;

use paceline_core::engine::{
    Action, Config, Event, Learned, Priority, RequestId, RouteId, Submission, TenantId,
};
use paceline_core::time::Time;

use self::attempt::Attempt;
use self::heap::{Happening, Heap};
use crate::caller::Caller;
use crate::draw::Draw;
use crate::laws::Court;
use crate::policy::{self, Briefing, Policy};
use crate::provider::Account;
use crate::record::{Admitted, End, Outcome, Record};
use crate::scenario::{Scenario, Until};
use crate::trace::Trace;
use crate::workload::Workload;

/// One-way network latency: median seconds and spread.
const LATENCY: (f64, f64) = (0.030, 0.5);
/// How often a stream tells how much it has produced.
const STREAM_TICK: Duration = Duration::from_millis(250);
/// A policy may have this many actions at one instant, and no more.
const ACTIONS_AT_ONCE: u32 = 100_000;
/// A policy may name the present as its next wake-up this often in a row.
const INSTANT_WAKES: u32 = 4;
/// Wake-ups to reach quiescence: a backstop, far above the need.
const QUIET_WAKES: u32 = 100_000;

/// Starts a policy, and names the route of its requests.
pub type Start<'a> = &'a dyn Fn(Time, &Briefing) -> (Box<dyn Policy>, RouteId);

/// Runs one scenario under one seed.
pub fn run(scenario: &Scenario, seed: u64) -> Outcome {
    run_policy(scenario, seed, &|now, briefing| policy::start(scenario.policy, now, briefing))
}

/// Runs one scenario under one seed with a policy of the caller's own.
pub fn run_policy(scenario: &Scenario, seed: u64, start: Start<'_>) -> Outcome {
    let mut world = World::new(scenario, seed, start);
    world.begin();
    while let Some((at, happening)) = world.heap.pop() {
        if scenario.until.horizon() < at.since(Time::ZERO) {
            break;
        }
        world.now = at;
        world.happen(happening);
        if world.is_over() {
            break;
        }
    }
    world.conclude()
}

/// Everything there is.
struct World<'a> {
    scenario: &'a Scenario,
    seed: u64,
    start: Start<'a>,
    config: Config,
    now: Time,
    heap: Heap,
    callers: Vec<Caller>,
    accounts: Vec<Account>,
    attempts: Vec<Attempt>,
    workload: Workload,
    network: Draw,
    stranger: Draw,
    /// Calls of the stranger so far: their names on the meter count down from the top.
    strangers: u64,
    open: usize,
    open_batch: usize,
    court: Court,
    trace: Trace,
    outcome: Outcome,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, seed: u64, start: Start<'a>) -> Self {
        let quotas = scenario.quotas(100);
        let account = |index: usize| {
            let draw = Draw::new(seed, 1_000 + index as u64);
            let (candor, manners) = (scenario.knowledge.candor, scenario.manners());
            let account = Account::new(&quotas, scenario.window, scenario.metering(), manners, candor, draw);
            match scenario.hidden {
                Some(window) => account.also_enforced(&quotas, window),
                None => account,
            }
        };
        let mut config = Config::default();
        config.max_attempts = scenario.max_attempts.unwrap_or(config.max_attempts);
        let mut world = Self {
            scenario,
            seed,
            start,
            config,
            now: Time::ZERO,
            heap: Heap::default(),
            callers: Vec::new(),
            accounts: (0..scenario.accounts).map(account).collect(),
            attempts: Vec::new(),
            workload: Workload::new(scenario.mix, seed),
            network: Draw::new(seed, 3),
            stranger: Draw::new(seed, 4),
            strangers: 0,
            open: 0,
            open_batch: 0,
            court: Court::new(scenario, seed),
            trace: Trace::default(),
            outcome: Outcome::default(),
        };
        for index in 0..scenario.callers {
            let briefing = world.briefing(index, Vec::new());
            world.callers.push(Caller::start(start, Time::ZERO, &briefing, 0));
        }
        world
    }

    fn briefing(&self, caller: usize, learned: Vec<Vec<Learned>>) -> Briefing {
        Briefing {
            accounts: self.scenario.accounts,
            keys: self.scenario.keys,
            metering: self.scenario.metering(),
            ceilings: self.scenario.ceilings(),
            truth: self.scenario.quotas(100),
            learned,
            config: self.config.clone(),
            seed: self.seed ^ (caller as u64) << 32,
        }
    }

    fn begin(&mut self) {
        for (index, (after, _)) in self.scenario.script.iter().enumerate() {
            self.heap.push(Time::ZERO + *after, Happening::Change(index));
        }
        if let Some(stranger) = self.scenario.stranger {
            self.heap.push(Time::ZERO + stranger.from, Happening::Stranger);
        }
        let batch = self.workload.batch();
        (self.open, self.open_batch) = (batch.len(), batch.len());
        self.outcome.records = batch.into_iter().map(|job| Record::new(job, Time::ZERO)).collect();
        self.await_interactive();
        for request in 0..self.outcome.records.len() {
            self.submit(request);
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Interactive(job) => {
                self.outcome.records.push(Record::new(*job, self.now));
                self.open += 1;
                self.submit(self.outcome.records.len() - 1);
                self.await_interactive();
            }
            Happening::Wake(caller) => self.wake(caller),
            Happening::Reach(attempt) => self.reach(attempt),
            Happening::ProviderEnd(attempt) => self.provider_end(attempt),
            Happening::Head(attempt) => self.head(attempt),
            Happening::Produced(attempt) => self.produced(attempt),
            Happening::Back(attempt) => self.back(attempt),
            Happening::Hangup(attempt) => self.hang_up(attempt),
            Happening::Change(index) => self.change(index),
            Happening::Stranger => self.stranger(),
            Happening::StrangerEnd(account, id) => {
                if let Some(account) = self.accounts.get_mut(account) {
                    account.finish(self.now, id);
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.scenario.until, Until::AllEnded(_)) && self.open == 0
    }

    /// Interactive requests come as long as the batch lasts.
    fn await_interactive(&mut self) {
        if self.open_batch == 0 {
            return;
        }
        if let Some(job) = self.workload.next_interactive(self.now) {
            self.heap.push(job.arrives, Happening::Interactive(Box::new(job)));
        }
    }

    fn caller_of(&self, request: usize) -> usize {
        request % self.callers.len()
    }

    fn submit(&mut self, request: usize) {
        let job = self.outcome.records[request].job;
        let caller = self.caller_of(request);
        let submission = Submission {
            request: RequestId(request as u64),
            route: self.callers[caller].route,
            demand: job.demand,
            priority: job.priority,
            tenant: TenantId(u32::from(job.priority != Priority::Interactive)),
            prefer: None,
            not_before: None,
            deadline: None,
        };
        self.tell(caller, Event::Submitted(submission));
    }

    /// Tells a caller's policy what happened and does what it says.
    fn tell(&mut self, caller: usize, event: Event) {
        self.callers[caller].policy.handle_event(self.now, event);
        self.obey(caller);
    }

    fn wake(&mut self, caller: usize) {
        if self.callers[caller].wake_at != Some(self.now) {
            return; // An earlier one was ordered since, and has come.
        }
        self.callers[caller].wake_at = None;
        self.callers[caller].wakes += 1;
        if self.callers[caller].policy.poll_timeout().is_some_and(|at| at <= self.now) {
            self.callers[caller].policy.handle_timeout(self.now);
        }
        self.obey(caller);
    }

    /// Does what the policy says, and sees to it that it is woken.
    fn obey(&mut self, caller: usize) {
        let now = self.now;
        for _ in 0..INSTANT_WAKES {
            self.drain(caller);
            if self.callers[caller].policy.poll_timeout().is_none_or(|at| now < at) {
                break;
            }
            self.callers[caller].policy.handle_timeout(now);
        }
        self.drain(caller);
        let due = self.callers[caller].policy.poll_timeout();
        self.court.demand(due.is_none_or(|at| now < at), "time makes progress", now, || {
            format!("after all is done it wants to be woken at {due:?}")
        });
        if let Some(at) = self.callers[caller].order_wake(now + Duration::from_nanos(1)) {
            self.heap.push(at, Happening::Wake(caller));
        }
    }

    fn drain(&mut self, caller: usize) {
        for _ in 0..ACTIONS_AT_ONCE {
            let Some(action) = self.callers[caller].policy.poll_action(self.now) else { return };
            self.act(caller, action);
        }
        let now = self.now;
        self.court.demand(false, "actions end", now, || format!("{ACTIONS_AT_ONCE} actions at one instant"));
    }

    fn act(&mut self, caller: usize, action: Action) {
        match action {
            Action::Send { request, attempt, upstream, .. } => {
                self.trace.note(self.now, 1, request.0 ^ attempt.0 << 20 ^ u64::from(upstream.0) << 50);
                self.send(caller, request, attempt, upstream);
            }
            Action::Finish { request, verdict } => {
                self.trace.note(self.now, 2, request.0);
                let known = self.known(caller, request);
                if let Some(request) = known {
                    self.end(request, End::Failed(verdict));
                }
            }
            Action::Abort { attempt } => {
                self.trace.note(self.now, 3, attempt.0);
                let flying = self.callers[caller].attempts.remove(&attempt);
                let now = self.now;
                self.court.demand(flying.is_some(), "actions are about what exists", now, || {
                    format!("abort of unknown attempt {}", attempt.0)
                });
                if let Some(index) = flying {
                    self.attempts[index].over = true;
                    let latency = self.latency();
                    self.heap.push(now + latency, Happening::Hangup(index));
                }
            }
        }
    }

    /// The record of a request that this caller may act on: it is its own, and has not ended.
    fn known(&mut self, caller: usize, request: RequestId) -> Option<usize> {
        let index = usize::try_from(request.0).ok().filter(|index| *index < self.outcome.records.len());
        let open = index.filter(|index| self.outcome.records[*index].ended.is_none());
        let own = open.filter(|index| self.caller_of(*index) == caller);
        let now = self.now;
        let law = if index.is_some() { "a request ends once" } else { "actions are about what exists" };
        self.court.demand(own.is_some(), law, now, || format!("action for request {}", request.0));
        own
    }

    fn end(&mut self, request: usize, end: End) {
        let now = self.now;
        let record = &mut self.outcome.records[request];
        self.court
            .demand(record.ended.is_none(), "a request ends once", now, || format!("request {request}"));
        if record.ended.is_some() {
            return;
        }
        record.ended = Some((now, end));
        self.open -= 1;
        if record.job.priority != Priority::Interactive {
            self.open_batch -= 1;
            if self.open_batch == 0 {
                self.outcome.batch_ended = Some(now);
            }
        }
    }

    fn latency(&mut self) -> Duration {
        Duration::from_secs_f64(self.network.lognormal(LATENCY.0, LATENCY.1).min(5.0))
    }

    fn note_admitted(&mut self, account: usize, request: usize) {
        self.outcome.admitted.push(Admitted { at: self.now, account, request });
    }
}
