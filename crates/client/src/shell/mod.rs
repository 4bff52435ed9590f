//! The loop around the engine, and the attempts it runs.
//!
//! One task owns the engine. Callers and attempts send it messages; it tells the engine, and does what the engine says.
//! No decision is made here.

mod affinity;
mod attempt;
mod clock;
mod driver;
mod operating;
mod registry;
mod reload;
mod reports;
mod requests;
mod stream;
mod verdict;

use std::collections::HashMap;
use std::sync::Arc;

use paceline_core::engine::{AttemptId, Config, RequestId};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::answer::{Opened, Response, Trip};
use crate::credential::CallerKey;
use crate::directory::Directory;
use crate::error::SendError;
use crate::net::Dialer;
use crate::upstream::Timeouts;
use crate::watch::{ClientEvent, LearnedLimits, OnEvent, Retune, Snapshot};
use crate::work::{Estimates, Work};
use attempt::Report;
pub(crate) use driver::run;

/// Events kept for a receiver that is slow to take them.
pub const EVENTS_KEPT: usize = 4096;

/// What the loop is told.
///
/// The channel has no bound of its own, since what fills it has: each caller has one request in it, requests are bounded
/// by the engine's queue limit, and each attempt reports a handful of times plus once for some tokens. Cancellation comes
/// from `drop`, which could not wait for room.
pub(crate) enum Message {
    Command(Command),
    Report(AttemptId, Report),
}

/// What callers want.
pub(crate) enum Command {
    Submit(Submit),
    Cancel(RequestId),
    Snapshot(oneshot::Sender<Snapshot>),
    Learned(oneshot::Sender<Vec<LearnedLimits>>),
    Pause(bool),
    Service {
        upstream: String,
        out: bool,
        reply: oneshot::Sender<bool>,
    },
    Retune {
        retune: Retune,
        reply: oneshot::Sender<bool>,
    },
    Reconfigure(Box<Plan>),
    /// The same places and ways, within other ceilings.
    Redirect(Arc<Directory>),
    Close {
        done: Option<oneshot::Sender<()>>,
    },
}

/// A request on its way in.
pub(crate) struct Submit {
    pub(crate) id: RequestId,
    pub(crate) work: Arc<Work>,
    pub(crate) reply: ReplyTo,
}

/// Where an answer goes.
pub(crate) type Answered<T> = oneshot::Sender<Result<T, SendError>>;

/// Where an answer goes, and so in which form.
pub(crate) enum ReplyTo {
    Whole(Answered<Response>),
    Stream(Answered<Opening>),
}

impl ReplyTo {
    /// Tells the caller that there will be no answer. One that has gone has nothing to learn.
    pub(super) fn refuse(self, error: SendError) {
        match self {
            ReplyTo::Whole(reply) => drop(reply.send(Err(error))),
            ReplyTo::Stream(reply) => drop(reply.send(Err(error))),
        }
    }
}

/// A stream that has begun well.
pub(crate) struct Opening {
    pub(crate) opened: Opened,
    pub(crate) trip: Trip,
}

/// What a user has described, checked as a whole.
pub(crate) struct Plan {
    pub(crate) directory: Arc<Directory>,
    pub(crate) config: Config,
    pub(crate) timeouts: Timeouts,
    pub(crate) weights: HashMap<String, u32>,
    /// How to connect, unless that stays as it is.
    pub(crate) dialer: Option<Dialer>,
}

/// All that the loop starts from.
pub(crate) struct Start {
    pub(crate) plan: Plan,
    pub(crate) estimates: Estimates,
    pub(crate) learned: Vec<LearnedLimits>,
    pub(crate) caller_key: Option<CallerKey>,
    pub(crate) seed: u64,
    pub(crate) mailbox: mpsc::UnboundedSender<Message>,
    pub(crate) events: broadcast::Sender<ClientEvent>,
    pub(crate) on_event: Option<OnEvent>,
}
