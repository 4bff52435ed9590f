//! What a run leaves in the usage ledger, and what the ledger tells.

use std::fs;

use serde_json::Value;

use crate::{command, ended, paceline};

const RUN: [&str; 9] =
    ["run", "in.txt", "-o", "out.jsonl", "--mock", "--usage", "usage.db", "--progress", "json"];

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
fn the_ledger_of_a_configuration_bounds_a_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.txt"), "Hello\n").unwrap();
    let config = "[[upstream]]\nname = \"here\"\nprovider = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
                  [usage]\nfile = \"usage.db\"\nbudget = \"0.000001 USD/day\"\n";
    fs::write(folder.path().join("c.toml"), config).unwrap();
    let run = |args: &[&str]| {
        let mut run = command(
            folder.path(),
            &[&["run", "in.txt", "--config", "c.toml", "--model", "gpt-4o-mini"], args].concat(),
        );
        ended(run.env("OPENAI_API_KEY", "sk-canary-abcdef").output().unwrap())
    };
    // Nobody answers there, and a connection that was never made costs nothing.
    assert_ne!(run(&["--max-attempts", "1"]).code, Some(2));
    assert!(folder.path().join("usage.db").exists());
    let told = said(folder.path(), &["usage", "--config", "c.toml", "--json"]);
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&told["totals"]["requests"], &told["totals"]["charged_micros"]),
        (&1.into(), &0.into()),
        "{told}"
    );
    assert!(!fs::read(folder.path().join("usage.db")).unwrap().windows(9).any(|bytes| bytes == b"sk-canary"));
    fs::remove_file(folder.path().join("usage.db")).unwrap();
    run(&["--max-attempts", "1", "--usage", "none"]);
    assert!(!folder.path().join("usage.db").exists());
}

#[test]
fn prices_are_dated_and_own_ones_count_first() {
    let folder = tempfile::tempdir().unwrap();
    let own = "[[price]]\nprovider = \"anthropic\"\nmodels = [\"claude-haiku-*\"]\nas_of = \"2026-11-01\"\n\
               input = \"0.90\"\noutput = \"4.50\"\nlong_context = { above = 100_000, input = \"2\", output = \"9\" }\n";
    fs::write(folder.path().join("c.toml"), own).unwrap();
    let told = said(folder.path(), &["prices", "--model", "claude-*-4-5*", "--config", "c.toml"]);
    insta::assert_snapshot!("prices", told);
}
