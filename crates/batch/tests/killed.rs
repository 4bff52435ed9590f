//! A run is killed at many points, by the numbers of calls it has made; the last run ends the batch, and every law held.

#![allow(clippy::unwrap_used)] // Nothing but tests.

mod support;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

use paceline_batch::{Checked, Control, End, MOST_UNWRITTEN, Progress, Reply, Sender, Start};
use paceline_wire::line::Line;
use support::{Desk, answered, failed, jobs, options, sorted};

const CHILD: &str = "PACELINE_BATCH_CHILD";
const JOBS: usize = 400;
const KILLS: usize = 40;
const IN_FLIGHT: usize = 8;

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

/// Says aloud what it sends, and takes a few turns to answer.
#[derive(Clone)]
struct Loud(Arc<tokio::sync::Semaphore>);

impl Sender for Loud {
    async fn send(&self, job: Arc<Line>, start: Start) -> Reply {
        let _slot = self.0.acquire().await.unwrap();
        if !start.may_go().await {
            return Reply::of(End::Withdrawn);
        }
        say(&format!("CALL {}", job.id));
        // Some take longer than others, so that they don't end in the order of the input.
        for _ in 0..job.body.len() * 37 % 41 {
            tokio::task::yield_now().await;
        }
        if job.id.ends_with("77") { failed(false) } else { answered(&job.body) }
    }

    fn unpriced(&self, _: &Line) -> Option<String> {
        None
    }
}

/// What the other test runs, and kills. By itself it does nothing.
#[tokio::test]
async fn child() {
    let Some(dir) = std::env::var_os(CHILD) else { return };
    let dir = std::path::PathBuf::from(dir);
    let options = options(dir.join("in.jsonl"), dir.join("out.jsonl"));
    let checked = Checked::new(paceline_batch::RunOptions { ordered: true, ..options }).unwrap();
    say(&format!("\nFLIGHT {}", checked.report().in_flight));
    let sender = Loud(Arc::new(tokio::sync::Semaphore::new(IN_FLIGHT)));
    let stream = Box::new(std::io::sink());
    let summary =
        paceline_batch::run(checked, sender, Control::new(), Progress::new(), stream).await.unwrap();
    assert_eq!((summary.stop, summary.view.left()), (None, 0));
}

/// Runs the batch until it has made so many calls, and kills it. Returns how many jobs it said were in flight when it
/// began, and what it called.
fn run_and_kill(desk: &Desk, after: usize) -> (usize, Vec<String>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture"])
        .env(CHILD, desk.dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut flight, mut calls) = (0, Vec::new());
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(count) = line.strip_prefix("FLIGHT ") {
            flight = count.parse().unwrap();
        }
        if let Some(id) = line.strip_prefix("CALL ") {
            calls.push(id.to_owned());
            if calls.len() == after {
                child.kill().unwrap();
            }
        }
    }
    let ended = child.wait().unwrap();
    assert!(ended.success() || calls.len() >= after, "the run failed by itself");
    (flight, calls)
}

#[test]
fn nothing_is_lost_doubled_or_torn() {
    let desk = Desk::new(&jobs(JOBS));
    let mut called: HashMap<String, usize> = HashMap::new();
    let mut told = 0;
    for round in 0..=KILLS {
        let after = if round == KILLS { usize::MAX } else { 1 + round * 7 % 23 };
        let (flight, calls) = run_and_kill(&desk, after);
        told += flight;
        let again = calls.iter().filter(|id| called.contains_key(*id) && !id.ends_with("77")).count();
        assert!(again <= flight, "round {round}: {again} sent again, {flight} told");
        assert!(flight <= IN_FLIGHT + MOST_UNWRITTEN, "round {round}: {flight} told");
        calls.iter().for_each(|id| *called.entry(id.clone()).or_default() += 1);
    }
    assert!(told > 0, "no run was killed with jobs in flight: this shows nothing");
    assert_eq!(called.len(), JOBS, "every job was sent");
    let all = sorted([desk.ids("out.jsonl"), desk.ids("out.errors.jsonl")].concat());
    assert_eq!(all, sorted((0..JOBS).map(|i| format!("a{i}"))), "one line each");
}
