//! A request is told as soon as it is known that it cannot start in time.

use paceline_core::engine::{Priority, Submission, Verdict};
use paceline_core::feedback::Class;
use paceline_core::time::Time;

use crate::support::{Bench, failure, job, later, rpm, secs, slots};

#[test]
fn refused_at_once_with_the_wait_when_the_queue_is_too_long() {
    let mut bench = Bench::with(rpm(60));
    (0..120).for_each(|id| bench.submit(job(id)));
    bench.poll();
    let queued = bench.snapshot().waiting[1] as u64;
    let hurried = Submission { deadline: later(bench.now, secs(60)), ..job(500) };
    let ended = bench.submitted(hurried).ended;
    let [(500, Verdict::TooLate { wait: Some(wait) })] = ended[..] else { panic!("{ended:?}") };
    // A little more than it looks like: some who come later go first.
    assert!((secs(queued)..secs(queued + 30)).contains(&wait), "{wait:?} for {queued} at one a second");
    let patient = Submission { deadline: later(bench.now, secs(queued + 30)), ..job(501) };
    assert!(bench.submitted(patient).ended.is_empty());
}

#[test]
fn refused_at_once_with_the_wait_when_the_quota_is_used_up() {
    let mut bench = Bench::with(rpm(1));
    let first = bench.send(job(1));
    bench.succeed(first);
    bench.advance(secs(10));
    let hurried = Submission { deadline: later(bench.now, secs(30)), ..job(2) };
    let ended = bench.submitted(hurried).ended;
    let [(2, Verdict::TooLate { wait: Some(wait) })] = ended[..] else { panic!("{ended:?}") };
    assert!((secs(49)..secs(54)).contains(&wait), "{wait:?}");
    let patient = Submission { deadline: later(bench.now, wait + secs(1)), ..job(3) };
    assert!(bench.submitted(patient).ended.is_empty());
    assert!(bench.advance(wait + secs(1)).ended.is_empty(), "and then it goes");
    assert_eq!(bench.snapshot().in_flight, 1);
}

#[test]
fn only_those_who_go_before_count_as_wait() {
    let mut bench = Bench::with(rpm(60));
    (0..120).for_each(|id| bench.submit(Submission { priority: Priority::Batch, ..job(id) }));
    bench.poll();
    let hurried = Submission { deadline: later(bench.now, secs(30)), ..job(500) };
    assert!(bench.submitted(Submission { priority: Priority::Interactive, ..hurried }).ended.is_empty());
}

#[test]
fn expires_while_waiting_to_the_instant() {
    let waiting = Submission { deadline: Some(Time::ZERO + secs(20)), ..job(2) };
    let mut bench = Bench::with(slots(1));
    let first = bench.send(job(1));
    bench.submit(waiting);
    assert!(bench.advance(secs(19)).ended.is_empty());
    assert_eq!(bench.advance(secs(1)).ended, [(2, Verdict::TooLate { wait: None })]);
    assert!(bench.succeed(first).sent.is_empty());
    assert_eq!(bench.snapshot().waiting, [0; 3]);
}

#[test]
fn an_attempt_under_way_is_not_cut_off() {
    let mut bench = Bench::with(slots(1));
    let sent = bench.send(Submission { deadline: later(bench.now, secs(5)), ..job(1) });
    let seen = bench.advance(secs(60));
    assert!(seen.ended.is_empty() && seen.aborted.is_empty());
    assert!(bench.succeed(sent).ended.is_empty());
}

#[test]
fn what_fails_after_its_deadline_is_not_tried_again() {
    for class in [Class::Throttled, Class::Concurrency, Class::Transient, Class::Overloaded] {
        let mut bench = Bench::with(slots(1));
        let sent = bench.send(Submission { deadline: later(bench.now, secs(5)), ..job(1) });
        bench.advance(secs(60));
        let ended = bench.fail(sent, failure(class)).ended;
        assert!(matches!(ended[..], [(1, Verdict::TooLate { .. })]), "{class:?}: {ended:?}");
    }
}

#[test]
fn a_deadline_that_has_passed_or_lies_before_the_start_is_refused_at_once() {
    let mut bench = Bench::with(slots(1));
    bench.advance(secs(10));
    let [past, soon, then] = [5, 20, 30].map(|at| Some(Time::ZERO + secs(at)));
    let cases =
        [Submission { deadline: past, ..job(1) }, Submission { deadline: soon, not_before: then, ..job(2) }];
    for submission in cases {
        let ended = bench.submitted(submission).ended;
        assert!(matches!(ended[..], [(_, Verdict::TooLate { wait: Some(_) })]), "{submission:?}: {ended:?}");
    }
}
