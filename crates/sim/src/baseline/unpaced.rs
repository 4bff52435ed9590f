//! A hundred callers without pacing, each with exponential backoff: what scripts and most SDK users do.
//!
//! A caller keeps its place while it backs off. Interactive requests have callers of their own.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use paceline_core::engine::{
    Action, AttemptId, Event, Learned, Priority, RequestId, Snapshot, UpstreamId, Verdict,
};
use paceline_core::time::Time;

use crate::draw::Draw;
use crate::policy::Policy;

const CALLERS: usize = 100;
const MAX_RETRIES: u32 = 5;
const BACKOFF_BASE: f64 = 1.0;
const BACKOFF_CAP: f64 = 60.0;

#[derive(Debug)]
struct Call {
    interactive: bool,
    retries: u32,
}

/// See the module's text.
#[derive(Debug)]
pub struct Unpaced {
    waiting: VecDeque<RequestId>,
    calls: HashMap<RequestId, Call>,
    callers_busy: usize,
    flying: HashMap<AttemptId, RequestId>,
    later: Vec<(Time, RequestId)>,
    actions: VecDeque<Action>,
    attempts: u64,
    draw: Draw,
}

impl Unpaced {
    /// The seed decides the jitter.
    pub fn new(seed: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            calls: HashMap::new(),
            callers_busy: 0,
            flying: HashMap::new(),
            later: Vec::new(),
            actions: VecDeque::new(),
            attempts: 0,
            draw: Draw::new(seed, 90),
        }
    }

    fn send(&mut self, request: RequestId) {
        let ordinal = self.calls.get(&request).map_or(1, |call| call.retries + 1);
        let attempt = AttemptId(self.attempts);
        self.attempts += 1;
        self.flying.insert(attempt, request);
        self.actions.push_back(Action::Send { request, attempt, upstream: UpstreamId(0), tier: 0, ordinal });
    }

    fn start_waiting(&mut self) {
        while self.callers_busy < CALLERS {
            let Some(request) = self.waiting.pop_front() else { return };
            self.callers_busy += 1;
            self.send(request);
        }
    }

    fn end(&mut self, request: RequestId) {
        if self.calls.remove(&request).is_some_and(|call| !call.interactive) {
            self.callers_busy -= 1;
        }
        self.start_waiting();
    }
}

impl Policy for Unpaced {
    fn handle_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Submitted(submission) => {
                let interactive = submission.priority == Priority::Interactive;
                self.calls.insert(submission.request, Call { interactive, retries: 0 });
                if interactive {
                    self.send(submission.request);
                } else {
                    self.waiting.push_back(submission.request);
                    self.start_waiting();
                }
            }
            Event::Succeeded { attempt, .. } => {
                if let Some(request) = self.flying.remove(&attempt) {
                    self.end(request);
                }
            }
            Event::Failed { attempt, failure, .. } => {
                let Some(request) = self.flying.remove(&attempt) else { return };
                let Some(call) = self.calls.get_mut(&request) else { return };
                if call.retries == MAX_RETRIES {
                    let verdict = Verdict::AttemptsExhausted(failure.class);
                    self.actions.push_back(Action::Finish { request, verdict });
                    self.end(request);
                    return;
                }
                let cap = (BACKOFF_BASE * f64::from(1u32 << call.retries.min(20))).min(BACKOFF_CAP);
                call.retries += 1;
                let wait = Duration::from_secs_f64(cap * (0.5 + 0.5 * self.draw.unit()));
                self.later.push((now + wait, request));
            }
            Event::Head { .. } | Event::Produced { .. } | Event::Canceled { .. } => {}
        }
    }

    fn handle_timeout(&mut self, now: Time) {
        let mut due: Vec<(Time, RequestId)> = Vec::new();
        self.later.retain(|entry| {
            let is_due = entry.0 <= now;
            if is_due {
                due.push(*entry);
            }
            !is_due
        });
        due.sort_unstable();
        for (_, request) in due {
            self.send(request);
        }
    }

    fn poll_action(&mut self, _now: Time) -> Option<Action> {
        self.actions.pop_front()
    }

    fn poll_timeout(&self) -> Option<Time> {
        self.later.iter().map(|(at, _)| *at).min()
    }

    fn snapshot(&self, _now: Time) -> Option<Snapshot> {
        None
    }

    fn learned(&self, _now: Time) -> Vec<Vec<Learned>> {
        Vec::new()
    }
}
