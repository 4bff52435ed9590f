//! What a batch needs of each limit, and the time that takes at the limit's own speed.

use std::time::Duration;

use paceline_core::quota::{Dimension, OutputRule};

use super::setting::{Kind, MeterSetting};
use crate::provider::output_charge;

/// The jobs of one kind, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// How many.
    pub jobs: u64,
    /// Input tokens as they are charged.
    pub input_tokens: u64,
    /// Output tokens as they are expected.
    pub output_tokens: f64,
    /// The most output tokens they ask for, where they say.
    pub most_output_tokens: u64,
    /// How long their answers take, one after the other, in seconds.
    pub answer_seconds: f64,
}

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limited {
    /// This dimension over this window.
    Quota(Dimension, Duration),
    /// Attempts in flight.
    InFlight,
}

/// One limit, and what the batch needs of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// What is limited.
    pub limited: Limited,
    /// The meters that share the work: one for each account.
    pub meters: Vec<usize>,
    /// How much all these meters allow together.
    pub limit: u64,
    /// How much is needed: of the dimension, or seconds in flight.
    pub needed: u64,
    /// The time in which the limit allows that, at a steady rate. A burst may be faster.
    pub steady: Duration,
}

/// What kinds with these totals need of each limit, the slowest first: that one binds.
///
/// Kinds on the same meters are added up; accounts that serve the same kind share its work evenly. Lanes of later tiers
/// only step in, so they are left out.
pub fn needs(kinds: &[Kind], totals: &[Totals], meters: &[MeterSetting]) -> Vec<Need> {
    let mut sets: Vec<(Vec<usize>, Totals)> = Vec::new();
    for (kind, totals) in kinds.iter().zip(totals) {
        let set = first_meters(kind);
        match sets.iter_mut().find(|(known, _)| *known == set) {
            Some((_, sum)) => add(sum, totals),
            None => sets.push((set, *totals)),
        }
    }
    let mut all: Vec<Need> = sets.iter().flat_map(|(set, totals)| of_set(set, totals, meters)).collect();
    all.sort_by_key(|need| std::cmp::Reverse(need.steady));
    all
}

fn first_meters(kind: &Kind) -> Vec<usize> {
    let first = kind.lanes.iter().map(|lane| lane.tier).min();
    let mut set: Vec<usize> =
        kind.lanes.iter().filter(|lane| Some(lane.tier) == first).map(|lane| lane.meter).collect();
    set.sort_unstable();
    set.dedup();
    set
}

fn add(sum: &mut Totals, more: &Totals) {
    sum.jobs += more.jobs;
    sum.input_tokens += more.input_tokens;
    sum.output_tokens += more.output_tokens;
    sum.most_output_tokens += more.most_output_tokens;
    sum.answer_seconds += more.answer_seconds;
}

/// What one set of meters is asked for. A limit counts where every meter of the set has it: a meter without it would take the
/// rest.
fn of_set(set: &[usize], totals: &Totals, meters: &[MeterSetting]) -> Vec<Need> {
    let set_meters: Vec<&MeterSetting> = set.iter().filter_map(|meter| meters.get(*meter)).collect();
    let Some(first) = set_meters.first() else { return Vec::new() };
    let need = |limited, limits: Vec<Option<u64>>, needed: f64, window: Duration| {
        let limit = limits.into_iter().sum::<Option<u64>>()?;
        let steady = seconds(window.as_secs_f64() * needed / limit.max(1) as f64);
        Some(Need { limited, meters: set.to_vec(), limit, needed: needed.round() as u64, steady })
    };
    let quotas = effective(first).into_iter().filter_map(|(dimension, window, _)| {
        let of = |meter: &&MeterSetting| {
            let known = effective(meter).into_iter().find(|known| (known.0, known.1) == (dimension, window));
            known.map(|(.., limit)| limit)
        };
        let needed = charged(totals, dimension, first.rules.metering.output) as f64;
        need(Limited::Quota(dimension, window), set_meters.iter().map(of).collect(), needed, window)
    });
    let slots = |meter: &&MeterSetting| {
        let slots = [meter.spec.in_flight, meter.rules.concurrency].into_iter().flatten().min();
        slots.map(u64::from)
    };
    let slots = set_meters.iter().map(slots).collect();
    let in_flight = need(Limited::InFlight, slots, totals.answer_seconds, Duration::from_secs(1));
    quotas.chain(in_flight).collect()
}

/// The limits that hold on a meter: of the provider's and ours the tighter one.
fn effective(meter: &MeterSetting) -> Vec<(Dimension, Duration, u64)> {
    let told = meter.limits.iter().map(|limit| (limit.dimension, limit.window, limit.amount));
    let typed = meter.spec.ceilings.iter().map(|quota| (quota.dimension, quota.window, quota.limit));
    let mut all: Vec<(Dimension, Duration, u64)> = Vec::new();
    for (dimension, window, limit) in told.chain(typed) {
        match all.iter_mut().find(|known| (known.0, known.1) == (dimension, window)) {
            Some(known) => known.2 = known.2.min(limit),
            None => all.push((dimension, window, limit)),
        }
    }
    all.sort();
    all
}

fn charged(totals: &Totals, dimension: Dimension, rule: OutputRule) -> u64 {
    let output = output_charge(rule, totals.output_tokens.round() as u64, totals.most_output_tokens);
    match dimension {
        Dimension::Requests => totals.jobs,
        Dimension::InputTokens => totals.input_tokens,
        Dimension::OutputTokens => output,
        Dimension::TotalTokens => totals.input_tokens.saturating_add(output),
    }
}

/// A span that no product of large numbers makes too long to write down.
fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}
