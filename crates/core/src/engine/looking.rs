//! What the engine shows of itself. Nothing of it changes by being looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Engine, LimiterId, Priority, Snapshot, TENANTS_SHOWN, TenantId, TenantView, UpstreamId, UpstreamView,
};
use crate::time::Time;
use crate::tuning::EXPECTED_WAIT_MARGIN;

const CLASSES: [Priority; 3] = [Priority::Interactive, Priority::Normal, Priority::Batch];

impl Engine {
    /// What it looks like inside.
    pub fn snapshot(&self, now: Time) -> Snapshot {
        let limiters = self.limiters.iter().enumerate();
        let upstreams = self.upstreams.iter().enumerate();
        Snapshot {
            waiting: CLASSES.map(|p| self.routes.iter().map(|route| route.queue.class(p).len()).sum()),
            next_in: CLASSES.map(|priority| self.next_in(now, priority)),
            newcomer_waits: CLASSES.map(|priority| self.newcomer_wait(now, priority)),
            tenants: self.tenants(),
            in_flight: self.attempts.len(),
            sent: self.attempts_made,
            throttled: self.throttled,
            retries: self.budget.retries(),
            limiters: limiters.map(|(id, limiter)| limiter.view(now, LimiterId(id as u32))).collect(),
            upstreams: upstreams
                .map(|(id, upstream)| UpstreamView {
                    id: UpstreamId(id as u32),
                    health: upstream.breaker.health(now),
                    in_flight: upstream.in_flight,
                    taken_out: upstream.taken_out,
                })
                .collect(),
        }
    }

    fn next_in(&self, now: Time, priority: Priority) -> Option<Duration> {
        let classes = self.routes.iter().map(|route| route.queue.class(priority));
        let waiting = classes.filter(|class| class.len() > 0 && class.blocked_until != Time::NEVER);
        waiting.map(|class| class.blocked_until.since(now)).min()
    }

    /// As for an honest refusal: until the first in line can go, and then for those before, by how fast they are served.
    fn newcomer_wait(&self, now: Time, priority: Priority) -> Option<Duration> {
        let waits = self.routes.iter().enumerate().filter_map(|(number, route)| {
            let class = route.queue.class(priority);
            if class.len() == 0 || class.blocked_until == Time::NEVER {
                return None;
            }
            let ahead = CLASSES.into_iter().filter(|other| *other <= priority);
            let (requests, input) = ahead.fold((0.0, 0.0), |sum, other| {
                let class = route.queue.class(other);
                (sum.0 + class.len() as f64, sum.1 + class.input_tokens() as f64)
            });
            let rates = self.rates(now, number)?;
            let seconds = (requests / rates[0]).max(input / rates[1]).max(input / rates[3]);
            let queued = Duration::try_from_secs_f64(seconds * EXPECTED_WAIT_MARGIN).ok()?;
            Some(queued.saturating_add(class.blocked_until.since(now)))
        });
        waits.max()
    }

    /// How fast the first lanes of a route that are in service serve it, all together; `None` when there are none.
    fn rates(&self, now: Time, route: usize) -> Option<[f64; 4]> {
        let mut lanes = self.routes[route].lanes.iter().filter(|lane| !self.is_taken_out(lane)).peekable();
        let tier = lanes.peek()?.tier;
        let limiters =
            lanes.filter(|lane| lane.tier == tier).map(|lane| &self.limiters[lane.limiter.0 as usize]);
        Some(limiters.fold([0.0; 4], |mut sum, limiter| {
            for (sum, rate) in sum.iter_mut().zip(limiter.rates(now)) {
                *sum += rate;
            }
            sum
        }))
    }

    fn tenants(&self) -> Vec<TenantView> {
        let mut counts: BTreeMap<TenantId, [usize; 3]> = BTreeMap::new();
        for route in &self.routes {
            for priority in CLASSES {
                for (tenant, waiting) in route.queue.class(priority).waiting_by_tenant() {
                    counts.entry(tenant).or_default()[priority as usize] += waiting;
                }
            }
        }
        let mut tenants: Vec<_> =
            counts.into_iter().map(|(id, waiting)| TenantView { id, waiting }).collect();
        tenants.sort_by_key(|tenant| std::cmp::Reverse(tenant.waiting.iter().sum::<usize>()));
        tenants.truncate(TENANTS_SHOWN);
        tenants
    }
}
