//! Who goes first, and that nobody waits for ever.

use paceline_core::engine::{Config, LimiterSpec, Priority, Submission, TenantId, Verdict};
use paceline_core::quota::{Demand, Dimension};

use crate::support::{Bench, job, later, millis, per_minute, rpm, secs, slots};

/// Fills the only slot, queues these, and serves one after the other.
fn order_of(spec: LimiterSpec, queued: Vec<Submission>, weights: &[(u32, u32)]) -> Vec<Submission> {
    let mut bench = Bench::with(spec);
    for &(tenant, weight) in weights {
        bench.engine.set_weight(TenantId(tenant), weight);
    }
    let mut sent = bench.send(job(1_000_000));
    queued.iter().for_each(|&submission| bench.submit(submission));
    let mut order = Vec::new();
    for _ in 0..queued.len() {
        sent = bench.succeed(sent).sent[0];
        order.push(*queued.iter().find(|submission| submission.request.0 == sent.id).expect("it was queued"));
    }
    order
}

#[test]
fn higher_classes_first_and_equals_in_order() {
    let queued =
        [Priority::Batch, Priority::Normal, Priority::Interactive, Priority::Batch, Priority::Normal];
    let queued = (1..).zip(queued).map(|(id, priority)| Submission { priority, ..job(id) }).collect();
    let order: Vec<_> =
        order_of(slots(1), queued, &[]).iter().map(|submission| submission.request.0).collect();
    assert_eq!(order, [3, 2, 5, 1, 4]);
}

#[test]
fn tenants_share_by_weight_whatever_they_queue() {
    let self_hosted = LimiterSpec { self_hosted: true, in_flight: Some(1), ..LimiterSpec::default() };
    for spec in [slots(1), self_hosted] {
        // Tenant 1 queues everything before tenant 2 comes.
        let queued: Vec<_> =
            (0..400).map(|id| Submission { tenant: TenantId(1 + (id / 200) as u32), ..job(id) }).collect();
        for (weights, expected) in [([(1, 1), (2, 1)], 50), ([(1, 1), (2, 3)], 75), ([(1, 3), (2, 1)], 25)] {
            let order = order_of(spec.clone(), queued.clone(), &weights);
            let second = order[..100].iter().filter(|submission| submission.tenant == TenantId(2)).count();
            assert!(second.abs_diff(expected) <= 2, "{weights:?}: {second} of 100, {spec:?}");
        }
    }
}

#[test]
fn tenants_share_what_is_scarce_and_not_the_number_of_requests() {
    let spec = LimiterSpec {
        ceilings: vec![per_minute(Dimension::InputTokens, 1_000_000_000)],
        in_flight: Some(1),
        ..LimiterSpec::default()
    };
    let large = Demand { input_tokens: 900, max_output_tokens: None };
    let small = Demand { input_tokens: 100, max_output_tokens: None };
    let queued: Vec<_> = (0..400)
        .map(|id| match id % 2 {
            0 => Submission { tenant: TenantId(1), demand: large, ..job(id) },
            _ => Submission { tenant: TenantId(2), demand: small, ..job(id) },
        })
        .collect();
    let order = order_of(spec, queued, &[]);
    let large = order[..100].iter().filter(|submission| submission.tenant == TenantId(1)).count();
    assert!((9..=11).contains(&large), "{large} of 100");
}

#[test]
fn interactive_requests_go_by_deadline_and_others_by_arrival() {
    for (priority, expected) in [(Priority::Interactive, [2, 1, 3]), (Priority::Normal, [1, 2, 3])] {
        let deadlines = [Some(300), Some(200), None];
        let queued = (1..)
            .zip(deadlines)
            .map(|(id, deadline)| {
                let deadline = deadline.map(|at| paceline_core::time::Time::ZERO + secs(at));
                Submission { priority, deadline, ..job(id) }
            })
            .collect();
        let order: Vec<_> = order_of(slots(1), queued, &[]).iter().map(|s| s.request.0).collect();
        assert_eq!(order, expected, "{priority:?}");
    }
}

#[test]
fn nothing_is_sent_before_its_time() {
    let mut bench = Bench::with(slots(10));
    bench.submit(Submission { not_before: later(bench.now, secs(30)), ..job(1) });
    assert_eq!(bench.send(job(2)).id, 2);
    assert!(bench.poll().sent.is_empty());
    assert_eq!(bench.engine.poll_timeout(), later(bench.now, secs(30)));
    let sent = bench.advance(secs(31)).sent;
    assert_eq!((sent[0].id, sent[0].at), (1, paceline_core::time::Time::ZERO + secs(30)));
}

#[test]
fn a_full_queue_refuses_the_next_one() {
    let config = Config { queue_limit: 3, ..Config::default() };
    let mut bench = Bench::configured(config, slots(1));
    let first = bench.send(job(0));
    bench.submit(job(1));
    bench.submit(job(2));
    bench.submit(Submission { not_before: later(bench.now, secs(3_600)), ..job(3) });
    assert_eq!(bench.submitted(job(4)).ended, [(4, Verdict::QueueFull)]);
    assert_eq!(bench.succeed(first).ids(), [1]);
    assert!(bench.submitted(job(4)).ended.is_empty(), "there is room again, and the name is free");
}

/// A fifth of the limit at once is there only if it is saved up.
#[test]
fn a_huge_head_is_neither_starved_nor_in_the_way() {
    let spec =
        LimiterSpec { ceilings: vec![per_minute(Dimension::InputTokens, 60_000)], ..LimiterSpec::default() };
    let mut bench = Bench::with(spec);
    let small = |id| Submission { demand: Demand { input_tokens: 200, max_output_tokens: None }, ..job(id) };
    let huge = Demand { input_tokens: 12_000, max_output_tokens: None };
    (0..200).for_each(|id| bench.submit(small(id)));
    bench.submit(Submission { demand: huge, ..job(200) });
    (201..1_000).for_each(|id| bench.submit(small(id)));
    let usage_is_unknown = millis(500);
    let mut sent = Vec::new();
    while bench.now.as_secs_f64() < 300.0 {
        for attempt in bench.advance(usage_is_unknown).sent {
            sent.push(attempt);
            let event = paceline_core::engine::Event::Succeeded { attempt: attempt.attempt, usage: None };
            bench.engine.handle_event(bench.now, event);
        }
    }
    let started = sent.iter().find(|sent| sent.id == 200).expect("the huge one was sent").at;
    // By order of arrival it would start after 200 x 200 tokens at 1,000 a second: after 40 s.
    assert!(started.as_secs_f64() < 60.0, "{started}");
    let finished = sent.last().expect("some were sent").at;
    assert_eq!(sent.len(), 1_000);
    assert!(finished.as_secs_f64() < 225.0, "212 s at the steady rate: {finished}");
}

#[test]
fn a_class_that_is_passed_by_takes_every_twentieth_turn() {
    let mut bench = Bench::with(rpm(60));
    (0..100).for_each(|id| bench.submit(Submission { priority: Priority::Batch, ..job(id) }));
    (100..3_000).for_each(|id| bench.submit(job(id)));
    let (mut batch, mut all) = (Vec::new(), 0);
    while bench.now.as_secs_f64() < 600.0 {
        for sent in bench.advance(secs(1)).sent {
            all += 1;
            if sent.id < 100 {
                batch.push(sent.at);
            }
            bench.succeed(sent);
        }
    }
    let first = batch.first().expect("starved");
    assert!((30.0..40.0).contains(&first.as_secs_f64()), "{first}");
    assert!(batch.len().abs_diff(all / 20) <= 2, "{} of {all}", batch.len());
}
