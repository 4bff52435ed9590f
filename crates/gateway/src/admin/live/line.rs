//! One request that ended, as it is shown.

use std::time::Instant;

use paceline_status::priority;
use paceline_usage::Finish;
use paceline_wire::price::MicroUsd;
use serde::Serialize;

use crate::admin::recent::Gone;

/// A request that ended.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Line {
    id: Box<str>,
    /// When it ended: unix time.
    ended_ms: u64,
    dialect: &'static str,
    model: Box<str>,
    /// Under which name it was sent.
    sent_as: Option<String>,
    upstream: Option<String>,
    account: Option<String>,
    tenant: String,
    priority: &'static str,
    outcome: &'static str,
    class: Option<&'static str>,
    waited_ms: Option<u64>,
    /// From sending the last attempt.
    first_byte_ms: Option<u64>,
    total_ms: u64,
    attempts: u32,
    throttled: u32,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cost_micro_usd: Option<u64>,
}

impl Line {
    /// `now` twice: as the process and as the world count it.
    pub(super) fn of(gone: Gone, cost: Option<MicroUsd>, now: (Instant, u64)) -> Self {
        let ended = gone.ended;
        let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let (input_tokens, output_tokens) =
            ended.usage.map(|usage| (usage.prompt_tokens(), usage.output_tokens)).unzip();
        Self {
            id: gone.id,
            ended_ms: now.1.saturating_sub(millis(now.0.saturating_duration_since(gone.ended_at))),
            dialect: gone.dialect.name(),
            sent_as: ended.sent_as.as_deref().filter(|name| **name != *gone.model).map(str::to_owned),
            model: gone.model,
            upstream: ended.upstream.as_deref().map(str::to_owned),
            account: ended.account.as_deref().map(str::to_owned),
            tenant: gone.caller.to_string(),
            priority: priority(gone.priority),
            outcome: outcome(ended.finish),
            class: ended.class,
            waited_ms: ended.waited.map(millis),
            first_byte_ms: ended.first_byte.map(millis),
            total_ms: millis(gone.total),
            attempts: ended.attempts,
            throttled: ended.throttled,
            input_tokens,
            output_tokens,
            cost_micro_usd: cost.map(MicroUsd::micros),
        }
    }
}

fn outcome(finish: Finish) -> &'static str {
    match finish {
        Finish::Canceled => "left",
        other => other.name(),
    }
}
