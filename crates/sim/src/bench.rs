//! How fast the engine decides: a hundred thousand requests wait, and each answer makes room for the next.

use std::collections::VecDeque;
use std::time::Duration;

use paceline_core::engine::{
    Action, AttemptId, Config, Engine, Event, Lane, LimiterSpec, Priority, RequestId, RouteId, Submission,
    TenantId,
};
use paceline_core::quota::{Demand, Dimension, Quota, Usage};
use paceline_core::time::Time;
use rustix::time::{ClockId, clock_gettime};

use crate::window::MINUTE;

/// Answers come this much later than their request was sent.
const ANSWER_AFTER: Duration = Duration::from_millis(2);
/// Tenants that share.
const TENANTS: u64 = 10;

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed {
    /// Sends decided.
    pub decisions: u64,
    /// Requests that waited all the while.
    pub waiting: usize,
    /// How long a core was busy with it: what other programs take of the machine does not count.
    pub took: Duration,
}

impl Speed {
    /// Sends decided per second of one core.
    pub fn per_second(&self) -> f64 {
        self.decisions as f64 / self.took.as_secs_f64()
    }
}

/// Lets the engine decide that often, with so many requests waiting, under three limits a little above what it does.
pub fn decisions(waiting: usize, decisions: u64) -> Speed {
    let mut engine = Engine::new(Config { queue_limit: waiting + 1_000, ..Config::default() }, 1);
    let ceilings =
        [Dimension::Requests, Dimension::InputTokens, Dimension::OutputTokens].map(|dimension| Quota {
            dimension,
            window: MINUTE,
            limit: if dimension == Dimension::Requests { 60_000_000 } else { 60_000_000_000 },
        });
    let spec = LimiterSpec { ceilings: ceilings.to_vec(), ..LimiterSpec::default() };
    let limiter = engine.add_limiter(Time::ZERO, spec);
    let upstream = engine.add_upstream();
    let route = engine.add_route(vec![Lane { upstream, limiter, tier: 0, weight: 1 }]);
    let mut next = 0;
    for _ in 0..waiting {
        submit(&mut engine, Time::ZERO, route, &mut next);
    }
    let mut flying: VecDeque<(Time, AttemptId)> = VecDeque::new();
    let (mut now, mut sent) = (Time::ZERO, 0);
    let start = busy();
    while sent < decisions {
        while let Some(Action::Send { attempt, .. }) = engine.poll_action(now) {
            flying.push_back((now + ANSWER_AFTER, attempt));
            submit(&mut engine, now, route, &mut next);
            sent += 1;
            if decisions <= sent {
                break;
            }
        }
        let answer = flying.front().map(|(at, _)| *at);
        let Some(at) = engine.poll_timeout().into_iter().chain(answer).min() else { break };
        now = now.max(at);
        while let Some((_, attempt)) = flying.front().copied().filter(|(at, _)| *at <= now) {
            flying.pop_front();
            let usage = Some(Usage { input_tokens: 500, output_tokens: 100 });
            engine.handle_event(now, Event::Succeeded { attempt, usage });
        }
        engine.handle_timeout(now);
    }
    Speed { decisions: sent, waiting, took: busy().saturating_sub(start) }
}

/// What this thread has had of a core so far.
fn busy() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

fn submit(engine: &mut Engine, now: Time, route: RouteId, next: &mut u64) {
    let request = RequestId(*next);
    let tenant = TenantId(u32::try_from(*next % TENANTS).unwrap_or(0));
    *next += 1;
    let submission = Submission {
        request,
        route,
        demand: Demand { input_tokens: 500, max_output_tokens: Some(1_024) },
        priority: Priority::Batch,
        tenant,
        prefer: None,
        not_before: None,
        deadline: None,
    };
    engine.handle_event(now, Event::Submitted(submission));
}
