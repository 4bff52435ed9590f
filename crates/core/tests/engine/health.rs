//! When an upstream is no longer trusted, and how it is trusted again.

use paceline_core::engine::{Config, Health, Priority, Submission, Verdict};
use paceline_core::feedback::{Class, Failure};

use crate::support::{Bench, failure, job, millis, roomy, secs};

fn health(bench: &Bench, upstream: usize) -> Health {
    bench.snapshot().upstreams[upstream].health
}

/// Two accounts that serve the same route.
fn pair() -> Bench {
    let mut bench = Bench::new(Config::default());
    bench.route(vec![(roomy(), 0, 1), (roomy(), 0, 1)]);
    bench
}

#[test]
fn a_refused_credential_moves_its_request_to_another_account() {
    for class in [Class::Money, Class::Auth] {
        let mut bench = pair();
        let first = bench.send(job(1));
        let again = bench.fail(first, failure(class)).sent;
        assert_eq!((again.len(), again[0].id), (1, 1), "{class:?}");
        assert_ne!(again[0].upstream, first.upstream, "{class:?}");
        let others = (2..12).map(|id| bench.send(job(id)).upstream).collect::<Vec<_>>();
        assert!(others.iter().all(|&upstream| upstream == again[0].upstream), "{class:?}");
        assert_eq!(bench.fail(again[0], failure(class)).ended, [(1, Verdict::NoUpstream(class))]);
    }
}

#[test]
fn without_another_account_those_who_wait_and_those_who_come_fail_at_once() {
    for class in [Class::Money, Class::Auth] {
        let mut bench = Bench::with(crate::support::slots(1));
        let first = bench.send(job(1));
        (2..5).for_each(|id| bench.submit(job(id)));
        let ended = bench.fail(first, failure(class)).ended;
        assert_eq!(ended, [1, 2, 3, 4].map(|id| (id, Verdict::NoUpstream(class))));
        assert_eq!(bench.submitted(job(5)).ended, [(5, Verdict::NoUpstream(class))]);
    }
}

#[test]
fn a_refused_credential_is_probed_rarely_and_returns_when_it_is_accepted() {
    let mut bench = Bench::with(roomy());
    let first = bench.send(job(1));
    bench.fail(first, failure(Class::Auth));
    bench.advance(secs(299));
    assert_eq!(bench.submitted(job(2)).ended, [(2, Verdict::NoUpstream(Class::Auth))]);
    bench.advance(secs(2));
    let probe = bench.send(job(3));
    assert_eq!(bench.submitted(job(4)).ended, [(4, Verdict::NoUpstream(Class::Auth))], "one probe");
    bench.succeed(probe);
    assert_eq!(health(&bench, 0), Health::Closed);
    bench.send(job(5));
}

/// What was sent before says nothing about the credential now: its last answers are still under way.
#[test]
fn old_answers_do_not_bring_a_refused_credential_back() {
    for class in [Class::Money, Class::Auth] {
        let mut bench = Bench::with(roomy());
        let old = [1, 2, 3].map(|id| bench.send(job(id)));
        bench.advance(secs(1));
        bench.fail(old[0], failure(class));
        bench.succeed(old[1]);
        bench.fail(old[2], failure(Class::BadRequest));
        assert_eq!(health(&bench, 0), Health::OutOfService(class));
        assert_eq!(bench.submitted(job(4)).ended, [(4, Verdict::NoUpstream(class))]);
    }
}

#[test]
fn failures_open_the_breaker_and_refusals_do_not() {
    let cases = [
        (Class::Overloaded, true),
        (Class::Transient, true),
        (Class::Throttled, false),
        (Class::Ramp, false),
        (Class::Concurrency, false),
        (Class::Policy, false),
        (Class::BadRequest, false),
        (Class::TooBig, false),
    ];
    for (class, opens) in cases {
        let mut bench = Bench::with(roomy());
        let sent: Vec<_> = (0..30).map(|id| bench.send(job(id))).collect();
        for attempt in sent {
            bench.fail(attempt, failure(class));
        }
        assert_eq!(matches!(health(&bench, 0), Health::Open(_)), opens, "{class:?}");
    }
}

/// A refused connection is repeated for free once. An upstream that refuses them all is down all the same.
#[test]
fn an_upstream_that_refuses_every_connection_opens_the_breaker() {
    let mut bench = Bench::with(roomy());
    (0..30).for_each(|id| bench.submit(job(id)));
    let mut failed = 0;
    while health(&bench, 0) == Health::Closed {
        assert!(failed < 100, "never opened");
        for sent in bench.next(secs(60)).sent {
            failed += 1;
            bench.engine.handle_event(
                bench.now,
                paceline_core::engine::Event::Failed {
                    attempt: sent.attempt,
                    failure: Failure { unprocessed: true, ..failure(Class::Transient) },
                    limits: Vec::new(),
                    committed: false,
                },
            );
        }
    }
}

#[test]
fn a_broken_upstream_is_left_alone_while_another_lives() {
    let mut bench = pair();
    let mut id = 0;
    while !matches!(health(&bench, 0), Health::Open(_)) {
        id += 1;
        let sent = bench.send(job(id));
        match sent.upstream.0 {
            0 => bench.fail(sent, failure(Class::Transient)),
            _ => bench.succeed(sent),
        };
        assert!(id < 1_000, "never opened");
        bench.advance(secs(1));
    }
    let after = (0..50).map(|more| bench.send(job(10_000 + more))).collect::<Vec<_>>();
    assert!(after.iter().all(|sent| sent.upstream.0 == 1));
}

/// The probe that decides about a broken upstream may end without a word: the next one decides then.
#[test]
fn a_probe_without_an_answer_is_followed_by_another() {
    for canceled in [true, false] {
        let mut bench = pair();
        let mut sent = Vec::new();
        let mut id = 0;
        while sent.len() < 5 {
            id += 1;
            let attempt = bench.send(job(id));
            if attempt.upstream.0 == 0 {
                sent.push(attempt)
            } else {
                bench.succeed(attempt);
            }
        }
        for attempt in sent {
            bench.fail(attempt, failure(Class::Transient));
        }
        assert!(matches!(health(&bench, 0), Health::Open(_)));
        bench.advance(secs(30));
        let mut probes = 0;
        for more in 0..2_000 {
            let seen = bench.submitted(job(10_000 + more));
            for attempt in seen.sent {
                match (attempt.upstream.0, canceled) {
                    (0, true) => {
                        bench.cancel(attempt.id);
                        probes += 1;
                    }
                    (0, false) => {
                        bench.fail(attempt, Failure { unprocessed: true, ..failure(Class::Transient) });
                        probes += 1;
                    }
                    _ => drop(bench.succeed(attempt)),
                }
            }
            bench.advance(millis(100));
        }
        assert!(probes > 1, "canceled: {canceled}, {probes}");
    }
}

#[test]
fn the_last_upstream_alive_is_probed_until_it_is_well() {
    let mut bench = Bench::with(roomy());
    (0..200).for_each(|id| bench.submit(job(id)));
    let sent = bench.poll().sent;
    for attempt in sent {
        bench.fail(attempt, failure(Class::Overloaded));
    }
    let outage = bench.now + secs(60);
    let mut attempts = 0;
    while bench.now < outage {
        for sent in bench.next(secs(5)).sent {
            attempts += 1;
            bench.fail(sent, failure(Class::Overloaded));
        }
    }
    assert!((10..=100).contains(&attempts), "probed, not hammered: {attempts}");
    let served = bench.serve(millis(200), secs(120)).sent.len();
    assert!(served >= 100, "{served}");
    assert_eq!(health(&bench, 0), Health::Closed);
}

/// Nobody else is there to test a broken upstream, so one request does, again and again: as often as it may.
#[test]
fn a_lone_request_is_no_probe_for_ever() {
    for class in [Class::Transient, Class::Overloaded] {
        for priority in [Priority::Interactive, Priority::Normal, Priority::Batch] {
            let mut bench = Bench::with(roomy());
            let broken: Vec<_> = (10..15).map(|id| bench.send(job(id))).collect();
            for attempt in broken {
                bench.fail(attempt, failure(Class::Transient));
                bench.cancel(attempt.id);
            }
            assert!(matches!(health(&bench, 0), Health::Open(_)));
            bench.submit(Submission { priority, ..job(100) });
            let mut ended = Vec::new();
            let mut attempts = 0;
            while attempts < 20 && ended.is_empty() {
                attempts += 1;
                let probe = bench.next_sent(secs(60));
                assert_eq!(probe.id, 100);
                ended = bench.fail(probe, failure(class)).ended;
            }
            let outlasts = priority == Priority::Batch || class == Class::Overloaded;
            let want =
                if outlasts { (20, vec![]) } else { (3, vec![(100, Verdict::AttemptsExhausted(class))]) };
            assert_eq!((attempts, ended), want, "{priority:?}, {class:?}");
        }
    }
}
