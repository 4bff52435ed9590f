//! What happens to the world on the way: changes, crashes, and somebody else who calls.

use paceline_core::engine::Priority;
use paceline_core::quota::{Dimension, Quota};

use super::World;
use super::heap::Happening;
use crate::caller::Caller;
use crate::scenario::Change;
use crate::workload::{self, BATCH};

impl World<'_> {
    pub(super) fn change(&mut self, index: usize) {
        let scenario = self.scenario;
        let Some((_, change)) = scenario.script.get(index) else { return };
        match change {
            Change::Quotas(percent) => {
                let quotas = scenario.quotas(*percent);
                self.accounts.iter_mut().for_each(|account| account.set_quotas(self.now, &quotas));
            }
            Change::Mood { accounts, mood } => {
                self.accounts.iter_mut().rev().take(*accounts).for_each(|account| account.set_mood(*mood));
            }
            Change::Crash => (0..self.callers.len()).for_each(|caller| self.crash(caller)),
        }
    }

    /// The process dies and starts again: it knows what it had learned, and nothing about what was under way.
    fn crash(&mut self, caller: usize) {
        for attempt in std::mem::take(&mut self.callers[caller].attempts).into_values() {
            self.attempts[attempt].over = true;
            let latency = self.latency();
            self.heap.push(self.now + latency, Happening::Hangup(attempt));
        }
        let mut learned = self.callers[caller].policy.learned(self.now);
        // As `paceline run` does: what was used of a minute is over, mostly, when somebody starts it again.
        learned.iter_mut().flatten().for_each(|limit| limit.used = 0);
        let generation = self.callers[caller].generation + 1;
        let briefing = self.briefing(caller, learned);
        self.callers[caller] = Caller::start(self.start, self.now, &briefing, generation);
        for request in 0..self.outcome.records.len() {
            if self.caller_of(request) == caller && self.outcome.records[request].ended.is_none() {
                self.submit(request);
            }
        }
    }

    /// Somebody else calls, and will call again.
    pub(super) fn stranger(&mut self) {
        let Some(stranger) = self.scenario.stranger else { return };
        let binding = self.scenario.binding.dimension();
        let quotas: Vec<Quota> = self.scenario.quotas(100);
        let Some(quota) = quotas.into_iter().find(|quota| quota.dimension == binding) else { return };
        let job = workload::job(&mut self.stranger, &BATCH, 0.0, Priority::Normal);
        let each = match quota.dimension {
            Dimension::Requests => 1.0,
            Dimension::InputTokens => BATCH.input_mean,
            _ => BATCH.output_mean,
        };
        let rate = stranger.share * quota.limit as f64 / quota.window.as_secs_f64() / each;
        self.strangers += 1;
        let id = u64::MAX - self.strangers;
        for account in 0..self.accounts.len() {
            let answer = self.accounts[account].answer(self.now, id, &job);
            if answer.admitted {
                self.heap.push(self.now + answer.ends_after, Happening::StrangerEnd(account, id));
            }
        }
        let gap = self.stranger.gap(rate);
        self.heap.push(self.now + gap, Happening::Stranger);
    }
}
