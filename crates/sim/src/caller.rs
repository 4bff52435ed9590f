//! One shell around one policy: its clock and its attempts, without sockets.

use std::collections::HashMap;

use paceline_core::engine::{AttemptId, RouteId};
use paceline_core::time::Time;

use crate::policy::{Briefing, Policy};
use crate::run::Start;

/// Timers fire on whole milliseconds, as tokio's do.
const TICK: u64 = 1_000_000;

/// A policy and what its shell keeps beside it.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Decides.
    pub(crate) policy: Box<dyn Policy>,
    /// What its requests name.
    pub(crate) route: RouteId,
    /// How often it died: events for a dead one are lost.
    pub(crate) generation: u32,
    /// The run's number of each attempt in flight.
    pub(crate) attempts: HashMap<AttemptId, usize>,
    /// The earliest wake-up that is under way.
    pub(crate) wake_at: Option<Time>,
    /// Wake-ups so far.
    pub(crate) wakes: u64,
}

impl Caller {
    /// Starts one.
    pub(crate) fn start(start: Start<'_>, now: Time, briefing: &Briefing, generation: u32) -> Self {
        let (policy, route) = start(now, briefing);
        Self { policy, route, generation, attempts: HashMap::new(), wake_at: None, wakes: 0 }
    }

    /// The wake-up that has to be ordered now, if the one under way is too late.
    pub(crate) fn order_wake(&mut self, now: Time) -> Option<Time> {
        let wanted = self.policy.poll_timeout().filter(|at| *at != Time::NEVER)?;
        let at = Time::from_nanos(wanted.max(now).as_nanos().div_ceil(TICK).saturating_mul(TICK));
        if self.wake_at.is_some_and(|ordered| ordered <= at) {
            return None;
        }
        self.wake_at = Some(at);
        Some(at)
    }
}
