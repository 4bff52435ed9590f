//! The requests that have been handed over and are not over, and their attempts.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use paceline_core::engine::{RequestId, UpstreamId};
use paceline_core::feedback::{Class, Failure, LimitSeen};
use paceline_wire::FullUsage;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::ReplyTo;
use super::registry::Held;
use crate::answer::Trip;
use crate::candidate::Candidate;
use crate::directory::{Place, Target};
use crate::net::Fault;
use crate::watch::{Asked, ClientEvent};
use crate::work::Work;

/// A request that is not over.
pub(super) struct Pending {
    pub(super) work: Arc<Work>,
    /// In the directory of now; `None` when it is gone.
    pub(super) target: Option<Target>,
    /// Gone once a stream has been handed over.
    pub(super) reply: Option<ReplyTo>,
    pub(super) submitted: Instant,
    pub(super) attempts: u32,
    pub(super) throttled: u32,
    pub(super) waited: Duration,
    pub(super) first_byte: Option<Duration>,
    /// The next attempt takes a new connection: a reused one had died.
    pub(super) fresh: bool,
    /// The last failure.
    pub(super) last: Option<Box<Loss>>,
    /// An attempt broke after it had been sent: nobody knows whether it was billed.
    pub(super) maybe_billed: bool,
    pub(super) last_place: Option<Arc<Place>>,
    /// The model's name there, when it differs.
    pub(super) last_send_as: Option<Arc<str>>,
    /// Keeps the caller whose credential it carries from being forgotten.
    _held: Option<Held>,
}

impl Pending {
    pub(super) fn new(work: Arc<Work>, target: Target, reply: ReplyTo, held: Option<Held>) -> Self {
        Self {
            work,
            target: Some(target),
            reply: Some(reply),
            submitted: Instant::now(),
            attempts: 0,
            throttled: 0,
            waited: Duration::ZERO,
            first_byte: None,
            fresh: false,
            last: None,
            maybe_billed: false,
            last_place: None,
            last_send_as: None,
            _held: held,
        }
    }

    /// An attempt has failed.
    pub(super) fn failed(&mut self, loss: Box<Loss>) {
        self.throttled += u32::from(is_throttled(loss.failure.class));
        self.fresh = loss.fault.as_ref().is_some_and(Fault::is_stale);
        self.maybe_billed |= loss.fault.as_ref().is_some_and(|fault| !fault.is_unsent());
        self.last = Some(loss);
    }

    /// If an attempt has failed, it is over, and another one follows.
    pub(super) fn tell_retry(&self) {
        if let (Some(on_retry), Some(_)) = (&self.work.on_retry, &self.last) {
            on_retry.tell(self.maybe_billed);
        }
    }

    /// What is told of it to those who watch.
    pub(super) fn asked(&self) -> Asked {
        let Work { model, endpoint, priority, .. } = &*self.work;
        Asked {
            model: model.clone(),
            endpoint: *endpoint,
            priority: *priority,
            age: self.submitted.elapsed(),
        }
    }

    pub(super) fn trip(&self, request_id: Option<String>) -> Trip {
        Trip {
            upstream: self.last_place.as_ref().map_or_else(|| Arc::from(""), |place| place.name.clone()),
            model: self.last_send_as.as_ref().unwrap_or(&self.work.model).clone(),
            attempts: self.attempts,
            throttled: self.throttled,
            waited: self.waited,
            first_byte: self.first_byte,
            request_id,
        }
    }
}

/// An attempt under way.
pub(super) struct Running {
    pub(super) request: RequestId,
    pub(super) upstream: UpstreamId,
    pub(super) place: Arc<Place>,
    /// The model's name there, when it differs.
    pub(super) send_as: Option<Arc<str>>,
    pub(super) sent: Instant,
    pub(super) task: AbortHandle,
}

impl Running {
    /// That it goes out for `pending`, as its attempt of this number.
    pub(super) fn sent_for(&self, pending: &Pending, attempt: u32) -> ClientEvent {
        let model = self.send_as.as_ref().unwrap_or(&pending.work.model).clone();
        ClientEvent::Sent {
            request: self.request.0,
            upstream: self.place.name.clone(),
            to: Candidate::chosen(self.place.clone(), model),
            asked: pending.asked(),
            attempt,
            waited: pending.waited,
        }
    }
}

/// A failed attempt, with what there is to show for it.
pub(crate) struct Loss {
    pub(crate) failure: Failure,
    /// Limits that no earlier report told.
    pub(crate) limits: Vec<LimitSeen>,
    /// Whose the credential is, when that is news.
    pub(crate) organisation: Option<String>,
    /// Part of a stream has gone to the caller.
    pub(crate) committed: bool,
    pub(crate) status: Option<StatusCode>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// What the answer says, in one line for people.
    pub(crate) message: Option<String>,
    /// What it used all the same.
    pub(crate) usage: Option<FullUsage>,
    pub(crate) fault: Option<Fault>,
}

impl Loss {
    /// What is left when something broke.
    pub(super) fn broken(fault: Fault) -> Self {
        Self {
            fault: Some(fault.clone()),
            message: None,
            ..Self::refused(fault.failure(), String::new(), None)
        }
    }

    /// An answer that says no.
    pub(super) fn refused(failure: Failure, message: String, usage: Option<FullUsage>) -> Self {
        Self {
            failure,
            limits: Vec::new(),
            organisation: None,
            committed: false,
            status: None,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            message: Some(message),
            usage,
            fault: None,
        }
    }
}

/// Whether a failure is the provider's plea for patience, which is no fault of anyone's.
pub(super) fn is_throttled(class: Class) -> bool {
    matches!(class, Class::Throttled | Class::Ramp | Class::Concurrency | Class::Daily)
}
