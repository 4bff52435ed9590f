//! One run of a batch in virtual time: the feeder, the engine, the network and the accounts.
//!
//! Nothing is kept of a job that is over, so that the memory does not depend on how many there are.

mod attempt;
mod heap;

use std::time::Duration;

use fastrand::Rng;
use paceline_core::engine::{
    Action, Config, Engine, Event, Lane, LimiterId, Priority, RequestId, RouteId, Submission, TenantId,
    UpstreamId,
};
use paceline_core::quota::{Demand, Dimension, Quota};
use paceline_core::time::Time;
use paceline_mock::model::Meter;
use paceline_wire::estimate::Ratio;
use slab::Slab;

use self::attempt::Attempt;
use self::heap::{Happening, Heap};
use super::answers::Answers;
use super::setting::{Kind, KindLane, Setting, Sketch};
use crate::draw::Draw;

/// Timers fire on whole milliseconds, as tokio's do.
const TICK: u64 = 1_000_000;
/// No plan reaches farther: what is not done by then is told as never done.
const HORIZON: Duration = Duration::from_secs(10 * 366 * 86_400);
/// A run that makes this many attempts for each job, and some to begin with, gets nowhere.
const ATTEMPTS_PER_JOB: u64 = 20;
const ATTEMPTS_AT_FIRST: u64 = 10_000;
/// The engine may name the present as its next wake-up this often in a row.
const INSTANT_WAKES: u32 = 4;
/// Spread of the network's latency.
const LATENCY_SIGMA: f64 = 0.5;
/// Windows up to this long are paced, so that a part of them allows a part of the limit ...
const LONGEST_PACED: Duration = Duration::from_secs(600);
/// ... but over less than this, a burst hides the pace.
const SHORTEST_LOOK: Duration = Duration::from_secs(10);
/// Which jobs' answers tell the steady pace: those after the start and before the end.
const STEADY: (f64, f64) = (0.2, 0.8);

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Play {
    /// The last answer; `None` when the batch never ends.
    pub(super) finish: Option<Duration>,
    /// Jobs that ended, and those of them that ended without an answer.
    pub(super) ended: u64,
    pub(super) failed: u64,
    /// Attempts that were throttled.
    pub(super) throttled: u64,
    /// The time from job to job while it went steadily.
    pub(super) each: Option<Duration>,
    /// What was seen on the way, when that was asked for.
    pub(super) frames: Vec<Frame>,
}

/// A run at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Since the start.
    pub at: Duration,
    /// Jobs that were not sent yet.
    pub waiting: u64,
    /// Attempts in flight.
    pub in_flight: u64,
    /// Which share was charged of what each limit allows, in its last window or since the start, on the fullest meter.
    pub used: Vec<(Dimension, Duration, f64)>,
}

/// Plays every `stride`th job under one seed. With `every`, a frame is kept that often.
pub(super) fn play(setting: &Setting, stride: usize, seed: u64, every: Option<Duration>) -> Play {
    let mut world = World::new(setting, stride, seed, every);
    world.feed();
    world.obey();
    while world.play.ended < world.jobs {
        let Some((at, happening)) = world.heap.pop() else { break };
        if HORIZON < at.since(Time::ZERO) || world.attempts_made > world.most_attempts() {
            break;
        }
        world.look_until(at);
        world.now = at;
        world.happen(happening);
    }
    world.conclude()
}

struct World<'a> {
    setting: &'a Setting,
    stride: usize,
    seed: u64,
    jobs: u64,
    now: Time,
    heap: Heap,
    engine: Engine,
    routes: Vec<RouteId>,
    /// The account's own meter behind each limiter.
    meters: Vec<Meter>,
    /// How answers of each kind come in this run.
    answers: Vec<Answers>,
    /// What usage has taught of each kind's tokens.
    ratios: Vec<Ratio>,
    attempts: Slab<Attempt>,
    attempts_made: u64,
    network: Draw,
    next: usize,
    under_way: usize,
    bytes_under_way: usize,
    wake_at: Option<Time>,
    steady: [Option<Time>; 2],
    every: Option<Duration>,
    play: Play,
}

/// How answers come under one seed: a sample that they are drawn from is itself drawn.
fn answers(kind: &Kind, seed: u64, salt: u64) -> Answers {
    let mut rng = Rng::with_seed(seed.wrapping_mul(0xd1b5_4a32_d192_ed03) ^ salt);
    match kind.answers.is_sample {
        true => kind.answers.resampled(&mut rng),
        false => kind.answers.clone(),
    }
}

impl<'a> World<'a> {
    fn new(setting: &'a Setting, stride: usize, seed: u64, every: Option<Duration>) -> Self {
        let mut engine = Engine::new(Config::default(), seed);
        let limiters: Vec<LimiterId> =
            setting.meters.iter().map(|meter| engine.add_limiter(Time::ZERO, meter.spec.clone())).collect();
        let upstreams: Vec<UpstreamId> = (0..setting.upstreams).map(|_| engine.add_upstream()).collect();
        let lane = |lane: &KindLane| Lane {
            upstream: upstreams[lane.upstream],
            limiter: limiters[lane.meter],
            tier: lane.tier,
            weight: lane.weight,
        };
        let routes = setting.kinds.iter().map(|kind| engine.add_route(kind.lanes.iter().map(lane).collect()));
        let routes = routes.collect();
        let meters =
            setting.meters.iter().map(|meter| Meter::new(meter.limits.clone(), meter.rules)).collect();
        Self {
            setting,
            stride,
            seed,
            jobs: setting.jobs.len().div_ceil(stride) as u64,
            now: Time::ZERO,
            heap: Heap::default(),
            engine,
            routes,
            meters,
            answers: setting.kinds.iter().zip(1..).map(|(kind, salt)| answers(kind, seed, salt)).collect(),
            ratios: setting.kinds.iter().map(|kind| kind.prior).collect(),
            attempts: Slab::new(),
            attempts_made: 0,
            network: Draw::new(seed, 3),
            next: 0,
            under_way: 0,
            bytes_under_way: 0,
            wake_at: None,
            steady: [None; 2],
            every,
            play: Play::default(),
        }
    }

    fn most_attempts(&self) -> u64 {
        ATTEMPTS_AT_FIRST + ATTEMPTS_PER_JOB * self.jobs
    }

    fn job(&self, number: usize) -> &'a Sketch {
        &self.setting.jobs[number * self.stride]
    }

    /// Chance for one job that no other job's fate changes.
    fn chance(&self, number: usize) -> Rng {
        Rng::with_seed((self.seed ^ (number as u64) << 20).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Hands over jobs for as long as there is room.
    fn feed(&mut self) {
        let ahead = self.setting.ahead;
        while (self.next as u64) < self.jobs
            && self.under_way < ahead.jobs
            && self.bytes_under_way < ahead.bytes
        {
            let job = self.job(self.next);
            let kind = usize::from(job.kind);
            let submission = Submission {
                request: RequestId(self.next as u64),
                route: self.routes[kind],
                demand: Demand {
                    input_tokens: self.ratios[kind].tokens(job.size()),
                    max_output_tokens: job.most_output(),
                },
                priority: Priority::Batch,
                tenant: TenantId::default(),
                prefer: None,
                not_before: None,
                deadline: None,
            };
            self.next += 1;
            self.under_way += 1;
            self.bytes_under_way += job.body_bytes as usize;
            self.engine.handle_event(self.now, Event::Submitted(submission));
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake => self.wake(),
            Happening::Reach(attempt) => self.reach(attempt),
            Happening::Over(attempt) => self.over(attempt),
            Happening::Back(attempt) => self.back(attempt),
        }
    }

    fn wake(&mut self) {
        if self.wake_at != Some(self.now) {
            return; // An earlier one was ordered since, and has come.
        }
        self.wake_at = None;
        if self.engine.poll_timeout().is_some_and(|at| at <= self.now) {
            self.engine.handle_timeout(self.now);
        }
        self.obey();
    }

    /// Does what the engine says, and sees to it that it is woken.
    fn obey(&mut self) {
        for _ in 0..INSTANT_WAKES {
            self.drain();
            if self.engine.poll_timeout().is_none_or(|at| self.now < at) {
                break;
            }
            self.engine.handle_timeout(self.now);
        }
        self.drain();
        let Some(wanted) = self.engine.poll_timeout().filter(|at| *at != Time::NEVER) else { return };
        let soonest = self.now + Duration::from_nanos(1);
        let at = wanted.max(soonest).as_nanos().div_ceil(TICK).saturating_mul(TICK);
        let at = Time::from_nanos(at);
        if self.wake_at.is_none_or(|ordered| at < ordered) {
            self.wake_at = Some(at);
            self.heap.push(at, Happening::Wake);
        }
    }

    fn drain(&mut self) {
        while let Some(action) = self.engine.poll_action(self.now) {
            match action {
                Action::Send { request, attempt, upstream, .. } => self.send(request, attempt, upstream),
                Action::Finish { request, .. } => self.end(request, true),
                Action::Abort { .. } => {} // Of requests that were canceled: there are none.
            }
        }
    }

    /// A job is over: its room is another's.
    fn end(&mut self, request: RequestId, failed: bool) {
        let number = usize::try_from(request.0).unwrap_or(usize::MAX);
        self.under_way -= 1;
        self.bytes_under_way -= self.job(number).body_bytes as usize;
        self.play.ended += 1;
        self.play.failed += u64::from(failed);
        for (share, at) in [STEADY.0, STEADY.1].into_iter().zip(&mut self.steady) {
            if at.is_none() && share * self.jobs as f64 <= self.play.ended as f64 {
                *at = Some(self.now);
            }
        }
        self.feed();
    }

    fn latency(&mut self) -> Duration {
        let median = self.setting.latency.as_secs_f64();
        Duration::from_secs_f64(self.network.lognormal(median, LATENCY_SIGMA).min(5.0))
    }

    /// Keeps the frames that lie before `at`.
    fn look_until(&mut self, at: Time) {
        let Some(every) = self.every else { return };
        loop {
            let due = every * u32::try_from(self.play.frames.len()).unwrap_or(u32::MAX);
            if at.since(Time::ZERO) <= due {
                return;
            }
            let frame = self.frame(due);
            self.play.frames.push(frame);
        }
    }

    fn frame(&self, at: Duration) -> Frame {
        let snapshot = self.engine.snapshot(Time::ZERO + at);
        let mut used: Vec<(Dimension, Duration, f64)> = Vec::new();
        for bucket in snapshot.limiters.iter().flat_map(|limiter| &limiter.buckets) {
            let Quota { dimension, window, limit } = bucket.quota;
            let share = bucket.used as f64 / (limit.max(1) as f64 * begun(at, window));
            let key = (dimension, window);
            match used.iter_mut().find(|known| (known.0, known.1) == key) {
                Some(known) => known.2 = known.2.max(share),
                None => used.push((key.0, key.1, share)),
            }
        }
        let in_flight = snapshot.in_flight as u64;
        Frame { at, waiting: (self.jobs - self.play.ended).saturating_sub(in_flight), in_flight, used }
    }

    fn conclude(mut self) -> Play {
        let whole = self.play.ended == self.jobs;
        self.play.finish = whole.then(|| self.now.since(Time::ZERO));
        let between = (STEADY.1 - STEADY.0) * self.jobs as f64;
        if let [Some(from), Some(to)] = self.steady {
            self.play.each = Some(to.since(from).div_f64(between.max(1.0)));
        }
        self.play
    }
}

/// The share of a window that has passed at most, since the start: what a limit allows for a minute is earned bit by bit. A
/// day's may be used in the morning.
fn begun(at: Duration, window: Duration) -> f64 {
    match window <= LONGEST_PACED {
        true => (at.max(SHORTEST_LOOK).as_secs_f64() / window.as_secs_f64()).min(1.0),
        false => 1.0,
    }
}
