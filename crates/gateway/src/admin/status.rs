//! `/v1/status`: the standing of everything at this moment, as JSON for programs.

use std::sync::Arc;
use std::time::Duration;

use paceline::core::engine::{Bind, Health, LimitSource};
use paceline::{LimiterStanding, Snapshot};
use serde_json::{Value, json};

use super::metrics::{health, window};
use crate::callers::Caller;

/// What is so, in the words of the glossary.
pub(super) fn status(snapshot: &Snapshot, callers: &[Arc<Caller>], up: Duration, is_ready: bool) -> Value {
    let [interactive, normal, batch] = snapshot.waiting;
    json!({
        "ready": is_ready,
        "up_seconds": up.as_secs(),
        "waiting": {"interactive": interactive, "normal": normal, "batch": batch},
        "in_flight": snapshot.in_flight,
        "sent": snapshot.sent,
        "throttled": snapshot.throttled,
        "retries": snapshot.retries,
        "paused": snapshot.paused,
        "limiters": snapshot.limiters.iter().map(limiter).collect::<Vec<_>>(),
        "upstreams": snapshot.upstreams.iter().map(|upstream| json!({
            "name": &*upstream.name,
            "credential": upstream.caller,
            "health": health(upstream.view.health),
            "for_seconds": match upstream.view.health {
                Health::Open(wait) => Some(wait.as_secs_f64()),
                _ => None,
            },
            "class": match upstream.view.health {
                Health::OutOfService(class) => Some(class.name()),
                _ => None,
            },
            "in_flight": upstream.view.in_flight,
        })).collect::<Vec<_>>(),
        "callers": callers.iter().map(|caller| json!({
            "name": &*caller.name,
            "weight": caller.weight,
            "allowances": caller.purse.standing().iter().map(|(allowance, spent)| json!({
                "dimension": allowance.counted.name(),
                "window": window(allowance.window),
                "limit": allowance.limit,
                "used": spent,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn limiter(limiter: &LimiterStanding) -> Value {
    let (in_flight, most) = limiter.view.in_flight;
    json!({
        "account": limiter.account,
        "models": limiter.models,
        "in_flight": in_flight,
        "in_flight_limit": most,
        "closed_for_seconds": limiter.view.closed_for.map(|wait| wait.as_secs_f64()),
        "binds": limiter.view.binds.map(|bind| match bind {
            Bind::Quota(dimension, over) => format!("{}/{}", dimension.name(), window(over)),
            Bind::InFlight => "in_flight".to_owned(),
            Bind::Gate => "gate".to_owned(),
            Bind::Learning => "learning".to_owned(),
            Bind::Health => "health".to_owned(),
        }),
        "limits": limiter.view.buckets.iter().map(|bucket| json!({
            "dimension": bucket.quota.dimension.name(),
            "window": window(bucket.quota.window),
            "limit": bucket.quota.limit,
            "used": bucket.used,
            "source": match bucket.source {
                LimitSource::Typed => "typed",
                LimitSource::Reported => "reported",
                LimitSource::Learned => "learned",
            },
        })).collect::<Vec<_>>(),
    })
}
