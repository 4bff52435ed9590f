//! What answers tell of organisations, applied to meters.

use paceline_core::engine::{Engine, LimiterId, UpstreamId};
use paceline_core::time::Time;

use super::{Meter, Outlet, Registry};
use crate::directory::Place;

impl Registry {
    /// The name of the account that a credential is taken for at first.
    pub(super) fn name<'a>(&'a self, place: &'a Place, outlet: Outlet) -> &'a str {
        outlet.caller.and_then(|caller| self.callers.name(caller)).unwrap_or(&place.account)
    }

    /// Whether it is open which organisation the credential of an upstream belongs to.
    pub(in crate::shell) fn asks_whose(&self, place: &Place, upstream: UpstreamId) -> bool {
        let Some(outlet) = self.outlet(upstream) else { return false };
        let own = outlet.caller.is_some() || !place.settled;
        own && !self.accounts.is_told(&place.provider.name, self.name(place, outlet))
    }

    /// An answer named the organisation of an upstream's credential: all its credentials share its meters.
    pub(in crate::shell) fn belongs(
        &mut self,
        now: Time,
        engine: &mut Engine,
        place: &Place,
        upstream: UpstreamId,
        organisation: &str,
    ) {
        let Some(outlet) = self.outlet(upstream).filter(|_| self.asks_whose(place, upstream)) else { return };
        let name = self.name(place, outlet).to_owned();
        let provider = &place.provider.name;
        let account =
            self.accounts.belongs(provider, &name, organisation, outlet.caller.is_some()).to_owned();
        if account == name {
            return;
        }
        let own = |meter: &Meter, _: &mut LimiterId| meter.provider == *provider && meter.account == name;
        let moved: Vec<(Meter, LimiterId)> = self.meters.extract_if(own).collect();
        for (meter, limiter) in moved {
            self.move_meter(now, engine, Meter { account: account.clone(), ..meter }, limiter);
        }
    }

    /// What a limiter metered is metered under another name from now on, together with what is metered there already.
    fn move_meter(&mut self, now: Time, engine: &mut Engine, meter: Meter, limiter: LimiterId) {
        match self.meters.get(&meter) {
            Some(known) => {
                engine.merge_limiters(now, limiter, *known);
                self.spare.limiters.push(limiter);
            }
            None => {
                engine.recall(now, limiter, &self.earlier.take(&meter, now));
                self.meters.insert(meter, limiter);
            }
        }
    }
}
