//! The engine: events in, actions out.
//!
//! A shell is one short loop: tell the engine what happened ([`Engine::handle_event`]), do what it says
//! ([`Engine::poll_action`] until it returns `None`), sleep until [`Engine::poll_timeout`] or the next event.

mod api;
mod change;
mod config;
mod dispatch;
mod events;
mod expected;
mod failure;
mod looking;
mod records;
mod snapshot;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use slab::Slab;

pub use api::*;
pub use config::Config;
pub use snapshot::*;

use crate::breaker::Breaker;
use crate::limiter::Limiter;
use crate::queue::{Key, Queue};
use crate::quota::Quota;
use crate::retry::RetryBudget;
use crate::time::Time;
use records::{Attempt, Request};

/// Decides for many requests over many upstreams. See the module's text for how to drive it.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    chance: fastrand::Rng,
    limiters: Vec<Limiter>,
    upstreams: Vec<Upstream>,
    routes: Vec<Route>,
    turn: usize, // The route that is asked first, so that routes which share a limiter take turns.
    requests: Slab<Request>,
    by_id: BTreeMap<RequestId, Key>, // Names mostly come in order: a tree keeps the busy ends in the cache, a hash map scatters.
    attempts: Slab<Attempt>,
    attempts_made: u64,
    arrivals: u64,
    actions: VecDeque<Action>,
    parked: BTreeSet<(Time, Key)>,
    deadlines: BTreeSet<(Time, Key)>,
    weights: BTreeMap<TenantId, u32>,
    budget: RetryBudget,
    waiting: usize,
    throttled: u64,
}

/// A place to send to: one base URL with one credential.
#[derive(Debug, Default)]
struct Upstream {
    breaker: Breaker,
    in_flight: u32,
    taken_out: bool,
}

/// The lanes that serve one model name, and those who wait for them.
#[derive(Debug)]
struct Route {
    lanes: Vec<Lane>, // By tier.
    queue: Queue,
}

impl Engine {
    /// An engine without upstreams. The seed decides all jitter: the same seed and events give the same actions.
    pub fn new(config: Config, seed: u64) -> Self {
        let budget = RetryBudget::new(&config);
        Self {
            config,
            chance: fastrand::Rng::with_seed(seed),
            limiters: Vec::new(),
            upstreams: Vec::new(),
            routes: Vec::new(),
            turn: 0,
            requests: Slab::new(),
            by_id: BTreeMap::new(),
            attempts: Slab::new(),
            attempts_made: 0,
            arrivals: 0,
            actions: VecDeque::new(),
            parked: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            weights: BTreeMap::new(),
            budget,
            waiting: 0,
            throttled: 0,
        }
    }

    /// Adds the quotas of one account for one set of models.
    pub fn add_limiter(&mut self, now: Time, spec: LimiterSpec) -> LimiterId {
        self.limiters.push(Limiter::new(now, &spec));
        LimiterId(self.limiters.len() as u32 - 1)
    }

    /// Adds a place to send to (one base URL with one credential).
    pub fn add_upstream(&mut self) -> UpstreamId {
        self.upstreams.push(Upstream::default());
        UpstreamId(self.upstreams.len() as u32 - 1)
    }

    /// Adds the lanes that serve one model name.
    ///
    /// # Panics
    ///
    /// When a lane names an upstream or a limiter that was not added.
    pub fn add_route(&mut self, lanes: Vec<Lane>) -> RouteId {
        let lanes = self.checked(lanes);
        self.routes.push(Route { lanes, queue: Queue::default() });
        RouteId(self.routes.len() as u32 - 1)
    }

    /// Gives a tenant a share other than 1.
    pub fn set_weight(&mut self, tenant: TenantId, weight: u32) {
        self.weights.insert(tenant, weight);
    }

    /// Replaces a limiter's typed ceilings while it runs; what was charged stays charged.
    pub fn set_ceilings(&mut self, _now: Time, limiter: LimiterId, ceilings: &[Quota]) {
        if let Some(limiter) = self.limiters.get_mut(limiter.0 as usize) {
            limiter.set_ceilings(ceilings);
        }
        self.unblock();
    }

    /// Replaces or adds one ceiling of a limiter while it runs. What else holds there stays; [`Engine::set_ceilings`] forgets it.
    pub fn set_ceiling(&mut self, limiter: LimiterId, ceiling: Quota) {
        if let Some(limiter) = self.limiters.get_mut(limiter.0 as usize) {
            limiter.set_ceiling(ceiling);
        }
        self.unblock();
    }

    /// When to call [`Engine::handle_timeout`] if nothing else happens before; `None` when nothing waits for time.
    pub fn poll_timeout(&self) -> Option<Time> {
        if !self.actions.is_empty() {
            return Some(Time::ZERO);
        }
        let queues = self.routes.iter().flat_map(|route| {
            let classes =
                [Priority::Interactive, Priority::Normal, Priority::Batch].map(|p| route.queue.class(p));
            classes.into_iter().filter(|class| class.len() > 0).map(|class| class.blocked_until)
        });
        let heaps =
            [&self.parked, &self.deadlines].into_iter().filter_map(|heap| heap.first()).map(|(at, _)| *at);
        queues.chain(heaps).filter(|&at| at != Time::NEVER).min()
    }

    /// What was learned about a limiter's limits, for the next session to start from.
    pub fn learned(&self, now: Time, limiter: LimiterId) -> Vec<Learned> {
        self.limiters.get(limiter.0 as usize).map(|limiter| limiter.learned(now)).unwrap_or_default()
    }

    /// Something changed that may let waiting requests go.
    fn unblock(&mut self) {
        self.routes.iter_mut().for_each(|route| route.queue.unblock());
    }
}
