//! What one session learned is where the next one starts.

use paceline_core::engine::{LimitSource, LimiterId, LimiterSpec};
use paceline_core::feedback::{Class, LimitSeen};
use paceline_core::quota::Dimension;

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
        assert_eq!(bench.engine.learned(bench.now, LimiterId(0)), []);
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
