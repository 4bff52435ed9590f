//! `paceline usage`: sums over the usage ledger, as a table for people, as CSV or JSON for programs.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow};
use comfy_table::{CellAlignment, Table, presets};
use paceline_usage::{By, Report, Totals};
use paceline_wire::terminal;
use serde_json::{Map, Value, json};

use crate::args::{Since, UsageArgs};
use crate::config;
use crate::exit::{Exit, Failure};
use crate::progress::{count, span};

/// What the columns of a table say beside what is told apart.
const COLUMNS: [&str; 11] = [
    "requests",
    "done",
    "failed",
    "refused",
    "canceled",
    "open",
    "input",
    "cached",
    "cache write",
    "output",
    "cost",
];

/// Prints what the ledger says.
pub(crate) fn usage(args: &UsageArgs) -> Result<Exit, Failure> {
    let since = args.since.map_or(Duration::ZERO, |since| Since::unix(since, SystemTime::now()));
    let report = Report::read(&file(args)?, since, &args.by).map_err(Failure::usage)?;
    let text = match (args.csv, args.json) {
        (true, _) => csv(&args.by, &report).context("cannot write CSV").map_err(Failure::stopped)?,
        (_, true) => format!("{}\n", terminal::json(&as_json(&args.by, &report))),
        _ => table(&args.by, &report),
    };
    // A reader who has closed the pipe has seen enough.
    let _ = io::stdout().write_all(text.as_bytes());
    Ok(Exit::Done)
}

fn file(args: &UsageArgs) -> Result<PathBuf, Failure> {
    if let Some(file) = &args.file {
        return Ok(file.clone());
    }
    let usage = args.config.as_deref().map(config::load).transpose()?.and_then(|config| config.usage);
    usage.map(|usage| usage.file).ok_or_else(|| {
        Failure::usage(anyhow!("the configuration names no usage ledger"))
            .hint("add `file = \"usage.db\"` below `[usage]`, or say `--file`")
    })
}

/// A table without lines whose columns are as wide as they need to be.
pub(crate) fn aligned(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Puts the numbers in these columns under each other.
pub(crate) fn right(table: &mut Table, columns: std::ops::Range<usize>) {
    for column in table.column_iter_mut().skip(columns.start).take(columns.len()) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn table(by: &[By], report: &Report) -> String {
    let names = by.iter().map(|by| by.name());
    let header: Vec<&str> = names.chain(COLUMNS).collect();
    let mut table = aligned(&header);
    for group in &report.groups {
        let keys = group.keys.iter().map(|key| if key.is_empty() { "-".into() } else { terminal::line(key) });
        table.add_row(keys.map(String::from).chain(cells(&group.totals)));
    }
    let total = std::iter::once("total".to_owned()).chain(by.iter().skip(1).map(|_| String::new()));
    table.add_row(total.chain(cells(&report.totals)));
    right(&mut table, by.len()..header.len());
    format!("{}\n\n{}", table.trim_fmt(), notes(&report.totals))
}

fn cells(totals: &Totals) -> [String; 11] {
    let Totals { requests, done, failed, refused, canceled, open, unknown, .. } = *totals;
    let Totals { input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, .. } = *totals;
    let counts = [requests, done, failed, refused, canceled, open + unknown];
    let tokens = [input_tokens, cache_read_tokens, cache_write_tokens, output_tokens];
    let mut cells = counts.into_iter().chain(tokens).map(|number| number.to_string());
    // There are as many as there are columns but one.
    std::array::from_fn(|_| cells.next().unwrap_or_else(|| totals.cost().to_string()))
}

/// What the sums leave out.
fn notes(totals: &Totals) -> String {
    let sent = totals.requests.saturating_sub(totals.refused).max(1);
    let waited = Duration::from_millis(totals.waited_ms / sent);
    let mut notes = format!(
        "{}, {} throttled; {} waited on average\n",
        count(totals.attempts, "attempt"),
        totals.throttled,
        span(waited)
    );
    if totals.unpriced > 0 {
        notes += &format!("{} of unknown price: not in the cost\n", count(totals.unpriced, "request"));
    }
    if totals.in_doubt > 0 {
        notes += &format!(
            "{} in doubt: nobody told all that they used; budgets count {} more for them\n",
            count(totals.in_doubt, "request"),
            totals.in_doubt_cost()
        );
    }
    if totals.unknown > 0 {
        notes += &format!("{} under way when a process was killed\n", count(totals.unknown, "request"));
    }
    notes
}

fn as_json(by: &[By], report: &Report) -> Value {
    let sums = |totals: &Totals| -> Map<String, Value> {
        totals.fields().into_iter().map(|(name, sum)| (name.to_owned(), sum.into())).collect()
    };
    let groups: Vec<Value> = report
        .groups
        .iter()
        .map(|group| {
            let keys =
                by.iter().zip(&group.keys).map(|(by, key)| (by.name().to_owned(), Value::from(key.as_str())));
            Value::Object(keys.chain(sums(&group.totals)).collect())
        })
        .collect();
    json!({"groups": groups, "totals": sums(&report.totals)})
}

fn csv(by: &[By], report: &Report) -> anyhow::Result<String> {
    let mut out = csv::Writer::from_writer(Vec::new());
    let names = Totals::default().fields().map(|(name, _)| name);
    out.write_record(by.iter().map(|by| by.name()).chain(names))?;
    for group in &report.groups {
        let sums = group.totals.fields().map(|(_, sum)| sum.to_string());
        out.write_record(group.keys.iter().cloned().chain(sums))?;
    }
    Ok(String::from_utf8(out.into_inner()?)?)
}
