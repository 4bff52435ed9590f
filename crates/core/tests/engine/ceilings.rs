//! Typed limits are ceilings: whatever headers say, they are not exceeded, and they may change on the way.

use paceline_core::engine::{LimitSource, LimiterId, LimiterSpec};
use paceline_core::quota::Dimension;

use crate::support::{Bench, Sent, job, millis, per_minute, roomy, rpm, secs, seen};

const REQUESTS: Dimension = Dimension::Requests;

/// The most that began within any minute.
fn busiest_minute(sent: &[Sent]) -> usize {
    let from = |first: &Sent| {
        sent.iter().filter(|other| first.at <= other.at && other.at.since(first.at) < secs(60)).count()
    };
    sent.iter().map(from).max().unwrap_or(0)
}

#[test]
fn a_ceiling_is_held_whatever_headers_offer() {
    for (ceiling, limit) in [(60, 1_000), (60, 120), (600, 1_000)] {
        let mut bench = Bench::with(rpm(ceiling));
        (0..5_000).for_each(|id| bench.submit(job(id)));
        let mut sent = Vec::new();
        for _ in 0..1_800 {
            for attempt in bench.advance(millis(100)).sent {
                sent.push(attempt);
                // As much as the ceiling allows is left, always: the account's limit is far away.
                bench.head(attempt, vec![seen(REQUESTS, limit, ceiling)]);
                bench.succeed(attempt);
            }
        }
        let bucket = bench.limiter(0).buckets[0];
        assert_eq!((bucket.quota.limit, bucket.source), (ceiling, LimitSource::Typed));
        assert!(busiest_minute(&sent) as u64 <= ceiling, "{} of {ceiling}", busiest_minute(&sent));
        assert!(sent.len() as u64 >= ceiling * 29 / 10, "{} in three minutes at {ceiling}", sent.len());
    }
}

#[test]
fn a_lower_limit_in_the_headers_counts_all_the_same() {
    let mut bench = Bench::with(rpm(600));
    let sent = bench.send(job(1));
    bench.head(sent, vec![seen(REQUESTS, 60, 59)]);
    let bucket = bench.limiter(0).buckets[0];
    assert_eq!((bucket.quota.limit, bucket.source), (60, LimitSource::Reported));
}

#[test]
fn every_dimension_has_a_ceiling_of_its_own() {
    let ceilings = [(REQUESTS, 600), (Dimension::InputTokens, 3_000), (Dimension::TotalTokens, 60_000)];
    let ceilings = ceilings.map(|(dimension, limit)| per_minute(dimension, limit)).to_vec();
    let mut bench = Bench::with(LimiterSpec { ceilings, ..LimiterSpec::default() });
    (0..1_000).for_each(|id| bench.submit(job(id)));
    let sent = bench.serve(millis(100), secs(180)).sent;
    assert!((80..=92).contains(&sent.len()), "100 tokens each at 3,000 a minute: {}", sent.len());
    assert!(busiest_minute(&sent) <= 30);
}

#[test]
fn a_ceiling_changed_on_the_way_counts_from_then_on_and_forgets_nothing() {
    let mut bench = Bench::with(rpm(600));
    (0..10_000).for_each(|id| bench.submit(job(id)));
    let before = bench.serve(millis(100), secs(60)).sent.len();
    assert!((590..=600).contains(&before), "{before}");
    bench.engine.set_ceilings(bench.now, LimiterId(0), &[per_minute(REQUESTS, 300)]);
    let lowered = bench.serve(millis(100), secs(120)).sent;
    assert!(
        lowered.iter().filter(|sent| sent.at.as_secs_f64() < 85.0).count() <= 30,
        "600 are charged already"
    );
    assert!(busiest_minute(&lowered) <= 300);
    bench.engine.set_ceilings(bench.now, LimiterId(0), &[per_minute(REQUESTS, 1_200)]);
    let raised = bench.serve(millis(100), secs(60)).sent.len();
    assert!((1_100..=1_200).contains(&raised), "{raised}");
}

#[test]
fn a_ceiling_that_is_gone_holds_nobody_back() {
    let mut bench = Bench::with(rpm(6));
    (0..1_000).for_each(|id| bench.submit(job(id)));
    bench.serve(millis(100), secs(60));
    bench.engine.set_ceilings(bench.now, LimiterId(0), &[]);
    assert!(bench.serve(millis(100), secs(10)).sent.len() > 900);
    bench.engine.set_ceilings(bench.now, LimiterId(9), &[per_minute(REQUESTS, 1)]);
}

#[test]
fn slots_are_a_ceiling_too() {
    let spec = LimiterSpec { in_flight: Some(3), ..roomy() };
    let mut bench = Bench::with(LimiterSpec { self_hosted: true, ..spec });
    (0..500).for_each(|id| bench.submit(job(id)));
    let mut under_way = bench.poll().sent;
    for _ in 0..400 {
        assert_eq!(under_way.len(), 3);
        let sent = under_way.remove(0);
        under_way.extend(bench.succeed(sent).sent);
    }
}
