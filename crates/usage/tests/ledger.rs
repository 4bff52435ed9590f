//! What is recorded, what is on disk, and what a restart makes of it.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use paceline_core::engine::Priority;
use paceline_usage::{
    Begun, By, Clock, Ended, FileError, Finish, Ledger, OnFailure, Options, Past, Report, Totals, past,
};
use paceline_wire::FullUsage;
use paceline_wire::price::MicroUsd;
use proptest::prelude::*;

const DAY: u64 = 86_400;
const NOW: Duration = Duration::from_secs(20_000 * DAY);

fn options(path: &Path) -> Options {
    Options { path: path.to_owned(), retention: Duration::from_secs(90 * DAY), on_failure: OnFailure::Serve }
}

fn open_at(path: &Path, now: Duration) -> Ledger {
    Ledger::open(options(path), Clock::frozen(now)).unwrap()
}

fn begun(caller: &str, model: &str) -> Begun {
    Begun {
        name: "r".to_owned(),
        model: model.to_owned(),
        caller: caller.into(),
        priority: Priority::Normal,
        reserved: Some(MicroUsd::new(1_000)),
    }
}

fn done(input_tokens: u64, output_tokens: u64, cost: Option<u64>) -> Ended {
    Ended {
        usage: Some(FullUsage { input_tokens, output_tokens, ..FullUsage::default() }),
        cost: cost.map(MicroUsd::new),
        upstream: Some("main".into()),
        attempts: 1,
        ..Ended::of(Finish::Done)
    }
}

fn totals(path: &Path) -> Totals {
    Report::read(path, Duration::ZERO, &[]).unwrap().totals
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("usage.db")
    }
}

/// What a process that is killed leaves: the files as they are at this moment.
fn killed(folder: &Folder) -> (Folder, PathBuf) {
    let copy = Folder::new();
    for entry in std::fs::read_dir(folder.0.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.0.path().join(entry.file_name())).unwrap();
    }
    let path = copy.file();
    (copy, path)
}

#[tokio::test]
async fn every_request_has_one_row_however_it_ends() {
    let folder = Folder::new();
    let ledger = open_at(&folder.file(), NOW);
    let sent = ledger.begin(begun("ci", "a"));
    assert!(sent.leave().goes_out().await);
    sent.end(done(10, 3, Some(25)));
    let retried = ledger.begin(begun("ci", "a"));
    assert!(retried.leave().goes_out().await && retried.leave().goes_out().await);
    retried.end(Ended { attempts: 2, ..done(1, 1, None) });
    ledger.begin(begun("dev", "b")).end(Ended { class: Some("too_late"), ..Ended::of(Finish::Refused) });
    drop(ledger.begin(begun("dev", "b"))); // Its caller leaves before it has gone out.
    let left = ledger.begin(begun("dev", "b"));
    assert!(left.leave().goes_out().await);
    drop(left);
    ledger.close();
    let seen = totals(&folder.file());
    let want = Totals {
        requests: 5,
        done: 2,
        refused: 1,
        canceled: 2,
        input_tokens: 11,
        output_tokens: 4,
        cost_micros: 25,
        charged_micros: 1_025, // Nobody knows what the one that left has cost.
        unpriced: 1,
        in_doubt: 1,
        attempts: 3,
        ..Totals::default()
    };
    assert_eq!(seen, want);
}

#[tokio::test]
async fn requests_of_the_past_come_in_the_order_in_which_they_came() {
    let folder = Folder::new();
    let second = |n: u64| NOW + Duration::from_secs(n);
    for (n, model) in [(1, "b"), (0, "a"), (2, "c")] {
        let ledger = open_at(&folder.file(), second(n));
        let record = ledger.begin(Begun { priority: Priority::Batch, ..begun("ci", model) });
        assert!(record.leave().goes_out().await);
        let waited = Some(Duration::from_millis(40));
        match model {
            "c" => drop(record), // Its caller leaves, and nobody knows what it used.
            _ => record.end(Ended { waited, sent_as: Some("as".into()), ..done(10, 3, None) }),
        }
        ledger.close();
    }
    let read = |from, to| {
        let mut all = Vec::new();
        past(&folder.file(), from, to, |request| {
            all.push(request);
            true
        })
        .unwrap();
        all
    };
    let all = read(Duration::ZERO, Duration::MAX);
    let names: Vec<&str> = all.iter().map(|request| request.model.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    let Past { begun, caller, priority, finish, usage, waited, sent_as, .. } = &all[1];
    assert_eq!(
        (*begun, caller.as_str(), *priority, *finish),
        (second(1), "ci", Priority::Batch, Finish::Done)
    );
    assert_eq!(usage.map(|usage| (usage.input_tokens, usage.output_tokens)), Some((10, 3)));
    assert_eq!((*waited, sent_as.as_deref()), (Some(Duration::from_millis(40)), Some("as")));
    assert_eq!((all[2].finish, all[2].usage, all[2].in_doubt), (Finish::Canceled, None, true));
    assert_eq!(read(second(1), second(2)), all[1..2]);
    assert_eq!(read(second(3), second(9)), []);
}

#[tokio::test]
async fn groups_add_up_to_the_totals() {
    let folder = Folder::new();
    for (day, callers) in [(0, ["ci", "dev"]), (1, ["ci", "ci"])] {
        let ledger = open_at(&folder.file(), NOW + Duration::from_secs(day * DAY));
        for caller in callers {
            ledger.begin(begun(caller, "a")).end(done(10, 3, Some(7)));
        }
        ledger.close();
    }
    let report = Report::read(&folder.file(), Duration::ZERO, &[By::Day, By::Caller]).unwrap();
    let seen: Vec<(Vec<&str>, u64)> = report
        .groups
        .iter()
        .map(|group| (group.keys.iter().map(String::as_str).collect(), group.totals.requests))
        .collect();
    let want = [(vec!["2024-10-04", "ci"], 1), (vec!["2024-10-04", "dev"], 1), (vec!["2024-10-05", "ci"], 2)];
    assert_eq!(seen, want);
    assert_eq!(report.groups.iter().map(|group| group.totals.cost_micros).sum::<u64>(), 28);
    let since = Report::read(&folder.file(), NOW + Duration::from_secs(DAY), &[By::Upstream]).unwrap();
    assert_eq!((since.totals.requests, since.groups.len()), (2, 1));
}

#[tokio::test]
async fn who_is_ahead_goes_out_only_on_record_and_a_kill_leaves_it_open() {
    let folder = Folder::new();
    let ledger = open_at(&folder.file(), NOW);
    ledger.set_ahead(true);
    let first = ledger.begin(begun("ci", "a"));
    let second = ledger.begin(begun("ci", "a"));
    assert!(first.leave().goes_out().await && second.leave().goes_out().await);
    let (_copy, path) = killed(&folder);
    assert_eq!(totals(&path).open, 2);
    let again = open_at(&path, NOW + Duration::from_secs(60));
    let seen = totals(&path);
    assert_eq!((seen.unknown, seen.open, seen.in_doubt, seen.charged_micros), (2, 0, 2, 2_000));
    let spent = again.spent(NOW - Duration::from_secs(60)).unwrap();
    let spent: Vec<(&str, u64)> =
        spent.iter().map(|spent| (spent.caller.as_str(), spent.amount.micros())).collect();
    assert_eq!(spent, [("ci", 2_000)]);
    assert_eq!(again.spent(NOW + Duration::from_secs(1)).unwrap(), []);
    again.close();
    first.end(done(10, 3, Some(25)));
    drop(second);
    ledger.close();
    let seen = totals(&folder.file());
    assert_eq!((seen.done, seen.canceled, seen.charged_micros), (1, 1, 1_025));
}

#[tokio::test]
async fn ids_go_on_after_a_restart() {
    let folder = Folder::new();
    for _ in 0..3 {
        let ledger = open_at(&folder.file(), NOW);
        for _ in 0..10 {
            ledger.begin(begun("ci", "a")).end(done(1, 1, Some(1)));
        }
        ledger.close();
    }
    assert_eq!(totals(&folder.file()).requests, 30);
}

#[tokio::test]
async fn a_clock_that_was_set_back_hides_no_request() {
    let folder = Folder::new();
    let minutes = |n: u64| NOW + Duration::from_secs(n * 60);
    for minute in [0, 10, 5, 5, 11] {
        let ledger = open_at(&folder.file(), minutes(minute));
        ledger.begin(begun("ci", "a")).end(done(1, 1, Some(1)));
        ledger.close();
    }
    for (minute, want) in [(0, 5), (1, 4), (5, 4), (6, 2), (10, 2), (11, 1), (12, 0)] {
        let ledger = open_at(&folder.file(), minutes(20));
        let report = Report::read(&folder.file(), minutes(minute), &[]).unwrap();
        let spent =
            ledger.spent(minutes(minute)).unwrap().iter().map(|spent| spent.amount.micros()).sum::<u64>();
        assert_eq!((report.totals.requests, spent), (want, want), "from minute {minute} on");
        ledger.close();
    }
}

#[test]
fn one_process_writes_and_others_read() {
    let folder = Folder::new();
    let first = open_at(&folder.file(), NOW);
    let second = Ledger::open(options(&folder.file()), Clock::frozen(NOW));
    assert!(matches!(second, Err(FileError::Held { .. })));
    assert_eq!(totals(&folder.file()).requests, 0);
    first.close();
    drop(first);
    assert!(Ledger::open(options(&folder.file()), Clock::frozen(NOW)).is_ok());
}

#[test]
fn what_is_too_old_goes_in_small_steps() {
    let folder = Folder::new();
    let old = open_at(&folder.file(), NOW);
    for _ in 0..1_200 {
        old.begin(begun("ci", "a")).end(done(1, 1, Some(1)));
    }
    old.close();
    drop(old);
    for (days, left) in [(89, 1_201), (91, 702), (91, 203), (91, 4), (91, 5)] {
        let ledger = open_at(&folder.file(), NOW + Duration::from_secs(days * DAY));
        ledger.begin(begun("ci", "a")).end(done(1, 1, Some(1)));
        ledger.close();
        assert_eq!(totals(&folder.file()).requests, left);
    }
}

/// A folder that takes nothing any more, and one that does again.
fn break_disk(folder: &Folder) {
    let file = folder.file();
    let connection = rusqlite::Connection::open(&file).unwrap();
    connection.execute_batch("ALTER TABLE request RENAME TO away;").unwrap();
}

fn mend_disk(folder: &Folder) {
    let connection = rusqlite::Connection::open(folder.file()).unwrap();
    connection.execute_batch("ALTER TABLE away RENAME TO request;").unwrap();
}

async fn failing(ledger: &Ledger) {
    for _ in 0..1_000 {
        if ledger.health().failing.is_some() {
            return;
        }
        let record = ledger.begin(begun("ci", "a"));
        record.leave().goes_out().await;
    }
    panic!("the ledger is well: {:?}", ledger.health());
}

#[tokio::test]
async fn a_failing_disk_stops_nobody_unless_told_to_and_loses_nothing_when_it_mends() {
    for (on_failure, goes) in [(OnFailure::Serve, true), (OnFailure::Refuse, false)] {
        let folder = Folder::new();
        let options = Options { on_failure, ..options(&folder.file()) };
        let ledger = Ledger::open(options, Clock::frozen(NOW)).unwrap();
        ledger.set_ahead(true);
        break_disk(&folder);
        failing(&ledger).await;
        let record = ledger.begin(begun("ci", "b"));
        assert_eq!(record.leave().goes_out().await, goes);
        assert_eq!(ledger.takes(), goes);
        assert_eq!(ledger.health().unrecorded > 0, goes);
        record.end(done(10, 3, Some(25)));
        mend_disk(&folder);
        ledger.close();
        let health = ledger.health();
        assert_eq!((health.failing, health.dropped), (None, 0));
        assert_eq!(totals(&folder.file()).cost_micros, 25);
    }
}

#[test]
fn what_comes_after_the_end_is_counted_as_lost() {
    let folder = Folder::new();
    let ledger = open_at(&folder.file(), NOW);
    let late = ledger.begin(begun("ci", "a"));
    ledger.close();
    late.end(done(1, 1, Some(1)));
    assert_eq!((ledger.health().dropped, totals(&folder.file()).requests), (1, 0));
}

#[test]
fn many_threads_lose_nothing_and_sums_are_exact() {
    let folder = Folder::new();
    let ledger = open_at(&folder.file(), NOW);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (ledger, caller): (_, Arc<str>) = (&ledger, format!("t{thread}").into());
            scope.spawn(move || {
                for number in 0..2_500 {
                    let begun = Begun { caller: caller.clone(), ..begun("", "a") };
                    ledger.begin(begun).end(done(number, 1, Some(number)));
                }
            });
        }
    });
    ledger.close();
    let seen = totals(&folder.file());
    assert_eq!((seen.requests, seen.output_tokens), (10_000, 10_000));
    assert_eq!((seen.input_tokens, seen.cost_micros), (4 * 3_123_750, 4 * 3_123_750));
    assert_eq!(ledger.health().written, 10_000);
}

/// Names, kinds of ends, and whether it goes out before: what one row may have and its neighbors may not.
type Pick = (usize, usize, usize, usize, bool);

fn ended(&(_, finish, class, exchange, _): &Pick) -> Ended {
    Ended {
        class: [None, Some("cut"), Some("late")][class],
        exchange: [None, Some(""), Some("e"), Some("ex")][exchange].map(str::to_owned),
        ..match finish {
            0 => done(exchange as u64, 1, Some(2)),
            1 => Ended::of(Finish::Failed),
            _ => Ended { account: Some("own".into()), ..Ended::of(Finish::Refused) },
        }
    }
}

/// Some columns of all rows, in the order of their ids.
fn columns(path: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let query = "SELECT format('%s %s %Q %Q %Q %Q %Q', name, finish, class, exchange, account, input_tokens, cost_micros)
        FROM request WHERE name <> 'commit' ORDER BY id";
    let mut query = connection.prepare(query).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Rows that are written together, in several commits, each have what is their own and nothing of another.
    #[test]
    fn no_row_has_anything_of_another(
        commits in prop::collection::vec(prop::collection::vec((0_usize..3, 0_usize..3, 0_usize..3, 0_usize..4, any::<bool>()), 0..40), 1..4),
    ) {
        let folder = Folder::new();
        let ledger = open_at(&folder.file(), NOW);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let goes_out = |record: &paceline_usage::Record, ahead| {
            ledger.set_ahead(ahead);
            runtime.block_on(record.leave().goes_out())
        };
        let mut want = Vec::new();
        for picks in commits {
            let named = |name: &str| ledger.begin(Begun { name: name.to_owned(), ..begun("ci", "a") });
            let records: Vec<_> = picks.iter().map(|pick| named(["", "r", "request"][pick.0])).collect();
            for (pick, record) in picks.iter().zip(records) {
                let name = ["", "r", "request"][pick.0];
                prop_assert!(!pick.4 || goes_out(&record, false));
                let ended = ended(pick);
                let quoted = |text: Option<&str>| text.map_or("NULL".to_owned(), |text| format!("'{text}'"));
                let number = |number: Option<u64>| quoted(number.map(|number| number.to_string()).as_deref());
                want.push(format!(
                    "{name} {} {} {} {} {} {}",
                    ended.finish.name(),
                    quoted(ended.class),
                    quoted(ended.exchange.as_deref()),
                    quoted(ended.account.as_deref()),
                    number(ended.usage.map(|usage| usage.input_tokens)),
                    number(ended.cost.map(MicroUsd::micros)),
                ));
                record.end(ended);
            }
            // Those above are written with it.
            let last = named("commit");
            prop_assert!(goes_out(&last, true));
        }
        ledger.close();
        prop_assert_eq!(columns(&folder.file()), want);
    }

    /// However requests end: the sums are those of what they said, and what nobody knows is charged as what was reserved,
    /// or as what was told if that is more.
    #[test]
    fn sums_are_exact(ends in prop::collection::vec((0_u64..1 << 40, 0_u64..5_000, any::<bool>()), 0..80)) {
        let folder = Folder::new();
        let ledger = open_at(&folder.file(), NOW);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut want = Totals::default();
        for (tokens, cost, in_doubt) in ends {
            let record = ledger.begin(begun("ci", "a"));
            prop_assert!(runtime.block_on(record.leave().goes_out()));
            record.end(Ended { in_doubt, ..done(tokens, tokens / 2, Some(cost)) });
            want.requests += 1;
            want.done += 1;
            want.attempts += 1;
            want.input_tokens += tokens;
            want.output_tokens += tokens / 2;
            want.cost_micros += cost;
            want.charged_micros += if in_doubt { cost.max(1_000) } else { cost };
            want.in_doubt += u64::from(in_doubt);
        }
        ledger.close();
        prop_assert_eq!(totals(&folder.file()), want);
    }
}
