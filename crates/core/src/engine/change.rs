//! What may change while the engine runs: lanes, what upstreams and limiters stand for, and what users choose.

use super::{Config, Engine, Lane, Learned, LimiterId, LimiterSpec, RouteId, Upstream, UpstreamId};
use crate::limiter::Limiter;
use crate::time::Time;

impl Engine {
    /// Replaces the lanes of a route. Who waits there goes by the new ones; attempts in flight are not touched.
    ///
    /// # Panics
    ///
    /// When a lane names an upstream or a limiter that was not added.
    pub fn set_lanes(&mut self, route: RouteId, lanes: Vec<Lane>) {
        let lanes = self.checked(lanes);
        if let Some(route) = self.routes.get_mut(route.0 as usize) {
            route.lanes = lanes;
        }
        self.unblock();
    }

    /// Takes an upstream out of service until [`Engine::put_back`]: it gets no further attempt, those in flight go on. Whoever
    /// could be served elsewhere is; whoever could not waits, within its deadline, for nobody is to fail because an operator
    /// works on a place.
    pub fn take_out(&mut self, upstream: UpstreamId) {
        self.set_taken_out(upstream, true);
    }

    /// Puts an upstream back that was taken out. Its health is what it was.
    pub fn put_back(&mut self, upstream: UpstreamId) {
        self.set_taken_out(upstream, false);
    }

    fn set_taken_out(&mut self, upstream: UpstreamId, taken_out: bool) {
        if let Some(upstream) = self.upstreams.get_mut(upstream.0 as usize) {
            upstream.taken_out = taken_out;
        }
        self.unblock();
    }

    pub(super) fn is_taken_out(&self, lane: &Lane) -> bool {
        self.upstreams[lane.upstream.0 as usize].taken_out
    }

    pub(super) fn checked(&self, mut lanes: Vec<Lane>) -> Vec<Lane> {
        for lane in &lanes {
            assert!(
                (lane.upstream.0 as usize) < self.upstreams.len(),
                "a lane's upstream must have been added"
            );
            assert!((lane.limiter.0 as usize) < self.limiters.len(), "a lane's limiter must have been added");
        }
        lanes.sort_by_key(|lane| lane.tier);
        lanes
    }

    /// Makes one limiter of two that turned out to stand for the same quotas: `from` is spare afterwards, and whatever
    /// was charged there counts at `into`. Lanes and attempts in flight go along.
    pub fn merge_limiters(&mut self, now: Time, from: LimiterId, into: LimiterId) {
        let (source, target) = (from.0 as usize, into.0 as usize);
        if source == target || self.limiters.len() <= source.max(target) {
            return;
        }
        let other = std::mem::replace(&mut self.limiters[source], Limiter::new(now, &LimiterSpec::default()));
        self.limiters[target].absorb(now, other);
        let lanes = self.routes.iter_mut().flat_map(|route| &mut route.lanes);
        let flying = self.attempts.iter_mut().map(|(_, attempt)| &mut attempt.lane);
        for lane in lanes.chain(flying).filter(|lane| lane.limiter == from) {
            lane.limiter = into;
        }
        self.unblock();
    }

    /// Lets `into` know what `from` has learned and charged: it meters from now on what was metered there.
    pub fn inherit(&mut self, now: Time, from: LimiterId, into: LimiterId) {
        let pair = [from.0 as usize, into.0 as usize];
        if let Ok([from, into]) = self.limiters.get_disjoint_mut(pair) {
            into.inherit(now, from);
            self.unblock();
        }
    }

    /// Lets a limiter know what an earlier session learned, where it knows nothing better yet.
    pub fn recall(&mut self, now: Time, limiter: LimiterId, learned: &[Learned]) {
        if let Some(limiter) = self.limiters.get_mut(limiter.0 as usize) {
            limiter.recall(now, learned);
        }
    }

    /// Lets an upstream stand for another place, of which nothing is known yet. False while it has something in flight.
    pub fn reset_upstream(&mut self, upstream: UpstreamId) -> bool {
        let upstream = self.upstreams.get_mut(upstream.0 as usize).filter(|known| known.in_flight == 0);
        upstream.map(|upstream| *upstream = Upstream::default()).is_some()
    }

    /// Lets a limiter stand for other quotas. False while it has something in flight.
    pub fn reset_limiter(&mut self, now: Time, limiter: LimiterId, spec: &LimiterSpec) -> bool {
        let free = |known: &&mut Limiter| known.slots.current() == 0;
        let limiter = self.limiters.get_mut(limiter.0 as usize).filter(free);
        limiter.map(|limiter| *limiter = Limiter::new(now, spec)).is_some()
    }

    /// Replaces the most attempts that may be in flight at a limiter.
    pub fn set_in_flight(&mut self, limiter: LimiterId, most: Option<u32>) {
        if let Some(limiter) = self.limiters.get_mut(limiter.0 as usize) {
            limiter.slots.set_ceiling(most);
        }
        self.unblock();
    }

    /// The routes of requests that are not over.
    pub fn routes_in_use(&self) -> impl Iterator<Item = RouteId> {
        self.requests.iter().map(|(_, request)| request.submission.route)
    }

    /// Replaces what users may choose. Who waits already goes on waiting.
    pub fn set_config(&mut self, config: Config) {
        self.budget.set_config(&config);
        self.config = config;
    }
}
