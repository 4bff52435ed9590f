//! The end of a run: the laws that look at the whole, and the books once all is quiet.

use paceline_core::time::Time;

use super::{QUIET_WAKES, World};
use crate::laws;
use crate::policy::Kind;
use crate::record::Outcome;
use crate::scenario::Until;
use crate::window::MINUTE;

impl World<'_> {
    /// Judges, and hands the story over.
    pub(super) fn conclude(mut self) -> Outcome {
        self.outcome.ended = self.now;
        self.outcome.trace = self.trace.value();
        let all_ended = self.open == 0;
        if let Until::AllEnded(horizon) = self.scenario.until
            && self.scenario.policy == Kind::Engine
        {
            let (now, open) = (self.now, self.open);
            self.court.demand(all_ended, "every request ends", now, || {
                format!("{open} requests are open after {horizon:?}")
            });
        }
        for caller in 0..self.callers.len() {
            self.inspect(caller, all_ended);
        }
        if self.scenario.policy == Kind::Engine {
            laws::judge(&mut self.court, self.scenario, &self.outcome);
        }
        self.outcome.violations = self.court.violations;
        self.outcome
    }

    /// Looks into a policy that can show itself: its budget now, and its books once all is quiet.
    fn inspect(&mut self, caller: usize, all_ended: bool) {
        let now = self.now;
        let Some(snapshot) = self.callers[caller].policy.snapshot(now) else { return };
        let requests = self.outcome.records.len();
        if self.callers[caller].generation == 0 {
            laws::retry_budget(&mut self.court, now, &snapshot, requests, &self.config);
        }
        let wakes = self.callers[caller].wakes;
        let busy = 4 * (self.outcome.sends.len() + requests) as u64;
        let allowed = busy + 100 * now.since(Time::ZERO).as_secs() + 1_000;
        self.court.demand(wakes <= allowed, "it does not spin", now, || {
            format!("{wakes} wake-ups, {allowed} allowed")
        });
        if !all_ended {
            return;
        }
        let quiet = now + 3 * MINUTE;
        let policy = &mut self.callers[caller].policy;
        for _ in 0..QUIET_WAKES {
            let Some(at) = policy.poll_timeout().filter(|at| *at <= quiet) else { break };
            policy.handle_timeout(at.max(now));
            let action = policy.poll_action(at.max(now));
            self.court.demand(action.is_none(), "nothing is done for nobody", at, || format!("{action:?}"));
        }
        policy.handle_timeout(quiet);
        if let Some(snapshot) = policy.snapshot(quiet) {
            laws::quiescence(&mut self.court, quiet, &snapshot);
        }
    }
}
