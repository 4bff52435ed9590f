//! Reads a streamed answer: passes its bytes on as they come, and watches its events beside them.

use std::collections::VecDeque;
use std::mem;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use paceline_wire::sse::{Event, Parser};
use paceline_wire::stream::{Ending, Observer};
use paceline_wire::{FullUsage, class, response};
use tokio::sync::mpsc;

use super::attempt::{ANSWER_CAP, Attempt, Ended, Report, WholeAnswer};
use super::requests::Loss;
use crate::answer::{Item, Opened, SeenUsage, StreamError};
use crate::net::{Answer, Fault};

/// Pieces that may wait for a slow caller before the upstream has to wait, too.
const AHEAD: usize = 16;
/// The most that is held back while the first event is awaited. Comments that keep a connection alive may come first.
const HELD_BACK: usize = 64 << 10;
/// Tokens that may be produced before the engine is told.
const PRODUCED_STEP: u64 = 16;

/// Ends an event, whatever part of its last line's end has come.
const EVENT_END: &[u8] = b"\n\n";

/// Whether the answer is a stream of events.
pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(|kind| kind.as_bytes()).unwrap_or_default();
    let essence = kind.split(|byte| *byte == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

/// A stream that is there already, in one piece.
pub(super) fn of_one(status: StatusCode, headers: HeaderMap, body: Bytes, told: Option<FullUsage>) -> Opened {
    let usage = SeenUsage::default();
    usage.set(told);
    let (sender, items) = mpsc::channel(2);
    for piece in [body, Bytes::new()] {
        // There is room for both, and the receiver is right here.
        let _ = sender.try_send(Ok(piece));
    }
    Opened { status, headers, items, usage }
}

/// Reads a stream to its end.
pub(super) async fn read(attempt: &Attempt, answer: Answer) -> Ended {
    let Answer { status, headers, mut body } = answer;
    let sink = if attempt.streaming { Sink::Closed(VecDeque::new()) } else { Sink::Whole(BytesMut::new()) };
    let mut reader = Reader {
        attempt,
        status,
        headers,
        sink,
        parser: Parser::new(),
        observer: Some(Observer::new(attempt.place.provider.dialect, attempt.work.endpoint)),
        begun: false,
        tail: Tail::None,
        told: 0,
        seen: SeenUsage::default(),
    };
    loop {
        match body.next().await {
            Ok(Some(bytes)) => match reader.take_in(bytes).await {
                Ok(()) => {}
                Err(stop) => return stop,
            },
            Ok(None) => {
                let mut ended = reader.end().await;
                ended.link = Some(body.into_link());
                return ended;
            }
            // What breaks after the closing event takes nothing away.
            Err(_) if reader.has_closed() => return reader.end().await,
            Err(fault) => return reader.fail(Loss::broken(fault)).await,
        }
    }
}

/// Where the bytes go.
enum Sink {
    /// The caller wants it whole.
    Whole(BytesMut),
    /// Held back until the first event has been seen.
    Closed(VecDeque<Bytes>),
    /// On to the caller.
    Open(mpsc::Sender<Item>),
}

/// What stands at the end of a stream without the empty line that ends an event.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    None,
    Event,
    /// Too big to be looked into: nobody knows whether it is whole.
    Unread,
}

struct Reader<'a> {
    attempt: &'a Attempt,
    status: StatusCode,
    headers: HeaderMap,
    sink: Sink,
    parser: Parser,
    observer: Option<Observer>, // Gone at the end.
    begun: bool,                // An event came that is more than a sign of life.
    tail: Tail,                 // What stood behind the last whole event, once all is read.
    told: u64,                  // Tokens the engine knows of.
    seen: SeenUsage,            // The usage the caller knows of.
}

impl Reader<'_> {
    /// Observes some bytes and passes them on; an error is how the attempt ends here.
    async fn take_in(&mut self, bytes: Bytes) -> Result<(), Ended> {
        self.observe(&bytes);
        let error = self.observer.as_ref().and_then(Observer::error).map(<[u8]>::to_vec);
        match error {
            None => self.pass_on(bytes).await,
            Some(error) => {
                if matches!(self.sink, Sink::Open(_)) {
                    self.pass_on(bytes).await?;
                }
                Err(self.fail_with(error).await)
            }
        }
    }

    fn observe(&mut self, bytes: &[u8]) {
        let Some(observer) = &mut self.observer else { return };
        let begun = &mut self.begun;
        self.parser.push(bytes, |event| {
            *begun |= !matches!(event, Event::Message { name: b"ping", .. });
            observer.handle_event(event);
        });
        let produced = observer.output_tokens();
        if produced >= self.told + PRODUCED_STEP {
            self.told = produced;
            self.seen.set(observer.usage());
            self.attempt.report(Report::Produced(produced));
        }
    }

    async fn pass_on(&mut self, bytes: Bytes) -> Result<(), Ended> {
        match &mut self.sink {
            Sink::Whole(all) if all.len() + bytes.len() > ANSWER_CAP => {
                Err(self.fail(Loss::broken(Fault::TooBig(ANSWER_CAP))).await)
            }
            Sink::Whole(all) => {
                all.extend_from_slice(&bytes);
                Ok(())
            }
            Sink::Closed(held) => {
                held.push_back(bytes);
                let weight: usize = held.iter().map(Bytes::len).sum();
                if self.begun || weight > HELD_BACK { self.open().await } else { Ok(()) }
            }
            Sink::Open(items) => items.send(Ok(bytes)).await.map_err(|_| left()),
        }
    }

    /// Hands the stream over, with what was held back. From here on nothing can be replayed.
    async fn open(&mut self) -> Result<(), Ended> {
        let (sender, items) = mpsc::channel(AHEAD);
        let held = match mem::replace(&mut self.sink, Sink::Open(sender.clone())) {
            Sink::Closed(held) => held,
            Sink::Whole(_) | Sink::Open(_) => VecDeque::new(),
        };
        let headers = mem::take(&mut self.headers);
        let usage = self.seen.clone();
        self.attempt.report(Report::Opened(Opened { status: self.status, headers, items, usage }));
        for piece in held {
            sender.send(Ok(piece)).await.map_err(|_| left())?;
        }
        Ok(())
    }

    /// Reads what the end left of an event; again is no different.
    fn read_tail(&mut self) {
        if let (Some(event), Some(observer)) = (self.parser.finish(), &mut self.observer) {
            self.tail = if event == Event::Oversized { Tail::Unread } else { Tail::Event };
            observer.handle_event(event);
        }
    }

    /// Whether the closing event has come, be it without the empty line behind it.
    fn has_closed(&mut self) -> bool {
        self.read_tail();
        self.observer.as_ref().is_some_and(|observer| observer.ended() && observer.error().is_none())
    }

    /// The upstream has closed the stream: was it whole?
    async fn end(mut self) -> Ended {
        self.read_tail();
        if self.tail == Tail::Unread {
            return self.fail(Loss::broken(Fault::Truncated)).await;
        }
        let closed = self.observer.as_ref().is_some_and(Observer::ended);
        match self.observer.take().map(Observer::finish) {
            Some(Ending::Complete { usage }) => {
                // Readers drop an event that no empty line ends, and see no difference to a stream that was cut.
                if closed
                    && self.tail == Tail::Event
                    && let Err(left) = self.pass_on(Bytes::from_static(EVENT_END)).await
                {
                    return left;
                }
                self.succeed(usage).await
            }
            Some(Ending::Failed { error }) => self.fail_with(error).await,
            // Not even a whole text is a whole answer: without the closing event nobody knows that it is.
            Some(Ending::Truncated { .. }) | None => self.fail(Loss::broken(Fault::Truncated)).await,
        }
    }

    async fn succeed(mut self, usage: Option<FullUsage>) -> Ended {
        self.seen.set(usage);
        if matches!(self.sink, Sink::Closed(_))
            && let Err(left) = self.open().await
        {
            return left;
        }
        let answer = match self.sink {
            Sink::Whole(all) => {
                Some(WholeAnswer { status: self.status, headers: self.headers, body: all.freeze() })
            }
            Sink::Open(items) => {
                if items.send(Ok(Bytes::new())).await.is_err() {
                    return left();
                }
                None
            }
            Sink::Closed(_) => None,
        };
        Ended { report: Report::Succeeded { usage, answer }, link: None }
    }

    /// The stream carried an error: what it means is read as that of any other answer.
    async fn fail_with(&mut self, error: Vec<u8>) -> Ended {
        let provider = &self.attempt.place.provider;
        let failure = class::from_error_body(provider, self.status.as_u16(), &error);
        let message = response::explain(self.status.as_u16(), failure.class, &error);
        let body = self.attempt.mask(error.into());
        self.fail(Loss { body, ..Loss::refused(failure, message, None) }).await
    }

    async fn fail(&mut self, loss: Loss) -> Ended {
        let committed = matches!(self.sink, Sink::Open(_));
        if let Sink::Open(items) = &self.sink {
            let upstream = self.attempt.place.name.clone();
            let error = match loss.fault.clone() {
                Some(fault) => StreamError::Cut { upstream, fault },
                None => StreamError::Reported { upstream, class: loss.failure.class },
            };
            if items.send(Err(error)).await.is_err() {
                return left();
            }
        }
        let (status, headers) = (Some(self.status), mem::take(&mut self.headers));
        Ended::failed(Loss { committed, status, headers, ..loss })
    }
}

fn left() -> Ended {
    Ended { report: Report::Left, link: None }
}
