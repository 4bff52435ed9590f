//! What a run looks like at one instant, and how that reads: as a line and as JSON.

use std::time::Duration;

use paceline::{Snapshot, UpstreamStanding};
use paceline_core::engine::{Bind, Health, LimitSource};
use paceline_core::feedback::Class;
use paceline_core::quota::Dimension;
use paceline_wire::price::MicroUsd;
use serde_json::{Value, json};

use super::numbers::{limit_name, short, span};

/// One limit and how much of it is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meter {
    /// What it counts.
    pub(crate) dimension: Dimension,
    /// Over how long.
    pub(crate) window: Duration,
    /// Charged in the last window.
    pub(crate) used: u64,
    /// The most.
    pub(crate) limit: u64,
    /// Nobody told that limit; it is still being found out.
    pub(crate) is_guess: bool,
}

/// A run at one instant.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct View {
    /// The jobs.
    pub(crate) run: paceline_batch::View,
    /// Attempts that were throttled, of jobs under way too.
    pub(crate) throttled: u64,
    /// Attempts that were sent, of jobs under way too.
    pub(crate) sent: u64,
    /// How many of them were retries of failed ones.
    pub(crate) retries: u64,
    /// The limits, summed over accounts and models.
    pub(crate) meters: Vec<Meter>,
    /// What holds the next request back.
    pub(crate) binds: Option<String>,
    /// Which upstream does not serve, and how that shows.
    pub(crate) trouble: Option<String>,
}

impl View {
    /// The view of these numbers and this standing of the client.
    pub(crate) fn new(run: paceline_batch::View, snapshot: &Snapshot) -> Self {
        let binds = match snapshot.paused {
            true => Some("a pause that was asked for".to_owned()),
            false => snapshot.limiters.iter().find_map(|limiter| limiter.view.binds).map(bind_name),
        };
        Self {
            run,
            throttled: snapshot.throttled,
            sent: snapshot.sent,
            retries: snapshot.retries,
            meters: meters(snapshot),
            binds,
            trouble: snapshot.upstreams.iter().find_map(trouble),
        }
    }

    /// Everything that changes, for the line under a bar.
    pub(crate) fn details(&self) -> String {
        let run = &self.run;
        let waiting = run.left().saturating_sub(run.in_flight);
        let mut jobs =
            format!("{} failed, {} in flight, {} waiting", run.failed, run.in_flight, short(waiting));
        if self.throttled > 0 {
            jobs.push_str(&format!(", {} throttled", short(self.throttled)));
        }
        let mut parts = vec![jobs];
        if let Some(trouble) = &self.trouble {
            parts.push(trouble.clone());
        }
        if let Some(left) = run.time_left().filter(|_| run.left() > 0) {
            parts.push(format!("{} left", span(left)));
        }
        if let Some(binds) = &self.binds {
            parts.push(format!("held by {binds}"));
        }
        if run.spent > MicroUsd::ZERO {
            let projected = run.projected().map(|all| format!(" of about {all}")).unwrap_or_default();
            parts.push(format!("{}{projected}", run.spent));
        }
        for meter in &self.meters {
            let name = limit_name(meter.dimension, meter.window);
            let about = if meter.is_guess { "about " } else { "" };
            parts.push(format!("{} of {about}{} {name}", short(meter.used), short(meter.limit)));
        }
        if self.meters.is_empty() {
            let (requests, tokens) = (short(run.requests_per_minute), short(run.tokens_per_minute));
            parts.push(format!("{requests} requests/min, {tokens} tokens/min, limits not known"));
        }
        parts.join(" | ")
    }

    /// One line that says it all.
    pub(crate) fn line(&self) -> String {
        let run = &self.run;
        format!("{}: {} of {} done, {}", span(run.elapsed), short(run.done), short(run.jobs), self.details())
    }

    /// The same for programs.
    pub(crate) fn json(&self, event: &str) -> Value {
        let limit = |meter: &Meter| {
            json!({
                "dimension": meter.dimension.name(),
                "window_seconds": meter.window.as_secs_f64(),
                "used": meter.used,
                "limit": meter.limit,
                "is_guess": meter.is_guess,
            })
        };
        let run = &self.run;
        json!({
            "event": event,
            "elapsed_seconds": run.elapsed.as_millis() as f64 / 1000.0,
            "jobs": run.jobs,
            "done": run.done,
            "failed": run.failed,
            "in_flight": run.in_flight,
            "waiting": run.left().saturating_sub(run.in_flight),
            "attempts": self.sent,
            "throttled": self.throttled,
            "retries": self.retries,
            "requests_per_minute": run.requests_per_minute,
            "tokens_per_minute": run.tokens_per_minute,
            "input_tokens": run.input_tokens,
            "output_tokens": run.output_tokens,
            "spent_usd": usd(run.spent),
            "projected_usd": run.projected().map(usd),
            "unpriced": run.unpriced,
            "left_seconds": run.time_left().map(|left| left.as_secs()),
            "held_by": self.binds,
            "trouble": self.trouble,
            "limits": self.meters.iter().map(limit).collect::<Vec<_>>(),
        })
    }
}

/// Dollars as text with all six places: a number would be rounded by whoever reads it.
fn usd(amount: MicroUsd) -> String {
    format!("{}.{:06}", amount.micros() / 1_000_000, amount.micros() % 1_000_000)
}

/// The limits that were used, summed over accounts and models, in the order people read them.
fn meters(snapshot: &Snapshot) -> Vec<Meter> {
    let mut meters: Vec<Meter> = Vec::new();
    for bucket in snapshot.limiters.iter().flat_map(|limiter| &limiter.view.buckets) {
        let (dimension, window) = (bucket.quota.dimension, bucket.quota.window);
        let (used, limit, is_guess) =
            (bucket.used, bucket.quota.limit, bucket.source == LimitSource::Learned);
        match meters.iter_mut().find(|meter| (meter.dimension, meter.window) == (dimension, window)) {
            Some(meter) => {
                meter.used = meter.used.saturating_add(used);
                meter.limit = meter.limit.saturating_add(limit);
                meter.is_guess |= is_guess;
            }
            None => meters.push(Meter { dimension, window, used, limit, is_guess }),
        }
    }
    meters.sort_by_key(|meter| (meter.dimension, meter.window));
    meters
}

fn trouble(upstream: &UpstreamStanding) -> Option<String> {
    let what = match upstream.view.health {
        Health::Closed => return None,
        Health::Open(_) | Health::HalfOpen => {
            "does not answer, or only with errors; it is tried now and then"
        }
        Health::OutOfService(Class::Money) => "is out of money",
        Health::OutOfService(_) => "refuses its key",
    };
    Some(format!("upstream `{}` {what}", upstream.name))
}

fn bind_name(bind: Bind) -> String {
    match bind {
        Bind::Quota(dimension, window) => limit_name(dimension, window),
        Bind::InFlight => "the limit on requests in flight".to_owned(),
        Bind::Gate => "the pause the provider asked for".to_owned(),
        Bind::Learning => "the search for the unknown limit".to_owned(),
        Bind::Health => "an upstream that is out of service".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> View {
        let minute = Duration::from_secs(60);
        View {
            run: paceline_batch::View {
                jobs: 100,
                done: 42,
                failed: 1,
                ended: 43,
                in_flight: 3,
                input_tokens: 4_200,
                output_tokens: 37_800,
                spent: MicroUsd::new(579_600),
                elapsed: Duration::from_millis(51_500),
                ..paceline_batch::View::default()
            },
            throttled: 0,
            sent: 46,
            retries: 0,
            meters: vec![
                Meter {
                    dimension: Dimension::Requests,
                    window: minute,
                    used: 46,
                    limit: 50,
                    is_guess: false,
                },
                Meter {
                    dimension: Dimension::InputTokens,
                    window: minute,
                    used: 4_600,
                    limit: 30_000,
                    is_guess: false,
                },
            ],
            binds: Some("requests/min".to_owned()),
            trouble: None,
        }
    }

    #[test]
    fn a_line_says_it_all() {
        assert_eq!(
            example().line(),
            "51s: 42 of 100 done, 1 failed, 3 in flight, 54 waiting | 1m 08s left | held by requests/min | \
             $0.5796 of about $1.35 | 46 of 50 requests/min | 4,600 of 30k input tokens/min"
        );
    }

    #[test]
    fn a_provider_that_fails_is_told_before_the_rest() {
        let view = View { trouble: Some("upstream `a` fails".to_owned()), ..example() };
        assert!(view.details().starts_with("1 failed, 3 in flight, 54 waiting | upstream `a` fails | "));
        assert_eq!(view.json("progress")["trouble"], "upstream `a` fails");
    }

    #[test]
    fn programs_get_the_same() {
        let value = example().json("progress");
        assert_eq!(value["waiting"], 54);
        assert_eq!(value["spent_usd"], "0.579600");
        assert_eq!(value["limits"][0]["limit"], 50);
    }
}
