//! What decides when to send: the engine, or one of the baselines it is compared with.
//!
//! All of them speak the engine's words, so that the world around them is the same.

use std::fmt::Debug;

use paceline_core::engine::{
    Action, Config, Engine, Event, Lane, Learned, LimiterId, LimiterSpec, RouteId, Snapshot, UpstreamId,
};
use paceline_core::quota::{Metering, Quota};
use paceline_core::time::Time;

use crate::baseline::{FullBucket, Unpaced};

/// A decider. Upstreams are numbered as the accounts are, from 0.
pub trait Policy: Debug {
    /// Tells what happened.
    fn handle_event(&mut self, now: Time, event: Event);
    /// Tells that the instant of [`Policy::poll_timeout`] has come.
    fn handle_timeout(&mut self, now: Time);
    /// The next thing to do.
    fn poll_action(&mut self, now: Time) -> Option<Action>;
    /// When to wake it.
    fn poll_timeout(&self) -> Option<Time>;
    /// What it looks like inside, if it can show that.
    fn snapshot(&self, now: Time) -> Option<Snapshot>;
    /// What it learned about each account, for the next session.
    fn learned(&self, now: Time) -> Vec<Vec<Learned>>;
}

/// Which policy to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Paceline's engine.
    Engine,
    /// A bucket that starts full with a minute's allowance and refills; a refused request waits as told.
    FullBucket,
    /// The same, and everybody pauses 15 s after a refusal.
    FullBucketPause,
    /// A hundred callers without pacing, exponential backoff, at most five retries.
    Unpaced,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Engine, Kind::FullBucket, Kind::FullBucketPause, Kind::Unpaced];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Engine => "paceline",
            Kind::FullBucket => "full bucket",
            Kind::FullBucketPause => "bucket + pause 15 s",
            Kind::Unpaced => "no pacing + backoff",
        }
    }
}

/// What a policy is told before it starts.
#[derive(Clone, Debug)]
pub struct Briefing {
    /// How many accounts there are.
    pub accounts: usize,
    /// Keys per account: upstreams that share its quotas.
    pub keys: usize,
    /// How the provider counts.
    pub metering: Metering,
    /// What the user typed, the same for every account.
    pub ceilings: Vec<Quota>,
    /// What the account truly allows: baselines know it, the engine never does.
    pub truth: Vec<Quota>,
    /// What an earlier session learned, per account.
    pub learned: Vec<Vec<Learned>>,
    /// Choices of the engine.
    pub config: Config,
    /// Decides all jitter.
    pub seed: u64,
}

/// A policy, ready to start, and the route that its requests name.
pub fn start(kind: Kind, now: Time, briefing: &Briefing) -> (Box<dyn Policy>, RouteId) {
    let pause = std::time::Duration::from_secs(15);
    match kind {
        Kind::Engine => {
            let (policy, route) = EnginePolicy::start(now, briefing);
            (Box::new(policy), route)
        }
        Kind::FullBucket => (Box::new(FullBucket::new(briefing, None)), RouteId(0)),
        Kind::FullBucketPause => (Box::new(FullBucket::new(briefing, Some(pause))), RouteId(0)),
        Kind::Unpaced => (Box::new(Unpaced::new(briefing.seed)), RouteId(0)),
    }
}

/// The engine, its upstreams and limiters renumbered by account.
#[derive(Debug)]
struct EnginePolicy {
    engine: Engine,
    /// Each key, and whose it is.
    upstreams: Vec<(UpstreamId, usize)>,
    limiters: Vec<LimiterId>,
}

impl EnginePolicy {
    fn start(now: Time, briefing: &Briefing) -> (Self, RouteId) {
        let mut engine = Engine::new(briefing.config.clone(), briefing.seed);
        let (mut upstreams, mut limiters, mut lanes) = (Vec::new(), Vec::new(), Vec::new());
        for account in 0..briefing.accounts {
            let limiter = engine.add_limiter(
                now,
                LimiterSpec {
                    metering: briefing.metering,
                    ceilings: briefing.ceilings.clone(),
                    learned: briefing.learned.get(account).cloned().unwrap_or_default(),
                    in_flight: None,
                    self_hosted: false,
                },
            );
            for _ in 0..briefing.keys {
                let upstream = engine.add_upstream();
                lanes.push(Lane { upstream, limiter, tier: 0, weight: 1 });
                upstreams.push((upstream, account));
            }
            limiters.push(limiter);
        }
        let route = engine.add_route(lanes);
        (Self { engine, upstreams, limiters }, route)
    }
}

impl Policy for EnginePolicy {
    fn handle_event(&mut self, now: Time, event: Event) {
        self.engine.handle_event(now, event);
    }

    fn handle_timeout(&mut self, now: Time) {
        self.engine.handle_timeout(now);
    }

    fn poll_action(&mut self, now: Time) -> Option<Action> {
        let mut action = self.engine.poll_action(now)?;
        if let Action::Send { upstream, .. } = &mut action {
            let known = self.upstreams.iter().find(|(known, _)| known == upstream);
            let account = known.and_then(|(_, account)| u32::try_from(*account).ok());
            *upstream = UpstreamId(account.unwrap_or(u32::MAX));
        }
        Some(action)
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.engine.poll_timeout()
    }

    fn snapshot(&self, now: Time) -> Option<Snapshot> {
        Some(self.engine.snapshot(now))
    }

    fn learned(&self, now: Time) -> Vec<Vec<Learned>> {
        self.limiters.iter().map(|limiter| self.engine.learned(now, *limiter)).collect()
    }
}
