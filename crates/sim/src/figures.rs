//! What a run is measured by, and what it should reach.

use std::time::Duration;

use paceline_core::engine::Priority;
use paceline_core::time::Time;

use crate::possible;
use crate::provider::{Mood, charge};
use crate::record::Outcome;
use crate::scenario::{Change, Scenario, Until};

/// Refusals in this span are the price of not knowing anything.
const FIRST: Duration = Duration::from_secs(1);
/// What a limit is must be known after this long.
const LEARNED: Duration = Duration::from_secs(600);
/// Rates after an outage are measured over this span.
const RATE_SPAN: Duration = Duration::from_secs(5);
/// How long after an outage a spike is looked for.
const AFTERMATH: Duration = Duration::from_secs(60);
/// This share of the full rate is full again.
const FULL_AGAIN: f64 = 0.9;

/// One measure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// The batch's last answer, as a multiple of the steady-rate bound.
    Makespan,
    /// Seconds by which the batch's last answer is later than the bound with a full burst.
    OverBurst,
    /// Refusals in the first second.
    ThrottledFirst,
    /// Refusals after it.
    ThrottledLater,
    /// Refusals after the first ten minutes of a run that is ended by time.
    ThrottledLearned,
    /// Refusals per attempt.
    ThrottledShare,
    /// Median wait of interactive requests, in seconds, from submission to the send that counted.
    WaitMedian,
    /// The 99th percentile of the same.
    WaitP99,
    /// Used share of what was possible: after ten minutes where the backlog is endless, else of the whole.
    Used,
    /// Requests of the batch that got no answer.
    Lost,
    /// Attempts per request, throttled ones not counted.
    Attempts,
    /// Attempts during an outage, as a share of 1.2 per request and 10 per second.
    OutageAttempts,
    /// Seconds from the end of an outage to the first five seconds at (nearly) the full rate.
    Recovery,
    /// Highest rate in the minute after an outage over five seconds, as a multiple of the full one.
    Spike,
    /// Median of how many seconds the huge requests start after their turn.
    HugeDelay,
    /// The worst of the same.
    HugeDelayWorst,
}

impl Metric {
    /// How many there are.
    const COUNT: usize = Metric::HugeDelayWorst as usize + 1;

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Makespan => "makespan",
            Metric::OverBurst => "over burst s",
            Metric::ThrottledFirst => "429 1st s",
            Metric::ThrottledLater => "429 later",
            Metric::ThrottledLearned => "429 10 min on",
            Metric::ThrottledShare => "429 share",
            Metric::WaitMedian => "wait p50 s",
            Metric::WaitP99 => "wait p99 s",
            Metric::Used => "used",
            Metric::Lost => "lost",
            Metric::Attempts => "attempts",
            Metric::OutageAttempts => "outage att.",
            Metric::Recovery => "recovery s",
            Metric::Spike => "spike",
            Metric::HugeDelay => "huge p50 s",
            Metric::HugeDelayWorst => "huge max s",
        }
    }

    /// Words a value.
    pub fn text(self, value: f64) -> String {
        match self {
            _ if !value.is_finite() => "never".to_owned(),
            Metric::Makespan | Metric::Attempts | Metric::Spike | Metric::OutageAttempts => {
                format!("{value:.3}")
            }
            Metric::ThrottledFirst | Metric::ThrottledLater | Metric::ThrottledLearned | Metric::Lost => {
                format!("{value:.0}")
            }
            Metric::ThrottledShare => format!("{:.2}%", value * 100.0),
            Metric::Used => format!("{:.1}%", value * 100.0),
            Metric::WaitMedian | Metric::WaitP99 => format!("{value:.2}"),
            Metric::OverBurst | Metric::Recovery | Metric::HugeDelay | Metric::HugeDelayWorst => {
                format!("{value:.1}")
            }
        }
    }

    /// Whether more of it is better.
    pub fn more_is_better(self) -> bool {
        self == Metric::Used
    }
}

/// Over the seeds of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// The one in the middle.
    Median,
    /// The worst.
    Worst,
}

/// A figure to reach: at most (at least, where more is better) this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Of what.
    pub metric: Metric,
    /// Over the seeds.
    pub over: Over,
    /// How much.
    pub value: f64,
}

/// The figures to reach in a setting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets(pub Vec<Target>);

impl Targets {
    /// Adds one.
    pub fn and(mut self, metric: Metric, over: Over, value: f64) -> Self {
        self.0.push(Target { metric, over, value });
        self
    }
}

/// The measures of one run; some do not apply to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    values: [Option<f64>; Metric::COUNT],
}

impl Figures {
    /// One of them.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.values[metric as usize]
    }

    fn set(&mut self, metric: Metric, value: f64) {
        self.values[metric as usize] = Some(value);
    }
}

/// Measures a run.
pub fn measure(scenario: &Scenario, outcome: &Outcome) -> Figures {
    let mut figures = Figures::default();
    let early = outcome.throttles.iter().filter(|t| t.at <= Time::ZERO + FIRST).count();
    let all = outcome.throttles.len();
    figures.set(Metric::ThrottledFirst, early as f64);
    figures.set(Metric::ThrottledLater, (all - early) as f64);
    figures.set(Metric::ThrottledShare, ratio(all, outcome.sends.len()));
    let tried = outcome.records.iter().filter(|record| 0 < record.attempts).count();
    figures.set(Metric::Attempts, ratio(outcome.sends.len() - all.min(outcome.sends.len()), tried));
    waits(&mut figures, outcome);
    match scenario.until {
        Until::AllEnded(_) => makespan(&mut figures, scenario, outcome),
        Until::Passed(span) => learned(&mut figures, scenario, outcome, span),
    }
    huge(&mut figures, scenario, outcome);
    outage(&mut figures, scenario, outcome);
    figures
}

fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn waits(figures: &mut Figures, outcome: &Outcome) {
    let interactive = outcome.records.iter().filter(|r| r.job.priority == Priority::Interactive);
    let mut waits: Vec<f64> =
        interactive.filter_map(|r| Some(r.last_sent?.since(r.submitted).as_secs_f64())).collect();
    if waits.is_empty() {
        return;
    }
    waits.sort_by(f64::total_cmp);
    figures.set(Metric::WaitMedian, quantile(&waits, 0.5));
    figures.set(Metric::WaitP99, quantile(&waits, 0.99));
}

/// The value below which this share of the sorted values lies; the nearest rank.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

fn makespan(figures: &mut Figures, scenario: &Scenario, outcome: &Outcome) {
    let batch = outcome.records.iter().filter(|r| r.job.priority != Priority::Interactive);
    figures.set(Metric::Lost, batch.filter(|r| !r.is_done()).count() as f64);
    let Some(end) = outcome.batch_ended.map(Time::as_secs_f64) else {
        figures.set(Metric::Makespan, f64::INFINITY);
        figures.set(Metric::Used, 0.0);
        return;
    };
    let bound = possible::steady_seconds(scenario, outcome);
    figures.set(Metric::Makespan, end / bound);
    figures.set(Metric::Used, bound / end);
    if scenario.mix.interactive_per_second <= 0.0 {
        figures.set(Metric::OverBurst, end - possible::burst_seconds(scenario, outcome));
    }
}

fn learned(figures: &mut Figures, scenario: &Scenario, outcome: &Outcome, span: Duration) {
    if scenario.script.iter().any(|(_, change)| matches!(change, Change::Mood { mood: Mood::Failing, .. })) {
        return; // Nothing can be used of an outage.
    }
    let from = Time::ZERO + LEARNED.min(span / 2);
    let late = outcome.throttles.iter().filter(|throttle| from <= throttle.at).count();
    figures.set(Metric::ThrottledLearned, late as f64);
    let admitted = outcome.admitted.iter().filter(|admitted| from <= admitted.at);
    let dimension = scenario.binding.dimension();
    let used: u64 =
        admitted.map(|a| charge(&outcome.records[a.request].job, dimension, &scenario.metering())).sum();
    let full = possible::full_rate(scenario) * (Time::ZERO + span).since(from).as_secs_f64();
    figures.set(Metric::Used, used as f64 / full);
}

/// How much later than their turn the huge requests start: their turn is when all that stood before them in line has
/// been charged at the steady rate.
fn huge(figures: &mut Figures, scenario: &Scenario, outcome: &Outcome) {
    let dimension = scenario.binding.dimension();
    let rate = possible::full_rate(scenario);
    let (mut ahead, mut delays) = (0u64, Vec::new());
    for record in outcome.records.iter().filter(|r| r.job.priority != Priority::Interactive) {
        if record.job.huge {
            let start = record.first_sent.map_or(f64::INFINITY, Time::as_secs_f64);
            delays.push(start - ahead as f64 / rate);
        }
        ahead += charge(&record.job, dimension, &scenario.metering());
    }
    delays.sort_by(f64::total_cmp);
    if let Some(worst) = delays.last() {
        figures.set(Metric::HugeDelay, quantile(&delays, 0.5));
        figures.set(Metric::HugeDelayWorst, *worst);
    }
}

/// How an outage of everything was met.
fn outage(figures: &mut Figures, scenario: &Scenario, outcome: &Outcome) {
    let at = |wanted: Mood| {
        let all = scenario.accounts;
        scenario.script.iter().find_map(|(at, change)| match change {
            Change::Mood { accounts, mood } if *mood == wanted && *accounts == all => Some(Time::ZERO + *at),
            _ => None,
        })
    };
    let (Some(from), Some(to)) = (at(Mood::Failing), at(Mood::Well)) else { return };
    let during: Vec<usize> =
        outcome.sends.iter().filter(|s| from <= s.at && s.at < to).map(|s| s.request).collect();
    let mut requests = during.clone();
    requests.sort_unstable();
    requests.dedup();
    let allowed = 1.2 * requests.len() as f64 + 10.0 * to.since(from).as_secs_f64();
    figures.set(Metric::OutageAttempts, during.len() as f64 / allowed);

    let after: Vec<Time> = outcome.sends.iter().map(|s| s.at).filter(|at| to <= *at).collect();
    let full = possible::full_rate(scenario) * RATE_SPAN.as_secs_f64();
    let in_span = |start: Time| {
        let from = after.partition_point(|at| *at < start);
        let to = after.partition_point(|at| *at < start + RATE_SPAN);
        (to - from) as f64
    };
    let recovered = after.iter().find(|at| FULL_AGAIN * full <= in_span(**at));
    figures.set(Metric::Recovery, recovered.map_or(f64::INFINITY, |at| at.since(to).as_secs_f64()));
    let aftermath = after.iter().take_while(|at| **at <= to + AFTERMATH);
    figures.set(Metric::Spike, aftermath.map(|at| in_span(*at)).fold(0.0, f64::max) / full);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Record, Sent};
    use crate::scenario::Knowledge;
    use crate::window::{Binding, Window};
    use crate::workload::{Mix, Workload};

    #[test]
    fn quantiles_are_the_nearest_rank() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        for (share, value) in [(0.0, 1.0), (0.5, 100.0), (0.99, 198.0), (1.0, 200.0)] {
            assert_eq!(quantile(&values, share), value, "{share}");
        }
    }

    #[test]
    fn an_outage_is_measured_from_its_sends() {
        let mood = |mood| Change::Mood { accounts: 1, mood };
        let at = |seconds: f64| Time::ZERO + Duration::from_secs_f64(seconds);
        let scenario = Scenario {
            script: vec![
                (Duration::from_secs(10), mood(Mood::Failing)),
                (Duration::from_secs(20), mood(Mood::Well)),
            ],
            ..Scenario::new("", Window::MinuteBucket, Binding::Requests, Knowledge::HEADERS)
        };
        let job = Workload::new(Mix { batch: 1, ..Mix::default() }, 1).batch()[0];
        let mut outcome = Outcome { records: vec![Record::new(job, Time::ZERO)], ..Outcome::default() };
        // One request tried 56 times in ten seconds; then two seconds of nothing, then twice the full rate of ten.
        outcome.sends.extend((0..56).map(|n| Sent { at: at(10.0 + 0.1 * f64::from(n)), request: 0 }));
        outcome.sends.extend((0..200).map(|n| Sent { at: at(22.0 + 0.05 * f64::from(n)), request: 0 }));
        let mut figures = Figures::default();
        outage(&mut figures, &scenario, &outcome);
        let get = |metric| figures.get(metric).expect("it was set");
        assert!((get(Metric::OutageAttempts) - 56.0 / 101.2).abs() < 1e-9);
        assert!((get(Metric::Recovery) - 2.0).abs() < 1e-9);
        assert!((get(Metric::Spike) - 2.0).abs() < 0.03);
    }
}
