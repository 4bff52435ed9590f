use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

fn at(seconds: f64) -> Time {
    Time::from_nanos((seconds * 1e9).round() as u64)
}

fn limit(dimension: Dimension, amount: u64, algorithm: Algorithm) -> Limit {
    Limit { dimension, amount, window: MINUTE, algorithm }
}

fn call(id: u64, input_tokens: u64, output_tokens: u64) -> Call {
    let (first_token_after, token_every) = (Duration::from_secs(1), Duration::from_millis(10));
    Call { id, input_tokens, max_tokens: Some(1000), output_tokens, first_token_after, token_every }
}

fn metering(output: OutputRule) -> Rules {
    Rules { metering: Metering { output, ..Metering::default() }, ..Rules::default() }
}

/// Charges `used`, asks for `requested`: the wait in milliseconds, cut as providers cut it.
fn quoted_ms(amount: u64, window: Duration, used: u64, requested: u64) -> u128 {
    let algorithm = Algorithm::Bucket { capacity: amount };
    let mut gauge = Gauge::new(&Limit { dimension: Dimension::TotalTokens, amount, window, algorithm });
    gauge.charge(at(1.0), used);
    gauge.wait(at(1.0), requested).unwrap().as_millis()
}

#[test]
fn quotes_the_waits_that_providers_quoted() {
    let cases = [
        (10_000, MINUTE, 8_554, 3_082, 9_816),
        (30_000, MINUTE, 28_039, 3_906, 3_890),
        (30_000, MINUTE, 14_567, 24_754, 18_642),
        (30_000, MINUTE, 29_937, 385, 644),
        (30_000, MINUTE, 18_928, 11_159, 174),
        (200_000, MINUTE, 162_960, 42_288, 1_574),
        (1_000, DAY, 1_000, 1, 86_400),
        (6_000, MINUTE, 5_034, 1_443, 4_770),
        (100_000, DAY, 97_050, 3_619, 578_016),
        (7_000, MINUTE, 0, 12_903, 50_597),
    ];
    for (amount, window, used, requested, ms) in cases {
        assert_eq!(quoted_ms(amount, window, used, requested), ms, "{used} of {amount}, {requested} more");
    }
}

#[test]
fn resets_say_when_a_bucket_is_full_again() {
    for (amount, used, ms) in [(10_000, 1, 6), (30_000, 1, 2), (200_000, 74_000, 22_200)] {
        let algorithm = Algorithm::Bucket { capacity: amount };
        let mut gauge = Gauge::new(&limit(Dimension::Requests, amount, algorithm));
        gauge.charge(at(5.0), used);
        assert_eq!(gauge.empty_in(at(5.0)).as_millis(), ms);
    }
}

/// Seconds at which one request is sent, and whether it must pass, under 6 requests a minute.
#[test]
fn each_algorithm_keeps_its_own_count() {
    let period = MINUTE;
    let phase = Duration::from_secs(10);
    let bucket = Algorithm::Bucket { capacity: 6 };
    let by_ten_seconds = Algorithm::bucket(6, MINUTE, Duration::from_secs(10));
    let ten = Duration::from_secs(10);
    let early = [(9.0, true); 6].to_vec();
    let cases = [
        (bucket, [early.clone(), vec![(18.9, false), (19.0, true), (19.0, false), (29.0, true)]].concat()),
        (by_ten_seconds, vec![(9.0, true), (9.0, false), (18.9, false), (19.0, true), (29.0, true)]),
        (
            Algorithm::FixedWindow { period, phase },
            [early.clone(), vec![(9.9, false), (10.0, true), (69.9, true)]].concat(),
        ),
        (
            Algorithm::FixedWindow { period: ten, phase: Duration::ZERO },
            vec![(9.0, true), (9.5, false), (10.0, true), (19.9, false), (20.0, true)],
        ),
        (
            Algorithm::SlidingLog { period },
            [early.clone(), vec![(10.0, false), (68.9, false), (69.0, true), (69.0, true)]].concat(),
        ),
        // At 10 s the old window still weighs all; at 20 s five sixths, which leaves room for one.
        (
            Algorithm::SlidingCounter { period, phase },
            [early, vec![(10.0, false), (19.9, false), (20.0, true), (20.0, false)]].concat(),
        ),
    ];
    for (algorithm, script) in cases {
        let mut meter = Meter::new(vec![limit(Dimension::Requests, 6, algorithm)], Rules::default());
        for (id, (when, passes)) in script.into_iter().enumerate() {
            let admitted = meter.admit(at(when), &call(id as u64, 1, 1)).is_ok();
            assert_eq!(admitted, passes, "{algorithm:?} at {when} s");
        }
    }
}

#[test]
fn one_full_limit_keeps_every_other_uncharged() {
    let algorithm = Algorithm::Bucket { capacity: 1000 };
    let limits = vec![
        limit(Dimension::Requests, 1000, algorithm),
        limit(Dimension::InputTokens, 1000, algorithm),
        limit(Dimension::OutputTokens, 1000, algorithm),
    ];
    let mut meter = Meter::new(limits, Rules::default());
    meter.admit(at(0.0), &call(1, 900, 0)).unwrap();
    let refused = meter.admit(at(0.0), &call(2, 400, 0)).unwrap_err();
    let expected = Refused {
        dimension: Some(Dimension::InputTokens),
        window: MINUTE,
        limit: 1000,
        used: 900,
        requested: 400,
        retry_in: Duration::from_secs(18),
    };
    assert_eq!(refused, expected);
    let remaining: Vec<u64> = meter.standing(at(0.0)).iter().map(|s| s.remaining).collect();
    assert_eq!(remaining, [999, 100, 1000]);
    assert_eq!(meter.in_flight(), 1);
}

#[test]
fn produced_output_accrues_while_in_flight_and_closes_the_door() {
    let mut meter = Meter::new(
        vec![limit(Dimension::OutputTokens, 600, Algorithm::SlidingLog { period: MINUTE })],
        Rules::default(),
    );
    meter.admit(at(0.0), &call(1, 5, 1000)).unwrap();
    let remaining = |meter: &mut Meter, when| meter.standing(at(when))[0].remaining;
    assert_eq!(remaining(&mut meter, 0.99), 600);
    assert_eq!(remaining(&mut meter, 1.0), 599);
    assert_eq!(remaining(&mut meter, 3.0), 399);
    meter.admit(at(3.0), &call(2, 5, 0)).unwrap();
    assert_eq!(remaining(&mut meter, 8.0), 0);
    let refused = meter.admit(at(8.0), &call(3, 5, 1)).unwrap_err();
    assert_eq!((refused.dimension, refused.used), (Some(Dimension::OutputTokens), 701));
    meter.finish(at(11.0), 1);
    assert_eq!(remaining(&mut meter, 61.5), 0, "the tokens of 1.0 to 1.5 s are forgotten");
    assert!(remaining(&mut meter, 65.1) >= 1);
}

#[test]
fn reservations_are_refunded_and_upfront_charges_are_not() {
    let cases = [
        (OutputRule::Produced, 1000, 700, 990),
        (OutputRule::UpFront, 0, 0, 0),
        (OutputRule::Reserved, 0, 700, 990),
        (OutputRule::NotCounted, 1000, 1000, 1000),
    ];
    for (rule, after_admission, after_finish, after_cancel) in cases {
        let algorithm = Algorithm::FixedWindow { period: MINUTE, phase: Duration::ZERO };
        let limits = vec![limit(Dimension::OutputTokens, 1000, algorithm)];
        let remaining = |meter: &mut Meter, when| meter.standing(at(when))[0].remaining;
        let mut meter = Meter::new(limits.clone(), metering(rule));
        meter.admit(at(0.0), &call(1, 5, 300)).unwrap();
        assert_eq!(remaining(&mut meter, 0.0), after_admission, "{rule:?}");
        meter.finish(at(10.0), 1);
        assert_eq!(remaining(&mut meter, 10.0), after_finish, "{rule:?}");
        let mut meter = Meter::new(limits, metering(rule));
        meter.admit(at(0.0), &call(1, 5, 300)).unwrap();
        meter.cancel(at(1.09), 1);
        assert_eq!(remaining(&mut meter, 10.0), after_cancel, "{rule:?}");
    }
}

#[test]
fn refusals_that_count_prolong_the_wait() {
    let limits = vec![limit(Dimension::Requests, 2, Algorithm::SlidingLog { period: MINUTE })];
    for (refusals_count, passes_at_61) in [(false, true), (true, false)] {
        let rules =
            Rules { metering: Metering { refusals_count, ..Metering::default() }, ..Rules::default() };
        let mut meter = Meter::new(limits.clone(), rules);
        for id in 0..2 {
            meter.admit(at(0.0), &call(id, 1, 0)).unwrap();
        }
        for id in 2..4 {
            meter.admit(at(30.0), &call(id, 1, 0)).unwrap_err();
        }
        assert_eq!(meter.admit(at(61.0), &call(9, 1, 0)).is_ok(), passes_at_61);
    }
}

#[test]
fn a_slot_is_free_again_after_the_end() {
    let mut meter = Meter::new(Vec::new(), Rules { concurrency: Some(2), ..Rules::default() });
    meter.admit(at(0.0), &call(1, 1, 1)).unwrap();
    meter.admit(at(0.0), &call(2, 1, 1)).unwrap();
    let refused = meter.admit(at(0.0), &call(3, 1, 1)).unwrap_err();
    assert_eq!((refused.dimension, refused.limit, refused.used), (None, 2, 2));
    meter.cancel(at(1.0), 2);
    meter.admit(at(1.0), &call(3, 1, 1)).unwrap();
}

#[test]
fn a_changed_limit_keeps_what_was_used() {
    let bucket = |amount| vec![limit(Dimension::Requests, amount, Algorithm::Bucket { capacity: amount })];
    let mut meter = Meter::new(bucket(60), Rules::default());
    for id in 0..50 {
        meter.admit(at(0.0), &call(id, 1, 0)).unwrap();
    }
    meter.set_limits(at(0.0), bucket(30));
    let refused = meter.admit(at(0.0), &call(99, 1, 0)).unwrap_err();
    assert_eq!((refused.limit, refused.used, refused.retry_in), (30, 50, Duration::from_secs(42)));
    meter.set_limits(at(0.0), bucket(100));
    assert_eq!(meter.standing(at(0.0))[0].remaining, 50);
}

#[test]
fn a_call_above_a_seconds_share_passes_when_nothing_is_used() {
    let algorithm = Algorithm::bucket(600, MINUTE, Duration::from_secs(1));
    let mut meter = Meter::new(vec![limit(Dimension::InputTokens, 600, algorithm)], Rules::default());
    meter.admit(at(0.0), &call(1, 120, 0)).unwrap();
    let refused = meter.admit(at(0.0), &call(2, 120, 0)).unwrap_err();
    assert_eq!((refused.retry_in, refused.never_fits()), (Duration::from_secs(12), false));
    meter.admit(at(12.0), &call(2, 120, 0)).unwrap();
    assert!(meter.admit(at(99.0), &call(3, 601, 0)).unwrap_err().never_fits());
}

mod laws {
    use proptest::prelude::*;

    use super::*;

    fn algorithm() -> impl Strategy<Value = Algorithm> {
        let span = |seconds: u64| Duration::from_secs(seconds);
        let period = prop_oneof![Just(span(10)), Just(span(60))];
        prop_oneof![
            (1u64..=100).prop_map(|capacity| Algorithm::Bucket { capacity }),
            (period.clone(), 0u64..60)
                .prop_map(move |(period, phase)| Algorithm::FixedWindow { period, phase: span(phase) }),
            period.clone().prop_map(|period| Algorithm::SlidingLog { period }),
            (period, 0u64..60)
                .prop_map(move |(period, phase)| Algorithm::SlidingCounter { period, phase: span(phase) }),
        ]
    }

    fn calls() -> impl Strategy<Value = Vec<(u64, u64)>> {
        prop::collection::vec((0u64..20_000_000_000, 1u64..60), 1..80)
    }

    proptest! {
        #[test]
        fn asking_again_at_the_quoted_time_succeeds_and_not_before(
            algorithm in algorithm(),
            calls in calls(),
        ) {
            let mut gauge = Gauge::new(&limit(Dimension::InputTokens, 100, algorithm));
            let mut now = Time::ZERO;
            for (gap, want) in calls {
                now += Duration::from_nanos(gap);
                if let Some(wait) = gauge.wait(now, want) {
                    prop_assert!(Duration::ZERO < wait);
                    let before = now + wait - Duration::from_nanos(1);
                    prop_assert!(gauge.clone().wait(before, want).is_some());
                    now += wait;
                    prop_assert_eq!(gauge.wait(now, want), None);
                }
                gauge.charge(now, want);
            }
        }

        #[test]
        fn a_log_never_grants_more_than_its_limit_in_any_window(calls in calls()) {
            let log = Algorithm::SlidingLog { period: MINUTE };
            let mut meter = Meter::new(vec![limit(Dimension::InputTokens, 100, log)], Rules::default());
            let mut now = Time::ZERO;
            let mut granted: Vec<(Time, u64)> = Vec::new();
            for (id, (gap, want)) in calls.into_iter().enumerate() {
                now += Duration::from_nanos(gap);
                if meter.admit(now, &call(id as u64, want, 0)).is_ok() {
                    granted.push((now, want));
                }
                let recent = granted.iter().filter(|(when, _)| now < *when + MINUTE);
                prop_assert!(recent.map(|(_, want)| want).sum::<u64>() <= 100);
            }
        }

        #[test]
        fn produced_output_is_charged_once_and_whole(
            outputs in prop::collection::vec((0u64..500, 0u64..3_000), 1..20),
        ) {
            let amount = 1_000_000;
            let log = Algorithm::FixedWindow { period: DAY, phase: Duration::ZERO };
            let quota = Limit { dimension: Dimension::OutputTokens, amount, window: DAY, algorithm: log };
            let mut meter = Meter::new(vec![quota], Rules::default());
            let mut expected = 0;
            for (id, (output, gap)) in outputs.into_iter().enumerate() {
                meter.admit(at(0.0), &call(id as u64, 1, output)).unwrap();
                meter.finish(meter.accrued_until + Duration::from_millis(gap), id as u64);
                expected += output;
            }
            let end = meter.accrued_until;
            prop_assert_eq!(meter.standing(end)[0].remaining, amount - expected);
        }
    }
}
