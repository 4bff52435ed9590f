//! How often a failed request is tried, how soon, and who pays.

use std::time::Duration;

use paceline_core::engine::{Config, Priority, Submission, Verdict};
use paceline_core::feedback::{Class, Failure};
use paceline_core::quota::Dimension;

use crate::support::{Bench, failure, job, roomy, secs};

fn unprocessed() -> Failure {
    Failure { unprocessed: true, ..failure(Class::Transient) }
}

/// Nothing may be retried at the expense of all.
fn broke() -> Config {
    Config { retry_share: 0.0, retry_floor_per_second: 0.0, ..Config::default() }
}

#[test]
fn passing_trouble_is_retried_within_the_attempts_and_the_backoff() {
    for max_attempts in [1, 2, 3, 4] {
        let mut bench = Bench::configured(Config { max_attempts, ..Config::default() }, roomy());
        let mut sent = bench.send(job(1));
        for attempt in 1..max_attempts {
            let failed_at = bench.now;
            assert!(bench.fail(sent, failure(Class::Transient)).ended.is_empty());
            sent = bench.next_sent(secs(60));
            let longest = Duration::from_millis(500) * 2u32.pow(attempt - 1);
            assert!(sent.at.since(failed_at) <= longest + Duration::from_millis(1), "attempt {attempt}");
        }
        let ended = bench.fail(sent, failure(Class::Transient)).ended;
        assert_eq!(ended, [(1, Verdict::AttemptsExhausted(Class::Transient))]);
        assert_eq!(sent.ordinal, max_attempts);
    }
}

#[test]
fn a_hint_to_wait_is_kept_to() {
    for class in [Class::Transient, Class::Overloaded] {
        let mut bench = Bench::with(roomy());
        let sent = bench.send(job(1));
        let failed_at = bench.now;
        bench.fail(sent, Failure { wait: Some(secs(7)), ..failure(class) });
        let waited = bench.next_sent(secs(60)).at.since(failed_at);
        assert!(secs(7) <= waited && waited < secs(8), "{class:?}: {waited:?}");
    }
}

#[test]
fn what_never_reached_the_provider_is_repeated_once_for_free() {
    let config = Config { max_attempts: 1, ..broke() };
    let mut bench = Bench::configured(config, roomy());
    let first = bench.send(job(1));
    let again = bench.fail(first, unprocessed()).sent;
    assert_eq!((again[0].id, again[0].ordinal), (1, 2), "at once, without budget");
    assert_eq!(bench.snapshot().retries, 0);
    let charged =
        bench.limiter(0).buckets.iter().find(|b| b.quota.dimension == Dimension::Requests).map(|b| b.used);
    assert_eq!(charged, Some(1), "only the second one is charged");
    let ended = bench.fail(again[0], unprocessed()).ended;
    assert_eq!(ended, [(1, Verdict::AttemptsExhausted(Class::Transient))]);
}

#[test]
fn an_overloaded_provider_costs_a_request_no_attempt() {
    let mut bench = Bench::configured(Config { max_attempts: 2, ..Config::default() }, roomy());
    let mut sent = bench.send(job(1));
    for ordinal in 2..20 {
        assert!(bench.fail(sent, failure(Class::Overloaded)).ended.is_empty());
        sent = bench.next_sent(secs(600));
        assert_eq!(sent.ordinal, ordinal);
    }
}

#[test]
fn a_spent_budget_ends_whoever_is_waited_for_and_postpones_a_batch() {
    for class in [Class::Transient, Class::Overloaded] {
        for priority in [Priority::Interactive, Priority::Normal] {
            let mut bench = Bench::configured(broke(), roomy());
            let sent = bench.send(Submission { priority, ..job(1) });
            let ended = bench.fail(sent, failure(class)).ended;
            assert_eq!(ended, [(1, Verdict::BudgetExhausted(class))], "{priority:?}");
        }
        let mut bench = Bench::configured(broke(), roomy());
        let sent = bench.send(Submission { priority: Priority::Batch, ..job(1) });
        assert!(bench.fail(sent, failure(class)).ended.is_empty());
        assert!(bench.advance(secs(14)).sent.is_empty(), "later");
        assert_eq!(bench.next_sent(secs(30)).ordinal, 2, "better than never");
    }
}

/// One in five, and some.
#[test]
fn the_budget_is_a_share_of_the_requests_and_a_floor() {
    let config =
        Config { retry_share: 0.2, retry_floor_per_second: 1.0, max_attempts: 9, ..Config::default() };
    let mut bench = Bench::configured(config, roomy());
    let (mut good, mut ended) = (0, 0);
    for id in 0..1_000 {
        let sent = bench.send(job(id));
        if id % 2 == 0 {
            bench.succeed(sent);
            good += 1;
        } else if !bench.fail(sent, failure(Class::Transient)).ended.is_empty() {
            ended += 1;
        }
    }
    let retries = bench.snapshot().retries;
    assert_eq!((good, ended + retries), (500, 500));
    assert!((190..=215).contains(&retries), "{retries} of 1,000 requests and 10 s");
}
