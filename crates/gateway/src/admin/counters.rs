//! Counts what happens: callers' requests by how they ended, attempts by what came of them, waits.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use paceline::ClientEvent;
use paceline::core::engine::Verdict;
use paceline::core::feedback::Class;
use paceline_status::{MOST_THROTTLES, Throttle};
use paceline_wire::Dialect;

/// Upper bounds of the classes of waits, in milliseconds.
pub(super) const WAITS: [u64; 14] =
    [1, 5, 10, 50, 100, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 120_000, 300_000];

/// How a caller's request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was served, or its stream was begun.
    Served,
    /// It was wrong, or its caller unknown: 4xx.
    Rejected,
    /// It would have waited too long, or was over the caller's own bounds: 429.
    Refused,
    /// We were stopping or full: 503.
    Unavailable,
    /// An upstream, or we, failed: other 5xx.
    Failed,
    /// The caller left before its answer.
    Left,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 6] = [
        Outcome::Served,
        Outcome::Rejected,
        Outcome::Refused,
        Outcome::Unavailable,
        Outcome::Failed,
        Outcome::Left,
    ];

    /// The outcome that an answer's status tells.
    pub fn of(status: http::StatusCode) -> Self {
        match status.as_u16() {
            429 => Outcome::Refused,
            503 => Outcome::Unavailable,
            400..=499 => Outcome::Rejected,
            500.. => Outcome::Failed,
            _ => Outcome::Served,
        }
    }

    /// The label's value.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Served => "served",
            Outcome::Rejected => "rejected",
            Outcome::Refused => "refused",
            Outcome::Unavailable => "unavailable",
            Outcome::Failed => "failed",
            Outcome::Left => "left",
        }
    }
}

/// Every counter of the gateway.
#[derive(Default)]
pub struct Counters {
    requests: [[AtomicU64; Outcome::ALL.len()]; 2],
    /// Reloads that took effect, and that did not.
    reloads: [AtomicU64; 2],
    attempts: Mutex<Attempts>,
}

/// What is known of attempts.
#[derive(Default)]
pub(super) struct Attempts {
    /// By upstream and class. Both come from closed sets: the configuration and [`paceline::core::feedback::Class`].
    pub(super) ended: BTreeMap<(Arc<str>, &'static str), u64>,
    /// Waits before the first attempt: by class, the last one for longer ones; their sum.
    pub(super) waits: [u64; WAITS.len() + 1],
    pub(super) waited: Duration,
    throttled: VecDeque<Throttled>, // Newest last.
    at: HashMap<u64, Arc<str>>,     // Where each request in flight is.
}

/// An attempt that was throttled.
struct Throttled {
    at: Instant,
    upstream: Arc<str>,
    class: Class,
    wait: Option<Duration>,
}

impl Counters {
    /// A caller's request has its answer.
    pub fn count_request(&self, dialect: Dialect, outcome: Outcome) {
        self.requests[dialect as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A reload took effect, or did not.
    pub fn count_reload(&self, took_effect: bool) {
        self.reloads[usize::from(!took_effect)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts what a client tells.
    pub fn count_event(&self, event: &ClientEvent) {
        self.attempts().count(event);
    }

    /// The latest attempts that were throttled, newest first.
    pub(super) fn throttles(&self) -> Vec<Throttle> {
        let attempts = self.attempts();
        let told = attempts.throttled.iter().rev().map(|of| Throttle {
            upstream: of.upstream.to_string(),
            class: of.class.name().to_owned(),
            ago_seconds: of.at.elapsed().as_secs_f64(),
            wait_seconds: of.wait.map(|wait| wait.as_secs_f64()),
        });
        told.collect()
    }

    pub(super) fn requests(&self, dialect: Dialect, outcome: Outcome) -> u64 {
        self.requests[dialect as usize][outcome as usize].load(Ordering::Relaxed)
    }

    pub(super) fn reloads(&self, took_effect: bool) -> u64 {
        self.reloads[usize::from(!took_effect)].load(Ordering::Relaxed)
    }

    pub(super) fn attempts(&self) -> MutexGuard<'_, Attempts> {
        // Counters are whole after every step.
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempts {
    fn count(&mut self, event: &ClientEvent) {
        match event {
            ClientEvent::Sent { request, upstream, attempt, waited, .. } => {
                if *attempt == 1 && !self.at.contains_key(request) {
                    let class = WAITS.iter().position(|most| *waited <= Duration::from_millis(*most));
                    self.waits[class.unwrap_or(WAITS.len())] += 1;
                    self.waited += *waited;
                }
                self.at.insert(*request, upstream.clone());
            }
            ClientEvent::Throttled { upstream, class, wait, .. } => {
                if self.throttled.len() == MOST_THROTTLES {
                    self.throttled.pop_front();
                }
                let (at, upstream, class, wait) = (Instant::now(), upstream.clone(), *class, *wait);
                self.end(&upstream, class.name());
                self.throttled.push_back(Throttled { at, upstream, class, wait });
            }
            ClientEvent::Retried { request, after, .. } => {
                if let Some(upstream) = self.at.get(request).cloned() {
                    self.end(&upstream, after.name());
                }
            }
            ClientEvent::Finished { request, upstream, .. } => {
                self.at.remove(request);
                self.end(upstream, "ok");
            }
            ClientEvent::Broken { request, upstream, class } => {
                self.at.remove(request);
                self.end(upstream, class.name());
            }
            ClientEvent::Refused { request, verdict, .. } => {
                let upstream = self.at.remove(request);
                if let (
                    Some(upstream),
                    Verdict::Final(class)
                    | Verdict::AttemptsExhausted(class)
                    | Verdict::BudgetExhausted(class)
                    | Verdict::NoUpstream(class),
                ) = (upstream, verdict)
                {
                    self.end(&upstream, class.name());
                }
            }
            ClientEvent::Canceled { request, .. } => {
                if let Some(upstream) = self.at.remove(request) {
                    self.end(&upstream, "canceled");
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, upstream: &Arc<str>, class: &'static str) {
        *self.ended.entry((upstream.clone(), class)).or_default() += 1;
    }
}
