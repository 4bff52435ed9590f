//! Which limits a plan goes by: typed, of a tier, learned, or the mock's. What nobody has told is said to be unknown.

use std::time::Duration;

use paceline::{LaneOutline, LearnedLimits};
use paceline_core::engine::LimitSource;
use paceline_core::quota::{Dimension, Quota};
use paceline_mock::model::{Algorithm, Limit, Rules};
use paceline_mock::profile::{Enforcement, Profile};
use paceline_sim::plan::MeterSetting;
use paceline_sim::told::Manners;
use paceline_wire::dialect::Dialect;
use paceline_wire::provider::{LimitHeaders, Provider};

const MINUTE: Duration = Duration::from_secs(60);

/// Where limits come from, beside those that are typed.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// The mock's account, when that is who is asked.
    pub(crate) mock: Option<Profile>,
    /// The tier that is assumed.
    pub(crate) tier: Option<String>,
    /// What earlier runs learned.
    pub(crate) learned: Vec<LearnedLimits>,
    /// How a minute's limit is enforced.
    pub(crate) window: Enforcement,
}

/// Where one limit comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag or the configuration.
    Typed,
    /// A tier of the provider, as published on a day.
    Tier { name: String, as_of: String, source: String },
    /// Answers of an earlier run told it, or its refusals taught it, so long ago.
    Learned { reported: bool, age: Duration },
    /// The mock's account.
    Mock,
}

/// The limits of one lane.
#[derive(Clone, Debug)]
pub(crate) struct Metered {
    pub(crate) setting: MeterSetting,
    pub(crate) origins: Vec<(Quota, Origin)>,
    /// What the provider is known to limit, and nobody said by how much.
    pub(crate) missing: Vec<Dimension>,
}

impl Metered {
    /// Nothing is known that could hold anything back.
    pub(crate) fn is_unknown(&self) -> bool {
        let setting = &self.setting;
        self.origins.is_empty() && setting.spec.in_flight.is_none() && setting.rules.concurrency.is_none()
    }

    /// The most of each dimension that one request may ask for.
    pub(crate) fn most(&self) -> Vec<Quota> {
        let mut all: Vec<Quota> = Vec::new();
        for (quota, _) in &self.origins {
            match all.iter_mut().find(|known| known.dimension == quota.dimension) {
                Some(known) if known.limit <= quota.limit => {}
                Some(known) => *known = *quota,
                None => all.push(*quota),
            }
        }
        all
    }
}

impl Sources {
    /// The limits of a lane.
    pub(crate) fn of(&self, lane: &LaneOutline) -> Metered {
        let mut spec = lane.spec.clone();
        let mut rules = Rules { metering: lane.provider.metering, ..Rules::default() };
        let told = match (&self.mock, &self.tier) {
            (Some(profile), _) => {
                rules = profile.rules;
                self.of_mock(profile)
            }
            (None, Some(tier)) => {
                rules.concurrency = lane.provider.limit(tier, &lane.model).and_then(|limit| limit.in_flight);
                of_tier(&lane.provider, tier, &lane.model)
            }
            (None, None) => Vec::new(),
        };
        let learned = self.learned_of(lane).filter(|_| self.tier.is_none());
        spec.learned = learned.map(|of| of.limits.clone()).unwrap_or_default();
        let learned = spec.learned.iter().filter(|limit| limit.source != LimitSource::Typed).map(|limit| {
            let reported = limit.source == LimitSource::Reported;
            (limit.quota, Origin::Learned { reported, age: limit.age })
        });
        let mut origins: Vec<(Quota, Origin)> = Vec::new();
        // The mock's own limits are the truth; of a provider's, what was told last.
        told.into_iter().chain(learned).for_each(|(quota, origin)| add(&mut origins, quota, origin));
        let enforced: Vec<Limit> = origins.iter().map(|(quota, _)| self.enforce(quota)).collect();
        for quota in &spec.ceilings {
            tighten(&mut origins, *quota);
        }
        // Where only a ceiling is known, the provider is taken to hold to it, too.
        let only_typed = origins.iter().filter(|(quota, _)| !enforced.iter().any(|limit| same(limit, quota)));
        let limits = only_typed.map(|(quota, _)| self.enforce(quota)).chain(enforced.clone()).collect();
        let manners = self.manners(&lane.provider);
        let missing = if self.mock.is_some() { Vec::new() } else { missing(&lane.provider, &origins) };
        Metered { setting: MeterSetting { spec, limits, rules, manners }, origins, missing }
    }

    fn of_mock(&self, profile: &Profile) -> Vec<(Quota, Origin)> {
        let quota =
            |limit: Limit| Quota { dimension: limit.dimension, window: limit.window, limit: limit.amount };
        profile.meter_limits().into_iter().map(|limit| (quota(limit), Origin::Mock)).collect()
    }

    fn learned_of(&self, lane: &LaneOutline) -> Option<&LearnedLimits> {
        self.learned.iter().find(|of| {
            (&of.provider, &of.account, &of.models) == (&lane.provider.name, &lane.account, &lane.models)
        })
    }

    fn enforce(&self, quota: &Quota) -> Limit {
        let Quota { dimension, window, limit: amount } = *quota;
        let algorithm = match window == MINUTE {
            true => self.window.algorithm(amount),
            false => Algorithm::Bucket { capacity: amount },
        };
        Limit { dimension, amount, window, algorithm }
    }

    /// How answers tell of limits. The simulator speaks two of the grammars; the others tell as much as OpenAI's.
    fn manners(&self, provider: &Provider) -> Option<Manners> {
        let of_mock = self.mock.is_some();
        match (provider.limit_headers, provider.dialect) {
            (LimitHeaders::Anthropic, _) => Some(Manners::Anthropic),
            (LimitHeaders::None, Dialect::OpenAi) if !of_mock => None,
            _ => Some(Manners::OpenAi),
        }
    }
}

fn of_tier(provider: &Provider, tier: &str, model: &str) -> Vec<(Quota, Origin)> {
    let known = provider.tiers.iter().find(|known| known.name == tier);
    let (Some(known), Some(limit)) = (known, provider.limit(tier, model)) else { return Vec::new() };
    let (name, as_of, source) = (known.name.clone(), known.as_of.clone(), known.source.clone());
    let origin = Origin::Tier { name, as_of, source };
    limit.quotas.iter().map(|quota| (*quota, origin.clone())).collect()
}

/// Adds a limit unless one for the same dimension and window is there.
fn add(origins: &mut Vec<(Quota, Origin)>, quota: Quota, origin: Origin) {
    let key = |quota: &Quota| (quota.dimension, quota.window);
    if !origins.iter().any(|(known, _)| key(known) == key(&quota)) {
        origins.push((quota, origin));
    }
}

/// Puts a ceiling beside what is there: the tighter one holds.
fn tighten(origins: &mut Vec<(Quota, Origin)>, ceiling: Quota) {
    let same = |known: &&mut (Quota, Origin)| {
        (known.0.dimension, known.0.window) == (ceiling.dimension, ceiling.window)
    };
    match origins.iter_mut().find(same) {
        Some(known) if ceiling.limit < known.0.limit => *known = (ceiling, Origin::Typed),
        Some(_) => {}
        None => origins.push((ceiling, Origin::Typed)),
    }
}

fn same(limit: &Limit, quota: &Quota) -> bool {
    (limit.dimension, limit.window) == (quota.dimension, quota.window)
}

/// What the provider's tiers limit, and nothing here does.
fn missing(provider: &Provider, origins: &[(Quota, Origin)]) -> Vec<Dimension> {
    let limits = provider.tiers.iter().flat_map(|tier| &tier.limits);
    let mut missing: Vec<Dimension> =
        limits.flat_map(|limit| &limit.quotas).map(|quota| quota.dimension).collect();
    missing.sort_unstable();
    missing.dedup();
    missing.retain(|dimension| origins.iter().all(|(quota, _)| quota.dimension != *dimension));
    missing
}

#[cfg(test)]
mod tests {
    use paceline::{Ceilings, Client, Upstream};
    use paceline_core::engine::Learned;
    use paceline_wire::dialect::Endpoint;
    use paceline_wire::provider::Catalog;

    use super::*;

    fn quota(dimension: Dimension, limit: u64) -> Quota {
        Quota { dimension, window: MINUTE, limit }
    }

    fn lane(typed: &[Quota]) -> LaneOutline {
        let provider = Catalog::embedded().provider("anthropic").unwrap().clone();
        let ceilings = typed.iter().fold(Ceilings::new(), |ceilings, quota| ceilings.quota(*quota));
        let builder = Client::builder().upstream(Upstream::new("anthropic", provider)).ceilings(ceilings);
        builder.routes().unwrap().lanes(Endpoint::Messages, "claude-haiku-4-5").remove(0)
    }

    fn sources(tier: Option<&str>, learned: Vec<LearnedLimits>) -> Sources {
        Sources { mock: None, tier: tier.map(str::to_owned), learned, window: Enforcement::MinuteBucket }
    }

    fn limits(metered: &Metered) -> Vec<(Dimension, u64)> {
        metered.origins.iter().map(|(quota, _)| (quota.dimension, quota.limit)).collect()
    }

    #[test]
    fn of_a_tier_and_a_ceiling_the_tighter_one_holds() {
        let typed = [quota(Dimension::Requests, 300), quota(Dimension::InputTokens, 9_000_000)];
        let metered = sources(Some("start"), Vec::new()).of(&lane(&typed));
        let expected = [
            (Dimension::Requests, 300),
            (Dimension::InputTokens, 2_000_000),
            (Dimension::OutputTokens, 400_000),
        ];
        assert_eq!(limits(&metered), expected);
        // The provider still enforces its own.
        assert!(metered.setting.limits.iter().any(|limit| limit.amount == 1_000));
        assert!(metered.missing.is_empty() && !metered.is_unknown());
    }

    #[test]
    fn what_was_learned_is_used_and_a_tier_goes_before_it() {
        let limit = Learned {
            quota: quota(Dimension::Requests, 50),
            source: LimitSource::Reported,
            age: MINUTE,
            used: 0,
        };
        let learned = LearnedLimits {
            provider: "anthropic".to_owned(),
            account: "anthropic".to_owned(),
            models: "claude-haiku-4.5".to_owned(),
            limits: vec![limit],
        };
        let metered = sources(None, vec![learned.clone()]).of(&lane(&[]));
        assert_eq!(limits(&metered), [(Dimension::Requests, 50)]);
        assert_eq!(metered.missing, [Dimension::InputTokens, Dimension::OutputTokens]);
        assert_eq!(metered.setting.spec.learned, [limit]);
        let metered = sources(Some("build"), vec![learned]).of(&lane(&[]));
        assert_eq!(limits(&metered)[0], (Dimension::Requests, 5_000));
        assert!(metered.setting.spec.learned.is_empty());
    }

    #[test]
    fn without_any_word_all_is_unknown() {
        let metered = sources(None, Vec::new()).of(&lane(&[]));
        assert!(metered.is_unknown());
        assert_eq!(metered.missing, [Dimension::Requests, Dimension::InputTokens, Dimension::OutputTokens]);
        let metered = sources(None, Vec::new()).of(&lane(&[quota(Dimension::Requests, 9)]));
        assert_eq!((limits(&metered), metered.setting.limits.len()), (vec![(Dimension::Requests, 9)], 1));
    }
}
