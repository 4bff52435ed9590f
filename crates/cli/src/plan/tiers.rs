//! The same jobs under each tier of their provider.

use std::time::Duration;

use paceline_core::quota::Quota;
use paceline_sim::plan::{Limited, forecast};
use paceline_wire::provider::Provider;

use super::limits::Sources;
use super::survey::Survey;
use super::world::World;
use super::{Premises, SEEDS_PER_TIER};
use crate::config::closest;
use crate::exit::Failure;

/// One tier.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TierRow {
    pub(crate) name: String,
    pub(crate) as_of: String,
    pub(crate) source: String,
    /// The limits of the models that take longest.
    pub(crate) quotas: Vec<Quota>,
    pub(crate) finish: Option<Duration>,
    pub(crate) binds: Option<Limited>,
}

/// Fails unless the provider has a tier of that name.
pub(crate) fn check(provider: &Provider, tier: &str) -> Result<(), Failure> {
    let names: Vec<&str> = provider.tiers.iter().map(|tier| tier.name.as_str()).collect();
    if names.contains(&tier) {
        return Ok(());
    }
    let failure = Failure::usage(anyhow::anyhow!("`{}` has no tier `{tier}` that is known", provider.name));
    Err(failure.hint(match (closest(tier, &names), names.is_empty()) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, false) => format!("it has: `{}`", names.join("`, `")),
        (None, true) => "type the limits instead, such as `--rpm 50 --tpm 30k`".to_owned(),
    }))
}

/// The tiers that grant something to every model, the fastest first.
pub(crate) fn compare(survey: &Survey, premises: &Premises) -> Vec<TierRow> {
    let mut rows: Vec<TierRow> = premises
        .provider
        .tiers
        .iter()
        .filter_map(|tier| {
            let mut lanes = survey.models.iter().flat_map(|model| &model.lanes);
            if survey.jobs == 0 || lanes.any(|lane| lane.provider.limit(&tier.name, &lane.model).is_none()) {
                return None;
            }
            let sources = Sources { tier: Some(tier.name.clone()), ..premises.sources.clone() };
            let World { setting, known } = World::new(survey, &sources, premises.accounts);
            let forecast = forecast(&setting, SEEDS_PER_TIER.min(premises.seeds), known.least());
            let finish = forecast.quantile(0.5);
            let first = known.needs.first();
            let origins = first.and_then(|need| known.meters.get(*need.meters.first()?));
            let mut quotas: Vec<Quota> = origins
                .map(|(_, origins)| origins.iter().map(|(quota, _)| *quota).collect())
                .unwrap_or_default();
            quotas.sort_by_key(|quota: &Quota| (quota.dimension, quota.window));
            Some(TierRow {
                name: tier.name.clone(),
                as_of: tier.as_of.clone(),
                source: tier.source.clone(),
                quotas,
                finish,
                binds: known.binding(finish.unwrap_or_default()).map(|need| need.limited),
            })
        })
        .collect();
    rows.sort_by_key(|row| row.finish.unwrap_or(Duration::MAX));
    rows
}
