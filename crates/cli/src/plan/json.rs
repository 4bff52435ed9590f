//! A plan for programs. Keys stay; new ones may come.

use std::time::Duration;

use paceline_sim::plan::{Limited, Need};
use serde_json::{Value, json};

use super::Plan;
use super::answers::LengthsFrom;
use super::limits::Origin;
use super::survey::Found;
use super::text::limited;
use super::world::Known;

impl Plan {
    /// For programs.
    pub(crate) fn json(&self) -> Value {
        let survey = &self.survey;
        let sum = |of: fn(&paceline_sim::plan::Totals) -> f64| -> u64 {
            survey.models.iter().map(|model| of(&model.totals)).sum::<f64>().round() as u64
        };
        let inputs: Vec<String> = self.inputs.iter().map(|input| input.display().to_string()).collect();
        json!({
            "event": "plan",
            "inputs": inputs,
            "provider": self.premises.provider.name,
            "mock": self.premises.sources.mock.is_some(),
            "jobs": survey.jobs,
            "done": self.report.done,
            "unreadable": found(&survey.unreadable),
            "too_large": found(&survey.too_large),
            "models": survey.models.iter().map(|model| json!({"model": model.model, "jobs": model.totals.jobs})).collect::<Vec<_>>(),
            "input_tokens": sum(|totals| totals.input_tokens as f64),
            "output_tokens": sum(|totals| totals.output_tokens),
            "output_tokens_from": match self.lengths_from {
                LengthsFrom::Typed => "typed",
                LengthsFrom::Results(_) => "results",
                LengthsFrom::Mock => "mock",
                LengthsFrom::Guess => "guess",
            },
            "usd": self.money_json(),
            "limits": self.known.needs.iter().map(|need| limit(&self.known, need, self.binds() == Some(need))).collect::<Vec<_>>(),
            "limits_unknown": self.known.missing.iter().map(|dimension| dimension.name()).collect::<Vec<_>>(),
            "finish": self.finish_json(),
            "tiers": self.tiers.iter().map(|row| json!({
                "tier": row.name,
                "as_of": row.as_of,
                "source": row.source,
                "finish_seconds": row.finish.map(seconds),
                "binds": row.binds.map(limited),
            })).collect::<Vec<_>>(),
        })
    }

    fn money_json(&self) -> Value {
        let money = &self.money;
        let dollars = |money: paceline_wire::price::MicroUsd| {
            format!("{}.{:06}", money.micros() / 1_000_000, money.micros() % 1_000_000)
        };
        json!({
            "expected": money.prices.as_ref().map(|_| dollars(money.expected)),
            "most": money.prices.as_ref().and(money.most).map(dollars),
            "prices_as_of": money.prices.as_ref().map(|prices| [&prices.oldest, &prices.newest]),
            "unpriced": money.unpriced,
        })
    }

    fn finish_json(&self) -> Value {
        let Some(forecast) = &self.forecast else { return Value::Null };
        let at = |share| forecast.quantile(share).map(seconds);
        json!({
            "p10_seconds": at(0.1),
            "p50_seconds": at(0.5),
            "p90_seconds": at(0.9),
            "runs": forecast.runs,
            "jobs_simulated": forecast.played,
            "throttled_at_most": forecast.throttled,
        })
    }
}

/// A limit, and what is needed of it.
pub(super) fn limit(known: &Known, need: &Need, binds: bool) -> Value {
    let (dimension, window) = match need.limited {
        Limited::Quota(dimension, window) => (dimension.name(), Some(seconds(window))),
        Limited::InFlight => ("in_flight", None),
    };
    let origin = match known.origin(need) {
        Some(Origin::Tier { name, as_of, source }) => json!({"tier": name, "as_of": as_of, "source": source}),
        Some(Origin::Learned { age, reported }) => {
            json!({"learned_seconds_ago": seconds(*age), "reported": reported})
        }
        Some(Origin::Mock) => json!("mock"),
        Some(Origin::Typed) | None => json!("typed"),
    };
    json!({
        "dimension": dimension,
        "window_seconds": window,
        "models": need.meters.first().and_then(|meter| known.meters.get(*meter)).map(|(models, _)| models),
        "accounts": need.meters.len(),
        "limit": need.limit,
        "needed": need.needed,
        "steady_seconds": seconds(need.steady),
        "binds": binds,
        "from": origin,
    })
}

fn found(found: &Found) -> Value {
    json!({"lines": found.count, "first": found.first})
}

/// A span in seconds, for programs.
pub(super) fn seconds(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e3).round() / 1e3
}
