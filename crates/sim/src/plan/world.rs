//! One run in virtual time: the jobs that come, the engine, the network and the accounts.
//!
//! Nothing is kept of a batch's job that is over, so that the memory does not depend on how many there are.

mod attempt;
mod coming;
mod heap;
mod look;

use std::time::Duration;

use fastrand::Rng;
use paceline_core::engine::{Action, Config, Engine, Lane, LimiterId, RequestId, RouteId, UpstreamId};
use paceline_core::time::Time;
use paceline_mock::model::Meter;
use paceline_wire::estimate::Ratio;
use slab::Slab;

use self::attempt::Attempt;
use self::heap::{Happening, Heap};
pub use self::look::{Frame, Watched};
use super::answers::Answers;
use super::setting::{Coming, Kind, KindLane, Setting, Sketch};
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
    /// What was seen of a batch on the way, when that was asked for.
    pub(super) frames: Vec<Frame>,
    /// The same of recorded jobs, and how long each of them waited for the attempt that was answered.
    pub(super) watched: Watched,
    pub(super) waits: Vec<Option<Duration>>,
}

/// Plays every `stride`th job under one seed. With `every`, it is looked at that often.
pub(super) fn play(setting: &Setting, stride: usize, seed: u64, every: Option<Duration>) -> Play {
    let mut world = World::new(setting, stride, seed, every);
    world.begin();
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
    /// Jobs that came and were not sent yet, by kind.
    waiting: Vec<u64>,
    under_way: usize,
    bytes_under_way: usize,
    wake_at: Option<Time>,
    steady: [Option<Time>; 2],
    every: Option<Duration>,
    looks: u32,
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
        let recorded = match &setting.coming {
            Coming::Batch(_) => 0,
            Coming::Recorded(all) => all.len(),
        };
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
            waiting: vec![0; setting.kinds.len()],
            under_way: 0,
            bytes_under_way: 0,
            wake_at: None,
            steady: [None; 2],
            every,
            looks: 0,
            play: Play { waits: vec![None; recorded], ..Play::default() },
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

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Wake => self.wake(),
            Happening::Arrive => self.arrive(),
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
                Action::Finish { request, .. } => {
                    self.handle_refused(request);
                    self.end(request, true);
                }
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
