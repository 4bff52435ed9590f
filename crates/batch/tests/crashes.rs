//! What a crash can leave behind, and what the next run makes of it.

#![allow(clippy::unwrap_used)] // Nothing but tests.

mod support;

use std::collections::HashMap;
use std::fs;

use paceline_batch::{RECORD_SIZE, Record, scan};
use paceline_wire::line::{Line, result_id};
use support::{Desk, Fake, answered, failed, jobs, sorted};

const JOBS: usize = 24;

fn script(line: &Line, _: u32) -> paceline_batch::Reply {
    if line.id.ends_with('5') { failed(false) } else { answered(&line.body) }
}

/// What a finished run has left.
struct Finished {
    journal: Vec<u8>,
    output: String,
    errors: String,
}

async fn finished() -> Finished {
    let desk = Desk::new(&jobs(JOBS));
    desk.run(&Fake::new(script)).await;
    let journal = fs::read(desk.path("out.journal")).unwrap();
    Finished { journal, output: desk.read("out.jsonl"), errors: desk.read("out.errors.jsonl") }
}

/// Lets the next run find these files, and checks that it keeps the laws. Returns how many jobs it sent.
async fn resumes(journal: &[u8], output: &[u8], errors: &[u8], what: &str) -> usize {
    let desk = Desk::new(&jobs(JOBS));
    desk.write("out.journal", journal);
    desk.write("out.jsonl", output);
    desk.write("out.errors.jsonl", errors);
    let report = desk.check().unwrap_or_else(|error| panic!("{what}: {error}")).report();
    let kept = kept(journal, output);
    assert_eq!(report.done, kept.len() as u64, "{what}");
    let sender = Fake::new(script);
    let summary = desk.run(&sender).await;
    assert_eq!((summary.view.left(), summary.stop), (0, None), "{what}");
    let calls = sender.calls();
    assert!(calls.iter().all(|id| !kept.contains_key(id)), "{what}: sent again what was done");
    assert_eq!(calls.len(), JOBS - kept.len(), "{what}");
    let all = sorted([desk.ids("out.jsonl"), desk.ids("out.errors.jsonl")].concat());
    assert_eq!(all, sorted((0..JOBS).map(|i| format!("a{i}"))), "{what}: not one line each");
    assert!(desk.ids("out.errors.jsonl").iter().all(|id| id.ends_with('5')), "{what}");
    calls.len()
}

/// Whole lines of the output that the journal has a record of, by a naive reading of both.
fn kept(journal: &[u8], output: &[u8]) -> HashMap<String, ()> {
    let mut recorded = Vec::new();
    scan(journal, |_, record| {
        if let Record::Done { line, ok: true, .. } = record {
            recorded.push(line.crc);
        }
    })
    .unwrap();
    let whole = |line: &&[u8]| recorded.contains(&crc32fast::hash(line));
    let id = |line: &[u8]| (result_id(line).unwrap().id.into_owned(), ());
    output.split(|byte| *byte == b'\n').filter(whole).map(id).collect()
}

#[tokio::test]
async fn a_journal_cut_anywhere_costs_only_what_was_cut() {
    let Finished { journal, output, errors } = finished().await;
    for cut in (2 * RECORD_SIZE..=journal.len()).step_by(7) {
        resumes(&journal[..cut], output.as_bytes(), errors.as_bytes(), &format!("journal cut at {cut}"))
            .await;
    }
}

#[tokio::test]
async fn an_output_cut_anywhere_costs_only_what_was_cut() {
    let Finished { journal, output, errors } = finished().await;
    for cut in (0..=output.len()).step_by(19) {
        resumes(&journal, &output.as_bytes()[..cut], errors.as_bytes(), &format!("output cut at {cut}"))
            .await;
    }
    for cut in (0..=errors.len()).step_by(19) {
        resumes(&journal, output.as_bytes(), &errors.as_bytes()[..cut], &format!("errors cut at {cut}"))
            .await;
    }
}

#[tokio::test]
async fn any_mix_of_cuts_is_survived() {
    let Finished { journal, output, errors } = finished().await;
    let mut seed = 7_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % (bound + 1)
    };
    for round in 0..60 {
        let (j, o, e) = (below(journal.len()), below(output.len()), below(errors.len()));
        let journal = &journal[..j.max(2 * RECORD_SIZE)];
        let what = format!("round {round}: {j} {o} {e}");
        resumes(journal, &output.as_bytes()[..o], &errors.as_bytes()[..e], &what).await;
    }
}

#[tokio::test]
async fn a_damaged_journal_is_told_and_its_good_records_count() {
    let Finished { journal, output, errors } = finished().await;
    for at in (0..journal.len()).step_by(11) {
        let mut damaged = journal.clone();
        damaged[at] ^= 0x40;
        let desk = Desk::new(&jobs(JOBS));
        desk.write("out.journal", &damaged);
        desk.write("out.jsonl", &output);
        desk.write("out.errors.jsonl", &errors);
        let report = desk.check().unwrap().report();
        assert_eq!(report.journal_damage, 1, "byte {at}: {report:?}");
        resumes(&damaged, output.as_bytes(), errors.as_bytes(), &format!("byte {at} flipped")).await;
    }
}

#[tokio::test]
async fn what_was_in_flight_is_told() {
    let Finished { journal, output, errors } = finished().await;
    let mut ends = Vec::new();
    scan(&journal[..], |offset, record| ends.push((offset as usize + RECORD_SIZE, record))).unwrap();
    for (end, _) in ends.iter().filter(|(end, _)| *end > 2 * RECORD_SIZE) {
        let desk = Desk::new(&jobs(JOBS));
        desk.write("out.journal", &journal[..*end]);
        let before = ends.iter().filter(|(at, _)| at <= end);
        let count =
            |wanted: fn(&Record) -> bool| before.clone().filter(|(_, record)| wanted(record)).count() as u64;
        let sent = count(|record| matches!(record, Record::Sent { .. }));
        let done = count(|record| matches!(record, Record::Done { .. }));
        let settled = before.clone().rposition_of_settled();
        desk.write("out.jsonl", &output);
        desk.write("out.errors.jsonl", &errors);
        assert_eq!(desk.check().unwrap().report().in_flight, sent - done, "cut at {end}");
        // The power fails before any line has reached the disk: what was settled has gone missing, the rest was in flight.
        desk.write("out.jsonl", "");
        desk.write("out.errors.jsonl", "");
        let report = desk.check().unwrap().report();
        assert_eq!((report.in_flight, report.missing), (sent - settled, settled), "cut at {end}");
    }
}

trait Settled {
    /// Results before the last record that calls everything settled.
    fn rposition_of_settled(self) -> u64;
}

impl<'a, I: Iterator<Item = &'a (usize, Record)>> Settled for I {
    fn rposition_of_settled(self) -> u64 {
        let (mut done, mut settled) = (Vec::new(), 0);
        for (end, record) in self {
            match record {
                Record::Done { .. } => done.push(*end as u64),
                Record::Settled { until } => settled = done.iter().filter(|at| *at <= until).count(),
                Record::Session { .. } => settled = done.len(),
                _ => {}
            }
        }
        settled as u64
    }
}
