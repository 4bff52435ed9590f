//! A response body that comes when the provider says it: in time, in pieces, to the end or not.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use paceline_core::time::Time;
use tokio::time::Sleep;

use super::socket::Rudeness;
use super::track::Track;
use crate::clock::Clock;
use crate::log::Outcome;

/// What comes next, and not before when.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) at: Time,
    pub(super) then: Then,
}

/// What a body does.
#[derive(Debug)]
pub(super) enum Then {
    /// Says something, in a segment of its own.
    Say(Bytes),
    /// Ends the connection, rudely or not.
    Break { reset: bool },
    /// Says nothing, ever.
    Hang,
}

/// The pieces of a body.
pub(super) type Pieces = Box<dyn Iterator<Item = Piece> + Send>;

/// A body on its way.
pub(super) struct Telling {
    pieces: Peekable<Pieces>,
    size: Option<u64>,
    clock: Clock,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The last piece must have left before the next one comes.
    flush: bool,
    rudeness: Rudeness,
    track: Track,
    end: Outcome,
}

/// A body that broke off on purpose.
#[derive(Debug, thiserror::Error)]
#[error("broken off by the script")]
pub(super) struct BrokenOff;

impl Telling {
    /// `end` is how the call ended once everything is said.
    pub(super) fn new(
        pieces: Pieces,
        size: Option<u64>,
        clock: Clock,
        rudeness: Rudeness,
        track: Track,
        end: Outcome,
    ) -> Self {
        let (pieces, sleep, flush) = (pieces.peekable(), None, false);
        let mut telling = Telling { pieces, size, clock, sleep, flush, rudeness, track, end };
        telling.end_if_all_is_said();
        telling
    }

    fn end_if_all_is_said(&mut self) {
        if self.pieces.peek().is_none() {
            self.track.end(self.end);
        }
    }

    /// Ready when the next piece's time has come.
    fn poll_time(&mut self, cx: &mut Context, at: Time) -> Poll<()> {
        while self.clock.now() < at {
            let clock = self.clock;
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(clock.sleep_until(at)));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
            if self.clock.real(at.since(self.clock.now())) < Duration::from_micros(1) {
                break; // The clocks differ by rounding alone.
            }
        }
        Poll::Ready(())
    }
}

impl Body for Telling {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if std::mem::take(&mut self.flush) {
            // Pending makes the connection write what it has.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(at) = self.pieces.peek().map(|piece| piece.at) else {
            return Poll::Ready(None);
        };
        if self.poll_time(cx, at).is_pending() {
            return Poll::Pending;
        }
        match self.pieces.next().map(|piece| piece.then) {
            None => Poll::Ready(None),
            Some(Then::Say(bytes)) => {
                self.flush = true;
                self.end_if_all_is_said();
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Some(Then::Break { reset }) => {
                if reset {
                    self.rudeness.reset();
                }
                self.track.end(Outcome::Fault);
                Poll::Ready(Some(Err(BrokenOff)))
            }
            Some(Then::Hang) => {
                let for_ever = Piece { at, then: Then::Hang };
                let pieces: Pieces = Box::new(VecDeque::from([for_ever]).into_iter());
                self.pieces = pieces.peekable();
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.size.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
