//! Where requests can go. Fixed when the client is built, and shared by callers and the loop.

mod common;
mod mask;
mod place;

use std::collections::HashMap;
use std::sync::Arc;

use paceline_core::engine::LimiterSpec;
use paceline_core::quota::Quota;
use paceline_wire::provider::Pattern;
use paceline_wire::{Dialect, Endpoint};

pub(crate) use self::place::Place;
use crate::error::BuildError;
use crate::upstream::{Ceilings, Pool, Upstream};

/// Whom a request that names nobody is for.
const DIALECTS: [Dialect; 2] = [Dialect::OpenAi, Dialect::Anthropic];

/// The upstreams, and every set of them that a request can be for.
#[derive(Clone)]
pub(crate) struct Directory {
    pub(crate) places: Vec<Arc<Place>>,
    targets: Vec<(Leading, Vec<Way>)>,
    names: HashMap<String, Target>,
    by_dialect: Vec<(Dialect, Target)>,
    ceilings: Vec<(Ceilings, Vec<Pattern>)>,
}

/// A set of upstreams that can serve the same requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Target(usize);

/// What leads to a target.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leading {
    /// The name of an upstream or a pool.
    Name(String),
    /// Nobody is named.
    Dialect(Dialect),
}

/// One upstream of a target.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// Index into [`Directory::places`].
    pub(crate) place: usize,
    pub(crate) send_as: Option<Arc<str>>,
    pub(crate) tier: u8,
    pub(crate) weight: u32,
}

impl Way {
    fn to(place: usize) -> Self {
        Way { place, send_as: None, tier: 0, weight: 1 }
    }
}

impl Directory {
    pub(crate) fn new(
        upstreams: Vec<Upstream>,
        pools: Vec<Pool>,
        ceilings: Vec<Ceilings>,
    ) -> Result<Self, BuildError> {
        if upstreams.is_empty() {
            return Err(BuildError::NoUpstream);
        }
        let accounts = accounts(&upstreams);
        let mut places = upstreams.into_iter().map(Place::new).collect::<Result<Vec<_>, _>>()?;
        for (place, account) in places.iter_mut().zip(accounts) {
            let typed =
                |of: &Ceilings| of.account.as_deref().is_some_and(|of| of == account || of == &*place.name);
            place.settled |= ceilings.iter().any(typed);
            place.account = account;
        }
        let places: Vec<Arc<Place>> = places.into_iter().map(Arc::new).collect();
        let mut directory = Self {
            targets: Vec::new(),
            names: HashMap::new(),
            by_dialect: Vec::new(),
            ceilings: checked_ceilings(ceilings, &places)?,
            places,
        };
        directory.add_targets(pools)?;
        Ok(directory)
    }

    fn add_targets(&mut self, pools: Vec<Pool>) -> Result<(), BuildError> {
        for place in 0..self.places.len() {
            let name = self.places[place].name.to_string();
            let target = self.add_target(Leading::Name(name.clone()), vec![Way::to(place)]);
            self.names.insert(name, target);
        }
        for pool in pools {
            let ways = self.ways(&pool)?;
            let target = self.add_target(Leading::Name(pool.model.clone()), ways);
            self.names.insert(pool.model, target);
        }
        for dialect in DIALECTS {
            let ways: Vec<Way> = (0..self.places.len())
                .filter(|place| self.places[*place].provider.dialect == dialect)
                .map(Way::to)
                .collect();
            // Different providers have different models: which of them is meant, only the caller can say.
            let provider = |way: &Way| self.places[way.place].provider.name.as_str();
            if !ways.is_empty() && ways.iter().all(|way| provider(way) == provider(&ways[0])) {
                let target = self.add_target(Leading::Dialect(dialect), ways);
                self.by_dialect.push((dialect, target));
            }
        }
        Ok(())
    }

    fn add_target(&mut self, leading: Leading, ways: Vec<Way>) -> Target {
        self.targets.push((leading, ways));
        Target(self.targets.len() - 1)
    }

    fn ways(&self, pool: &Pool) -> Result<Vec<Way>, BuildError> {
        let bad = |reason: String| BuildError::Pool { pool: pool.model.clone(), reason };
        let mut ways: Vec<Way> = Vec::with_capacity(pool.members.len());
        for member in &pool.members {
            let place = self.places.iter().position(|place| *place.name == *member.upstream);
            let place = place.ok_or_else(|| bad(format!("there is no upstream `{}`", member.upstream)))?;
            if ways.iter().any(|way| (way.place, way.tier) == (place, member.tier)) {
                return Err(bad(format!("the upstream `{}` is named twice", member.upstream)));
            }
            let send_as = member.send_as.as_deref().map(Arc::from);
            ways.push(Way { place, send_as, tier: member.tier, weight: member.weight });
        }
        let dialect = |way: &Way| self.places[way.place].provider.dialect;
        match ways.first() {
            None => Err(bad("it names no upstream".to_owned())),
            Some(first) if ways.iter().any(|way| dialect(way) != dialect(first)) => {
                Err(bad("its upstreams speak different dialects".to_owned()))
            }
            Some(_) => Ok(ways),
        }
    }

    /// The upstream or pool called `name`.
    pub(crate) fn named(&self, name: &str) -> Option<Target> {
        self.names.get(name).copied()
    }

    /// Where a request in `dialect` goes that names nobody.
    pub(crate) fn default_of(&self, dialect: Dialect) -> Option<Target> {
        self.by_dialect.iter().find(|(known, _)| *known == dialect).map(|(_, target)| *target)
    }

    /// Whom a request is for: whom it names, else the model's pool, else whoever speaks its dialect.
    pub(crate) fn target(&self, to: Option<&str>, endpoint: Endpoint, model: &str) -> Option<Target> {
        match to {
            Some(name) => self.named(name),
            None => self
                .named(model)
                .filter(|_| !model.is_empty())
                .or_else(|| self.default_of(self.dialect_of(endpoint))),
        }
    }

    /// The dialect of an endpoint; what both have, or neither, is for whoever is there.
    pub(crate) fn dialect_of(&self, endpoint: Endpoint) -> Dialect {
        match endpoint {
            Endpoint::Messages | Endpoint::CountTokens => Dialect::Anthropic,
            Endpoint::Models | Endpoint::Other if self.default_of(Dialect::OpenAi).is_none() => {
                Dialect::Anthropic
            }
            _ => Dialect::OpenAi,
        }
    }

    /// All pools by name.
    pub(crate) fn pools(&self) -> impl Iterator<Item = (&str, Target)> {
        let upstream = |name: &str| self.places.iter().any(|place| *place.name == *name);
        self.names
            .iter()
            .map(|(name, target)| (name.as_str(), *target))
            .filter(move |(name, _)| !upstream(name))
    }

    /// The upstreams of a target: at least one, all of one dialect.
    pub(crate) fn ways_of(&self, target: Target) -> &[Way] {
        &self.targets[target.0].1
    }

    /// What a target of `old` leads to by now. When its name is gone and was just the `model` that was asked for, whoever
    /// serves the dialect does.
    pub(crate) fn heir(&self, old: &Directory, target: Target, model: Option<&str>) -> Option<Target> {
        let dialect = old.dialect(target);
        let heir = match &old.targets[target.0].0 {
            Leading::Name(name) => {
                let unnamed = || self.default_of(dialect).filter(|_| model == Some(name));
                self.named(name).or_else(unnamed)
            }
            Leading::Dialect(dialect) => self.default_of(*dialect),
        };
        heir.filter(|heir| self.dialect(*heir) == dialect)
    }

    /// The place that goes by the same name, at the same URL, with the same credential.
    pub(crate) fn same_place(&self, old: &Place) -> Option<usize> {
        self.places.iter().position(|place| place.is_same(old))
    }

    /// The dialect that a target speaks.
    pub(crate) fn dialect(&self, target: Target) -> Dialect {
        self.places[self.ways_of(target)[0].place].provider.dialect
    }

    /// The names of all upstreams, for messages.
    pub(crate) fn upstream_names(&self) -> String {
        let names: Vec<String> = self.places.iter().map(|place| format!("`{}`", place.name)).collect();
        names.join(", ")
    }

    /// Which limits `model` draws on at `place`: the name of the set of models, and where its limiter starts.
    pub(crate) fn limits(&self, place: &Place, model: &str) -> (String, LimiterSpec) {
        let mut spec = LimiterSpec {
            metering: place.provider.metering,
            in_flight: place.in_flight,
            self_hosted: place.provider.self_hosted,
            ..LimiterSpec::default()
        };
        let mut models = place.provider.pool(model).to_owned();
        let typed = || self.ceilings.iter().filter(|typed| matches(typed, place, model));
        let by_model = typed().find(|(_, patterns)| !patterns.is_empty());
        for (ceilings, _) in typed().filter(|(_, patterns)| patterns.is_empty()).chain(by_model) {
            for quota in &ceilings.quotas {
                tighten(&mut spec.ceilings, *quota);
            }
            spec.in_flight = [spec.in_flight, ceilings.in_flight].into_iter().flatten().min();
        }
        if let Some((_, patterns)) = by_model {
            // What the user typed as one meter is one meter.
            models = patterns.iter().map(Pattern::to_string).collect::<Vec<_>>().join(", ");
        }
        (models, spec)
    }
}

fn matches((ceilings, patterns): &(Ceilings, Vec<Pattern>), place: &Place, model: &str) -> bool {
    let account = ceilings.account.as_deref();
    account.is_none_or(|account| account == place.account || account == &*place.name)
        && (patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(model)))
}

/// Adds a ceiling; of two for the same dimension and window the tighter one holds.
fn tighten(quotas: &mut Vec<Quota>, more: Quota) {
    match quotas.iter_mut().find(|known| (known.dimension, known.window) == (more.dimension, more.window)) {
        Some(known) => known.limit = known.limit.min(more.limit),
        None => quotas.push(more),
    }
}

/// Each upstream's account: as configured, else shared by those with the same credential at the same URL.
fn accounts(upstreams: &[Upstream]) -> Vec<String> {
    let same = |a: &Upstream, b: &Upstream| {
        a.api_key == b.api_key && a.base_url == b.base_url && a.provider.name == b.provider.name
    };
    let account = |upstream: &Upstream| {
        let twin = upstreams.iter().find(|other| same(other, upstream)).unwrap_or(upstream);
        upstream.account.clone().or_else(|| twin.account.clone()).unwrap_or_else(|| twin.name.clone())
    };
    upstreams.iter().map(account).collect()
}

fn checked_ceilings(
    ceilings: Vec<Ceilings>,
    places: &[Arc<Place>],
) -> Result<Vec<(Ceilings, Vec<Pattern>)>, BuildError> {
    let known =
        |account: &String| places.iter().any(|place| place.account == *account || *place.name == **account);
    let unknown =
        ceilings.iter().filter_map(|ceilings| ceilings.account.as_ref()).find(|account| !known(account));
    if let Some(account) = unknown {
        return Err(BuildError::Ceilings { account: account.clone() });
    }
    let with_patterns = |ceilings: Ceilings| {
        let patterns = ceilings.models.iter().map(Pattern::new).collect();
        (ceilings, patterns)
    };
    Ok(ceilings.into_iter().map(with_patterns).collect())
}
