//! The standing of a process as a few lines of text.

use std::fmt::Write;
use std::time::Duration;

use paceline_control::name;
use paceline_status::{Batch, Limiter, Source, Status, Upstream};
use paceline_wire::price::MicroUsd;

use crate::progress::{count, grouped, short, span};

/// What people want to know first, a line for each thing.
pub(crate) fn text(status: &Status) -> String {
    let mut text = head(status);
    if let Some(batch) = &status.batch {
        let _ = writeln!(text, "{}", jobs(batch));
    }
    for limiter in &status.limiters {
        text.push_str(&limits(limiter));
    }
    for upstream in &status.upstreams {
        let _ = writeln!(text, "{}", health(upstream));
    }
    text
}

fn head(status: &Status) -> String {
    let up = span(Duration::from_secs(status.up_seconds));
    let state = match (status.paused, status.ready) {
        (true, _) => "paused",
        (false, true) => "sending",
        (false, false) => "draining",
    };
    format!(
        "{} {}: {state}, up {up}, {} in flight, {} waiting, {} sent, {} throttled\n",
        name(status.kind),
        status.pid,
        grouped(status.in_flight),
        grouped(status.waiting_in_all()),
        grouped(status.sent),
        grouped(status.throttled),
    )
}

fn jobs(batch: &Batch) -> String {
    let mut parts = vec![
        format!("{} of {} done", grouped(batch.done), count(batch.total, "job")),
        format!("{} failed", grouped(batch.failed)),
    ];
    if let Some(left) = eta(batch) {
        parts.push(format!("{left} left"));
    }
    if let Some(binds) = &batch.binds {
        parts.push(format!("held by {binds}"));
    }
    parts.push(money(batch));
    format!("batch: {}", parts.join(", "))
}

/// How long a batch goes on, as far as that can be said.
pub(crate) fn eta(batch: &Batch) -> Option<String> {
    let left = batch.eta_seconds.filter(|_| batch.done + batch.failed < batch.total)?;
    Duration::try_from_secs_f64(left).ok().map(span)
}

/// What a batch has cost, will cost, and may.
pub(crate) fn money(batch: &Batch) -> String {
    let mut text = MicroUsd::new(batch.cost_micro_usd).to_string();
    if let Some(all) = batch.projected_micro_usd {
        let _ = write!(text, " of about {}", MicroUsd::new(all));
    }
    if let Some(budget) = batch.budget_micro_usd {
        let _ = write!(text, ", budget {}", MicroUsd::new(budget));
    }
    text
}

fn limits(limiter: &Limiter) -> String {
    let mut text = String::new();
    let whose = format!("limit: {} {}", limiter.account, limiter.models);
    for limit in &limiter.limits {
        let name = format!("{}/{}", limit.dimension, limit.window);
        let used = format!("{} of {} {name}", short(limit.used), short(limit.limit));
        let _ = writeln!(text, "{whose}: {used} ({})", source(limit.source));
    }
    if let Some(most) = limiter.in_flight_limit {
        let _ = writeln!(text, "{whose}: {} of {} in flight", grouped(limiter.in_flight), grouped(most));
    }
    text
}

/// Where a limit comes from, in a word.
pub(crate) fn source(source: Source) -> &'static str {
    match source {
        Source::Typed => "typed",
        Source::Reported => "reported",
        Source::Learned => "learned",
    }
}

fn health(upstream: &Upstream) -> String {
    let whose = upstream.credential.as_ref().map(|whose| format!(" for {whose}")).unwrap_or_default();
    format!(
        "upstream: {}{whose}: {} in flight, {}",
        upstream.name,
        grouped(upstream.in_flight),
        upstream.reason
    )
}
