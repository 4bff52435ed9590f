//! One call on its way: what it has produced by an instant.

use paceline_core::time::Time;

use super::Call;

/// A call that was admitted and has not ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    pub(super) call: Call,
    pub(super) admitted: Time,
    /// Produced tokens that were charged so far.
    pub(super) charged: u64,
}

impl Flight {
    pub(crate) fn new(now: Time, call: &Call) -> Self {
        Flight { call: *call, admitted: now, charged: 0 }
    }

    /// Tokens produced from admission to `now`: one after `first_token_after`, then one every `token_every`.
    pub(crate) fn produced_by(&self, now: Time) -> u64 {
        let Some(since_first) = now.since(self.admitted).checked_sub(self.call.first_token_after) else {
            return 0;
        };
        let every = self.call.token_every.as_nanos();
        if every == 0 {
            return self.call.output_tokens;
        }
        let more = u64::try_from(since_first.as_nanos() / every).unwrap_or(u64::MAX);
        more.saturating_add(1).min(self.call.output_tokens)
    }

    /// Moves on to `now` and returns what was produced since the last time.
    pub(super) fn produce(&mut self, now: Time) -> u64 {
        let total = self.produced_by(now).max(self.charged);
        total - std::mem::replace(&mut self.charged, total)
    }

    /// Nothing more will come.
    pub(super) fn is_exhausted(&self) -> bool {
        self.charged == self.call.output_tokens
    }
}
