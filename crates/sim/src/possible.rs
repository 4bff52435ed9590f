//! What could be reached at best: the steady-rate bound of a run.

use std::time::Duration;

use paceline_core::quota::Quota;
use paceline_core::time::Time;

use crate::provider::{Mood, charge};
use crate::record::Outcome;
use crate::scenario::{Change, Scenario};

/// Seconds that the batch, with the interactive requests it met, takes at the steady rate of the limit that binds.
/// Requests that got no answer are no achievement: they don't count.
pub fn steady_seconds(scenario: &Scenario, outcome: &Outcome) -> f64 {
    seconds_of(scenario, outcome, |_| 0.0)
}

/// The same when each limit's whole amount may go at the start on top of its rate.
pub fn burst_seconds(scenario: &Scenario, outcome: &Outcome) -> f64 {
    seconds_of(scenario, outcome, |quota| quota.limit as f64 * scenario.accounts as f64)
}

/// Full rate of the binding limit, per second, over all accounts, when nothing is wrong.
pub fn full_rate(scenario: &Scenario) -> f64 {
    let binding = scenario.quotas(100).into_iter().find(|quota| binds(scenario, quota));
    binding.map_or(0.0, |quota| rate(&quota)) * scenario.accounts as f64
}

fn seconds_of(scenario: &Scenario, outcome: &Outcome, head_start: impl Fn(&Quota) -> f64) -> f64 {
    let end = outcome.batch_ended.unwrap_or(Time::NEVER);
    let quotas = scenario.quotas(100);
    let needs = quotas.iter().map(|quota| {
        let met = outcome.records.iter().filter(|record| record.submitted <= end && record.is_done());
        let need: u64 = met.map(|record| charge(&record.job, quota.dimension, &scenario.metering())).sum();
        let steps = steps(scenario, binds(scenario, quota));
        let full = rate(quota) * scenario.accounts as f64;
        time_to_earn((need as f64 - head_start(quota)) / full, &steps)
    });
    needs.fold(0.0, f64::max)
}

fn rate(quota: &Quota) -> f64 {
    quota.limit as f64 / quota.window.as_secs_f64()
}

/// Whether this is the limit that binds (whatever the provider calls it).
pub fn binds(scenario: &Scenario, quota: &Quota) -> bool {
    quota.dimension == scenario.binding.dimension()
}

/// From when on which share of the full rate is there for us.
fn steps(scenario: &Scenario, binding: bool) -> Vec<(f64, f64)> {
    let mut changes: Vec<(Duration, Change)> = scenario.script.clone();
    changes.sort_by_key(|(at, _)| *at);
    let (mut percent, mut living) = (100, scenario.accounts);
    let mut steps = vec![(0.0, 1.0)];
    for (at, change) in &changes {
        match change {
            Change::Quotas(new) => percent = *new,
            Change::Mood { accounts, mood: Mood::Dead(_) | Mood::Hanging(_) | Mood::Failing } => {
                living = scenario.accounts - accounts;
            }
            Change::Mood { mood: Mood::Well, .. } => living = scenario.accounts,
            Change::Mood { mood: Mood::Mixed(_) | Mood::Breaking(_) | Mood::Misleading(..), .. }
            | Change::Crash => {}
        }
        let share = percent as f64 / 100.0 * living as f64 / scenario.accounts as f64;
        steps.push((at.as_secs_f64(), share));
    }
    let Some(stranger) = scenario.stranger.filter(|_| binding) else { return steps };
    let from = stranger.from.as_secs_f64();
    let before = steps.iter().rev().find(|(at, _)| *at <= from).map_or(1.0, |(_, share)| *share);
    steps.push((from, before));
    steps.sort_by(|a, b| a.0.total_cmp(&b.0));
    steps
        .into_iter()
        .map(|(at, share)| (at, if from <= at { share * (1.0 - stranger.share) } else { share }))
        .collect()
}

/// When `seconds` worth of the full rate have been earned, if only shares of it flow.
fn time_to_earn(seconds: f64, steps: &[(f64, f64)]) -> f64 {
    let mut missing = seconds;
    for (index, (at, share)) in steps.iter().enumerate() {
        let until = steps.get(index + 1).map_or(f64::INFINITY, |next| next.0);
        let earned = (until - at) * share;
        if missing <= earned {
            return if missing <= 0.0 { 0.0 } else { at + missing / share };
        }
        missing -= earned;
    }
    f64::INFINITY
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Knowledge, Stranger};
    use crate::window::{Binding, Window};

    #[test]
    fn shares_follow_the_script() {
        let mut scenario = Scenario::new("", Window::MinuteBucket, Binding::Requests, Knowledge::HEADERS);
        scenario.script = vec![(Duration::from_secs(100), Change::Quotas(50))];
        scenario.stranger = Some(Stranger { share: 0.3, from: Duration::from_secs(200) });
        let steps = steps(&scenario, true);
        let cases = [(50.0, 50.0), (100.0, 100.0), (125.0, 150.0), (150.0, 200.0), (185.0, 300.0)];
        for (work, at) in cases {
            let earned = time_to_earn(work, &steps);
            assert!((earned - at).abs() < 1e-6, "{work} earned at {earned}, not {at}");
        }
    }
}
