//! A stream on its way to the caller: kept alive while it waits, byte for byte once it flows, and never cut in silence.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use paceline::{SendError, StreamError, Streaming};
use paceline_wire::cut::Cutter;
use paceline_wire::{Dialect, Endpoint};
use tokio::time::{Instant, Sleep, sleep};

use super::bill::Bill;
use super::headers;
use super::outcome::Outcome;
use crate::answer::Kind;
use crate::body::BodyError;

/// Between an error's event and the connection's end, so that the one is not lost in the other.
const LAST_WORD: Duration = Duration::from_millis(20);

/// A stream that is still to begin.
pub(super) type Opening = Pin<Box<dyn Future<Output = Result<Streaming, SendError>> + Send>>;

/// How a caller of a stream is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) dialect: Dialect,
    pub(super) endpoint: Endpoint,
    /// The caller's own credential is used.
    pub(super) pass_through: bool,
    /// The usage was asked for by us: the caller does not expect it.
    pub(super) drops_usage: bool,
}

/// The body of a streamed answer.
pub(super) struct Forwarding {
    state: State,
    out: VecDeque<Bytes>,
    cutter: Cutter,
    manner: Manner,
    bill: Bill,
}

enum State {
    /// Nothing has begun upstream; a sign of life is due at the timer, again and again.
    Waiting {
        opening: Opening,
        beat: Pin<Box<Sleep>>,
        every: Duration,
    },
    Flowing(Box<Streaming>),
    /// All is said; the connection is cut at the timer.
    Breaking(Pin<Box<Sleep>>),
    Ended,
}

impl Forwarding {
    /// A stream that has begun.
    pub(super) fn flowing(streaming: Streaming, manner: Manner, bill: Bill) -> Self {
        Self::new(State::Flowing(Box::new(streaming)), manner, bill)
    }

    /// A stream that has not; a sign of life is given at once and then every so often.
    pub(super) fn waiting(opening: Opening, every: Duration, manner: Manner, bill: Bill) -> Self {
        let beat = Box::pin(sleep(every));
        let mut body = Self::new(State::Waiting { opening, beat, every }, manner, bill);
        body.out.push_back(manner.sign_of_life());
        body
    }

    fn new(state: State, manner: Manner, bill: Bill) -> Self {
        Self { state, out: VecDeque::new(), cutter: Cutter::new(manner.drops_usage), manner, bill }
    }

    /// Makes progress: `Ready` when something is to go out, or all is over.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match &mut self.state {
            State::Waiting { opening, beat, every } => {
                if let Poll::Ready(opened) = opening.as_mut().poll(cx) {
                    self.handle_opened(opened);
                    return Poll::Ready(Ok(()));
                }
                ready!(beat.as_mut().poll(cx));
                beat.as_mut().reset(Instant::now() + *every);
                self.out.push_back(self.manner.sign_of_life());
            }
            State::Flowing(streaming) => match ready!(streaming.poll_next(cx)) {
                Some(Ok(bytes)) => self.cutter.push(bytes, |piece| self.out.push_back(piece)),
                Some(Err(error)) => {
                    self.bill.settle_broken(&error, &streaming.trip, streaming.usage().as_ref());
                    self.handle_broken(&error);
                }
                None => {
                    self.bill.settle(&streaming.trip, streaming.usage().as_ref());
                    self.cutter.finish(|piece| self.out.push_back(piece));
                    self.state = State::Ended;
                }
            },
            State::Breaking(end) => {
                ready!(end.as_mut().poll(cx));
                self.state = State::Ended;
                return Poll::Ready(Err("the answer broke off".into()));
            }
            State::Ended => {}
        }
        Poll::Ready(Ok(()))
    }

    fn handle_opened(&mut self, opened: Result<Streaming, SendError>) {
        match opened {
            Ok(streaming) if headers::is_stream(&streaming.headers) => {
                self.state = State::Flowing(Box::new(streaming));
            }
            Ok(streaming) => {
                // It comes too late for an answer of another kind: this one has begun as a stream.
                self.bill.settle(&streaming.trip, streaming.usage().as_ref());
                let message = "the upstream's answer is no stream, though one was asked for";
                self.break_with(&Outcome::new(Kind::BadGateway, message));
            }
            Err(error) => {
                self.bill.settle_failed(&error);
                self.break_with(&Outcome::of(error, self.manner.pass_through));
            }
        }
    }

    fn handle_broken(&mut self, error: &StreamError) {
        if let StreamError::Reported { .. } = error {
            self.cutter.finish_failed(|piece| self.out.push_back(piece));
            if self.cutter.told_failure() {
                // The provider has said so itself, in words that the caller's SDK knows.
                self.state = State::Ended;
                return;
            }
        }
        self.break_with(&Outcome::new(Kind::BadGateway, error.to_string()));
    }

    /// Tells what is wrong, and then cuts the connection: nobody is to take what came for the whole.
    fn break_with(&mut self, outcome: &Outcome) {
        if self.cutter.break_off() {
            self.out.push_back(Bytes::from_static(b"\n\n"));
        }
        self.out.push_back(self.manner.error_event(outcome));
        self.state = State::Breaking(Box::pin(sleep(LAST_WORD)));
    }
}

impl http_body::Body for Forwarding {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        loop {
            if let Some(piece) = this.out.pop_front() {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            if matches!(this.state, State::Ended) {
                return Poll::Ready(None);
            }
            if let Err(error) = ready!(this.poll_step(cx)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.out.is_empty() && matches!(self.state, State::Ended)
    }
}

impl Drop for Forwarding {
    /// The caller has left, or all is over: what was sent is to be paid in either case.
    fn drop(&mut self) {
        if let State::Flowing(streaming) = &self.state {
            self.bill.settle_left(&streaming.trip, streaming.usage().as_ref());
        }
    }
}

impl Manner {
    /// What every reader of the dialect's streams skips.
    fn sign_of_life(self) -> Bytes {
        Bytes::from_static(match self.dialect {
            Dialect::Anthropic => b"event: ping\ndata: {\"type\": \"ping\"}\n\n",
            Dialect::OpenAi => b": waiting\n\n",
        })
    }

    /// An event that makes the dialect's SDKs raise an error.
    fn error_event(self, outcome: &Outcome) -> Bytes {
        let data = outcome.event_data(self.dialect);
        match (self.dialect, self.endpoint) {
            (Dialect::Anthropic, _) => format!("event: error\ndata: {data}\n\n"),
            // Its own event is the error itself; what looks for an `error` inside finds one as well.
            (Dialect::OpenAi, Endpoint::Responses) => format!("event: error\ndata: {}\n\n", flattened(&data)),
            (Dialect::OpenAi, _) => format!("data: {data}\n\n"),
        }
        .into()
    }
}

/// `{"error":{...}}` as the Responses API's event: type, code and message beside the error.
fn flattened(data: &str) -> String {
    let tree: serde_json::Value = serde_json::from_str(data).unwrap_or_default();
    let error = &tree["error"];
    serde_json::json!({
        "type": "error",
        "code": error["code"],
        "message": error["message"],
        "param": error["param"],
        "sequence_number": 0,
        "error": error,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_events_of_the_dialect() {
        let outcome = Outcome::new(Kind::BadGateway, "cut \"short\"");
        let event = |dialect, endpoint| {
            let manner = Manner { dialect, endpoint, pass_through: false, drops_usage: false };
            String::from_utf8(manner.error_event(&outcome).to_vec()).unwrap()
        };
        assert_eq!(
            event(Dialect::Anthropic, Endpoint::Messages),
            "event: error\ndata: {\"error\":{\"message\":\"cut \\\"short\\\"\",\"type\":\"api_error\"},\"type\":\"error\"}\n\n"
        );
        assert_eq!(
            event(Dialect::OpenAi, Endpoint::ChatCompletions),
            "data: {\"error\":{\"code\":null,\"message\":\"cut \\\"short\\\"\",\"param\":null,\"type\":\"server_error\"}}\n\n"
        );
        let responses = event(Dialect::OpenAi, Endpoint::Responses);
        let data = responses.strip_prefix("event: error\ndata: ").unwrap().trim_end();
        let tree: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!((&tree["type"], &tree["message"]), (&"error".into(), &"cut \"short\"".into()));
        assert_eq!(tree["error"]["type"], "server_error");
    }
}
