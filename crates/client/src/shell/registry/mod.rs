//! Names to the engine's numbers: limiters, upstreams and routes are made when they are first needed, and made anew from
//! those of callers that were forgotten.

mod accounts;
mod callers;
mod learned;
mod operating;
mod organisations;
mod reload;
mod tenants;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use paceline_core::engine::{Engine, Lane, LimiterId, LimiterSpec, RouteId, UpstreamId};
use paceline_core::time::Time;

use self::accounts::Accounts;
pub(super) use self::callers::{AllBusy, Held};
use self::callers::{Callers, Forgotten};
use self::learned::Earlier;
pub(super) use self::tenants::Tenants;
use crate::credential::{CallerId, CallerKey, Presented};
use crate::directory::{Directory, Place, Target, Way};
use crate::watch::LearnedLimits;

/// Models told apart, per client. Those that come later share one meter per account: paced more slowly than they need
/// be, but bounded, whatever names callers make up.
const MOST_ROUTES: usize = 4096;
/// The name under which they share it.
const OTHER_MODELS: &str = "*";

/// Whose limits, for which models.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Meter {
    pub(super) provider: String,
    pub(super) account: String,
    pub(super) models: String,
}

/// What requests of one route have in common.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct RouteKey {
    pub(super) target: Target,
    pub(super) model: Arc<str>,
    /// Whose credential they carry; `None` for the upstreams' own.
    pub(super) caller: Option<CallerId>,
}

/// A place, with a credential: what fails as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Outlet {
    place: usize,
    caller: Option<CallerId>,
}

/// Names to numbers.
pub(super) struct Registry {
    upstreams: HashMap<Outlet, UpstreamId>,
    outlets: Vec<Option<Outlet>>, // By the upstream's number.
    meters: HashMap<Meter, LimiterId>,
    routes: HashMap<RouteKey, RouteId>,
    callers: Callers,
    accounts: Accounts,
    earlier: Earlier,
    outdated: HashSet<LimiterId>, // Their ceilings are those of an earlier configuration.
    taken_out: HashSet<usize>,    // Places that an operator took out.
    spare: Spare,
}

/// The engine's things that stand for nothing now.
#[derive(Default)]
struct Spare {
    upstreams: Vec<UpstreamId>,
    limiters: Vec<LimiterId>,
    routes: Vec<RouteId>,
}

impl Registry {
    pub(super) fn new(
        directory: &Directory,
        learned: Vec<LearnedLimits>,
        caller_key: Option<CallerKey>,
        engine: &mut Engine,
    ) -> Self {
        let mut registry = Self {
            upstreams: HashMap::new(),
            outlets: Vec::new(),
            meters: HashMap::new(),
            routes: HashMap::new(),
            callers: Callers::new(caller_key),
            accounts: Accounts::default(),
            earlier: Earlier::new(learned),
            outdated: HashSet::new(),
            taken_out: HashSet::new(),
            spare: Spare::default(),
        };
        for place in 0..directory.places.len() {
            registry.upstream(engine, Outlet { place, caller: None });
        }
        registry
    }

    /// The place of an upstream of ours.
    pub(super) fn place(&self, id: UpstreamId) -> Option<usize> {
        Some(self.outlet(id)?.place)
    }

    /// The account of the caller whose credential an upstream goes with.
    pub(super) fn account(&self, provider: &str, id: UpstreamId) -> Option<&str> {
        let name = self.callers.name(self.outlet(id)?.caller?)?;
        Some(self.accounts.of(provider, name))
    }

    fn outlet(&self, id: UpstreamId) -> Option<Outlet> {
        *self.outlets.get(id.0 as usize)?
    }

    /// Takes note of a caller, and keeps it from being forgotten while what is returned lives.
    pub(super) fn hold(&mut self, engine: &mut Engine, presented: &Presented) -> Result<Held, AllBusy> {
        let (held, forgotten) = self.callers.hold(presented)?;
        if let Some(forgotten) = forgotten {
            self.forget(engine, &forgotten);
        }
        Ok(held)
    }

    /// Frees what stood for a caller that has no requests.
    fn forget(&mut self, engine: &mut Engine, forgotten: &Forgotten) {
        let Self { upstreams, outlets, meters, routes, accounts, spare, .. } = self;
        let caller = Some(forgotten.id);
        for (_, route) in routes.extract_if(|key, _| key.caller == caller) {
            engine.set_lanes(route, Vec::new());
            spare.routes.push(route);
        }
        for (_, upstream) in upstreams.extract_if(|outlet, _| outlet.caller == caller) {
            outlets[upstream.0 as usize] = None;
            spare.upstreams.push(upstream);
        }
        let theirs = accounts.forget(&forgotten.name);
        let unused = |meter: &Meter, _: &mut LimiterId| {
            meter.account == forgotten.name
                || theirs.iter().any(|of| (&of.0, &of.1) == (&meter.provider, &meter.account))
        };
        for (_, limiter) in meters.extract_if(unused) {
            engine.reset_limiter(Time::ZERO, limiter, &LimiterSpec::default());
            spare.limiters.push(limiter);
        }
    }

    /// The route of requests.
    pub(super) fn route(
        &mut self,
        now: Time,
        engine: &mut Engine,
        directory: &Directory,
        mut key: RouteKey,
    ) -> RouteId {
        if let Some(route) = self.routes.get(&key) {
            return *route;
        }
        if self.routes.len() >= MOST_ROUTES {
            // One catch-all for each target and caller comes on top of the bound.
            key.model = OTHER_MODELS.into();
            if let Some(route) = self.routes.get(&key) {
                return *route;
            }
        }
        let lanes = self.lanes(now, engine, directory, &key);
        let route = match self.spare.routes.pop() {
            Some(route) => {
                engine.set_lanes(route, lanes);
                route
            }
            None => engine.add_route(lanes),
        };
        self.routes.insert(key, route);
        route
    }

    fn lanes(&mut self, now: Time, engine: &mut Engine, directory: &Directory, key: &RouteKey) -> Vec<Lane> {
        let ways = directory.ways_of(key.target);
        let provider = |way: &Way| directory.places[way.place].provider.name.as_str();
        // A caller's credential is good at one provider, and no other is to see it.
        let open = ways.iter().filter(|way| key.caller.is_none() || provider(way) == provider(&ways[0]));
        open.map(|way| self.lane(now, engine, directory, way, key)).collect()
    }

    fn lane(
        &mut self,
        now: Time,
        engine: &mut Engine,
        directory: &Directory,
        way: &Way,
        key: &RouteKey,
    ) -> Lane {
        let outlet = Outlet { place: way.place, caller: key.caller };
        let model = way.send_as.as_deref().unwrap_or(&key.model);
        Lane {
            upstream: self.upstream(engine, outlet),
            limiter: self.limiter(now, engine, directory, outlet, model),
            tier: way.tier,
            weight: way.weight,
        }
    }

    fn upstream(&mut self, engine: &mut Engine, outlet: Outlet) -> UpstreamId {
        if let Some(id) = self.upstreams.get(&outlet) {
            return *id;
        }
        let spare = self.spare.upstreams.pop().filter(|id| engine.reset_upstream(*id));
        let id = spare.unwrap_or_else(|| engine.add_upstream());
        self.outlets.resize(self.outlets.len().max(id.0 as usize + 1), None);
        self.outlets[id.0 as usize] = Some(outlet);
        self.upstreams.insert(outlet, id);
        if self.taken_out.contains(&outlet.place) {
            engine.take_out(id);
        }
        id
    }

    fn limiter(
        &mut self,
        now: Time,
        engine: &mut Engine,
        directory: &Directory,
        outlet: Outlet,
        model: &str,
    ) -> LimiterId {
        let place: &Place = &directory.places[outlet.place];
        let provider = place.provider.name.clone();
        let account = self.accounts.of(&provider, self.name(place, outlet)).to_owned();
        let (models, mut spec) = directory.limits(place, model);
        let meter = Meter { provider, account, models };
        if let Some(id) = self.meters.get(&meter).copied() {
            if self.outdated.remove(&id) {
                engine.set_ceilings(now, id, &spec.ceilings);
                engine.set_in_flight(id, spec.in_flight);
            }
            return id;
        }
        spec.learned = self.earlier.take(&meter, now);
        let spare = self.spare.limiters.pop().filter(|id| engine.reset_limiter(now, *id, &spec));
        let id = spare.unwrap_or_else(|| engine.add_limiter(now, spec));
        self.meters.insert(meter, id);
        id
    }

    /// The meters behind all limiters.
    pub(super) fn meters(&self) -> HashMap<LimiterId, &Meter> {
        self.meters.iter().map(|(meter, id)| (*id, meter)).collect()
    }

    /// What was learned, by limiters and by earlier clients alike.
    pub(super) fn learned(&self, now: Time, engine: &Engine) -> Vec<LearnedLimits> {
        let lasting = self.meters.iter().filter(|(meter, _)| !self.callers.are_numbered(&meter.account));
        let own = lasting.map(|(meter, id)| (meter, engine.learned(now, *id)));
        self.earlier.with(now, own)
    }
}
