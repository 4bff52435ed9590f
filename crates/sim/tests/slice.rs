//! A slice of the tables with a fixed seed: what the full tables promise, small enough for every test run.

use paceline_sim::command::{Options, run_tables};
use paceline_sim::figures::{Metric, Over};
use paceline_sim::matrix::Table;
use paceline_sim::table::{Report, fill};
use paceline_sim::window::Window;

const SEED: u64 = 101;

/// The settings of a table whose titles are named.
fn slice(table: Table, titles: &[&str]) -> Report {
    let mut chosen = table.scenarios();
    chosen.retain(|scenario| titles.contains(&scenario.title().as_str()));
    assert_eq!(chosen.len(), titles.len(), "each title names a setting");
    let report = fill(table.name(), table.metrics(), chosen, &[SEED], 2);
    assert!(report.violations.is_empty(), "{}", report.violations[0]);
    report
}

#[test]
fn the_usual_windows_are_used_fully_without_a_refusal() {
    let mut scenarios = Table::Main.scenarios();
    scenarios.retain(|scenario| Window::USUAL.contains(&scenario.window));
    let report = fill("usual", Table::Main.metrics(), scenarios, &[SEED], 2);
    assert!(report.violations.is_empty(), "{}", report.violations[0]);
    for row in &report.rows {
        let title = row.scenario.title();
        let makespan = row.over(Metric::Makespan, Over::Worst).expect("the batch ends");
        let throttled = row.over(Metric::ThrottledLater, Over::Worst).expect("always measured");
        assert!(makespan <= 1.10, "{title}: makespan {makespan:.3}");
        assert_eq!(throttled, 0.0, "{title}: throttled");
    }
}

#[test]
fn rough_conditions_cost_little() {
    let titles = [
        "typed too high, typed x1.43, fixed minute, requests",
        "halved, headers, minute bucket, input",
        "halved, typed, sliding log, requests",
        "stranger 30 %, headers, fixed minute, requests",
        "refusals count, headers, sliding log, requests",
    ];
    let report = slice(Table::Robust, &titles);
    assert_eq!(report.missed(), 0, "{report}");
}

#[test]
fn an_unknown_limit_is_found() {
    let titles = [
        "unknown limit, unknown, sliding log, requests",
        "unknown limit, unknown, 1 s burst, requests",
        "unknown limit, unknown, fixed minute, requests",
        "unknown limit, unknown, fixed 10 s, requests",
    ];
    let report = slice(Table::Robust, &titles);
    assert_eq!(report.missed(), 0, "{report}");
}

#[test]
fn faults_cost_no_answer() {
    let titles = [
        "two of ten die (auth), headers, minute bucket, requests",
        "two of ten hang (529), headers, minute bucket, requests",
        "crashes twice, headers, minute bucket, requests",
    ];
    let report = slice(Table::Faults, &titles);
    assert_eq!(report.missed(), 0, "{report}");
}

#[test]
fn tables_print_as_markdown() {
    let options = Options {
        tables: vec![Table::Baselines],
        filter: "full bucket,minute bucket,requests".to_owned(),
        seeds: 2,
        threads: 1,
        ..Options::default()
    };
    let mut out = Vec::new();
    let summary = run_tables(&options, &mut out).expect("a vector takes everything");
    let text = String::from_utf8(out).expect("tables are text");
    assert_eq!((summary.settings, summary.missed, summary.violations), (1, 0, 0));
    assert!(text.starts_with("### baselines (2 seeds; median / worst)\n\n| setting"), "{text}");
    assert!(text.contains("| full bucket, minute bucket, requests |"), "{text}");
}
