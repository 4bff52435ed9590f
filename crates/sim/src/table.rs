//! Figures over seeds, as a table that people and Markdown read.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::figures::{Figures, Metric, Over, Target, measure};
use crate::laws::Violation;
use crate::run::run;
use crate::scenario::Scenario;

/// Violations printed below a table.
const SHOWN: usize = 20;

/// One setting over its seeds.
#[derive(Clone, Debug)]
pub struct Row {
    /// The setting.
    pub scenario: Scenario,
    /// The figures of each seed.
    pub figures: Vec<Figures>,
}

impl Row {
    /// A measure over the seeds, when it applies.
    pub fn over(&self, metric: Metric, over: Over) -> Option<f64> {
        let mut values: Vec<f64> = self.figures.iter().filter_map(|figures| figures.get(metric)).collect();
        values.sort_by(f64::total_cmp);
        let worst = if metric.more_is_better() { values.first() } else { values.last() };
        match over {
            Over::Worst => worst.copied(),
            Over::Median if metric.more_is_better() => {
                values.get(values.len().saturating_sub(1) / 2).copied()
            }
            Over::Median => values.get(values.len() / 2).copied(),
        }
    }

    /// Whether a target is reached.
    pub fn reaches(&self, target: &Target) -> bool {
        self.over(target.metric, target.over).is_some_and(|value| {
            if target.metric.more_is_better() { target.value <= value } else { value <= target.value }
        })
    }

    /// The targets that are not reached.
    pub fn missed(&self) -> Vec<&Target> {
        self.scenario.targets.0.iter().filter(|target| !self.reaches(target)).collect()
    }

    fn cell(&self, metric: Metric) -> String {
        let (Some(median), Some(worst)) = (self.over(metric, Over::Median), self.over(metric, Over::Worst))
        else {
            return String::new();
        };
        let (median, worst) = (metric.text(median), metric.text(worst));
        if median == worst { median } else { format!("{median} / {worst}") }
    }

    fn verdict(&self) -> String {
        if self.scenario.targets.0.is_empty() {
            return String::new();
        }
        let missed: Vec<String> = self
            .missed()
            .into_iter()
            .map(|target| {
                let (sign, over) = (
                    if target.metric.more_is_better() { ">=" } else { "<=" },
                    if target.over == Over::Median { "median" } else { "worst" },
                );
                let value = target.metric.text(target.value);
                format!("{} {over} {sign} {value}", target.metric.name())
            })
            .collect();
        if missed.is_empty() { "ok".to_owned() } else { format!("MISS {}", missed.join(", ")) }
    }
}

/// A table, filled.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub metrics: Vec<Metric>,
    /// Its rows.
    pub rows: Vec<Row>,
    /// Laws that were broken.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Rows that miss a target.
    pub fn missed(&self) -> usize {
        self.rows.iter().filter(|row| !row.missed().is_empty()).count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seeds = self.rows.iter().map(|row| row.figures.len()).max().unwrap_or(0);
        writeln!(f, "### {} ({seeds} seeds; median / worst)\n", self.name)?;
        let mut lines = vec![vec!["setting".to_owned()]];
        lines[0].extend(self.metrics.iter().map(|metric| metric.name().to_owned()));
        lines[0].push("targets".to_owned());
        for row in &self.rows {
            let mut line = vec![row.scenario.title()];
            line.extend(self.metrics.iter().map(|metric| row.cell(*metric)));
            line.push(row.verdict());
            lines.push(line);
        }
        write_aligned(f, &lines)?;
        let misses = self.missed();
        writeln!(
            f,
            "\n{} settings, {misses} with a missed target, {} violations",
            self.rows.len(),
            self.violations.len()
        )?;
        for violation in self.violations.iter().take(SHOWN) {
            writeln!(f, "violation: {violation}")?;
        }
        Ok(())
    }
}

fn write_aligned(f: &mut fmt::Formatter<'_>, lines: &[Vec<String>]) -> fmt::Result {
    let columns = lines.first().map_or(0, Vec::len);
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for (index, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            write!(f, "| {cell:<width$} ")?;
        }
        writeln!(f, "|")?;
        if index == 0 {
            widths.iter().try_for_each(|width| write!(f, "|{:-<1$}", "", width + 2))?;
            writeln!(f, "|")?;
        }
    }
    Ok(())
}

/// Runs every scenario under every seed, on this many threads, and measures them.
pub fn fill(
    name: &str,
    metrics: &[Metric],
    scenarios: Vec<Scenario>,
    seeds: &[u64],
    threads: usize,
) -> Report {
    let work: Vec<(usize, u64)> =
        (0..scenarios.len()).flat_map(|index| seeds.iter().map(move |seed| (index, *seed))).collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some((index, seed)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = run(&scenarios[*index], *seed);
            done.push((*index, *seed, measure(&scenarios[*index], &outcome), outcome.violations));
        }
        done
    };
    let mut done: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(worker)).collect();
        handles.into_iter().flat_map(|handle| handle.join().expect("a run does not panic")).collect()
    });
    done.sort_by_key(|(index, seed, ..)| (*index, *seed));
    let mut rows: Vec<Row> =
        scenarios.into_iter().map(|scenario| Row { scenario, figures: Vec::new() }).collect();
    let mut violations = Vec::new();
    for (index, _, figures, broken) in done {
        rows[index].figures.push(figures);
        violations.extend(broken);
    }
    Report { name: name.to_owned(), metrics: metrics.to_vec(), rows, violations }
}
