//! Things to come, in the order of their time; those of one instant in the order they were added.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use paceline_core::time::Time;

/// Something to come. Attempts are numbered by the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    /// The engine's timer fires.
    Wake,
    /// A job comes that was recorded.
    Arrive,
    /// An attempt reaches the provider.
    Reach(usize),
    /// The provider has sent the last byte.
    Over(usize),
    /// The last byte, or the refusal, reaches us.
    Back(usize),
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: BinaryHeap<Reverse<(Time, u64, Happening)>>,
    added: u64,
}

impl Heap {
    pub(super) fn push(&mut self, at: Time, happening: Happening) {
        self.entries.push(Reverse((at, self.added, happening)));
        self.added += 1;
    }

    pub(super) fn pop(&mut self) -> Option<(Time, Happening)> {
        self.entries.pop().map(|Reverse((at, _, happening))| (at, happening))
    }
}
