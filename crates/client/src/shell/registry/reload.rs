//! Another configuration while everything goes on: what keeps its name keeps its numbers.

use std::collections::{HashMap, HashSet};
use std::mem;

use paceline_core::engine::{Engine, Lane, LimiterId, RouteId};
use paceline_core::time::Time;

use super::{Outlet, Registry, RouteKey};
use crate::directory::Directory;

impl Registry {
    /// Takes `new` in place of `old`. Routes get the lanes of now; those that lead nowhere get none.
    pub(in crate::shell) fn reconfigure(
        &mut self,
        now: Time,
        engine: &mut Engine,
        old: &Directory,
        new: &Directory,
    ) {
        let metered = self.metered(now, engine, old);
        self.outdated = self.meters.values().copied().collect();
        self.replace_places(engine, old, new);
        let used: HashSet<RouteId> = engine.routes_in_use().collect();
        let mut inherited = HashSet::new();
        for (key, route) in mem::take(&mut self.routes) {
            let heir = new.heir(old, key.target, Some(&key.model));
            let heir = heir.map(|target| RouteKey { target, ..key });
            let lanes = heir.as_ref().map(|key| self.lanes(now, engine, new, key)).unwrap_or_default();
            for pair in moves(&metered[&route], &lanes) {
                if inherited.insert(pair) {
                    engine.inherit(now, pair.0, pair.1);
                }
            }
            engine.set_lanes(route, lanes);
            self.keep_route(heir, route, &used);
        }
    }

    /// The lanes of all routes, as they are.
    fn metered(
        &mut self,
        now: Time,
        engine: &mut Engine,
        directory: &Directory,
    ) -> HashMap<RouteId, Vec<Lane>> {
        let routes: Vec<(RouteKey, RouteId)> =
            self.routes.iter().map(|(key, route)| (key.clone(), *route)).collect();
        routes.into_iter().map(|(key, route)| (route, self.lanes(now, engine, directory, &key))).collect()
    }

    /// Upstreams whose place is the same go on; the others get no further attempt.
    fn replace_places(&mut self, engine: &mut Engine, old: &Directory, new: &Directory) {
        let upstreams = mem::take(&mut self.upstreams);
        // A new key or URL changes nothing about who took it out, and why.
        let named = |name: &str| new.places.iter().position(|place| *place.name == *name);
        self.taken_out = self.taken_out.iter().filter_map(|place| named(&old.places[*place].name)).collect();
        self.outlets.fill(None);
        for (outlet, upstream) in upstreams {
            match new.same_place(&old.places[outlet.place]) {
                Some(place) => {
                    let outlet = Outlet { place, ..outlet };
                    self.outlets[upstream.0 as usize] = Some(outlet);
                    self.upstreams.insert(outlet, upstream);
                }
                None => self.spare.upstreams.push(upstream),
            }
        }
        for place in 0..new.places.len() {
            self.upstream(engine, Outlet { place, caller: None });
        }
    }

    /// Keeps a route under its new key. One that nothing leads to any more is spare once its requests are over.
    fn keep_route(&mut self, key: Option<RouteKey>, route: RouteId, used: &HashSet<RouteId>) {
        match key.filter(|key| !self.routes.contains_key(key)) {
            Some(key) => drop(self.routes.insert(key, route)),
            None if used.contains(&route) => {} // Given up: a reload is rare.
            None => self.spare.routes.push(route),
        }
    }
}

/// The limiters whose requests others meter from now on, with those others.
fn moves(before: &[Lane], after: &[Lane]) -> Vec<(LimiterId, LimiterId)> {
    let same = |one: &Lane, other: &Lane| (one.upstream, one.tier) == (other.upstream, other.tier);
    let successor = |lane: &Lane| after.iter().find(|known| same(known, lane));
    let pairs = before.iter().filter_map(|lane| Some((lane.limiter, successor(lane)?.limiter)));
    pairs.filter(|(from, into)| from != into).collect()
}
