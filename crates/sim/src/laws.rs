//! What must hold in every run, whatever the figures.

use std::fmt;
use std::time::Duration;

use paceline_core::engine::{Config, Snapshot};
use paceline_core::quota::Dimension;
use paceline_core::time::Time;

use crate::provider::charge;
use crate::record::Outcome;
use crate::scenario::Scenario;

/// No more violations than this are kept: one tells enough.
const KEPT: usize = 8;
/// A batch request may be passed by others for no longer than this.
const LONGEST_BYPASS: Duration = Duration::from_secs(120);
/// Output in flight when a window is full is still produced, and charged.
const OUTPUT_OVERHANG: f64 = 0.05;
/// Input estimates are off by some percent each, until the answer tells: this much of the limit in all,
const INPUT_ERROR: f64 = 0.01;
/// and this much of the largest request by itself.
const LARGEST_INPUT_ERROR: f64 = 0.24;

/// A law that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub law: &'static str,
    /// Under which scenario.
    pub scenario: String,
    /// Under which seed.
    pub seed: u64,
    /// When.
    pub at: Time,
    /// What happened.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: seed {}, {} at {}: {}", self.law, self.seed, self.scenario, self.at, self.detail)
    }
}

impl std::error::Error for Violation {}

/// Collects violations of one run.
#[derive(Debug)]
pub struct Court {
    scenario: String,
    seed: u64,
    /// What was found so far.
    pub violations: Vec<Violation>,
}

impl Court {
    /// Sits over one run.
    pub fn new(scenario: &Scenario, seed: u64) -> Self {
        Self { scenario: scenario.title(), seed, violations: Vec::new() }
    }

    /// Demands that `holds`; the detail is only made when it doesn't.
    pub fn demand(&mut self, holds: bool, law: &'static str, at: Time, detail: impl FnOnce() -> String) {
        if holds || KEPT <= self.violations.len() {
            return;
        }
        let (scenario, seed) = (self.scenario.clone(), self.seed);
        self.violations.push(Violation { law, scenario, seed, at, detail: detail() });
    }
}

/// Reservations are conserved: long after the last answer nothing waits, flies, or is charged.
pub fn quiescence(court: &mut Court, at: Time, snapshot: &Snapshot) {
    let law = "reservations are conserved";
    court.demand(snapshot.waiting == [0; 3], law, at, || format!("waiting {:?}", snapshot.waiting));
    court.demand(snapshot.in_flight == 0, law, at, || format!("in flight {}", snapshot.in_flight));
    for limiter in &snapshot.limiters {
        let id = limiter.id.0;
        court.demand(limiter.in_flight.0 == 0, law, at, || {
            format!("limiter {id} has {} in flight", limiter.in_flight.0)
        });
        for bucket in &limiter.buckets {
            court.demand(bucket.used == 0, law, at, || {
                format!("limiter {id} still counts {} of {:?}", bucket.used, bucket.quota)
            });
        }
    }
    for upstream in &snapshot.upstreams {
        court.demand(upstream.in_flight == 0, law, at, || {
            format!("upstream {} has {} in flight", upstream.id.0, upstream.in_flight)
        });
    }
}

/// The shared retry budget holds: a share of the requests, plus a floor per second.
pub fn retry_budget(court: &mut Court, at: Time, snapshot: &Snapshot, requests: usize, config: &Config) {
    let floor = config.retry_floor_per_second * (at.as_secs_f64() + 10.0);
    let allowed = config.retry_share * requests as f64 + floor;
    court.demand(snapshot.retries as f64 <= allowed, "the retry budget holds", at, || {
        format!("{} retries, {allowed:.0} allowed for {requests} requests", snapshot.retries)
    });
}

/// The laws that are judged when a run is over.
pub fn judge(court: &mut Court, scenario: &Scenario, outcome: &Outcome) {
    for caller in 0..scenario.callers {
        bounded_waiting(court, outcome, caller, scenario.callers);
    }
    if scenario.is_exact() {
        windows(court, scenario, outcome);
    }
}

/// No batch request is passed by later ones for long: the `n`-th that a caller was given starts about when its `n`-th
/// start is.
fn bounded_waiting(court: &mut Court, outcome: &Outcome, caller: usize, callers: usize) {
    let own = outcome.records.iter().skip(caller).step_by(callers);
    let batch = own.filter(|record| record.submitted == Time::ZERO);
    let starts: Vec<Option<Time>> = batch.map(|record| record.first_sent).collect();
    let mut in_order: Vec<Time> = starts.iter().filter_map(|start| *start).collect();
    in_order.sort_unstable();
    for (place, start) in starts.iter().enumerate() {
        let Some(fifo) = in_order.get(place) else { break };
        let actual = start.unwrap_or(outcome.ended);
        court.demand(actual <= *fifo + LONGEST_BYPASS, "waiting is bounded", actual, || {
            format!("batch request {place} started {:.1} s after its turn", actual.since(*fifo).as_secs_f64())
        });
    }
}

/// No window is overspent by us, as a sliding log at the provider's door would count.
fn windows(court: &mut Court, scenario: &Scenario, outcome: &Outcome) {
    let largest = outcome.records.iter().map(|record| record.job.input_tokens).max().unwrap_or(0) as f64;
    for quota in scenario.quotas(100) {
        let limit = quota.limit as f64;
        let slack = match quota.dimension {
            Dimension::Requests => 0.0,
            Dimension::InputTokens | Dimension::TotalTokens => {
                limit * INPUT_ERROR + largest * LARGEST_INPUT_ERROR
            }
            Dimension::OutputTokens => limit * OUTPUT_OVERHANG,
        };
        let allowed = (limit + slack) as u64;
        for account in 0..scenario.accounts {
            let charges = charges(scenario, outcome, account, quota.dimension);
            let (mut sum, mut oldest) = (0, 0);
            for (at, amount) in &charges {
                sum += amount;
                while charges[oldest].0 + quota.window <= *at {
                    sum -= charges[oldest].1;
                    oldest += 1;
                }
                court.demand(sum <= allowed, "no window is overspent", *at, || {
                    format!("{sum} of {} {:?} within {:?}", quota.limit, quota.dimension, quota.window)
                });
            }
        }
    }
}

/// What the provider counted when. Output is counted second by second while it is produced.
fn charges(scenario: &Scenario, outcome: &Outcome, account: usize, what: Dimension) -> Vec<(Time, u64)> {
    let mut charges = Vec::new();
    for admitted in outcome.admitted.iter().filter(|admitted| admitted.account == account) {
        let job = &outcome.records[admitted.request].job;
        if what != Dimension::OutputTokens {
            charges.push((admitted.at, charge(job, what, &scenario.metering())));
            continue;
        }
        let per_second = (1.0 / job.token_every.as_secs_f64()).ceil() as u64;
        let (mut left, mut at) = (job.output_tokens, admitted.at + job.first_token_after);
        while 0 < left {
            let amount = left.min(per_second.max(1));
            charges.push((at, amount));
            (left, at) = (left - amount, at + Duration::from_secs(1));
        }
    }
    charges.sort_unstable();
    charges
}
