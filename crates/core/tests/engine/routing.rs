//! Where a request goes when several upstreams could serve it.

use paceline_core::engine::{
    Config, Engine, Lane, LimiterSpec, Priority, RouteId, Submission, UpstreamId, Verdict,
};
use paceline_core::feedback::{Class, Failure};
use paceline_core::quota::{Demand, Dimension, Quota};
use paceline_core::time::Time;

use crate::support::{Bench, failure, job, millis, per_minute, roomy, rpm, secs, slots};

fn over(lanes: Vec<(LimiterSpec, u8, u32)>) -> Bench {
    let mut bench = Bench::new(Config::default());
    bench.route(lanes);
    bench
}

/// How many of these attempts went to each of two upstreams.
fn shares(sent: &[crate::support::Sent]) -> [usize; 2] {
    [0, 1].map(|upstream| sent.iter().filter(|sent| sent.upstream == UpstreamId(upstream)).count())
}

#[test]
fn a_higher_tier_is_used_only_when_the_lower_one_is_down() {
    let mut bench = over(vec![(roomy(), 1, 1), (roomy(), 0, 1)]);
    let sent = (0..20).map(|id| bench.send(job(id))).collect::<Vec<_>>();
    assert_eq!(shares(&sent), [0, 20], "tiers count, not the order they were added in");
    let moved = bench.fail(sent[0], failure(Class::Auth)).sent;
    assert_eq!((moved[0].id, moved[0].upstream), (0, UpstreamId(0)));
    assert_eq!(bench.send(job(50)).upstream, UpstreamId(0));
}

#[test]
fn a_busy_tier_is_waited_for() {
    let mut bench = over(vec![(slots(1), 0, 1), (roomy(), 1, 1)]);
    bench.send(job(0));
    assert!(bench.submitted(job(1)).sent.is_empty());
}

/// Whoever is too large for an account waits for another one; the rest need not wait with it.
#[test]
fn who_can_never_go_somewhere_holds_no_room_there() {
    let tokens = |limit| LimiterSpec {
        ceilings: vec![per_minute(Dimension::InputTokens, limit)],
        ..LimiterSpec::default()
    };
    let mut bench = over(vec![(tokens(1_000), 0, 1), (tokens(5_000), 0, 1)]);
    let sized = |id, input_tokens, priority| Submission {
        demand: Demand { input_tokens, max_output_tokens: None },
        priority,
        ..job(id)
    };
    let large = bench.sent_soon(sized(0, 4_000, Priority::Interactive));
    bench.fail(large, failure(Class::Daily));
    let seen = bench.submitted(sized(1, 100, Priority::Batch));
    assert_eq!(
        seen.sent.iter().map(|sent| (sent.id, sent.upstream)).collect::<Vec<_>>(),
        [(1, UpstreamId(0))]
    );
}

/// A day's quota that is spent, say.
#[test]
fn a_tier_that_is_full_for_long_is_not_waited_for() {
    let daily = Quota { dimension: Dimension::Requests, window: secs(86_400), limit: 1 };
    let spec = LimiterSpec { ceilings: vec![daily], ..LimiterSpec::default() };
    let mut bench = over(vec![(spec, 0, 1), (roomy(), 1, 1)]);
    let in_time = |id| Submission { deadline: Some(Time::ZERO + secs(300)), ..job(id) };
    assert_eq!(bench.send(job(0)).upstream, UpstreamId(0));
    assert_eq!(bench.send(job(1)).upstream, UpstreamId(1));
    assert_eq!(bench.send(in_time(2)).upstream, UpstreamId(1), "not refused: the second tier is in time");
}

#[test]
fn a_tier_that_has_no_room_before_the_deadline_is_not_waited_for() {
    let mut bench = over(vec![(rpm(2), 0, 1), (roomy(), 1, 1)]);
    assert_eq!(bench.send(job(0)).upstream, UpstreamId(0));
    let hurried = Submission { deadline: Some(Time::ZERO + secs(5)), ..job(1) };
    assert_eq!(bench.send(hurried).upstream, UpstreamId(1));
    assert!(bench.submitted(job(2)).sent.is_empty(), "who has time waits");
}

#[test]
fn equals_share_by_weight_and_room() {
    let cases = [
        ([(rpm(600), 0, 1), (rpm(600), 0, 1)], 0.45..0.55),
        ([(rpm(300), 0, 1), (rpm(900), 0, 1)], 0.70..0.80),
        ([(slots(1_000), 0, 1), (slots(1_000), 0, 3)], 0.6..1.0),
    ];
    for (lanes, expected) in cases {
        let named = format!("{lanes:?}");
        let mut bench = over(lanes.to_vec());
        (0..3_000).for_each(|id| bench.submit(job(id)));
        let sent = bench.serve(millis(500), secs(60)).sent;
        let [first, second] = shares(&sent);
        let share = second as f64 / (first + second) as f64;
        assert!(expected.contains(&share), "{first} and {second} of {named}");
    }
}

#[test]
fn a_retry_avoids_where_it_failed() {
    for class in [Class::Transient, Class::Overloaded, Class::Throttled, Class::Daily] {
        let mut bench = over(vec![(roomy(), 0, 1), (roomy(), 0, 1)]);
        for id in 0..4 {
            let first = bench.send(job(id));
            let mut seen = bench.fail(first, failure(class)).sent;
            if seen.is_empty() {
                seen = bench.next(secs(5)).sent;
            }
            assert_ne!(seen[0].upstream, first.upstream, "{class:?}");
            bench.succeed(seen[0]);
            bench.advance(secs(20_000));
        }
    }
}

#[test]
fn with_nowhere_else_to_go_the_same_upstream_will_do() {
    let mut bench = over(vec![(roomy(), 0, 1), (roomy(), 0, 1)]);
    let first = bench.send(job(0));
    let elsewhere = bench.fail(first, failure(Class::Auth)).sent[0];
    bench.fail(elsewhere, failure(Class::Transient));
    assert_eq!(bench.next_sent(secs(10)).upstream, elsewhere.upstream);
}

/// Granted limits are used fully, not evaded: a second key of an account is no second limit.
#[test]
fn keys_of_one_account_share_its_limit() {
    let mut engine = Engine::new(Config::default(), 1);
    let limiter = engine.add_limiter(paceline_core::time::Time::ZERO, rpm(120));
    let lanes = [engine.add_upstream(), engine.add_upstream(), engine.add_upstream()];
    let lanes = lanes.map(|upstream| Lane { upstream, limiter, tier: 0, weight: 1 });
    engine.add_route(lanes.to_vec());
    let mut bench = Bench { engine, now: paceline_core::time::Time::ZERO };
    (0..1_000).for_each(|id| bench.submit(job(id)));
    let sent = bench.serve(millis(300), secs(180)).sent;
    assert!((350..=362).contains(&sent.len()), "{} in three minutes at 120 a minute", sent.len());
    let busiest = sent.iter().map(|from| {
        sent.iter().filter(|other| from.at <= other.at && other.at.since(from.at) < secs(60)).count()
    });
    assert!(busiest.max() <= Some(120));
}

#[test]
fn a_throttled_account_does_not_hold_up_the_others() {
    let mut bench = over(vec![(roomy(), 0, 1), (roomy(), 0, 1)]);
    let first = bench.send(job(0));
    let moved = bench.fail(first, Failure { wait: Some(secs(8)), ..failure(Class::Throttled) }).sent;
    assert_eq!((moved[0].id, moved[0].ordinal), (0, 2));
    let sent: Vec<_> = (1..20).map(|id| bench.send(job(id))).collect();
    assert!(sent.iter().all(|sent| sent.upstream == moved[0].upstream));
}

#[test]
fn a_request_goes_where_it_fits_or_is_told_that_it_fits_nowhere() {
    let tokens = |limit| LimiterSpec {
        ceilings: vec![per_minute(Dimension::InputTokens, limit)],
        ..LimiterSpec::default()
    };
    let mut bench = over(vec![(tokens(1_000), 0, 1), (tokens(5_000), 0, 1)]);
    let demand = |input_tokens| Demand { input_tokens, max_output_tokens: None };
    assert_eq!(bench.next_after(Submission { demand: demand(3_000), ..job(1) }), UpstreamId(1));
    let ended = bench.submitted(Submission { demand: demand(6_000), ..job(2) }).ended;
    let verdict = Verdict::TooLarge { dimension: Dimension::InputTokens, want: 6_000, limit: 5_000 };
    assert_eq!(ended, [(2, verdict)]);
}

#[test]
fn a_route_without_lanes_or_without_existence_serves_nobody() {
    let mut bench = over(vec![(roomy(), 0, 1)]);
    bench.route(Vec::new());
    for route in [1, 2, u32::MAX] {
        let ended = bench.submitted(Submission { route: RouteId(route), ..job(1) }).ended;
        assert!(matches!(ended[..], [(1, Verdict::NoUpstream(_))]), "{ended:?}");
    }
}

#[test]
fn a_preferred_upstream_serves_while_it_has_room_at_once() {
    let mut bench = Bench::new(Config::default());
    bench.route(vec![(slots(100), 0, 1), (slots(2), 0, 1), (roomy(), 1, 1)]);
    let prefer = |id, upstream| Submission { prefer: Some(UpstreamId(upstream)), ..job(id) };
    let places: Vec<u32> = (0..6).map(|id| bench.sent_soon(prefer(id, 1)).upstream.0).collect();
    assert_eq!(places, [1, 1, 0, 0, 0, 0], "two slots, then whoever has room");
    let other_tier: Vec<u32> = (6..10).map(|id| bench.sent_soon(prefer(id, 2)).upstream.0).collect();
    assert_eq!(other_tier, [0; 4], "an earlier tier goes first whatever is preferred");
    let unknown = bench.sent_soon(prefer(10, 77));
    assert_eq!(unknown.upstream, UpstreamId(0));
}

#[test]
fn where_a_request_failed_is_preferred_no_more() {
    let mut bench = Bench::new(Config::default());
    bench.route(vec![(roomy(), 0, 1), (roomy(), 0, 1)]);
    let sent = bench.sent_soon(Submission { prefer: Some(UpstreamId(1)), ..job(1) });
    assert_eq!(sent.upstream, UpstreamId(1));
    bench.fail(sent, failure(Class::Overloaded));
    assert_eq!(bench.next_sent(secs(60)).upstream, UpstreamId(0));
}
