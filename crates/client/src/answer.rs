//! What comes back: whole answers and streams.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use paceline_core::feedback::Class;
use paceline_wire::FullUsage;
use tokio::sync::mpsc;

use crate::client::CancelGuard;
use crate::net::Fault;

/// How a request got its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trip {
    /// The upstream that answered.
    pub upstream: Arc<str>,
    /// The model's name there: a pool may send requests under another than they ask for. Empty when none was named.
    pub model: Arc<str>,
    /// Attempts that were sent, the last one included.
    pub attempts: u32,
    /// How many of them were throttled.
    pub throttled: u32,
    /// Time between handing the request over and the start of the last attempt.
    pub waited: Duration,
    /// Time from there to the head of an answer that said success so far.
    pub first_byte: Option<Duration>,
    /// The provider's own name for the exchange.
    pub request_id: Option<String>,
}

/// A whole answer that says success.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: StatusCode,
    /// The headers, as the upstream sent them.
    pub headers: HeaderMap,
    /// The body, byte for byte.
    pub body: Bytes,
    /// What it says it used.
    pub usage: Option<FullUsage>,
    /// How it came here.
    pub trip: Trip,
}

impl std::fmt::Debug for Response {
    /// Leaves the body and headers out: logs are no place for what people ask a model.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .field("usage", &self.usage)
            .field("trip", &self.trip)
            .finish_non_exhaustive()
    }
}

/// Why a stream ended before its end. Nothing was replayed, since its beginning was already handed over.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream was cut: what came is not the whole answer.
    #[error("the stream from `{upstream}` broke off before its end")]
    Cut {
        /// Whose.
        upstream: Arc<str>,
        /// What cut it.
        #[source]
        fault: Fault,
    },
    /// The provider reported an error in the stream; its event was handed over too.
    #[error("`{upstream}` ended the stream with an error ({})", .class.name())]
    Reported {
        /// Who.
        upstream: Arc<str>,
        /// What the error means.
        class: Class,
    },
}

/// One item of a stream on its way to the caller.
pub(crate) type Item = Result<Bytes, StreamError>;

/// An answer as it comes. Its first event is known to be no error. Dropping it closes the upstream connection.
pub struct Streaming {
    /// The status.
    pub status: StatusCode,
    /// The headers, as the upstream sent them.
    pub headers: HeaderMap,
    /// How it came here.
    pub trip: Trip,
    items: mpsc::Receiver<Item>,
    usage: SeenUsage,
    ended: bool,
    guard: CancelGuard,
}

impl Streaming {
    pub(crate) fn new(opened: Opened, trip: Trip, guard: CancelGuard) -> Self {
        let Opened { status, headers, items, usage } = opened;
        Self { status, headers, trip, items, usage, ended: false, guard }
    }

    /// What it has used as far as it has told: all of it once the stream is complete.
    pub fn usage(&self) -> Option<FullUsage> {
        self.usage.get()
    }

    /// The next bytes, exactly as they came from the upstream. `None` after a complete stream; an incomplete one ends
    /// with an error. When the closing event came whole but for the empty line behind it, that is supplied: readers
    /// would drop the event without it.
    pub async fn next(&mut self) -> Option<Result<Bytes, StreamError>> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    /// As [`Streaming::next`], for those who poll.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, StreamError>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let item = std::task::ready!(self.items.poll_recv(cx));
        // A channel that closes without its end mark was cut off with the client itself.
        let item = item.unwrap_or_else(|| {
            Err(StreamError::Cut { upstream: self.trip.upstream.clone(), fault: Fault::Stopped })
        });
        if matches!(&item, Ok(bytes) if !bytes.is_empty()) {
            return Poll::Ready(Some(item));
        }
        self.ended = true;
        self.guard.disarm();
        Poll::Ready(item.err().map(Err))
    }
}

impl std::fmt::Debug for Streaming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streaming")
            .field("status", &self.status)
            .field("trip", &self.trip)
            .finish_non_exhaustive()
    }
}

/// A stream whose first event has been looked at. Items are non-empty bytes, then one end mark: empty bytes or an error.
pub(crate) struct Opened {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) items: mpsc::Receiver<Item>,
    pub(crate) usage: SeenUsage,
}

/// What a stream has told of its usage, for whoever holds its other end.
#[derive(Clone, Default)]
pub(crate) struct SeenUsage(Arc<Mutex<Option<FullUsage>>>);

impl SeenUsage {
    pub(crate) fn set(&self, usage: Option<FullUsage>) {
        if usage.is_some() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = usage;
        }
    }

    fn get(&self) -> Option<FullUsage> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
