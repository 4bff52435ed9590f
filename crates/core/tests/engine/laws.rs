//! Laws that hold whatever happens, in whatever order.

use std::time::Duration;

use paceline_core::engine::{
    Config, LimiterSpec, Priority, RequestId, RouteId, Submission, TenantId, UpstreamId,
};
use paceline_core::feedback::{Class, Failure, LimitSeen, NamedLimit};
use paceline_core::quota::{Demand, Dimension, Metering, OutputRule, Quota, Usage};
use paceline_core::time::Time;
use proptest::prelude::*;

use crate::support::{Bench, MINUTE, job, millis, per_minute, secs};
use crate::world::{Step, World};

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

fn window() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![secs(1), secs(10), MINUTE, secs(3_600), secs(86_400)])
}

fn submission() -> impl Strategy<Value = Submission> {
    let priority = prop::sample::select(vec![Priority::Interactive, Priority::Normal, Priority::Batch]);
    let time = prop::option::weighted(0.2, (0u64..600).prop_map(|at| Time::ZERO + secs(at)));
    let cap = prop::option::of(0u64..5_000);
    let parts = (0u64..60, 0u32..3, 0u64..2_000, cap, priority, 0u32..4, time.clone(), time);
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
    let number = || prop::option::of(1u64..20_000);
    let reset = prop::option::of((0u64..100).prop_map(secs));
    (dimension(), prop::option::of(window()), number(), number(), reset).prop_map(
        |(dimension, window, limit, remaining, reset)| LimitSeen {
            dimension,
            window,
            window_is_guessed: remaining.is_some(),
            limit,
            remaining,
            reset,
            rounding: 1,
        },
    )
}

fn failed() -> impl Strategy<Value = Failure> {
    let wait = prop::option::of((0u64..3_000).prop_map(secs));
    let named = (dimension(), prop::option::of(window()), prop::option::of(1u64..20_000));
    let named = prop::option::weighted(
        0.2,
        named.prop_map(|(dimension, window, limit)| NamedLimit {
            dimension,
            window,
            limit,
            used: None,
            requested: None,
        }),
    );
    (class(), wait, named, prop::bool::weighted(0.1)).prop_map(|(class, wait, named, unprocessed)| Failure {
        class,
        wait,
        named,
        unprocessed,
    })
}

fn step() -> impl Strategy<Value = Step> {
    let usage = (0u64..3_000, 0u64..3_000)
        .prop_map(|(input_tokens, output_tokens)| Usage { input_tokens, output_tokens });
    let reports = || prop::collection::vec(report(), 0..3);
    prop_oneof![
        8 => submission().prop_map(Step::Submit),
        4 => (0u64..3_000).prop_map(|span| Step::Wait(millis(span))),
        1 => (0u64..400).prop_map(|span| Step::Wait(secs(span))),
        2 => (0usize..50, reports()).prop_map(|(index, limits)| Step::Head(index, limits)),
        1 => (0usize..50, 0u64..9_000).prop_map(|(index, tokens)| Step::Produced(index, tokens)),
        4 => (0usize..50, prop::option::of(usage)).prop_map(|(index, usage)| Step::Succeed(index, usage)),
        4 => (0usize..50, failed(), reports(), prop::bool::weighted(0.1))
            .prop_map(|(index, failure, limits, committed)| Step::Fail(index, failure, limits, committed)),
        2 => (0u64..60).prop_map(Step::Cancel),
        1 => (0u32..2, dimension(), 1u64..5_000)
            .prop_map(|(limiter, dimension, limit)| Step::Ceilings(limiter, vec![per_minute(dimension, limit)])),
        1 => any::<u64>().prop_map(Step::Stranger),
    ]
}

fn spec() -> impl Strategy<Value = LimiterSpec> {
    let rules = vec![OutputRule::Produced, OutputRule::UpFront, OutputRule::Reserved, OutputRule::NotCounted];
    let metering =
        (prop::sample::select(rules), any::<bool>(), any::<bool>()).prop_map(|(output, estimate, count)| {
            Metering { output, input_is_estimate: estimate, refusals_count: count }
        });
    let ceiling = (dimension(), window(), 1u64..10_000).prop_map(|(dimension, window, limit)| Quota {
        dimension,
        window,
        limit,
    });
    let slots = prop::option::weighted(0.3, 1u32..6);
    (metering, prop::collection::vec(ceiling, 0..3), slots, prop::bool::weighted(0.2)).prop_map(
        |(metering, ceilings, in_flight, self_hosted)| LimiterSpec {
            metering,
            ceilings,
            learned: Vec::new(),
            in_flight,
            self_hosted,
        },
    )
}

fn specs() -> impl Strategy<Value = [LimiterSpec; 2]> {
    [spec(), spec()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// The world keeps the books: each request ends once, attempts have names of their own, and what is in flight adds up.
    #[test]
    fn every_request_ends_exactly_once(specs in specs(), steps in prop::collection::vec(step(), 1..120)) {
        let mut world = World::new(Config::default(), specs, Time::ZERO);
        for step in &steps {
            world.step(step);
        }
        world.engine.handle_timeout(world.now);
        world.step(&Step::Wait(Duration::ZERO));
        world.check_progress();
        world.drain();
        let snapshot = world.engine.snapshot(world.now);
        prop_assert_eq!((snapshot.in_flight, snapshot.waiting), (0, [0; 3]));
    }

    #[test]
    fn the_same_seed_and_events_give_the_same_actions(specs in specs(), steps in prop::collection::vec(step(), 1..80)) {
        let run = || {
            let mut world = World::new(Config::default(), specs.clone(), Time::ZERO);
            steps.iter().for_each(|step| world.step(step));
            world.trace
        };
        prop_assert_eq!(run(), run());
    }
}

/// The most that any window holds, counted the slow way: what was sent, when, and what it cost.
fn fullest(charged: &[(Time, u64)], window: Duration) -> u64 {
    let from = |&(first, _): &(Time, u64)| {
        charged.iter().filter(|(at, _)| first <= *at && at.since(first) < window).map(|(_, cost)| cost).sum()
    };
    charged.iter().map(from).max().unwrap_or(0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    /// Under typed limits no window of any phase is overspent, whatever the requests ask for, and nobody starves.
    #[test]
    fn no_window_is_overspent(
        requests in (prop::sample::select(vec![secs(1), secs(10), MINUTE]), 10u64..200),
        tokens in (2_000u64..50_000, 4_000u64..90_000),
        demands in prop::collection::vec((0u64..4_000, 0u64..2_000, 0usize..3), 20..150),
        latency in 1u64..20_000,
    ) {
        let (window, limit) = requests;
        let ceilings = [
            Quota { dimension: Dimension::Requests, window, limit },
            per_minute(Dimension::InputTokens, tokens.0),
            per_minute(Dimension::TotalTokens, tokens.1),
        ];
        let metering = Metering { output: OutputRule::Reserved, ..Metering::default() };
        let spec = LimiterSpec { metering, ceilings: ceilings.to_vec(), ..LimiterSpec::default() };
        let mut bench = Bench::with(spec);
        for (id, &(input_tokens, output, class)) in (0..).zip(&demands) {
            let priority = [Priority::Interactive, Priority::Normal, Priority::Batch][class];
            let demand = Demand { input_tokens, max_output_tokens: Some(output) };
            bench.submit(Submission { demand, priority, ..job(id) });
        }
        // The usage is what was asked for, or is never told.
        let seen = bench.serve_with(millis(latency), secs(36_000), |id| {
            let (input_tokens, output_tokens, class) = demands[id as usize];
            (class != 0).then_some(Usage { input_tokens, output_tokens })
        });
        prop_assert_eq!(seen.sent.len() + seen.ended.len(), demands.len());
        for quota in ceilings {
            let charged: Vec<_> = seen.sent.iter().map(|sent| {
                // What is unknown at the end is charged without the output it may have had.
                let (input, output, class) = demands[sent.id as usize];
                let output = if class == 0 { 0 } else { output };
                let charges = [1, input, output, input + output];
                (sent.at, charges[quota.dimension as usize])
            }).collect();
            let most = fullest(&charged, quota.window);
            prop_assert!(most <= quota.limit, "{} of {:?}", most, quota);
        }
    }
}
