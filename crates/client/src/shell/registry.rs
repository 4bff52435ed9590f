//! Names to the engine's numbers: limiters and routes are made when they are first needed.

use std::collections::HashMap;
use std::sync::Arc;

use paceline_core::engine::{Engine, Lane, Learned, LimiterId, RouteId, TenantId, UpstreamId};
use paceline_core::time::Time;

use crate::directory::{Directory, Place, Target, Way};
use crate::watch::LearnedLimits;

/// Models told apart, per client. Those that come later share one meter per account: paced more slowly than they need
/// be, but bounded, whatever names callers make up.
const MOST_ROUTES: usize = 4096;
/// The name under which they share it.
const OTHER_MODELS: &str = "*";
/// Tenants told apart; those that come later count as one.
const MOST_TENANTS: usize = 65_536;

/// Whose limits, for which models.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Meter {
    pub(super) provider: String,
    pub(super) account: String,
    pub(super) models: String,
}

/// Names to numbers.
pub(super) struct Registry {
    upstreams: Vec<UpstreamId>, // By place.
    meters: HashMap<Meter, LimiterId>,
    routes: HashMap<(Target, Arc<str>), RouteId>,
    tenants: HashMap<String, TenantId>,
    learned: HashMap<Meter, Vec<Learned>>, // From earlier, for limiters yet to be made.
}

impl Registry {
    pub(super) fn new(directory: &Directory, learned: Vec<LearnedLimits>, engine: &mut Engine) -> Self {
        let meter = |from: &LearnedLimits| Meter {
            provider: from.provider.clone(),
            account: from.account.clone(),
            models: from.models.clone(),
        };
        Self {
            upstreams: directory.places.iter().map(|_| engine.add_upstream()).collect(),
            meters: HashMap::new(),
            routes: HashMap::new(),
            tenants: HashMap::new(),
            learned: learned.into_iter().map(|from| (meter(&from), from.limits)).collect(),
        }
    }

    /// The place of an upstream of ours.
    pub(super) fn place(&self, id: UpstreamId) -> Option<usize> {
        self.upstreams.iter().position(|known| *known == id)
    }

    pub(super) fn tenant(&mut self, name: &str) -> TenantId {
        if let Some(id) = self.tenants.get(name) {
            return *id;
        }
        let next = TenantId(u32::try_from(self.tenants.len()).unwrap_or(u32::MAX));
        if self.tenants.len() < MOST_TENANTS {
            self.tenants.insert(name.to_owned(), next);
        }
        next
    }

    /// The route of `model` at `target`.
    pub(super) fn route(
        &mut self,
        now: Time,
        engine: &mut Engine,
        directory: &Directory,
        target: Target,
        model: Arc<str>,
    ) -> RouteId {
        let full = self.routes.len() >= MOST_ROUTES;
        let known = self.routes.get(&(target, model.clone()));
        if let Some(route) = known {
            return *route;
        }
        // One catch-all for each target comes on top of the bound.
        let model = if full { OTHER_MODELS.into() } else { model };
        if let Some(route) = self.routes.get(&(target, model.clone())) {
            return *route;
        }
        let ways = directory.ways_of(target);
        let lanes = ways.iter().map(|way| self.lane(now, engine, directory, way, &model)).collect();
        let route = engine.add_route(lanes);
        self.routes.insert((target, model), route);
        route
    }

    fn lane(
        &mut self,
        now: Time,
        engine: &mut Engine,
        directory: &Directory,
        way: &Way,
        model: &str,
    ) -> Lane {
        let place = &directory.places[way.place];
        let model = way.send_as.as_deref().unwrap_or(model);
        Lane {
            upstream: self.upstreams[way.place],
            limiter: self.limiter(now, engine, directory, place, model),
            tier: way.tier,
            weight: way.weight,
        }
    }

    fn limiter(
        &mut self,
        now: Time,
        engine: &mut Engine,
        directory: &Directory,
        place: &Place,
        model: &str,
    ) -> LimiterId {
        let (models, mut spec) = directory.limits(place, model);
        let meter = Meter { provider: place.provider.name.clone(), account: place.account.clone(), models };
        if let Some(id) = self.meters.get(&meter) {
            return *id;
        }
        spec.learned = aged(self.learned.remove(&meter).unwrap_or_default(), now);
        let id = engine.add_limiter(now, spec);
        self.meters.insert(meter, id);
        id
    }

    /// The meters behind all limiters.
    pub(super) fn meters(&self) -> HashMap<LimiterId, &Meter> {
        self.meters.iter().map(|(meter, id)| (*id, meter)).collect()
    }

    /// What was learned, by limiters and by earlier clients alike.
    pub(super) fn learned(&self, now: Time, engine: &Engine) -> Vec<LearnedLimits> {
        let own = self.meters.iter().map(|(meter, id)| (meter, engine.learned(now, *id)));
        let earlier = self.learned.iter().map(|(meter, limits)| (meter, aged(limits.clone(), now)));
        let mut all: Vec<LearnedLimits> = own
            .chain(earlier)
            .filter(|(_, limits)| !limits.is_empty())
            .map(|(meter, limits)| LearnedLimits {
                provider: meter.provider.clone(),
                account: meter.account.clone(),
                models: meter.models.clone(),
                limits,
            })
            .collect();
        all.sort_by(|a, b| (&a.provider, &a.account, &a.models).cmp(&(&b.provider, &b.account, &b.models)));
        all
    }
}

/// What was learned before the start, at `now`.
fn aged(mut learned: Vec<Learned>, now: Time) -> Vec<Learned> {
    for limit in &mut learned {
        limit.age = limit.age.saturating_add(now.since(Time::ZERO));
    }
    learned
}
