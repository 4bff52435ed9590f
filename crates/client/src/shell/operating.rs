//! What an operator sees and does while everything runs.

use paceline_core::time::Time;

use super::driver::Driver;
use crate::watch::{FLIGHTS_SHOWN, Flight, LimiterStanding, Snapshot, TenantStanding, UpstreamStanding};

impl Driver {
    /// The standing of everything.
    pub(super) fn snapshot(&self, now: Time) -> Snapshot {
        let seen = self.engine.snapshot(now);
        let meters = self.registry.meters();
        let limiters = seen.limiters.into_iter().filter_map(|view| {
            let meter = meters.get(&view.id)?;
            Some(LimiterStanding { account: meter.account.clone(), models: meter.models.clone(), view })
        });
        let upstreams = seen.upstreams.into_iter().filter_map(|view| {
            let place = &self.start.plan.directory.places[self.registry.place(view.id)?];
            let account = self.registry.account(&place.provider.name, view.id).map(str::to_owned);
            Some(UpstreamStanding { name: place.name.clone(), caller: account, view })
        });
        let tenants = seen
            .tenants
            .iter()
            .map(|tenant| TenantStanding { name: self.tenants.name(tenant.id), waiting: tenant.waiting });
        Snapshot {
            waiting: seen.waiting,
            next_in: seen.next_in.map(|wait| wait.filter(|_| !self.paused)),
            newcomer_waits: seen.newcomer_waits.map(|wait| wait.filter(|_| !self.paused)),
            tenants: tenants.collect(),
            flights: self.flights(),
            in_flight: seen.in_flight,
            sent: seen.sent,
            throttled: seen.throttled,
            retries: seen.retries,
            paused: self.paused,
            limiters: limiters.collect(),
            upstreams: upstreams.collect(),
        }
    }

    /// Those under way for longest. There may be very many, and the loop has better things to do than to sort them all.
    fn flights(&self) -> Vec<Flight> {
        let mut running: Vec<_> = self.attempts.values().collect();
        if FLIGHTS_SHOWN < running.len() {
            running.select_nth_unstable_by_key(FLIGHTS_SHOWN, |running| running.sent);
            running.truncate(FLIGHTS_SHOWN);
        }
        running.sort_unstable_by_key(|running| running.sent);
        let flights = running.into_iter().filter_map(|running| {
            let pending = self.requests.get(&running.request)?;
            Some(Flight {
                request: running.request.0,
                model: running.send_as.as_ref().unwrap_or(&pending.work.model).clone(),
                upstream: running.place.name.clone(),
                tenant: pending.work.tenant.clone(),
                priority: pending.work.priority,
                attempt: pending.attempts,
                waited: pending.waited,
                age: running.sent.elapsed(),
                begun: pending.first_byte.is_some(),
            })
        });
        flights.collect()
    }

    /// Takes an upstream out of service or puts it back. False when nothing is called so.
    pub(super) fn set_service(&mut self, upstream: &str, out: bool) -> bool {
        let places = &self.start.plan.directory.places;
        let Some(place) = places.iter().position(|place| *place.name == *upstream) else { return false };
        self.registry.set_service(&mut self.engine, place, out);
        true
    }
}
