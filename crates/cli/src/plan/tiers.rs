//! The same jobs under each tier of their provider.

use std::collections::BTreeSet;
use std::time::Duration;

use paceline_core::quota::Quota;
use paceline_sim::plan::{Limited, forecast};
use paceline_wire::provider::Provider;

use super::layout::{paragraph, table};
use super::limits::Sources;
use super::survey::Survey;
use super::text::limited;
use super::world::World;
use super::{Premises, SEEDS_PER_TIER};
use crate::config::closest;
use crate::exit::Failure;
use crate::progress::{limit_name, short, span};

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
            let forecast = forecast(
                &setting,
                premises.seeds.map_or(SEEDS_PER_TIER, |typed| typed.min(SEEDS_PER_TIER)),
                known.steady(),
            );
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

/// The table for people.
pub(super) fn text(rows: &[TierRow]) -> String {
    let quotas = |row: &TierRow| {
        let name = |quota: &Quota| brief(&limit_name(quota.dimension, quota.window));
        let quota = |quota: &Quota| format!("{} {}", short(quota.limit), name(quota));
        row.quotas.iter().map(quota).collect::<Vec<_>>().join(", ")
    };
    let finish = |row: &TierRow| row.finish.map_or_else(|| "never".to_owned(), span);
    let cells = rows.iter().map(|row| [row.name.clone(), quotas(row), finish(row), row.as_of.clone()]);
    let binds = |row: &TierRow| row.binds.map_or_else(|| "-".to_owned(), |binds| brief(&limited(binds)));
    let notes: Vec<String> = rows.iter().map(binds).collect();
    let mut text = table(&["tier", "limits", "finish", "as of"], &cells.collect::<Vec<_>>(), &notes);
    let sources: BTreeSet<&str> = rows.iter().map(|row| row.source.as_str()).collect();
    let sources: Vec<&str> = sources.into_iter().collect();
    text.push_str(&paragraph("", &format!("last column: what binds; tiers as of {}", sources.join(" and "))));
    text
}

/// `requests/min` as `req/min`, for narrow columns.
fn brief(name: &str) -> String {
    name.replace("requests", "req")
        .replace("input tokens", "in")
        .replace("output tokens", "out")
        .replace("/min", "")
}
