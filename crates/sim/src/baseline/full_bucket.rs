//! A bucket per limit that starts full with a minute's allowance and refills: what most pacing tools do.
//!
//! It knows the true limits, reserves `max_tokens` for the output and gives the rest back at the end, and lets
//! interactive requests go first. One account only.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use paceline_core::engine::{
    Action, AttemptId, Event, Learned, Priority, RequestId, Snapshot, Submission, UpstreamId, Verdict,
};
use paceline_core::feedback::{Class, Failure};
use paceline_core::quota::{Demand, Dimension};
use paceline_core::time::Time;

use crate::policy::{Briefing, Policy};

/// Attempts before a request that fails (otherwise than by a 429) is given up.
const MAX_ATTEMPTS: u32 = 5;
/// How long a request waits after a refusal that names no time.
const DEFAULT_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Bucket {
    dimension: Dimension,
    limit: f64,
    per_second: f64,
    level: f64,
    at: Time,
}

impl Bucket {
    fn advance(&mut self, now: Time) {
        let earned = now.since(self.at).as_secs_f64() * self.per_second;
        (self.level, self.at) = ((self.level + earned).min(self.limit), now);
    }

    fn cost(&self, demand: &Demand) -> f64 {
        let output = demand.max_output_tokens.unwrap_or(0);
        let cost = match self.dimension {
            Dimension::Requests => 1,
            Dimension::InputTokens => demand.input_tokens,
            Dimension::OutputTokens => output,
            Dimension::TotalTokens => demand.input_tokens + output,
        };
        cost as f64
    }
}

#[derive(Debug)]
struct Held {
    submission: Submission,
    failures: u32,
    ordinal: u32,
}

/// See the module's text.
#[derive(Debug)]
pub struct FullBucket {
    buckets: Vec<Bucket>,
    pause: Option<Duration>,
    closed_until: Time,
    queues: [VecDeque<RequestId>; 2],
    later: Vec<(Time, RequestId)>,
    requests: HashMap<RequestId, Held>,
    flying: HashMap<AttemptId, RequestId>,
    actions: VecDeque<Action>,
    attempts: u64,
}

impl FullBucket {
    /// Knows the true limits; pauses everybody for `pause` after a refusal, if that is given.
    pub fn new(briefing: &Briefing, pause: Option<Duration>) -> Self {
        let bucket = |quota: &paceline_core::quota::Quota| Bucket {
            dimension: quota.dimension,
            limit: quota.limit as f64,
            per_second: quota.limit as f64 / quota.window.as_secs_f64(),
            level: quota.limit as f64,
            at: Time::ZERO,
        };
        Self {
            buckets: briefing.truth.iter().map(bucket).collect(),
            pause,
            closed_until: Time::ZERO,
            queues: [VecDeque::new(), VecDeque::new()],
            later: Vec::new(),
            requests: HashMap::new(),
            flying: HashMap::new(),
            actions: VecDeque::new(),
            attempts: 0,
        }
    }

    fn queue_of(&mut self, request: RequestId) -> Option<&mut VecDeque<RequestId>> {
        let held = self.requests.get(&request)?;
        let class = usize::from(held.submission.priority != Priority::Interactive);
        self.queues.get_mut(class)
    }

    /// The request that would go next, and when its buckets hold enough.
    fn next(&self) -> Option<(RequestId, Time)> {
        let request = *self.queues.iter().find_map(VecDeque::front)?;
        let demand = self.requests.get(&request)?.submission.demand;
        let short = self.buckets.iter().map(|bucket| {
            let missing = (bucket.cost(&demand).min(bucket.limit) - bucket.level).max(0.0);
            bucket.at + Duration::from_secs_f64(missing / bucket.per_second)
        });
        let ready = short.max().unwrap_or(Time::ZERO).max(self.closed_until);
        Some((request, ready))
    }

    fn dispatch(&mut self, now: Time) -> Option<Action> {
        for bucket in &mut self.buckets {
            bucket.advance(now);
        }
        let (request, _) = self.next().filter(|(_, ready)| *ready <= now)?;
        self.queue_of(request)?.pop_front();
        let held = self.requests.get_mut(&request)?;
        held.ordinal += 1;
        for bucket in &mut self.buckets {
            bucket.level -= bucket.cost(&held.submission.demand);
        }
        let attempt = AttemptId(self.attempts);
        self.attempts += 1;
        self.flying.insert(attempt, request);
        Some(Action::Send { request, attempt, upstream: UpstreamId(0), tier: 0, ordinal: held.ordinal })
    }

    /// The output that was reserved and not produced goes back.
    fn refund(&mut self, demand: &Demand, output: u64) {
        let unused = demand.max_output_tokens.unwrap_or(0).saturating_sub(output) as f64;
        for bucket in &mut self.buckets {
            if matches!(bucket.dimension, Dimension::OutputTokens | Dimension::TotalTokens) {
                bucket.level = (bucket.level + unused).min(bucket.limit);
            }
        }
    }

    fn fail(&mut self, now: Time, attempt: AttemptId, failure: &Failure) {
        let Some(request) = self.flying.remove(&attempt) else { return };
        let Some(held) = self.requests.get_mut(&request) else { return };
        let demand = held.submission.demand;
        if failure.class == Class::Throttled {
            if let Some(pause) = self.pause {
                self.closed_until = self.closed_until.max(now + pause);
            }
        } else {
            held.failures += 1;
            if MAX_ATTEMPTS <= held.failures {
                self.requests.remove(&request);
                let verdict = Verdict::AttemptsExhausted(failure.class);
                self.actions.push_back(Action::Finish { request, verdict });
                return;
            }
        }
        self.later.push((now + failure.wait.unwrap_or(DEFAULT_WAIT), request));
        self.refund(&demand, 0);
    }

    /// Requests whose wait is over go back to the head of their queue.
    fn recall(&mut self, now: Time) {
        let mut due: Vec<(Time, RequestId)> = Vec::new();
        self.later.retain(|entry| {
            let is_due = entry.0 <= now;
            if is_due {
                due.push(*entry);
            }
            !is_due
        });
        due.sort_unstable_by_key(|(at, request)| std::cmp::Reverse((*at, *request)));
        for (_, request) in due {
            if let Some(queue) = self.queue_of(request) {
                queue.push_front(request);
            }
        }
    }
}

impl Policy for FullBucket {
    fn handle_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Submitted(submission) => {
                let request = submission.request;
                self.requests.insert(request, Held { submission, failures: 0, ordinal: 0 });
                if let Some(queue) = self.queue_of(request) {
                    queue.push_back(request);
                }
            }
            Event::Succeeded { attempt, usage } => {
                let Some(request) = self.flying.remove(&attempt) else { return };
                let Some(held) = self.requests.remove(&request) else { return };
                let output = usage.map_or(0, |usage| usage.output_tokens);
                self.refund(&held.submission.demand, output);
            }
            Event::Failed { attempt, failure, .. } => self.fail(now, attempt, &failure),
            Event::Head { .. } | Event::Produced { .. } | Event::Canceled { .. } => {}
        }
    }

    fn handle_timeout(&mut self, _now: Time) {}

    fn poll_action(&mut self, now: Time) -> Option<Action> {
        self.recall(now);
        self.actions.pop_front().or_else(|| self.dispatch(now))
    }

    fn poll_timeout(&self) -> Option<Time> {
        let ready = self.next().map(|(_, ready)| ready + Duration::from_micros(1));
        let recall = self.later.iter().map(|(at, _)| *at).min();
        ready.into_iter().chain(recall).min()
    }

    fn snapshot(&self, _now: Time) -> Option<Snapshot> {
        None
    }

    fn learned(&self, _now: Time) -> Vec<Vec<Learned>> {
        Vec::new()
    }
}
