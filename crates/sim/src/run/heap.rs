//! Things to come, in the order of their time; those of one instant in the order they were added.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use paceline_core::time::Time;

use crate::workload::Job;

/// Something to come. Numbers are the run's own: callers, attempts, script lines.
#[derive(Debug)]
pub(super) enum Happening {
    /// Somebody asks.
    Interactive(Box<Job>),
    /// A caller's timer fires.
    Wake(usize),
    /// An attempt reaches the provider.
    Reach(usize),
    /// The provider has sent the last byte, or given up.
    ProviderEnd(usize),
    /// The first byte of a stream reaches us.
    Head(usize),
    /// A stream has produced some more.
    Produced(usize),
    /// The last byte, or the failure, reaches us.
    Back(usize),
    /// The provider learns that nobody listens any more.
    Hangup(usize),
    /// A line of the script.
    Change(usize),
    /// Somebody else calls.
    Stranger,
    /// Their call ends: account, and its name on the meter.
    StrangerEnd(usize, u64),
}

#[derive(Debug)]
struct Entry {
    at: Time,
    order: u64,
    happening: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest, for the heap to give it first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Heap {
    entries: BinaryHeap<Entry>,
    added: u64,
}

impl Heap {
    pub(super) fn push(&mut self, at: Time, happening: Happening) {
        self.entries.push(Entry { at, order: self.added, happening });
        self.added += 1;
    }

    pub(super) fn pop(&mut self) -> Option<(Time, Happening)> {
        self.entries.pop().map(|entry| (entry.at, entry.happening))
    }
}
