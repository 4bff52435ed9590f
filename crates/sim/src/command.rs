//! Runs tables and prints them: what `paceline sim` does.

use std::io::{self, Write};

use crate::figures::Metric;
use crate::matrix::Table;
use crate::run::run;
use crate::scenario::Scenario;
use crate::table::{self, Report};
use crate::timeline;

/// What to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which tables.
    pub tables: Vec<Table>,
    /// The first seed.
    pub first_seed: u64,
    /// How many seeds for each setting.
    pub seeds: u64,
    /// Only settings whose title contains every part of this; commas separate them.
    pub filter: String,
    /// Threads to run on.
    pub threads: usize,
    /// Print each setting's first seed in slices of time instead of the tables.
    pub timeline: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tables: vec![Table::Main],
            first_seed: 1,
            seeds: 20,
            filter: String::new(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            timeline: false,
        }
    }
}

/// What was run: how many settings missed a target, and how many laws were broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Settings.
    pub settings: usize,
    /// Those with a missed target.
    pub missed: usize,
    /// Broken laws.
    pub violations: usize,
}

/// Runs the tables and prints each as soon as it is filled.
pub fn run_tables(options: &Options, out: &mut impl Write) -> io::Result<Summary> {
    let mut summary = Summary::default();
    for table in &options.tables {
        let scenarios = chosen(*table, &options.filter);
        if scenarios.is_empty() {
            continue;
        }
        if options.timeline {
            summary.settings += scenarios.len();
            for scenario in &scenarios {
                let outcome = run(scenario, options.first_seed);
                timeline::print(scenario, &outcome, out)?;
                for violation in &outcome.violations {
                    writeln!(out, "violation: {violation}")?;
                }
                summary.violations += outcome.violations.len();
            }
            continue;
        }
        let report = report(*table, scenarios, options);
        writeln!(out, "{report}")?;
        summary.settings += report.rows.len();
        summary.missed += report.missed();
        summary.violations += report.violations.len();
    }
    Ok(summary)
}

/// The main table: every window and every binding limit.
pub fn main_table(options: &Options) -> Report {
    report(Table::Main, chosen(Table::Main, &options.filter), options)
}

fn report(table: Table, scenarios: Vec<Scenario>, options: &Options) -> Report {
    let seeds: Vec<u64> = (0..options.seeds).map(|seed| options.first_seed + seed).collect();
    let metrics: Vec<Metric> = table.metrics().to_vec();
    table::fill(table.name(), &metrics, scenarios, &seeds, options.threads)
}

fn chosen(table: Table, filter: &str) -> Vec<Scenario> {
    let wanted: Vec<&str> = filter.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let matches = |scenario: &Scenario| {
        let title = scenario.title();
        wanted.iter().all(|part| title.contains(part))
    };
    table.scenarios().into_iter().filter(matches).collect()
}
