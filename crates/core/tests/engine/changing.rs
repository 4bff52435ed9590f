//! What changes while the engine runs.

use paceline_core::engine::{
    Config, Health, Lane, LimitSource, LimiterId, LimiterSpec, RouteId, Submission, UpstreamId, Verdict,
};
use paceline_core::feedback::Class;

use paceline_core::quota::Dimension;

use crate::support::{Bench, failure, job, millis, rpm, secs, seen, slots};

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
    let refused = bench.engine.reset_limiter(bench.now, LimiterId(0), &rpm(1));
    assert!(!refused && !bench.engine.reset_upstream(UpstreamId(0)));
    assert_eq!(bench.engine.snapshot(bench.now).in_flight, 1);
    assert_eq!(bench.submitted(job(2)).ids(), [], "it is in use, so nothing was forgotten");
    bench.fail(sent, failure(Class::Auth));
    assert_eq!(bench.engine.snapshot(bench.now).upstreams[0].health, Health::OutOfService(Class::Auth));
    bench.advance(secs(1));
    assert!(bench.engine.reset_upstream(UpstreamId(0)));
    assert!(bench.engine.reset_limiter(bench.now, LimiterId(0), &LimiterSpec::default()));
    assert_eq!(bench.engine.snapshot(bench.now).upstreams[0].health, Health::Closed);
    assert_eq!(bench.limiter(0).buckets.iter().map(|bucket| bucket.used).sum::<u64>(), 0);
    bench.send(job(3));
}

/// Two routes with a limiter each, which share the second from the middle of the first window on.
#[test]
fn two_limiters_that_become_one_forget_nothing_and_rule_whoever_waits() {
    let mut bench = Bench::with(rpm(10));
    bench.route(vec![(rpm(10), 0, 1)]);
    let elsewhere = |id| Submission { route: RouteId(1), ..job(id) };
    for id in 0..40 {
        bench.submit(if id % 2 == 0 { job(id) } else { elsewhere(id) });
    }
    let apart = bench.serve(millis(100), secs(30)).sent.len();
    assert!((8..=12).contains(&apart), "{apart}");
    bench.engine.merge_limiters(bench.now, LimiterId(0), LimiterId(1));
    assert_eq!(bench.limiter(1).buckets[0].used, apart as u64);
    let rest = bench.serve(millis(100), secs(29)).sent.len();
    assert_eq!(rest + apart, apart.max(10), "no more than ten in the minute since the start");
    let later = bench.serve(millis(100), secs(61));
    let both = later.sent.iter().fold([0, 0], |mut sent, one| {
        sent[one.id as usize % 2] += 1;
        sent
    });
    assert!(both.iter().all(|sent| 4 <= *sent), "both routes go on: {both:?}");
    assert!(both[0] + both[1] <= 12, "at the one rate: {both:?}");
}

#[test]
fn what_is_in_flight_goes_along_when_limiters_become_one() {
    let mut bench = Bench::with(slots(2));
    bench.route(vec![(slots(2), 0, 1)]);
    let first = bench.send(job(1));
    let second = bench.send(Submission { route: RouteId(1), ..job(2) });
    bench.engine.merge_limiters(bench.now, LimiterId(0), LimiterId(1));
    assert_eq!(bench.limiter(1).in_flight, (2, Some(2)));
    assert_eq!(bench.submitted(job(3)).ids(), [], "both slots are taken");
    bench.succeed(first);
    assert_eq!(bench.next_sent(secs(1)).id, 3);
    bench.succeed(second);
    assert_eq!((bench.limiter(0).in_flight.0, bench.limiter(1).in_flight.0), (0, 1));
    bench.engine.merge_limiters(bench.now, LimiterId(1), LimiterId(1));
    bench.engine.merge_limiters(bench.now, LimiterId(1), LimiterId(9));
    assert_eq!(bench.limiter(1).in_flight.0, 1);
}

#[test]
fn of_what_two_limiters_believe_the_stricter_holds() {
    let told = |limit: Option<u64>| {
        let mut bench = Bench::with(LimiterSpec::default());
        bench.route(vec![(LimiterSpec::default(), 0, 1)]);
        let [one, other] = [job(1), Submission { route: RouteId(1), ..job(2) }].map(|job| bench.send(job));
        if let Some(limit) = limit {
            bench.head(one, vec![seen(Dimension::Requests, limit, limit - 1)]);
        }
        bench.head(other, vec![seen(Dimension::Requests, 50, 49)]);
        (bench, one, other)
    };
    for (limit, want) in [(Some(60), 60), (None, 50)] {
        let (mut bench, ..) = told(limit);
        bench.engine.merge_limiters(bench.now, LimiterId(1), LimiterId(0));
        let requests = bench.limiter(0).buckets[0];
        assert_eq!((requests.quota.limit, requests.source), (want, LimitSource::Reported), "{limit:?}");
    }
    // A gate that a refusal closed stays closed.
    let (mut bench, one, _) = told(None);
    bench.fail(one, failure(Class::Throttled));
    assert!(bench.limiter(0).closed_for.is_some());
    bench.engine.merge_limiters(bench.now, LimiterId(0), LimiterId(1));
    assert!(bench.limiter(1).closed_for.is_some());
}

#[test]
fn what_an_earlier_session_learned_may_come_late() {
    let mut before = Bench::with(LimiterSpec::default());
    let sent = before.send(job(1));
    before.head(sent, vec![seen(Dimension::Requests, 50, 49)]);
    let learned = before.engine.learned(before.now, LimiterId(0));
    let mut bench = Bench::with(LimiterSpec::default());
    let sent = bench.send(job(1));
    bench.engine.recall(bench.now, LimiterId(0), &learned);
    assert_eq!(bench.limit(Dimension::Requests), Some(50));
    bench.head(sent, vec![seen(Dimension::Requests, 40, 39)]);
    bench.engine.recall(bench.now, LimiterId(0), &learned);
    assert_eq!(bench.limit(Dimension::Requests), Some(40), "what this session was told is known better");
}
