//! What a run leaves behind, for laws and figures to look at.

use paceline_core::engine::Verdict;
use paceline_core::quota::Dimension;
use paceline_core::time::Time;

use crate::laws::Violation;
use crate::workload::Job;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With an answer.
    Done,
    /// With a failure that was told to the caller.
    Failed(Verdict),
}

/// One request's story.
#[derive(Clone, Debug)]
pub struct Record {
    /// What was asked.
    pub job: Job,
    /// When it was first submitted.
    pub submitted: Time,
    /// Attempts sent.
    pub attempts: u32,
    /// Those that were throttled.
    pub throttled: u32,
    /// First send.
    pub first_sent: Option<Time>,
    /// Last send: the one that counted.
    pub last_sent: Option<Time>,
    /// Its end.
    pub ended: Option<(Time, End)>,
}

impl Record {
    /// A request that was just submitted.
    pub fn new(job: Job, submitted: Time) -> Self {
        Self { job, submitted, attempts: 0, throttled: 0, first_sent: None, last_sent: None, ended: None }
    }

    /// It ended with an answer.
    pub fn is_done(&self) -> bool {
        matches!(self.ended, Some((_, End::Done)))
    }
}

/// A call that the provider let in.
#[derive(Clone, Copy, Debug)]
pub struct Admitted {
    /// When it reached the provider.
    pub at: Time,
    /// Whose quotas it took.
    pub account: usize,
    /// The request, an index into the records.
    pub request: usize,
}

/// An attempt that left us.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// When.
    pub at: Time,
    /// The request, an index into the records.
    pub request: usize,
}

/// A refusal that reached us.
#[derive(Clone, Copy, Debug)]
pub struct Throttled {
    /// When.
    pub at: Time,
    /// What had run out, whether or not we were told.
    pub dimension: Option<Dimension>,
}

/// A whole run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Every request, batch first.
    pub records: Vec<Record>,
    /// Every send, in order.
    pub sends: Vec<Sent>,
    /// Every refusal that reached us, in order.
    pub throttles: Vec<Throttled>,
    /// Every call of ours that was let in, in order.
    pub admitted: Vec<Admitted>,
    /// The answer to the last request of the batch.
    pub batch_ended: Option<Time>,
    /// How far virtual time went.
    pub ended: Time,
    /// Fingerprint of everything that happened.
    pub trace: u64,
    /// Laws that were broken.
    pub violations: Vec<Violation>,
}
