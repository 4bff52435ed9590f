//! What requests of one kind take on average.

use std::time::Duration;

use paceline_core::quota::Usage;

/// Sums of those of which it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean {
    requests: u32,
    input_tokens: u64,
    output_tokens: u64,
    took: Duration,
}

impl Mean {
    pub(super) fn add(&mut self, used: Usage, took: Duration) {
        self.requests += 1;
        self.input_tokens += used.input_tokens;
        self.output_tokens += used.output_tokens;
        self.took = self.took.saturating_add(took);
    }

    /// What a usual one uses, and how long its answer takes; nothing when nothing is known.
    pub(super) fn usual(&self) -> (Usage, Duration) {
        let each = |sum: u64| sum.div_ceil(u64::from(self.requests.max(1)));
        let used = Usage { input_tokens: each(self.input_tokens), output_tokens: each(self.output_tokens) };
        (used, self.took / self.requests.max(1))
    }
}
