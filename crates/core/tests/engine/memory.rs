//! What one session learned is where the next one starts.

use std::time::Duration;

use paceline_core::engine::{Learned, LimitSource, LimiterId, LimiterSpec};
use paceline_core::feedback::{Class, LimitSeen};
use paceline_core::quota::{Dimension, Quota};

use crate::support::{Bench, failure, job, millis, rpm, secs, seen};

const REQUESTS: Dimension = Dimension::Requests;

fn reported() -> Bench {
    let mut bench = Bench::with(LimiterSpec::default());
    let sent = bench.send(job(1));
    let tokens = LimitSeen { rounding: 1_000, ..seen(Dimension::InputTokens, 30_000, 29_000) };
    bench.head(sent, vec![seen(REQUESTS, 50, 49), tokens]);
    bench.succeed(sent);
    bench
}

fn next_session(bench: &Bench) -> Bench {
    let learned = bench.engine.learned(bench.now, LimiterId(0));
    Bench::with(LimiterSpec { learned, ..LimiterSpec::default() })
}

#[test]
fn what_was_reported_is_believed_again() {
    let before = reported();
    let after = next_session(&before);
    for dimension in [REQUESTS, Dimension::InputTokens] {
        assert_eq!(after.limit(dimension), before.limit(dimension), "{dimension:?}");
        assert!(after.limit(dimension).is_some());
    }
    assert!(after.limiter(0).buckets.iter().all(|bucket| bucket.source == LimitSource::Reported));
    let again = after.engine.learned(after.now, LimiterId(0));
    assert_eq!(again, before.engine.learned(before.now, LimiterId(0)));
}

#[test]
fn what_refusals_taught_is_probed_anew() {
    let mut before = Bench::with(LimiterSpec::default());
    (0..5_000).for_each(|id| before.submit(job(id)));
    before.serve(millis(100), secs(90));
    let sent = before.next_sent(secs(1));
    before.fail(sent, failure(Class::Throttled));
    let limit = before.limit(REQUESTS).expect("it was learned");
    let mut after = next_session(&before);
    let start = after.limit(REQUESTS).expect("it was kept");
    assert!(limit / 2 < start && start < limit, "{start} after {limit}");
    assert!(after.limiter(0).buckets.iter().all(|bucket| bucket.source == LimitSource::Learned));
    (0..50_000).for_each(|id| after.submit(job(id)));
    after.serve(millis(100), secs(600));
    assert!(after.limit(REQUESTS) > Some(limit), "{:?}", after.limit(REQUESTS));
}

#[test]
fn neither_typed_limits_nor_first_guesses_are_kept() {
    for spec in [rpm(60), LimiterSpec::default()] {
        let mut bench = Bench::with(spec);
        let sent = bench.send(job(1));
        bench.succeed(sent);
        // Of a typed limit it is only what was used that matters.
        let kept = bench.engine.learned(bench.now, LimiterId(0));
        assert!(kept.iter().all(|it| (it.source, it.used) == (LimitSource::Typed, 1)), "{kept:?}");
    }
    assert_eq!(Bench::with(rpm(60)).engine.learned(paceline_core::time::Time::ZERO, LimiterId(7)), []);
}

#[test]
fn a_ceiling_typed_since_stands_above_what_was_learned() {
    let learned = reported().engine.learned(paceline_core::time::Time::ZERO, LimiterId(0));
    for (ceiling, limit) in [(20, 20), (90, 50)] {
        let bench = Bench::with(LimiterSpec { learned: learned.clone(), ..rpm(ceiling) });
        assert_eq!(bench.limit(REQUESTS), Some(limit), "typed {ceiling}");
    }
}

const DAY: Duration = Duration::from_secs(86_400);

fn per_day(limit: u64) -> Quota {
    Quota { dimension: REQUESTS, window: DAY, limit }
}

/// So many of a typed day's quota are used; the next session begins so much later.
fn day_used(used: u64, later: Duration) -> Bench {
    let spec = |learned| LimiterSpec { ceilings: vec![per_day(10)], learned, ..LimiterSpec::default() };
    let mut before = Bench::with(spec(Vec::new()));
    for id in 0..used {
        let sent = before.sent_soon(job(id));
        before.succeed(sent);
    }
    let mut learned = before.engine.learned(before.now, LimiterId(0));
    learned.iter_mut().for_each(|learned| learned.age += later);
    Bench::with(spec(learned))
}

#[test]
fn what_was_used_of_a_day_counts_for_the_next_session() {
    let mut after = day_used(8, secs(600));
    assert_eq!(after.limiter(0).buckets[0].used, 8);
    let ids: Vec<u64> = (0..4).collect();
    ids.iter().for_each(|id| after.submit(job(*id)));
    assert_eq!(after.serve(millis(100), secs(3_600)).sent.len(), 2, "eight of ten were used");
    let rest = after.serve(millis(100), DAY).sent;
    assert_eq!(rest.len(), 2, "a day after the restart");
    assert!(secs(86_000) < rest[0].at.since(paceline_core::time::Time::ZERO), "{:?}", rest[0].at);
    // Whatever it was, more than a day later it has left the window.
    assert_eq!(day_used(8, DAY).limiter(0).buckets[0].used, 0);
    assert_eq!(day_used(0, secs(0)).limiter(0).buckets[0].used, 0);
}

#[test]
fn no_minute_is_spent_twice_by_a_session_that_begins_within_it() {
    let spec = |learned| LimiterSpec { learned, ..rpm(60) };
    let mut before = Bench::with(spec(Vec::new()));
    (0..200).for_each(|id| before.submit(job(id)));
    let sent = before.serve(millis(100), secs(50)).sent.len();
    assert!(30 < sent, "{sent}");
    let learned = before.engine.learned(before.now, LimiterId(0));
    for (age, most) in [(1, 60 - sent), (59, 60 - sent), (60, 60)] {
        let mut learned = learned.clone();
        learned.iter_mut().for_each(|learned| learned.age = secs(age));
        let mut after = Bench::with(spec(learned));
        (0..200).for_each(|id| after.submit(job(id)));
        let next = after.serve(millis(100), secs(59)).sent.len();
        assert!(next <= most && most / 2 < next, "{next} of {most} more, {age} s later");
    }
}

#[test]
fn a_header_knows_better_what_is_left_of_the_day() {
    let learned = Learned { quota: per_day(1_000), source: LimitSource::Reported, age: secs(60), used: 999 };
    let mut bench = Bench::with(LimiterSpec { learned: vec![learned], ..LimiterSpec::default() });
    let sent = bench.sent_soon(job(1));
    let day = LimitSeen { window: Some(DAY), ..seen(REQUESTS, 1_000, 900) };
    bench.head(sent, vec![day]);
    bench.succeed(sent);
    assert!(bench.limiter(0).buckets[0].used <= 102, "{:?}", bench.limiter(0));
    // Long after the header has grown old, what it said of the earlier session stands.
    bench.advance(secs(3_600));
    bench.sent_soon(job(2));
}
