//! A refusal closes one gate for everybody; one probe opens it; a day's refusal closes it for the day.

use paceline_core::engine::{Config, RouteId, Submission, Verdict};
use paceline_core::feedback::{Class, Failure};

use crate::support::{Bench, failure, job, later, millis, roomy, secs};

fn told_to_wait(class: Class, wait: std::time::Duration) -> Failure {
    Failure { wait: Some(wait), ..failure(class) }
}

#[test]
fn everybody_waits_for_the_hint_and_then_one_probe_goes() {
    let mut bench = Bench::with(roomy());
    let first = bench.send(job(1));
    (2..5).for_each(|id| {
        bench.send(job(id));
    });
    bench.fail(first, told_to_wait(Class::Throttled, secs(2)));
    (5..9).for_each(|id| bench.submit(job(id)));
    assert!(bench.advance(millis(1_999)).sent.is_empty(), "the hint is kept to");
    let probe = bench.advance(millis(300)).sent;
    assert_eq!(probe.iter().map(|sent| (sent.id, sent.ordinal)).collect::<Vec<_>>(), [(1, 2)]);
    let after = bench.succeed(probe[0]).ids();
    assert_eq!(after.first(), Some(&5), "an accepted probe opens the gate");
}

#[test]
fn a_probe_refused_closes_the_gate_again_for_everybody() {
    let mut bench = Bench::with(roomy());
    let mut sent = bench.send(job(1));
    (2..30).for_each(|id| bench.submit(job(id)));
    let others = bench.poll().sent.len();
    assert_eq!(others, 28);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let refused = bench.now;
        bench.fail(sent, failure(Class::Throttled));
        sent = bench.next_sent(secs(60));
        waits.push(sent.at.since(refused));
        assert!(bench.advance(millis(100)).sent.is_empty(), "one probe at a time");
    }
    assert!(waits.is_sorted() && waits[0] * 2 < waits[3], "each wait is longer: {waits:?}");
}

#[test]
fn an_absurd_hint_is_probed_soon() {
    let mut bench = Bench::with(roomy());
    let sent = bench.send(job(1));
    bench.fail(sent, told_to_wait(Class::Throttled, secs(800)));
    let probe = bench.next_sent(secs(60));
    assert_eq!(probe.ordinal, 2);
}

/// A hint above the longest that is sat out is a daily limit, whatever the answer calls it.
#[test]
fn a_daily_limit_closes_the_bucket_until_its_reset() {
    for class in [Class::Daily, Class::Throttled] {
        let mut bench = Bench::with(roomy());
        let sent = bench.send(job(1));
        bench.fail(sent, told_to_wait(class, secs(7_200)));
        bench.submit(job(2));
        assert!(bench.limiter(0).closed_for >= Some(secs(7_199)));
        assert!(bench.advance(secs(7_199)).sent.is_empty(), "{class:?}");
        assert_eq!(bench.next_sent(secs(800)).id, 1, "{class:?}");
    }
}

#[test]
fn a_daily_limit_without_a_reset_is_tried_again_some_day() {
    let mut bench = Bench::with(roomy());
    let sent = bench.send(job(1));
    bench.fail(sent, failure(Class::Daily));
    assert!(bench.advance(secs(600)).sent.is_empty());
    assert_eq!(bench.next_sent(secs(86_400)).ordinal, 2);
}

#[test]
fn who_cannot_wait_for_the_day_to_end_is_refused_or_goes_elsewhere() {
    let mut bench = Bench::new(Config::default());
    bench.route(vec![(roomy(), 0, 1)]);
    bench.route(vec![(roomy(), 0, 1), (roomy(), 0, 1)]);
    let impatient = |id| Submission { deadline: later(bench.now, secs(60)), ..job(id) };
    let [alone, elsewhere] = [impatient(1), impatient(2)];
    let elsewhere = Submission { route: RouteId(1), ..elsewhere };

    let sent = bench.send(alone);
    let mut seen = bench.fail(sent, told_to_wait(Class::Daily, secs(7_200)));
    if seen.ended.is_empty() {
        seen = bench.advance(secs(60));
    }
    assert!(matches!(seen.ended[..], [(1, Verdict::TooLate { .. })]), "{seen:?}");

    let sent = bench.send(Submission { deadline: later(bench.now, secs(60)), ..elsewhere });
    let seen = bench.fail(sent, told_to_wait(Class::Daily, secs(7_200)));
    assert_eq!(seen.ids(), [2]);
    assert_ne!(seen.sent[0].upstream, sent.upstream);
}

#[test]
fn a_newcomer_is_told_at_once_that_the_gate_opens_too_late() {
    let mut bench = Bench::with(roomy());
    let sent = bench.send(job(1));
    bench.fail(sent, told_to_wait(Class::Daily, secs(7_200)));
    let hurried = Submission { deadline: later(bench.now, secs(60)), ..job(2) };
    let ended = bench.submitted(hurried).ended;
    let [(2, Verdict::TooLate { wait: Some(wait) })] = ended[..] else { panic!("{ended:?}") };
    assert!(secs(7_199) < wait && wait < secs(8_000), "{wait:?}");
}
