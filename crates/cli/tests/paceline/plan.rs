//! Plans: what people and programs read before anything is sent.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{Ended, paceline};

const ANTHROPIC: [&str; 4] = ["--provider", "anthropic", "--model", "claude-haiku-4-5"];

/// Prompts of three lengths, one line that is none, and one that is too large for small limits.
fn prompts(folder: &Path) {
    let line = |n: usize| {
        let prompt = "Tell me about bread. ".repeat(1 + n % 3 * 10);
        format!("{{\"id\":\"job-{n}\",\"prompt\":\"{prompt}\",\"max_tokens\":{}}}\n", [64, 300, 900][n % 3])
    };
    let mut text: String = (0..60).map(line).collect();
    text.push_str("{\"prompt\"\n");
    text.push_str(&format!(
        "{{\"id\":\"huge\",\"prompt\":\"{}\",\"max_tokens\":9}}\n",
        "word ".repeat(20_000)
    ));
    fs::write(folder.join("in.jsonl"), text).unwrap();
}

fn plan(folder: &Path, flags: &[&str]) -> Ended {
    paceline(folder, &[&["plan", "in.jsonl"], flags].concat())
}

fn json(folder: &Path, flags: &[&str]) -> Value {
    let ended = plan(folder, &[flags, &["--json"]].concat());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    serde_json::from_str(&ended.stdout).unwrap()
}

/// The text without what the simulation found: that is the engine's affair, and changes with it.
fn settled(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines() {
        let goes_on = line.starts_with("           ") && lines.last() == Some(&"  finish   ...");
        if !goes_on {
            lines.push(if line.starts_with("  finish") { "  finish   ..." } else { line });
        }
    }
    lines.join("\n")
}

#[test]
fn a_plan_reads_well() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path());
    let limits = ["--rpm", "50", "--itpm", "20k", "--otpm", "8k"];
    for (name, flags) in [
        ("plan_typed", [&ANTHROPIC[..], &limits].concat()),
        (
            "plan_tier",
            [&ANTHROPIC[..], &["--tier", "start", "--accounts", "2", "--output-tokens", "400"]].concat(),
        ),
        ("plan_mock", vec!["--mock"]),
        ("plan_nothing_known", vec!["--base-url", "http://127.0.0.1:9", "--model", "m"]),
    ] {
        let ended = plan(folder.path(), &flags);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{name}");
        let wide = ended.stdout.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{name}");
        insta::assert_snapshot!(name, settled(&ended.stdout));
    }
}

#[test]
fn what_is_not_known_is_said_and_the_tiers_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path());
    let ended = plan(folder.path(), &ANTHROPIC);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let words = ended.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("type `--rpm`, `--itpm`, `--otpm`, or `--tier` with one of `build`"), "{words}");
    assert!(!words.contains("finish after"), "{words}");
    let found = json(folder.path(), &ANTHROPIC);
    assert_eq!((&found["finish"], &found["limits"]), (&Value::Null, &Value::Array(vec![])));
    let tiers: Vec<_> = found["tiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tier| tier["finish_seconds"].as_f64().unwrap())
        .collect();
    assert!(tiers.len() == 7 && tiers.is_sorted(), "{tiers:?}");
}

#[test]
fn programs_get_the_same_as_json() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path());
    let found = json(
        folder.path(),
        &[&ANTHROPIC[..], &["--rpm", "50", "--itpm", "20k", "--output-tokens", "200"]].concat(),
    );
    assert_eq!((&found["jobs"], &found["done"]), (&60.into(), &0.into()));
    assert_eq!((&found["unreadable"]["lines"], &found["too_large"]["lines"]), (&1.into(), &1.into()));
    let named = found["too_large"]["first"][0].as_str().unwrap();
    assert!(named.starts_with("in.jsonl:62: `huge`: 31,250 of 20,000 input tokens/min"), "{named}");
    let requests = &found["limits"][0];
    assert_eq!((&requests["dimension"], &requests["steady_seconds"]), (&"requests".into(), &72.0.into()));
    assert_eq!((&requests["binds"], &requests["from"]), (&true.into(), &"typed".into()));
    assert_eq!(found["limits_unknown"], serde_json::json!(["output_tokens"]));
    let at = |name: &str| found["finish"][name].as_f64().unwrap();
    assert!(at("p10_seconds") <= at("p50_seconds") && at("p50_seconds") <= at("p90_seconds"));
    assert!((10.0..90.0).contains(&at("p50_seconds")), "{}", found["finish"]);
    assert_eq!(found["usd"]["prices_as_of"][0], "2025-10-15");
}

#[test]
fn the_last_answers_are_waited_for_as_long_as_they_take() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path());
    let finish = |first_token: &str| {
        let flags = ["--rpm", "50", "--output-tokens", "200", "--first-token", first_token];
        json(folder.path(), &[&ANTHROPIC[..], &flags].concat())["finish"]["p50_seconds"].as_f64().unwrap()
    };
    // The last answer is the slowest of several, which differ.
    let later = finish("2s") - finish("200ms");
    assert!((1.8..4.5).contains(&later), "{later}");
}

#[test]
fn the_middle_of_a_small_batch_is_that_of_many_runs() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path());
    let found = |more: &[&str]| {
        let flags = ["--otpm", "8k", "--output-tokens", "p50=250,p90=474"];
        json(folder.path(), &[&ANTHROPIC[..], &flags, more].concat())["finish"].clone()
    };
    let (usual, many) = (found(&[]), found(&["--seeds", "1000"]));
    assert_eq!((&usual["runs"], &many["runs"]), (&100.into(), &1_000.into()));
    let middle = |finish: &Value| finish["p50_seconds"].as_f64().unwrap();
    assert!((middle(&usual) / middle(&many) - 1.0).abs() < 0.015, "{usual} {many}");
}

#[test]
fn results_that_are_there_tell_of_those_to_come() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path());
    let sample = ["run", "in.jsonl", "--mock", "--first", "15", "-o", "out.jsonl", "--progress", "none"];
    assert_eq!(paceline(folder.path(), &sample).code, Some(0));
    let before = fs::read_dir(folder.path()).unwrap().count();
    let found = json(folder.path(), &["--mock", "-o", "out.jsonl"]);
    assert_eq!((&found["jobs"], &found["done"]), (&46.into(), &15.into()));
    assert_eq!(found["output_tokens_from"], "results");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before, "nothing is created");
    // What the mock told is kept beside the output, and known to a plan for the same upstream.
    let limits = fs::read_to_string(folder.path().join("out.limits.json")).unwrap();
    fs::write(folder.path().join("out.limits.json"), limits.replace("mock-anthropic", "anthropic")).unwrap();
    let found = json(folder.path(), &[&ANTHROPIC[..], &["-o", "out.jsonl"][..]].concat());
    assert_eq!(found["limits"][0]["from"]["reported"], true, "{found}");
}

#[test]
fn a_picture_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path());
    assert_eq!(plan(folder.path(), &["--mock", "--plot", "p.svg"]).code, Some(0));
    let picture = fs::read_to_string(folder.path().join("p.svg")).unwrap();
    assert!(
        picture.starts_with("<svg ") && picture.contains("requests/min") && picture.ends_with("</svg>\n")
    );
}

#[test]
fn what_cannot_be_planned_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    prompts(folder.path());
    fs::write(folder.path().join("twice.jsonl"), "{\"id\":\"a\",\"prompt\":\"x\"}\n".repeat(2)).unwrap();
    let cases: [(&[&str], &str); 6] = [
        (&["plan", "nowhere.jsonl", "--mock"], "cannot read `nowhere.jsonl`"),
        (&["plan", "twice.jsonl", "--mock"], "ids must be unique"),
        (&["plan", "in.jsonl"], "nothing says where the jobs would be sent"),
        (&["plan", "in.jsonl", "--provider", "openai", "--tier", "lunch"], "did you mean `launch`?"),
        (&["plan", "in.jsonl", "--mock", "--output-tokens", "p50=9,p90=3"], "p90 cannot be less than p50"),
        (&["plan", "in.jsonl", "--mock", "--plot", "no/such.svg"], "cannot write `no/such.svg`"),
    ];
    for (args, said) in cases {
        let ended = paceline(folder.path(), args);
        assert_eq!(ended.code, Some(2), "{args:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{args:?}: {}", ended.stderr);
    }
}
