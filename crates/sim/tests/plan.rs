//! Plans: batches that are played before they run.

#![allow(clippy::unwrap_used)] // A test that cannot go on may panic, in its helpers too.

use std::time::Duration;

use paceline_core::engine::{LimiterSpec, Priority, TenantId};
use paceline_core::quota::{Dimension, Quota};
use paceline_mock::model::{Algorithm, Limit, Rules};
use paceline_mock::profile::Spread;
use paceline_sim::plan::{
    Ahead, Answers, Coming, Forecast, Frame, Kind, KindLane, Lengths, Limited, MeterSetting, NO_MOST,
    Recorded, Setting, Sketch, Totals, forecast, needs, replay, timeline,
};
use paceline_sim::told::Manners;
use paceline_wire::estimate::Ratio;
use paceline_wire::provider::Catalog;

const MINUTE: Duration = Duration::from_secs(60);

fn limit(dimension: Dimension, amount: u64) -> Limit {
    let algorithm = Algorithm::bucket(amount, MINUTE, Duration::from_secs(10));
    Limit { dimension, amount, window: MINUTE, algorithm }
}

/// `jobs` alike, on one account that tells these limits.
fn setting(jobs: usize, limits: Vec<Limit>) -> Setting {
    let provider = Catalog::embedded().provider("anthropic").unwrap();
    let job = Sketch { kind: 0, text_bytes: 400, fixed_tokens: 0, most_output: NO_MOST, body_bytes: 500 };
    let answers = Answers {
        lengths: Lengths::spread(&Spread { median: 200.0, sigma: 0.5 }),
        by_most: Vec::new(),
        is_sample: false,
        first_token_ms: Spread { median: 300.0, sigma: 0.3 },
        token_every_ms: Spread { median: 5.0, sigma: 0.2 },
    };
    let lane = KindLane { upstream: 0, meter: 0, tier: 0, weight: 1 };
    let meter = MeterSetting {
        spec: LimiterSpec::default(),
        limits,
        rules: Rules::default(),
        manners: Some(Manners::Anthropic),
    };
    Setting {
        jobs: vec![job; jobs],
        stands_for: jobs as u64,
        kinds: vec![Kind { lanes: vec![lane], prior: Ratio::prior(provider), tokens_per_byte: 0.3, answers }],
        meters: vec![meter],
        upstreams: 1,
        coming: Coming::Batch(Ahead { jobs: 4_096, bytes: 16 << 20 }),
        latency: Duration::from_millis(20),
    }
}

fn totals(setting: &Setting) -> Totals {
    let jobs = setting.stands_for;
    let output = setting.kinds[0].answers.lengths.mean(None);
    Totals {
        jobs,
        input_tokens: 120 * jobs,
        output_tokens: output * jobs as f64,
        most_output_tokens: 0,
        answer_seconds: setting.kinds[0].answers.mean_duration(output).as_secs_f64() * jobs as f64,
    }
}

fn played(setting: &Setting, seeds: u64) -> (Duration, Forecast) {
    let steady = needs(&setting.kinds, &[totals(setting)], &setting.meters)[0].steady;
    (steady, forecast(setting, seeds, steady))
}

#[test]
fn the_limit_that_binds_decides_the_finish() {
    let cases = [
        (limit(Dimension::Requests, 600), Dimension::Requests),
        (limit(Dimension::InputTokens, 60_000), Dimension::InputTokens),
        (limit(Dimension::OutputTokens, 120_000), Dimension::OutputTokens),
    ];
    for (binding, dimension) in cases {
        let mut limits = [
            (Dimension::Requests, 5_000),
            (Dimension::InputTokens, 1_000_000),
            (Dimension::OutputTokens, 900_000),
        ]
        .map(|(dimension, amount)| limit(dimension, amount));
        *limits.iter_mut().find(|limit| limit.dimension == dimension).unwrap() = binding;
        let setting = setting(2_000, limits.to_vec());
        let need = needs(&setting.kinds, &[totals(&setting)], &setting.meters).remove(0);
        assert_eq!(need.limited, Limited::Quota(dimension, MINUTE));
        let (steady, forecast) = played(&setting, 3);
        let share = forecast.quantile(0.5).unwrap().as_secs_f64() / steady.as_secs_f64();
        assert!((0.9..1.15).contains(&share), "{dimension:?}: {share}");
        assert_eq!((forecast.failed, forecast.throttled), (0, 0), "{dimension:?}");
    }
}

#[test]
fn a_forecast_repeats_and_its_quantiles_are_in_order() {
    let setting = setting(300, vec![limit(Dimension::Requests, 600)]);
    let (_, first) = played(&setting, 5);
    assert_eq!(played(&setting, 5).1, first);
    assert!(first.quantile(0.1) <= first.quantile(0.5) && first.quantile(0.5) <= first.quantile(0.9));
    assert_eq!((first.runs, first.played, first.of), (5, 300, 300));
}

#[test]
fn a_small_sample_of_lengths_makes_the_forecast_less_certain() {
    let mut setting = setting(600, vec![limit(Dimension::OutputTokens, 60_000)]);
    setting.kinds[0].answers.lengths = Lengths::seen((1..=20).map(|n| n * 20).collect());
    let width = |setting: &Setting| {
        let forecast = played(setting, 11).1;
        let at = |share| forecast.quantile(share).unwrap().as_secs_f64();
        (at(0.9) - at(0.1)) / at(0.5)
    };
    let known = width(&setting);
    setting.kinds[0].answers.is_sample = true;
    assert!(known < 0.06 && 2.0 * known < width(&setting), "{known} {}", width(&setting));
}

#[test]
fn what_stands_for_more_takes_longer_in_proportion() {
    let limits = vec![limit(Dimension::Requests, 600)];
    let whole = played(&setting(6_000, limits.clone()), 2).1.quantile(0.5).unwrap();
    let part = Setting { stands_for: 6_000, ..setting(2_000, limits) };
    let part = played(&part, 2).1.quantile(0.5).unwrap();
    let share = part.as_secs_f64() / whole.as_secs_f64();
    assert!((0.99..1.01).contains(&share), "{share}");
}

#[test]
fn two_accounts_take_half_the_time() {
    let one = setting(2_000, vec![limit(Dimension::Requests, 600)]);
    let mut two = one.clone();
    two.meters.push(one.meters[0].clone());
    two.kinds[0].lanes.push(KindLane { upstream: 1, meter: 1, tier: 0, weight: 1 });
    two.upstreams = 2;
    let (steady, forecast) = played(&two, 2);
    assert_eq!(steady, Duration::from_secs(100));
    let share = forecast.quantile(0.5).unwrap().as_secs_f64() / 100.0;
    assert!((0.9..1.1).contains(&share), "{share}");
}

#[test]
fn accounts_add_up_and_one_without_a_limit_takes_the_rest() {
    let mut setting =
        setting(600, vec![limit(Dimension::Requests, 100), limit(Dimension::InputTokens, 1_000)]);
    setting
        .meters
        .push(MeterSetting { limits: vec![limit(Dimension::Requests, 200)], ..setting.meters[0].clone() });
    setting.kinds[0].lanes.push(KindLane { upstream: 1, meter: 1, tier: 0, weight: 1 });
    let found = needs(&setting.kinds, &[totals(&setting)], &setting.meters);
    let found: Vec<_> = found.iter().map(|need| (need.limited, need.limit, need.steady.as_secs())).collect();
    assert_eq!(found, [(Limited::Quota(Dimension::Requests, MINUTE), 300, 120)]);
}

#[test]
fn slots_are_a_limit_too() {
    let mut setting = setting(400, Vec::new());
    setting.meters[0].spec.in_flight = Some(4);
    setting.meters[0].manners = None;
    let need = needs(&setting.kinds, &[totals(&setting)], &setting.meters).remove(0);
    assert_eq!((need.limited, need.limit), (Limited::InFlight, 4));
    let (steady, forecast) = played(&setting, 3);
    let share = forecast.quantile(0.5).unwrap().as_secs_f64() / steady.as_secs_f64();
    assert!((0.95..1.2).contains(&share), "{share}");
}

#[test]
fn a_timeline_begins_with_all_waiting_and_ends_with_none() {
    let setting = setting(500, vec![limit(Dimension::Requests, 600)]);
    let (_, forecast) = played(&setting, 3);
    let frames = timeline(&setting, &forecast);
    assert!((200..260).contains(&frames.len()), "{}", frames.len());
    assert!(frames.windows(2).all(|pair| pair[0].at < pair[1].at && pair[1].waiting <= pair[0].waiting));
    let requests =
        |frame: &Frame| frame.used.iter().find(|used| used.0 == Dimension::Requests).map(|used| used.2);
    let (first, last) = (requests(&frames[1]).unwrap_or(0.0), requests(frames.last().unwrap()).unwrap());
    assert!(frames[1].waiting > 480 && frames.last().unwrap().waiting == 0);
    assert!(first < 0.2 && (0.8..=1.05).contains(&last), "{first} {last}");
}

/// Requests that came at these times, each answered after a second, on one account that tells nothing of its limits.
fn recorded(arrivals: &[f64], rpm: u64) -> Setting {
    // As lax as can be: the network's jitter gets nobody refused.
    let algorithm = Algorithm::Bucket { capacity: rpm };
    let limit = Limit { algorithm, ..limit(Dimension::Requests, rpm) };
    let mut setting = setting(arrivals.len(), vec![limit]);
    setting.meters[0].manners = None;
    setting.meters[0].spec.ceilings =
        vec![Quota { dimension: Dimension::Requests, window: MINUTE, limit: rpm }];
    let came = |at: &f64| Recorded {
        at: Duration::from_secs_f64(*at),
        priority: Priority::Normal,
        tenant: TenantId(0),
        output_tokens: 10,
        first_token_after: Duration::from_millis(500),
        token_every: Duration::from_millis(50),
    };
    setting.coming = Coming::Recorded(arrivals.iter().map(came).collect());
    setting
}

/// What anybody would compute by hand: one request every so often, and none before it comes.
fn by_hand(arrivals: &[f64], rpm: u64) -> Vec<f64> {
    let every = 60.0 / rpm as f64;
    let mut free = f64::MIN;
    let mut wait = |at: &f64| {
        let goes = at.max(free);
        free = goes + every;
        goes - at
    };
    arrivals.iter().map(&mut wait).collect()
}

#[test]
fn recorded_requests_wait_as_long_as_is_computed_by_hand() {
    let at_once: Vec<f64> = (0..40).map(|n| f64::from(n) * 0.01).collect();
    let slowly: Vec<f64> = (0..30).map(|n| f64::from(n) * 7.0).collect();
    let in_bursts: Vec<f64> = (0..40).map(|n| f64::from(n / 10) * 40.0 + f64::from(n % 10) * 0.1).collect();
    for (arrivals, rpm) in [(&at_once, 12), (&at_once, 60), (&slowly, 12), (&slowly, 6), (&in_bursts, 12)] {
        let played = replay(&recorded(arrivals, rpm));
        let mut longest = 0.0_f64;
        for (wait, by_hand) in played.waits.iter().zip(by_hand(arrivals, rpm)) {
            let wait = wait.unwrap().as_secs_f64();
            // The pacer leaves a thousandth, and a charge stays a little longer than its minute.
            assert!((wait - by_hand).abs() < 0.5 + 0.01 * by_hand, "{rpm}: {wait} {by_hand}");
            longest = longest.max(wait);
        }
        assert_eq!(played.throttled, 0, "{rpm}");
        let goes: Vec<f64> =
            arrivals.iter().zip(by_hand(arrivals, rpm)).map(|(at, wait)| at + wait).collect();
        let in_minute =
            |end: &f64| goes.iter().filter(|at| (*end - 60.0..=*end).contains(*at)).count() as f64;
        let share = goes.iter().map(in_minute).fold(0.0, f64::max) / rpm as f64;
        let fullest = played.watched.fullest[&(0, Dimension::Requests, MINUTE)];
        assert!(fullest <= 1.0 && (fullest - share).abs() < 1.5 / rpm as f64, "{rpm}: {fullest} {share}");
        let held: Duration = played.watched.held.values().flatten().map(|(_, time)| *time).sum();
        assert_eq!(held > Duration::from_secs(1), longest > 1.0, "{rpm}: {held:?} {longest}");
        let finish = played.finish.unwrap().as_secs_f64();
        let last = arrivals.last().unwrap() + by_hand(arrivals, rpm).last().unwrap() + 1.0;
        assert!((finish - last).abs() < 1.0 + 0.01 * last, "{rpm}: {finish} {last}");
    }
}

#[test]
fn the_more_urgent_of_recorded_requests_wait_less_and_too_large_ones_get_no_answer() {
    let mut setting = recorded(&[0.0; 20], 60);
    setting.meters[0].spec.ceilings.push(Quota {
        dimension: Dimension::InputTokens,
        window: MINUTE,
        limit: 100_000,
    });
    setting.jobs[3].fixed_tokens = 200_000;
    if let Coming::Recorded(recorded) = &mut setting.coming {
        recorded[19].priority = Priority::Interactive;
    }
    let played = replay(&setting);
    assert_eq!(played.waits.iter().filter(|wait| wait.is_none()).count(), 1);
    assert_eq!(played.waits[3], None);
    assert!(played.waits[19] < Some(Duration::from_secs(3)), "{:?}", played.waits[19]);
    assert!(Some(Duration::from_secs(15)) < played.waits[18], "{:?}", played.waits[18]);
    assert!(played.watched.most_waiting > 10, "{}", played.watched.most_waiting);
}
