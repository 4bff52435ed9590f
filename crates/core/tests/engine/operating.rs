//! What an operator does while everything runs: takes an upstream out, puts it back, retunes a ceiling; and what is shown.

use paceline_core::engine::{
    Config, LimitSource, LimiterId, Priority, Submission, TenantId, UpstreamId, Verdict,
};
use paceline_core::feedback::Class;
use paceline_core::quota::Dimension;

use crate::support::{Bench, failure, job, millis, per_minute, roomy, rpm, secs, slots};

const FIRST: UpstreamId = UpstreamId(0);
const SECOND: UpstreamId = UpstreamId(1);

fn pair() -> Bench {
    let mut bench = Bench::new(Config::default());
    bench.route(vec![(roomy(), 0, 1), (roomy(), 1, 1)]);
    bench
}

#[test]
fn others_serve_what_an_upstream_would_that_was_taken_out() {
    let mut bench = pair();
    assert_eq!(bench.send(job(1)).upstream, FIRST);
    bench.engine.take_out(FIRST);
    let shown = &bench.snapshot().upstreams[0];
    assert!(shown.taken_out && shown.in_flight == 1, "what is in flight goes on: {shown:?}");
    assert!((2..10).all(|id| bench.send(job(id)).upstream == SECOND));
    bench.engine.put_back(FIRST);
    assert_eq!(bench.send(job(10)).upstream, FIRST);
}

#[test]
fn one_that_was_throttled_there_moves_on() {
    let mut bench = pair();
    let first = bench.send(job(1));
    bench.engine.take_out(FIRST);
    let again = bench.fail(first, failure(Class::Throttled)).sent;
    assert_eq!((again[0].id, again[0].upstream), (1, SECOND));
}

#[test]
fn without_another_everybody_waits_until_it_is_put_back() {
    let mut bench = Bench::with(roomy());
    bench.engine.take_out(FIRST);
    let patient = Submission { deadline: Some(bench.now + secs(60)), ..job(1) };
    assert_eq!(bench.submitted(patient).ended, [], "a deadline is no reason to give up at once");
    bench.submit(job(2));
    assert!(bench.advance(secs(59)).ids().is_empty());
    assert_eq!(bench.advance(secs(2)).ended, [(1, Verdict::TooLate { wait: None })]);
    bench.engine.put_back(FIRST);
    assert_eq!(bench.poll().ids(), [2]);
}

#[test]
fn a_broken_one_beside_one_that_was_taken_out_ends_nothing() {
    let mut bench = pair();
    bench.engine.take_out(FIRST);
    let elsewhere = bench.send(job(1));
    assert_eq!(bench.fail(elsewhere, failure(Class::Auth)).ended, []);
    bench.engine.put_back(FIRST);
    assert_eq!(bench.poll().ids(), [1]);
}

#[test]
fn a_retuned_ceiling_holds_until_ceilings_are_set_as_a_whole() {
    let mut bench = Bench::with(rpm(600));
    let ceiling = |limit| per_minute(Dimension::Requests, limit);
    bench.engine.set_ceiling(LimiterId(0), ceiling(60));
    let bucket = bench.limiter(0).buckets[0];
    assert_eq!((bucket.quota.limit, bucket.source), (60, LimitSource::Typed));
    bench.engine.set_ceiling(LimiterId(0), ceiling(6_000));
    assert_eq!(bench.limit(Dimension::Requests), Some(6_000));
    bench.engine.set_ceiling(LimiterId(0), ceiling(0));
    assert_eq!(bench.limit(Dimension::Requests), Some(1), "nothing is closed by a ceiling");
    bench.engine.set_ceilings(bench.now, LimiterId(0), &[ceiling(600)]);
    assert_eq!(bench.limit(Dimension::Requests), Some(600));
}

#[test]
fn shows_who_waits_and_for_how_long() {
    let mut bench = Bench::with(rpm(60));
    for id in 0..20 {
        let tenant = TenantId(u32::from(id % 4 == 0));
        bench.submit(Submission { tenant, priority: Priority::Batch, ..job(id) });
    }
    bench.poll();
    let shown = bench.snapshot();
    let waiting = shown.waiting[2];
    assert!(waiting > 10 && shown.waiting[..2] == [0, 0], "{:?}", shown.waiting);
    let by_tenant: Vec<usize> = shown.tenants.iter().map(|tenant| tenant.waiting[2]).collect();
    assert_eq!(by_tenant.iter().sum::<usize>(), waiting);
    assert!(by_tenant[0] > by_tenant[1], "most first: {by_tenant:?}");
    let next = shown.next_in[2].expect("a pace has a next moment");
    assert!(next <= secs(2), "{next:?}");
    let newcomer = shown.newcomer_waits[2].expect("and so has a queue an end");
    assert!(secs(waiting as u64) <= newcomer && newcomer < secs(2 * waiting as u64), "{newcomer:?}");
    assert_eq!((shown.next_in[0], shown.newcomer_waits[0]), (None, None));
}

#[test]
fn a_wait_that_nobody_knows_is_not_invented() {
    let mut bench = Bench::with(slots(1));
    bench.send(job(1));
    bench.submit(job(2));
    bench.advance(millis(5));
    let shown = bench.snapshot();
    assert_eq!((shown.waiting[1], shown.next_in[1]), (1, None));
}

#[test]
fn counts_what_each_limiter_was_throttled() {
    let mut bench = Bench::with(roomy());
    let sent = bench.send(job(1));
    bench.fail(sent, failure(Class::Throttled));
    assert_eq!(bench.limiter(0).throttled, 1);
}
