//! A caller may leave at any moment, wherever the request is; nothing of it stays.

use paceline_core::engine::{AttemptId, Event, Submission};
use paceline_core::feedback::Class;
use paceline_core::quota::Usage;

use crate::support::{Bench, Sent, failure, job, later, secs, slots};

/// Brings request 1 into a state; its attempt when one is under way.
type Setting = fn(&mut Bench) -> Option<Sent>;

fn waiting(bench: &mut Bench) -> Option<Sent> {
    bench.send(job(100));
    bench.send(job(101));
    bench.submit(job(1));
    None
}

fn waiting_with_a_deadline(bench: &mut Bench) -> Option<Sent> {
    bench.send(job(100));
    bench.send(job(101));
    bench.submit(Submission { deadline: later(bench.now, secs(5)), ..job(1) });
    None
}

fn not_before(bench: &mut Bench) -> Option<Sent> {
    bench.submit(Submission { not_before: later(bench.now, secs(5)), ..job(1) });
    None
}

fn backing_off(bench: &mut Bench) -> Option<Sent> {
    let sent = bench.send(job(1));
    bench.fail(sent, failure(Class::Transient));
    None
}

fn behind_a_gate(bench: &mut Bench) -> Option<Sent> {
    let sent = bench.send(job(1));
    bench.fail(sent, failure(Class::Throttled));
    None
}

fn in_flight(bench: &mut Bench) -> Option<Sent> {
    Some(bench.send(job(1)))
}

fn streaming(bench: &mut Bench) -> Option<Sent> {
    let sent = bench.send(Submission { deadline: later(bench.now, secs(5)), ..job(1) });
    bench.head(sent, Vec::new());
    Some(sent)
}

const SETTINGS: [(&str, Setting); 7] = [
    ("waiting", waiting),
    ("waiting with a deadline", waiting_with_a_deadline),
    ("not before", not_before),
    ("backing off", backing_off),
    ("behind a gate", behind_a_gate),
    ("in flight", in_flight),
    ("streaming", streaming),
];

#[test]
fn nothing_stays_of_a_canceled_request() {
    for (name, setting) in SETTINGS {
        let mut bench = Bench::with(slots(2));
        let attempt = setting(&mut bench);
        let others = bench.snapshot().in_flight - usize::from(attempt.is_some());
        let seen = bench.cancel(1);
        assert_eq!(seen.aborted, Vec::from_iter(attempt.map(|sent| sent.attempt)), "{name}");
        assert!(seen.sent.is_empty() && seen.ended.is_empty(), "{name}: {seen:?}");
        assert_eq!((bench.snapshot().waiting, bench.snapshot().in_flight), ([0; 3], others), "{name}");
        let seen = bench.advance(secs(60));
        assert!(seen.sent.is_empty() && seen.ended.is_empty(), "{name}: {seen:?}");
        assert_eq!(bench.engine.poll_timeout(), None, "{name}");
    }
}

#[test]
fn a_slot_is_free_at_once_and_the_name_too() {
    let mut bench = Bench::with(slots(1));
    let first = bench.send(job(1));
    bench.submit(job(2));
    assert_eq!(bench.cancel(1).ids(), [2]);
    bench.submit(job(1));
    let answer = Event::Succeeded { attempt: first.attempt, usage: Some(Usage::default()) };
    bench.engine.handle_event(bench.now, answer);
    assert_eq!(bench.snapshot().waiting, [0, 1, 0], "an aborted attempt's answer comes too late");
    assert!(bench.cancel(1).aborted.is_empty());
}

#[test]
fn strangers_are_ignored() {
    let mut bench = Bench::with(slots(1));
    let sent = bench.send(job(1));
    bench.succeed(sent);
    for attempt in [sent.attempt, AttemptId(0), AttemptId(u64::MAX)] {
        let stranger = Sent { attempt, ..sent };
        assert!(bench.head(stranger, Vec::new()).sent.is_empty());
        assert!(bench.fail(stranger, failure(Class::Transient)).ended.is_empty());
        bench.succeed(stranger);
        bench.engine.handle_event(bench.now, Event::Produced { attempt, output_tokens: 9 });
    }
    bench.cancel(1);
    bench.cancel(77);
    assert_eq!((bench.snapshot().in_flight, bench.snapshot().upstreams[0].in_flight), (0, 0));
}

#[test]
fn who_has_a_name_keeps_it() {
    let mut bench = Bench::with(slots(1));
    let sent = bench.send(job(1));
    let seen = bench.submitted(job(1));
    assert!(seen.sent.is_empty() && seen.ended.is_empty(), "{seen:?}");
    assert!(bench.succeed(sent).sent.is_empty());
}
