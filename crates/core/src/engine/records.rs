//! What the engine remembers of a request and of an attempt.

use super::api::{AttemptId, Lane, Submission, UpstreamId};
use crate::limiter::Reservation;
use crate::queue::{Entry, Key};
use crate::time::Time;

/// A request that is not over.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) submission: Submission,
    pub(super) entry: Entry,
    pub(super) submitted: Time,
    pub(super) state: State,
    /// Attempts made in all.
    pub(super) sent: u32,
    /// Attempts that count against the most allowed.
    pub(super) spent: u32,
    /// Failures in a row, for the backoff.
    pub(super) failures: u32,
    /// It has used its free repetition of an attempt that never reached the provider.
    pub(super) repeated: bool,
    /// Where it failed last: another upstream is preferred.
    pub(super) avoid: Option<UpstreamId>,
}

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// In its route's queue.
    Waiting,
    /// Put aside until then.
    Parked(Time),
    /// An attempt is under way: its key.
    InFlight(usize),
}

/// An attempt that is under way.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) id: AttemptId,
    pub(super) request: Key,
    pub(super) lane: Lane,
    pub(super) reservation: Reservation,
    /// It tests the upstream: its failure costs a batch no attempt, and nobody any of the budget.
    pub(super) probe: bool,
    /// Output tokens seen so far.
    pub(super) produced: u64,
}

/// An attempt's name holds its place in the slab, and a running number that tells a reused place from the old one.
pub(super) fn attempt_id(number: u64, key: usize) -> AttemptId {
    AttemptId(number << 24 | key as u64 & 0xff_ffff)
}

/// The place of an attempt in the slab.
pub(super) fn attempt_key(id: AttemptId) -> usize {
    (id.0 & 0xff_ffff) as usize
}
