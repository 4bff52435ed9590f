//! What each class of failure means for the request that failed, and for where it failed.

use paceline_core::engine::{Event, Health, Verdict};
use paceline_core::feedback::Class;

use crate::support::{Bench, failure, job, roomy, secs, slots};

const ALL: [Class; 11] = [
    Class::Throttled,
    Class::Ramp,
    Class::Overloaded,
    Class::Concurrency,
    Class::Daily,
    Class::Money,
    Class::Auth,
    Class::TooBig,
    Class::Policy,
    Class::BadRequest,
    Class::Transient,
];

/// What is to become of the only request, after one failure on the only upstream.
#[derive(Debug)]
enum Becomes {
    /// Sent again.
    Again,
    /// Over at once.
    Over(Verdict),
}

#[test]
fn every_class_has_its_consequence() {
    use Becomes::{Again, Over};
    for class in ALL {
        let (becomes, closes_gate, health) = match class {
            Class::Throttled | Class::Ramp | Class::Concurrency | Class::Daily => {
                (Again, true, Health::Closed)
            }
            Class::Overloaded | Class::Transient => (Again, false, Health::Closed),
            Class::Money | Class::Auth => {
                (Over(Verdict::NoUpstream(class)), false, Health::OutOfService(class))
            }
            Class::TooBig | Class::Policy | Class::BadRequest => {
                (Over(Verdict::Final(class)), false, Health::Closed)
            }
        };
        let mut bench = Bench::with(roomy());
        let first = bench.send(job(1));
        let seen = bench.fail(first, failure(class));
        let snapshot = bench.snapshot();
        assert!(seen.sent.is_empty(), "{class:?} is never repeated in the same instant");
        assert_eq!(snapshot.limiters[0].closed_for.is_some(), closes_gate, "gate after {class:?}");
        assert_eq!(snapshot.upstreams[0].health, health, "{class:?}");
        assert_eq!(snapshot.throttled, u64::from(closes_gate), "{class:?}");
        match becomes {
            Over(verdict) => assert_eq!(seen.ended, [(1, verdict)], "{class:?}"),
            Again => {
                let again = bench.next_sent(secs(7_200));
                assert_eq!((again.id, again.ordinal), (1, 2), "{class:?}");
            }
        }
    }
}

#[test]
fn what_has_reached_the_caller_is_never_replayed() {
    for class in ALL {
        let mut bench = Bench::with(roomy());
        let attempt = bench.send(job(1)).attempt;
        let (failure, limits) = (failure(class), Vec::new());
        bench.engine.handle_event(bench.now, Event::Failed { attempt, failure, limits, committed: true });
        let seen = bench.advance(secs(7_200));
        assert_eq!(seen.ended, [(1, Verdict::Final(class))]);
        assert!(seen.sent.is_empty(), "{class:?}");
    }
}

#[test]
fn a_throttled_request_keeps_its_place_and_loses_no_attempt() {
    for class in [Class::Throttled, Class::Ramp, Class::Concurrency] {
        let mut bench = Bench::with(slots(1));
        let mut sent = bench.send(job(1));
        for id in 2..5 {
            bench.submit(job(id));
        }
        for round in 2..20 {
            let seen = bench.fail(sent, failure(class));
            assert!(seen.ended.is_empty(), "{class:?}");
            sent = bench.next_sent(secs(60));
            assert_eq!((sent.id, sent.ordinal), (1, round), "{class:?}: still the first in line");
        }
        assert_eq!(bench.succeed(sent).ids(), [2]);
    }
}

#[test]
fn a_concurrency_refusal_lowers_the_number_in_flight() {
    let mut bench = Bench::with(roomy());
    let sent: Vec<_> = (0..10).map(|id| bench.send(job(id))).collect();
    bench.advance(secs(1));
    bench.fail(sent[0], failure(Class::Concurrency));
    let (_, limit) = bench.limiter(0).in_flight;
    let limit = limit.expect("a refusal for concurrency sets a limit");
    assert!((1..10).contains(&limit), "{limit}");
    for &done in &sent[1..] {
        bench.succeed(done);
    }
    (10..40).for_each(|id| bench.submit(job(id)));
    let sent = bench.advance(secs(30)).sent;
    let (_, grown) = bench.limiter(0).in_flight;
    assert!(sent.len() as u32 <= grown.expect("still limited"), "{} of {grown:?}", sent.len());
}

#[test]
fn an_unlimited_wait_for_slots_ends_when_one_is_free() {
    let mut bench = Bench::with(slots(2));
    let first = bench.send(job(1));
    bench.send(job(2));
    assert!(bench.submitted(job(3)).sent.is_empty());
    assert!(bench.advance(secs(3_600)).sent.is_empty());
    assert_eq!(bench.succeed(first).ids(), [3]);
}
