//! What changes while the engine runs.

use paceline_core::engine::{Config, Health, Lane, LimiterId, LimiterSpec, RouteId, UpstreamId, Verdict};
use paceline_core::feedback::Class;

use crate::support::{Bench, failure, job, rpm, secs, slots};

fn lane(upstream: u32, limiter: u32) -> Lane {
    Lane { upstream: UpstreamId(upstream), limiter: LimiterId(limiter), tier: 0, weight: 1 }
}

#[test]
fn who_waits_goes_by_the_new_lanes_and_who_flies_is_left_alone() {
    let mut bench = Bench::with(slots(1));
    let first = bench.send(job(1));
    bench.submit(job(2));
    assert_eq!(bench.poll().ids(), []);
    let limiter = bench.engine.add_limiter(bench.now, slots(1));
    let upstream = bench.engine.add_upstream();
    bench.engine.set_lanes(RouteId(0), vec![lane(upstream.0, limiter.0)]);
    let second = bench.poll().sent;
    assert_eq!(second.iter().map(|sent| (sent.id, sent.upstream)).collect::<Vec<_>>(), [(2, upstream)]);
    assert_eq!(bench.fail(first, failure(Class::Throttled)).ids(), [], "its place is taken");
    assert_eq!(
        bench.succeed(second[0]).sent.first().map(|sent| (sent.id, sent.upstream)),
        Some((1, upstream))
    );
}

#[test]
fn without_lanes_who_waits_is_told() {
    let mut bench = Bench::with(slots(1));
    bench.send(job(1));
    bench.submit(job(2));
    bench.engine.set_lanes(RouteId(0), Vec::new());
    assert_eq!(bench.poll().ended, [(2, Verdict::NoUpstream(Class::BadRequest))]);
    bench.engine.set_lanes(RouteId(7), Vec::new());
}

#[test]
fn what_is_idle_can_stand_for_something_else() {
    let mut bench = Bench::configured(Config::default(), rpm(1));
    let sent = bench.send(job(1));
    bench.engine.reset_limiter(bench.now, LimiterId(0), rpm(1));
    bench.engine.reset_upstream(UpstreamId(0));
    assert_eq!(bench.engine.snapshot(bench.now).in_flight, 1);
    assert_eq!(bench.submitted(job(2)).ids(), [], "it is in use, so nothing was forgotten");
    bench.fail(sent, failure(Class::Auth));
    assert_eq!(bench.engine.snapshot(bench.now).upstreams[0].health, Health::OutOfService(Class::Auth));
    bench.advance(secs(1));
    bench.engine.reset_upstream(UpstreamId(0));
    bench.engine.reset_limiter(bench.now, LimiterId(0), LimiterSpec::default());
    assert_eq!(bench.engine.snapshot(bench.now).upstreams[0].health, Health::Closed);
    assert_eq!(bench.limiter(0).buckets.iter().map(|bucket| bucket.used).sum::<u64>(), 0);
    bench.send(job(3));
}
