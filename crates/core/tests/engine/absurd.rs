//! No input panics, however absurd: providers send anything, and users type anything.

use std::time::Duration;

use paceline_core::engine::{
    Config, LimitSource, LimiterSpec, Priority, RequestId, RouteId, Submission, TenantId, UpstreamId,
};
use paceline_core::feedback::{Class, Failure, LimitSeen, NamedLimit};
use paceline_core::quota::{Demand, Dimension, Metering, OutputRule, Quota, Usage};
use paceline_core::time::Time;
use proptest::prelude::*;

use crate::support::{Bench, failure, job, secs};
use crate::world::{Step, World};

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![
        prop::sample::select(vec![
            0,
            1,
            2,
            1 << 31,
            1 << 32,
            1 << 53,
            i64::MAX as u64,
            1 << 63,
            u64::MAX - 1,
            u64::MAX
        ]),
        0u64..1_000,
        any::<u64>(),
    ]
}

fn span() -> impl Strategy<Value = Duration> {
    let nanos = Duration::from_nanos;
    prop_oneof![
        prop::sample::select(vec![
            Duration::ZERO,
            nanos(1),
            nanos(999),
            Duration::from_millis(1),
            secs(1),
            secs(60),
            secs(86_400),
            nanos(u64::MAX),
            Duration::from_secs(u64::MAX),
            Duration::MAX,
        ]),
        any::<u64>().prop_map(nanos),
    ]
}

fn class() -> impl Strategy<Value = Class> {
    use Class::*;
    prop::sample::select(vec![
        Throttled,
        Ramp,
        Overloaded,
        Concurrency,
        Daily,
        Money,
        Auth,
        TooBig,
        Policy,
        BadRequest,
        Transient,
    ])
}

fn dimension() -> impl Strategy<Value = Dimension> {
    prop::sample::select(Dimension::ALL.to_vec())
}

fn quota() -> impl Strategy<Value = Quota> {
    (dimension(), span(), number()).prop_map(|(dimension, window, limit)| Quota { dimension, window, limit })
}

fn submission() -> impl Strategy<Value = Submission> {
    let priority = prop::sample::select(vec![Priority::Interactive, Priority::Normal, Priority::Batch]);
    let time = || prop::option::weighted(0.3, number().prop_map(Time::from_nanos));
    let id = prop_oneof![0u64..20, Just(u64::MAX)];
    let parts = (id, 0u32..3, number(), prop::option::of(number()), priority, 0u32..3, time(), time());
    parts.prop_map(|(id, route, input_tokens, max_output_tokens, priority, tenant, not_before, deadline)| {
        Submission {
            request: RequestId(id),
            route: RouteId(route),
            demand: Demand { input_tokens, max_output_tokens },
            priority,
            tenant: TenantId(tenant),
            prefer: Some(UpstreamId(tenant)),
            not_before,
            deadline,
        }
    })
}

fn report() -> impl Strategy<Value = LimitSeen> {
    let numbers = (prop::option::of(number()), prop::option::of(number()), number());
    let window = (prop::option::of(span()), any::<bool>());
    (dimension(), window, numbers, prop::option::of(span())).prop_map(
        |(dimension, (window, window_is_guessed), (limit, remaining, rounding), reset)| LimitSeen {
            dimension,
            window,
            window_is_guessed,
            limit,
            remaining,
            reset,
            rounding,
        },
    )
}

fn failed() -> impl Strategy<Value = Failure> {
    let number = || prop::option::of(number());
    let named = (dimension(), prop::option::of(span()), number(), number(), number());
    let named = named.prop_map(|(dimension, window, limit, used, requested)| NamedLimit {
        dimension,
        window,
        limit,
        used,
        requested,
    });
    let parts = (class(), prop::option::of(span()), prop::option::of(named), any::<bool>());
    parts.prop_map(|(class, wait, named, unprocessed)| Failure { class, wait, named, unprocessed })
}

fn step() -> impl Strategy<Value = Step> {
    let usage =
        (number(), number()).prop_map(|(input_tokens, output_tokens)| Usage { input_tokens, output_tokens });
    let reports = || prop::collection::vec(report(), 0..4);
    prop_oneof![
        8 => submission().prop_map(Step::Submit),
        2 => (0u64..100_000_000_000).prop_map(|nanos| Step::Wait(Duration::from_nanos(nanos))),
        1 => span().prop_map(Step::Wait),
        2 => number().prop_map(Step::Jump),
        3 => (0usize..50, reports()).prop_map(|(index, limits)| Step::Head(index, limits)),
        1 => (0usize..50, number()).prop_map(|(index, tokens)| Step::Produced(index, tokens)),
        3 => (0usize..50, prop::option::of(usage)).prop_map(|(index, usage)| Step::Succeed(index, usage)),
        4 => (0usize..50, failed(), reports(), prop::bool::weighted(0.1))
            .prop_map(|(index, failure, limits, committed)| Step::Fail(index, failure, limits, committed)),
        1 => (0u64..20).prop_map(Step::Cancel),
        1 => (0u32..3, prop::collection::vec(quota(), 0..3))
            .prop_map(|(limiter, ceilings)| Step::Ceilings(limiter, ceilings)),
        1 => (0u32..3, any::<u32>()).prop_map(|(tenant, weight)| Step::Weight(tenant, weight)),
        1 => number().prop_map(Step::Stranger),
    ]
}

fn spec() -> impl Strategy<Value = LimiterSpec> {
    let rules = vec![OutputRule::Produced, OutputRule::UpFront, OutputRule::Reserved, OutputRule::NotCounted];
    let metering =
        (prop::sample::select(rules), any::<bool>(), any::<bool>()).prop_map(|(output, estimate, count)| {
            Metering { output, input_is_estimate: estimate, refusals_count: count }
        });
    let sources = vec![LimitSource::Reported, LimitSource::Learned, LimitSource::Typed];
    let learned = (quota(), prop::sample::select(sources), span(), number())
        .prop_map(|(quota, source, age, used)| paceline_core::engine::Learned { quota, source, age, used });
    let slots = prop::option::weighted(0.3, any::<u32>());
    let quotas = prop::collection::vec(quota(), 0..3);
    (metering, quotas, prop::collection::vec(learned, 0..3), slots, any::<bool>()).prop_map(
        |(metering, ceilings, learned, in_flight, self_hosted)| LimiterSpec {
            metering,
            ceilings,
            learned,
            in_flight,
            self_hosted,
        },
    )
}

fn config() -> impl Strategy<Value = Config> {
    let share = || prop::sample::select(vec![0.0, 0.2, 1e300, f64::INFINITY, f64::NAN, -1.0]);
    (any::<u32>(), share(), share(), span(), span(), 0usize..50, span()).prop_map(
        |(
            max_attempts,
            retry_share,
            retry_floor_per_second,
            backoff_base,
            backoff_cap,
            queue_limit,
            longest_hint,
        )| {
            Config {
                max_attempts,
                retry_share,
                retry_floor_per_second,
                backoff_base,
                backoff_cap,
                queue_limit,
                longest_hint,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_panics(
        config in config(),
        specs in [spec(), spec()],
        start in number(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(config, specs, Time::from_nanos(start));
        for step in &steps {
            world.step(step);
        }
        for limiter in 0..3 {
            world.engine.learned(world.now, paceline_core::engine::LimiterId(limiter));
        }
    }
}

/// A demand that overflows everything is charged, given back, and forgotten.
#[test]
fn an_absurd_demand_leaves_the_meters_in_order() {
    let mut bench = Bench::with(LimiterSpec::default());
    let demand = Demand { input_tokens: u64::MAX, max_output_tokens: Some(u64::MAX) };
    for id in 0..5 {
        bench.submit(Submission { demand, ..job(id) });
        let sent = bench.next_sent(secs(60));
        bench.fail(sent, failure(Class::BadRequest));
    }
    let sent = bench.next_after(job(9));
    assert_eq!(sent.0, 0);
    assert!(bench.snapshot().limiters[0].buckets.iter().all(|bucket| bucket.used < 100));
}

#[test]
fn a_window_of_nothing_holds_nobody_back_for_ever() {
    for window in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        for limit in [1, 600, u64::MAX] {
            let ceilings = vec![Quota { dimension: Dimension::Requests, window, limit }];
            let mut bench = Bench::with(LimiterSpec { ceilings, ..LimiterSpec::default() });
            bench.submit(job(1));
            assert_eq!(bench.next(secs(60)).ids(), [1], "{limit} in {window:?}");
        }
    }
}
