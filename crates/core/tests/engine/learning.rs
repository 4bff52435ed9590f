//! What answers teach about limits: headers and errors are evidence, never the truth.

use std::time::Duration;

use paceline_core::engine::{LimitSource, LimiterSpec};
use paceline_core::feedback::{Class, Failure, LimitSeen, NamedLimit};
use paceline_core::quota::Dimension;

use crate::support::{Bench, MINUTE, failure, job, millis, roomy, rpm, secs, seen};

const REQUESTS: Dimension = Dimension::Requests;
const DAY: Duration = Duration::from_secs(86_400);

fn unknown() -> Bench {
    Bench::with(LimiterSpec::default())
}

/// Shows one report after the other, each by a request of its own.
fn shown(bench: &mut Bench, reports: &[LimitSeen]) {
    for (id, report) in (90_000..).zip(reports) {
        bench.submit(job(id));
        let sent = bench.next_sent(secs(60));
        bench.head(sent, vec![*report]);
        bench.succeed(sent);
    }
}

#[test]
fn a_limit_is_believed_as_it_is_shown() {
    let plain = seen(REQUESTS, 600, 500);
    let report = |limit| seen(REQUESTS, limit, 10);
    let cases: [(&str, Vec<LimitSeen>, Option<u64>); 9] = [
        ("the first", vec![plain], Some(600)),
        ("a lower one at once", vec![plain, report(300)], Some(300)),
        ("a higher one not at once", vec![plain, report(900)], Some(600)),
        (
            "a higher one that stays",
            vec![plain, report(900), report(900), report(900), report(900)],
            Some(900),
        ),
        (
            "higher ones that differ",
            vec![plain, report(900), report(901), report(900), report(901)],
            Some(600),
        ),
        ("none", vec![LimitSeen { limit: None, ..plain }], None),
        ("zero is unknown", vec![LimitSeen { limit: Some(0), ..plain }], None),
        ("zero changes nothing", vec![plain, LimitSeen { limit: Some(0), ..plain }], Some(600)),
        ("no window is a minute", vec![LimitSeen { window: None, ..plain }], Some(600)),
    ];
    for (name, reports, expected) in cases {
        let mut bench = unknown();
        let before = bench.limit(REQUESTS);
        shown(&mut bench, &reports);
        let after = bench.limit(REQUESTS).filter(|limit| expected.is_some() || Some(*limit) != before);
        assert_eq!(after, expected, "{name}");
        if expected.is_some() {
            assert_eq!(bench.limiter(0).buckets[0].source, LimitSource::Reported, "{name}");
        }
    }
}

#[test]
fn a_guessed_window_is_believed_when_it_is_repeated() {
    let guessed = LimitSeen { window: Some(DAY), window_is_guessed: true, ..seen(REQUESTS, 10_000, 9_000) };
    let daily = LimitSeen { reset: Some(DAY / 10), ..guessed };
    let mut bench = unknown();
    shown(&mut bench, &[seen(REQUESTS, 600, 500), daily]);
    assert_eq!(bench.quota(REQUESTS, DAY), None, "it is a guess");
    shown(&mut bench, &[daily; 4]);
    assert_eq!(bench.quota(REQUESTS, DAY), Some(10_000));
    assert_eq!(bench.limit(REQUESTS), Some(600));
    shown(&mut bench, &[LimitSeen { window: None, ..daily }]);
    assert_eq!(bench.limit(REQUESTS), Some(600), "a limit that the day already has is the day's");
}

#[test]
fn windows_that_are_named_are_believed_at_once() {
    let hour = secs(3_600);
    let named = |window, limit| LimitSeen { window: Some(window), ..seen(REQUESTS, limit, limit - 1) };
    let mut bench = unknown();
    bench.submit(job(1));
    let sent = bench.next_sent(secs(60));
    bench.head(sent, vec![named(MINUTE, 30), named(hour, 900), named(DAY, 14_400)]);
    let quotas = [MINUTE, hour, DAY].map(|window| bench.quota(REQUESTS, window));
    assert_eq!(quotas, [Some(30), Some(900), Some(14_400)]);
}

/// A fixed minute's countdown passes for an hour's bucket at one point of use in each minute.
#[test]
fn a_countdown_is_no_hours_bucket() {
    let mut bench = unknown();
    let countdown = |window, used: u64, left| LimitSeen {
        window,
        window_is_guessed: true,
        reset: Some(secs(left)),
        ..seen(REQUESTS, 600, 600 - used)
    };
    for _ in 0..5 {
        let hour = Some(secs(3_600));
        let fits = [(10, 59), (10, 59), (11, 58)].map(|(used, left)| countdown(hour, used, left));
        shown(&mut bench, &fits);
        shown(&mut bench, &[countdown(None, 100, 50)]);
    }
    assert_eq!((bench.limit(REQUESTS), bench.quota(REQUESTS, secs(3_600))), (Some(600), None));
}

#[test]
fn an_older_answer_that_comes_later_changes_no_limit_back() {
    let mut bench = Bench::with(rpm(1_000_000));
    let old: Vec<_> = (0..10).map(|id| bench.send(job(id))).collect();
    bench.advance(secs(1));
    shown(&mut bench, &[seen(REQUESTS, 300, 200)]);
    for sent in old {
        bench.head(sent, vec![seen(REQUESTS, 600, 500)]);
    }
    assert_eq!(bench.limit(REQUESTS), Some(300));
}

#[test]
fn what_others_use_is_paced_around() {
    let mut bench = unknown();
    shown(&mut bench, &[seen(REQUESTS, 600, 600)]);
    (0..100).for_each(|id| bench.submit(job(id)));
    let sent = bench.next_sent(secs(5));
    // Nothing is left, though we have hardly used any: at ten a second it comes back.
    bench.head(sent, vec![seen(REQUESTS, 600, 0)]);
    let sent = bench.advance(secs(5)).sent.len();
    assert!((40..=52).contains(&sent), "{sent}");
}

#[test]
fn impossible_remainders_prove_nothing() {
    let paced = |remaining| {
        let mut bench = unknown();
        shown(&mut bench, &[seen(REQUESTS, 600, remaining)]);
        (0..2_000).for_each(|id| bench.submit(job(id)));
        bench.serve(millis(100), secs(10)).sent.len()
    };
    assert!(paced(u64::MAX) <= 110 && paced(601) <= 110, "the steady rate and no more");
    assert!(paced(600) > 200, "a burst on proof");
}

#[test]
fn the_numbers_in_an_error_are_believed() {
    let named = |window, limit| {
        let named = NamedLimit { dimension: REQUESTS, window, limit, used: None, requested: None };
        Failure { named: Some(named), ..failure(Class::Throttled) }
    };
    let cases = [
        (named(Some(MINUTE), Some(60)), MINUTE, Some(60)),
        (named(None, Some(60)), MINUTE, Some(60)),
        (named(Some(DAY), Some(5_000)), DAY, Some(5_000)),
    ];
    for (failure, window, expected) in cases {
        let mut bench = unknown();
        let sent = bench.send(job(1));
        bench.fail(sent, failure.clone());
        assert_eq!(bench.quota(REQUESTS, window), expected, "{failure:?}");
        assert_eq!(bench.next_sent(secs(86_400)).ordinal, 2, "{failure:?}");
    }
}

/// Whatever windows a provider makes up, the memory for them is bounded.
#[test]
fn invented_windows_do_not_pile_up() {
    let mut bench = Bench::with(roomy());
    for id in 0..500 {
        bench.submit(job(id));
        let sent = bench.next_sent(secs(60));
        let window = Some(secs(1_000 + id));
        let named =
            NamedLimit { dimension: REQUESTS, window, limit: Some(1_000_000), used: None, requested: None };
        bench.fail(sent, Failure { named: Some(named), ..failure(Class::Throttled) });
        bench.cancel(id);
    }
    assert!(bench.limiter(0).buckets.len() <= 32, "{}", bench.limiter(0).buckets.len());
}

#[test]
fn an_unknown_limit_is_found_by_rising_until_it_refuses() {
    let mut bench = unknown();
    (0..20_000).for_each(|id| bench.submit(job(id)));
    let rate = |bench: &mut Bench, span: u64| bench.serve(millis(200), secs(span)).sent.len() as u64 / span;
    let start = rate(&mut bench, 10);
    let later = rate(&mut bench, 60);
    assert!((2..20).contains(&start) && start * 2 < later, "{start}/s, then {later}/s");
    assert!(matches!(bench.limiter(0).buckets[..], [view] if view.source == LimitSource::Learned));
    let sent = bench.next_sent(secs(1));
    let before = bench.limit(REQUESTS);
    bench.fail(sent, failure(Class::Throttled));
    assert!(bench.limit(REQUESTS) < before, "{:?} after {before:?}", bench.limit(REQUESTS));
    let lowered = bench.limit(REQUESTS);
    bench.serve(millis(200), secs(900));
    assert!(lowered < bench.limit(REQUESTS), "every restriction expires");
}

#[test]
fn one_round_of_refusals_teaches_once() {
    let lowered_by = |refusals: u64| {
        let mut bench = Bench::with(rpm(600));
        (0..2_000).for_each(|id| bench.submit(job(id)));
        let mut under_way = bench.advance(secs(70)).sent;
        let last = under_way.split_off(under_way.len() - 20);
        for &sent in under_way.iter().chain(&last[refusals as usize..]) {
            bench.succeed(sent);
        }
        for &sent in &last[..refusals as usize] {
            bench.fail(sent, failure(Class::Throttled));
        }
        bench.limit(REQUESTS)
    };
    assert_eq!(lowered_by(1), lowered_by(20));
    assert!(lowered_by(1) < Some(600));
}

#[test]
fn who_asks_for_a_slower_rise_gets_it() {
    let mut bench = Bench::with(rpm(600));
    (0..5_000).for_each(|id| bench.submit(job(id)));
    let before = bench.serve(millis(200), secs(60)).sent.len();
    let sent = bench.next_sent(secs(1));
    bench.fail(sent, failure(Class::Ramp));
    let after = bench.serve(millis(200), secs(60)).sent.len();
    assert!((before / 3..before * 2 / 3).contains(&after), "{before}, then {after}");
    bench.serve(millis(200), secs(240));
    assert!(after < bench.serve(millis(200), secs(60)).sent.len(), "and it rises again");
}
