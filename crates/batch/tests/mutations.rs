//! The input changes between two runs: no answer may end up under a job that did not ask for it.

#![allow(clippy::unwrap_used)] // Nothing but tests.

mod support;

use std::collections::HashMap;

use paceline_batch::{CheckError, RunOptions, Selection};
use support::{Desk, Fake, jobs, line};

const JOBS: usize = 30;
const MUTATIONS: u64 = 200;

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

fn mutate(text: &str, chance: &mut Chance) -> Vec<u8> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let (mut crlf, mut mark, mut cut) = (false, false, None);
    for _ in 0..=chance.below(3) {
        let at = chance.below(lines.len());
        let other = chance.below(lines.len());
        match chance.below(9) {
            0 => lines.insert(at, line(&format!("new{other}"), "new").trim_end().to_owned()),
            1 => drop(lines.remove(at)),
            2 => lines.swap(at, other),
            3 => lines[at] = lines[at].replace("prompt ", "edited "),
            4 => lines[at] = lines[other].clone(),
            5 => lines[at] = lines[at].replacen(&format!("a{at}"), &format!("a{other}"), 1),
            6 => cut = Some(chance.below(40)),
            7 => crlf = true,
            _ => mark = true,
        }
    }
    let end = if crlf { "\r\n" } else { "\n" };
    let mut text: String = lines.iter().map(|line| format!("{line}{end}")).collect();
    text.truncate(text.len() - cut.unwrap_or(0));
    if mark {
        text.insert(0, '\u{feff}');
    }
    text.into_bytes()
}

/// What each line of a file asks for, by a naive reading.
fn asked(bytes: &[u8]) -> HashMap<String, String> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let read = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).ok()?;
        Some((value["id"].as_str()?.to_owned(), value["prompt"].as_str()?.to_owned()))
    };
    text.trim_start_matches('\u{feff}').lines().filter_map(read).collect()
}

/// Every answer is one to what its job asks for now, or its job is gone.
fn answers_fit(desk: &Desk, input: &[u8], seed: u64) -> usize {
    let asked = asked(input);
    let mut fitting = 0;
    for line in desk.read("out.jsonl").lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = value["custom_id"].as_str().unwrap();
        let answered = value["response"]["body"]["messages"][0]["content"].as_str().unwrap();
        if let Some(prompt) = asked.get(id) {
            assert_eq!(answered, prompt, "seed {seed}: the answer of `{id}`");
            fitting += 1;
        }
    }
    fitting
}

#[tokio::test]
async fn no_answer_under_the_wrong_job() {
    let (mut refused, mut ran) = (0, 0);
    for seed in 0..MUTATIONS {
        let mut chance = Chance(seed);
        let desk = Desk::new(&jobs(JOBS));
        let selection = Selection::First(chance.below(JOBS) as u32 + 1);
        desk.run_with(RunOptions { selection, ..desk.options() }, &Fake::echo()).await.unwrap();
        let before = desk.read("out.jsonl");
        let input = mutate(&jobs(JOBS), &mut chance);
        desk.write("in.jsonl", &input);
        let sender = Fake::echo();
        match desk.run_with(desk.options(), &sender).await {
            Ok(summary) => {
                ran += 1;
                assert_eq!(summary.view.left(), 0, "seed {seed}");
                assert_eq!(answers_fit(&desk, &input, seed), asked(&input).len(), "seed {seed}");
            }
            Err(CheckError::Duplicates { .. }) => {
                refused += 1;
                assert_eq!((desk.read("out.jsonl"), sender.calls().len()), (before, 0), "seed {seed}");
            }
            Err(CheckError::Edited { .. }) => {
                refused += 1;
                assert_eq!((desk.read("out.jsonl"), sender.calls().len()), (before, 0), "seed {seed}");
                let options = RunOptions { accept_changes: true, ..desk.options() };
                desk.run_with(options, &sender).await.unwrap();
                assert_eq!(answers_fit(&desk, &input, seed), asked(&input).len(), "seed {seed}");
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    assert!(refused > 20 && ran > 20, "{refused} refused, {ran} ran");
}
