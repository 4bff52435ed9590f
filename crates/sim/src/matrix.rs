//! The settings that matter, in the tables that show them.

use std::time::Duration;

use paceline_core::feedback::Class;

use crate::figures::{Metric, Over, Targets};
use crate::policy::Kind;
use crate::provider::Mood;
use crate::scenario::{Change, Knowledge, Scenario, Stranger, Until};
use crate::window::{Binding, Window};
use crate::workload::{Huge, Mix};

/// A group of settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Every window and every binding limit, limits from headers and again typed.
    Main,
    /// Limits that are unknown, wrong, changing or shared.
    Robust,
    /// Other policies under the same conditions.
    Baselines,
    /// A few huge requests among many.
    Huge,
    /// Providers and processes that fail.
    Faults,
}

impl Table {
    /// All of them.
    pub const ALL: [Table; 5] = [Table::Main, Table::Robust, Table::Baselines, Table::Huge, Table::Faults];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Table::Main => "main",
            Table::Robust => "robust",
            Table::Baselines => "baselines",
            Table::Huge => "huge",
            Table::Faults => "faults",
        }
    }

    /// What its columns show.
    pub fn metrics(self) -> &'static [Metric] {
        use Metric::*;
        match self {
            Table::Main => &[Makespan, ThrottledFirst, ThrottledLater, WaitMedian, WaitP99, Lost],
            Table::Baselines => {
                &[Makespan, ThrottledFirst, ThrottledLater, ThrottledShare, WaitMedian, WaitP99, Lost]
            }
            Table::Robust => &[
                Makespan,
                Used,
                OverBurst,
                ThrottledFirst,
                ThrottledLater,
                ThrottledLearned,
                ThrottledShare,
                WaitP99,
                Lost,
            ],
            Table::Huge => {
                &[Makespan, ThrottledFirst, ThrottledLater, HugeDelay, HugeDelayWorst, WaitP99, Lost]
            }
            Table::Faults => {
                &[Makespan, Used, ThrottledShare, Attempts, OutageAttempts, Recovery, Spike, Lost]
            }
        }
    }

    /// Its settings.
    pub fn scenarios(self) -> Vec<Scenario> {
        match self {
            Table::Main => main(),
            Table::Robust => robust(),
            Table::Baselines => baselines(),
            Table::Huge => huge(),
            Table::Faults => faults(),
        }
    }
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

fn main() -> Vec<Scenario> {
    let mut all = Vec::new();
    for knowledge in [Knowledge::HEADERS, Knowledge::TYPED] {
        for window in Window::all() {
            for binding in Binding::ALL {
                let scenario = Scenario::new("", window, binding, knowledge);
                all.push(Scenario { targets: main_targets(window, binding, knowledge), ..scenario });
            }
        }
    }
    all
}

fn main_targets(window: Window, binding: Binding, knowledge: Knowledge) -> Targets {
    let none_lost = Targets::default().and(Metric::Lost, Over::Worst, 0.0);
    if Window::HARD.contains(&window) {
        return none_lost
            .and(Metric::Makespan, Over::Worst, 1.10)
            .and(Metric::ThrottledShare, Over::Worst, 0.002)
            .and(Metric::WaitP99, Over::Median, 2.0);
    }
    let (median, worst) = if binding == Binding::Output { (1.10, 1.10) } else { (1.02, 1.05) };
    let has_slots = matches!(window, Window::MinuteBucket | Window::TenSecondBucket | Window::SecondBucket);
    let wait = if has_slots && knowledge.candor.headers { 0.1 } else { 2.0 };
    none_lost
        .and(Metric::Makespan, Over::Median, median)
        .and(Metric::Makespan, Over::Worst, worst)
        .and(Metric::ThrottledLater, Over::Worst, 0.0)
        .and(Metric::WaitP99, Over::Median, wait)
}

fn robust() -> Vec<Scenario> {
    let mut all = vec![proven_burst(Binding::Requests), proven_burst(Binding::Input)];
    all.extend(Window::all().map(unknown));
    let both = Knowledge { typed: Some(1.43), ..Knowledge::HEADERS };
    let typed = Knowledge { typed: Some(1.43), ..Knowledge::TYPED };
    let windows = [Window::MinuteBucket, Window::FixedMinute, Window::SlidingLog];
    for binding in [Binding::Requests, Binding::Input] {
        for window in windows {
            for knowledge in [both, typed] {
                all.push(rough("typed too high", window, binding, knowledge));
            }
            for knowledge in [Knowledge::HEADERS, Knowledge::TYPED] {
                let script = vec![(Duration::from_secs(200), Change::Quotas(50))];
                all.push(Scenario { script, ..rough("halved", window, binding, knowledge) });
                let stranger = Some(Stranger { share: 0.3, from: Duration::from_secs(60) });
                all.push(Scenario { stranger, ..rough("stranger 30 %", window, binding, knowledge) });
            }
        }
    }
    for window in Window::USUAL {
        for knowledge in [Knowledge::HEADERS, Knowledge::TYPED, both] {
            let scenario = rough("refusals count", window, Binding::Requests, knowledge);
            all.push(Scenario { refusals_count: true, ..scenario });
        }
    }
    let hidden = rough("hidden 1 s burst", Window::MinuteBucket, Binding::Requests, Knowledge::HEADERS);
    all.push(Scenario { hidden: Some(Window::SecondBucket), ..hidden });
    let shared = rough("three engines", Window::MinuteBucket, Binding::Requests, Knowledge::HEADERS);
    let targets = Targets::default().and(Metric::ThrottledShare, Over::Median, 0.01).and(
        Metric::Lost,
        Over::Worst,
        0.0,
    );
    all.push(Scenario { callers: 3, targets, ..shared });
    all
}

/// At least 90 % of what is possible, less than 1 % throttled.
fn rough(name: &str, window: Window, binding: Binding, knowledge: Knowledge) -> Scenario {
    let targets = Targets::default()
        .and(Metric::Used, Over::Median, 0.90)
        .and(Metric::ThrottledShare, Over::Median, 0.01)
        .and(Metric::Lost, Over::Worst, 0.0);
    Scenario { targets, ..Scenario::new(name, window, binding, knowledge) }
}

/// A full minute bucket that headers show, nobody interactive: the burst may be taken.
fn proven_burst(binding: Binding) -> Scenario {
    let scenario = Scenario::new("proven burst", Window::MinuteBucket, binding, Knowledge::HEADERS);
    let targets = Targets::default()
        .and(Metric::OverBurst, Over::Worst, 10.0)
        .and(Metric::ThrottledLater, Over::Worst, 0.0)
        .and(Metric::Lost, Over::Worst, 0.0);
    Scenario { mix: Mix { interactive_per_second: 0.0, ..Mix::default() }, targets, ..scenario }
}

/// Neither sent nor typed, and an endless backlog: ten minutes to learn, and twenty in which it is measured.
fn unknown(window: Window) -> Scenario {
    let scenario = Scenario::new("unknown limit", window, Binding::Requests, Knowledge::NONE);
    let targets = Targets::default()
        .and(Metric::Used, Over::Median, 0.97)
        .and(Metric::ThrottledFirst, Over::Median, 0.0)
        .and(Metric::ThrottledLearned, Over::Worst, 10.0);
    Scenario {
        mix: Mix { batch: 24_000, interactive_per_second: 0.0, ..Mix::default() },
        until: Until::Passed(minutes(30)),
        targets,
        ..scenario
    }
}

fn baselines() -> Vec<Scenario> {
    let mut all = Vec::new();
    for policy in Kind::ALL {
        for window in Window::all() {
            for binding in Binding::ALL {
                let name = if policy == Kind::Engine { policy.name() } else { "" };
                all.push(Scenario { policy, ..Scenario::new(name, window, binding, Knowledge::HEADERS) });
            }
        }
    }
    all
}

/// Twenty requests of a fifth of the limit each among four thousand, where windows hold that much.
fn huge() -> Vec<Scenario> {
    let mut all = Vec::new();
    for knowledge in [Knowledge::HEADERS, Knowledge::TYPED] {
        for window in [Window::MinuteBucket, Window::FixedMinute, Window::SlidingLog] {
            let scenario = Scenario::new("20 huge", window, Binding::Input, knowledge);
            let mix =
                Mix { batch: 4_000, huge: Some(Huge { count: 20, input_tokens: 200_000 }), ..Mix::default() };
            let targets = Targets::default()
                .and(Metric::Makespan, Over::Worst, 1.08)
                .and(Metric::HugeDelay, Over::Median, 60.0)
                .and(Metric::ThrottledLater, Over::Worst, 0.0)
                .and(Metric::Lost, Over::Worst, 0.0);
            all.push(Scenario { mix, targets, ..scenario });
        }
    }
    all
}

fn faults() -> Vec<Scenario> {
    let mut all = Vec::new();
    for (name, mood) in [
        ("two of ten die (auth)", Mood::Dead(Class::Auth)),
        ("two of ten die (money)", Mood::Dead(Class::Money)),
        ("two of ten hang (529)", Mood::Hanging(Duration::from_secs(10))),
    ] {
        for knowledge in [Knowledge::HEADERS, Knowledge::TYPED] {
            all.push(ten_accounts(name, mood, knowledge));
        }
    }
    all.push(all_fail(Window::MinuteBucket, Knowledge::HEADERS));
    all.push(all_fail(Window::SlidingLog, Knowledge::TYPED));
    for (name, attempts) in [("10 % faults", Some(5)), ("10 % faults, 3 attempts", None)] {
        let scenario = Scenario::new(name, Window::MinuteBucket, Binding::Requests, Knowledge::HEADERS);
        let mut targets =
            Targets::default().and(Metric::Attempts, Over::Worst, 1.2).and(Metric::Used, Over::Median, 0.8);
        if attempts.is_some() {
            targets = targets.and(Metric::Lost, Over::Worst, 0.0);
        }
        let script = vec![(Duration::ZERO, Change::Mood { accounts: 1, mood: Mood::Mixed(0.1) })];
        all.push(Scenario { script, targets, max_attempts: attempts, ..scenario });
    }
    let crash = rough("crashes twice", Window::MinuteBucket, Binding::Requests, Knowledge::HEADERS);
    let script = [100, 300].map(|at| (Duration::from_secs(at), Change::Crash)).to_vec();
    all.push(Scenario { script: script.clone(), ..crash });
    let crash = rough("crashes twice", Window::SlidingLog, Binding::Requests, Knowledge::TYPED);
    all.push(Scenario { script, ..crash });
    all
}

fn ten_accounts(name: &str, mood: Mood, knowledge: Knowledge) -> Scenario {
    let scenario = Scenario::new(name, Window::MinuteBucket, Binding::Requests, knowledge);
    Scenario {
        accounts: 10,
        percent: 20,
        mix: Mix { batch: 10_000, ..Mix::default() },
        script: vec![(Duration::from_secs(120), Change::Mood { accounts: 2, mood })],
        targets: Targets::default().and(Metric::Used, Over::Median, 0.95).and(Metric::Lost, Over::Worst, 0.0),
        ..scenario
    }
}

/// Everything fails for ten minutes; after that there is work for ten more.
fn all_fail(window: Window, knowledge: Knowledge) -> Scenario {
    let scenario = Scenario::new("all fail 10 min", window, Binding::Requests, knowledge);
    let mood = |mood| Change::Mood { accounts: 1, mood };
    Scenario {
        mix: Mix { batch: 16_000, ..Mix::default() },
        script: vec![(minutes(2), mood(Mood::Failing)), (minutes(12), mood(Mood::Well))],
        until: Until::Passed(minutes(20)),
        targets: Targets::default()
            .and(Metric::OutageAttempts, Over::Worst, 1.0)
            .and(Metric::Recovery, Over::Median, 5.0)
            .and(Metric::Spike, Over::Worst, 1.5),
        ..scenario
    }
}
