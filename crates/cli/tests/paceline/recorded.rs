//! What a run leaves in the usage ledger, and what the ledger tells.

use std::fs;

use serde_json::Value;

use crate::{command, ended, paceline};

const RUN: [&str; 11] = [
    "run",
    "in.txt",
    "-o",
    "out.jsonl",
    "--mock",
    "--max-tokens",
    "50",
    "--usage",
    "usage.db",
    "--progress",
    "json",
];

fn said(folder: &std::path::Path, args: &[&str]) -> String {
    let ended = paceline(folder, args);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{args:?}");
    ended.stdout
}

#[test]
fn a_run_is_recorded_to_the_micro_dollar() {
    let folder = tempfile::tempdir().unwrap();
    let prompts: String =
        (0..5).map(|number| format!("Say something about the number {number}.\n")).collect();
    fs::write(folder.path().join("in.txt"), prompts).unwrap();
    let run = paceline(folder.path(), &RUN);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let summary: Value = serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap();

    let usage = ["usage", "--file", "usage.db", "--since", "1h"];
    let json = said(folder.path(), &[&usage[..], &["--json", "--by", "model,caller"]].concat());
    let told: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(told["groups"].as_array().unwrap().len(), 1, "{json}");
    assert_eq!(told["groups"][0]["model"], "claude-haiku-4-5");
    let totals = &told["totals"];
    assert_eq!(
        (&totals["requests"], &totals["done"], &totals["in_doubt"]),
        (&5.into(), &5.into(), &0.into())
    );
    // Haiku 4.5 costs $1 and $5 per million: each answer's cost is rounded up by itself, and here none has to be.
    let (input, output) =
        (totals["input_tokens"].as_u64().unwrap(), totals["output_tokens"].as_u64().unwrap());
    assert!(input > 0 && output > 0, "{json}");
    assert_eq!(totals["cost_micros"].as_u64(), Some(input + 5 * output));
    assert_eq!(summary["input_tokens"].as_u64(), Some(input), "{summary}");
    assert_eq!(summary["output_tokens"].as_u64(), Some(output), "{summary}");

    let csv = said(folder.path(), &[&usage[..], &["--csv", "--by", "priority"]].concat());
    let lines: Vec<&str> = csv.lines().collect();
    assert!(lines[0].starts_with("priority,requests,done,failed,refused,canceled,open,"), "{csv}");
    assert!(lines[1].starts_with("batch,5,5,0,0,0,0,"), "{csv}");
    let table = said(folder.path(), &usage);
    assert!(
        table.contains("claude-haiku-4-5") && table.lines().any(|line| line.starts_with("total")),
        "{table}"
    );
    assert!(table.contains("5 attempts, 0 throttled"), "{table}");

    // Everything is done: nothing is sent, and nothing is recorded.
    assert_eq!(paceline(folder.path(), &RUN).code, Some(0));
    assert_eq!(said(folder.path(), &[&usage[..], &["--json", "--by", "model,caller"]].concat()), json);
}

#[test]
fn what_was_spent_bounds_the_next_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.txt"), "Hello\n").unwrap();
    assert_eq!(paceline(folder.path(), &RUN).code, Some(0));
    let config = "[[upstream]]\nname = \"here\"\nprovider = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
                  [usage]\nfile = \"usage.db\"\nbudget = \"0.000001 USD/day\"\n";
    fs::write(folder.path().join("c.toml"), config).unwrap();
    let mut run = command(folder.path(), &["run", "in.txt", "--config", "c.toml", "--model", "gpt-4o-mini"]);
    let ended = ended(run.env("OPENAI_API_KEY", "sk-canary-abcdef").output().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the budget of $0.0001 in `[usage]` is used up for now"),
        "{}",
        ended.stderr
    );
    let told: Value =
        serde_json::from_str(&said(folder.path(), &["usage", "--config", "c.toml", "--json"])).unwrap();
    assert_eq!(told["totals"]["requests"], 1, "nothing was sent: {told}");
}

#[test]
fn prices_are_dated_and_own_ones_count_first() {
    let folder = tempfile::tempdir().unwrap();
    let own = "[[price]]\nprovider = \"anthropic\"\nmodels = [\"claude-haiku-*\"]\nas_of = \"2026-11-01\"\n\
               input = \"0.90\"\noutput = \"4.50\"\nlong_context = { above = 100_000, input = \"2\", output = \"9\" }\n";
    fs::write(folder.path().join("c.toml"), own).unwrap();
    let told = said(folder.path(), &["prices", "--model", "claude-haiku-4-5", "--config", "c.toml"]);
    insta::assert_snapshot!("prices", told);
}
