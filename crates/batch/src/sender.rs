//! Who sends the jobs: the client in earnest, a fake in tests.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use paceline_core::feedback::Class;
use paceline_wire::line::Line;
use paceline_wire::price::MicroUsd;
use paceline_wire::usage::FullUsage;

use crate::run::Errand;

/// Sends jobs, each when the limits allow it.
pub trait Sender: Clone + Send + Sync + 'static {
    /// Sends one job. `start` must be asked right before each attempt goes out; when it says no, nothing may be sent, and
    /// the job ends as [`End::Withdrawn`]. It should be told of the answer as soon as that is here. Dropping the future takes the job back.
    fn send(&self, job: Arc<Line>, start: Start) -> impl Future<Output = Reply> + Send;

    /// The job's model, if nobody can say what its answer will cost.
    fn unpriced(&self, job: &Line) -> Option<String>;
}

/// What the run wants to hear of a job's attempts.
#[derive(Clone)]
pub struct Start(Arc<Errand>);

impl Start {
    pub(crate) fn new(errand: Arc<Errand>) -> Self {
        Self(errand)
    }

    /// Asked right before an attempt goes out: waits until not too many answers are unwritten, and writes down that the
    /// job may be billed from now on. False when nothing may be sent any more.
    pub async fn may_go(&self) -> bool {
        self.0.may_go().await
    }

    /// An attempt has failed: none is under way until the next one goes out. `maybe_billed` tells of all that were sent
    /// for this call. Unless told, the job counts as under way until the sender returns, and as billed, perhaps.
    pub fn failed(&self, maybe_billed: bool) {
        self.0.failed(maybe_billed);
    }

    /// The answer is here: from now on it counts as unwritten. Unless told, the run takes note when the sender returns.
    pub fn answered(&self) {
        self.0.answered();
    }
}

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Start").finish_non_exhaustive()
    }
}

/// How a job ended, and what it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// How it ended.
    pub end: End,
    /// Attempts that were sent.
    pub attempts: u32,
    /// How many of them were throttled.
    pub throttled: u32,
    /// What the answer says it used.
    pub usage: Option<FullUsage>,
    /// What that cost; `None` when the price is not known.
    pub cost: Option<MicroUsd>,
}

impl Reply {
    /// An end that took nothing.
    pub fn of(end: End) -> Self {
        Self { end, attempts: 0, throttled: 0, usage: None, cost: None }
    }
}

/// What the provider answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The provider's own name for the exchange.
    pub request_id: Option<String>,
    /// The body, byte for byte.
    pub body: Bytes,
}

/// How a job ended.
#[derive(Clone, Debug, PartialEq)]
pub enum End {
    /// With a whole answer that says success.
    Answered(Answer),
    /// Without success.
    Failed {
        /// What the failure means; `None` when nothing was sent.
        class: Option<Class>,
        /// In words.
        message: String,
        /// The last answer, if there was one.
        answer: Option<Answer>,
        /// It might go well later: the fault was not the job's.
        passing: bool,
    },
    /// Its own deadline came first.
    Expired,
    /// No credential is left: other jobs would fare alike. This one stays to be done.
    NoUpstream {
        /// What the provider said of the last one.
        class: Class,
        /// What to do.
        message: String,
    },
    /// It was taken back. It stays to be done.
    Withdrawn,
}
