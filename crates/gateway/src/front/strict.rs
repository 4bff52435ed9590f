//! A socket as hyper sees it: only bytes that the scanner has passed, and no wait without a deadline.
//!
//! Bytes are scanned where hyper's buffer holds them and copied nowhere. Only a head that comes in pieces is held back
//! until it is whole: so hyper never sees a part of what is refused then, but a request in its place that the answering end
//! knows to be the refusal.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::alarm::{Alarm, after};
use super::drain::{Drain, Phase};
use super::link::Link;
use super::scanner::{Scanner, Stage};
use super::{Refusal, gate};
use crate::settings::Caps;

/// More than this, sent while an answer is due, is no mistake.
const MAX_EARLY: usize = 64 << 10;
/// When a connection must end while its caller may still be sending: for how long it is listened to, so that the answer
/// is not lost with what was not read, ...
const LINGER: Duration = Duration::from_secs(2);
/// ... and how much of it is thrown away at once.
const SCRATCH: usize = 8 << 10;
/// How long a connection without a request may take to begin one once serving ends. Closed at once, it would take along a
/// request that was on its way already.
const LAST_CHANCE: Duration = Duration::from_secs(1);

const HEAD_TOO_LATE: Refusal =
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request's headers came too slowly");
const BODY_TOO_LATE: Refusal =
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request's body came too slowly");

/// However much has come already, nobody is waited for longer than this.
const LONGEST_BODY: Duration = Duration::from_secs(24 * 3_600);

/// What hyper is given in place of a request that is refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
/// The same for a request whose answer must not have a body.
const STAND_IN_HEAD: &[u8] = b"HEAD / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";

/// One connection's socket.
#[derive(Debug)]
pub(super) struct Strict {
    stream: TcpStream,
    link: Arc<Link>,
    drain: Drain,
    caps: Caps,
    scanner: Scanner,
    held: Vec<u8>,     // The beginning of a head that has not all come.
    passed: usize,     // So much of `held` may go to hyper ...
    given: usize,      // ... and so much has gone.
    answered: bool,    // The last request's answer has gone out.
    early: usize,      // Bytes that came while an answer was due.
    ended: bool,       // Nothing more is read.
    deadline: Instant, // For the head, or for the next one to begin.
    body: BodyPace,
    reading: Alarm,
    stalled: Option<Instant>, // Until when the caller must take something.
    writing: Alarm,
    linger: Option<Instant>,
}

/// How a body comes along. Only the time counts that we wait for it, not what the handler takes.
#[derive(Debug, Default)]
struct BodyPace {
    came: u64,
    waited: Duration,
    waiting: Option<Instant>,
}

/// What there is to do when a deadline has passed.
enum Overdue {
    End,
    Refuse(Refusal),
}

impl Strict {
    pub(super) fn new(stream: TcpStream, link: Arc<Link>, drain: Drain, caps: Caps) -> Self {
        // Answers are written whole: to wait for more would only delay their last part. What fails here fails again soon.
        let _ = stream.set_nodelay(true);
        Self {
            stream,
            link,
            drain,
            caps,
            scanner: Scanner::new(caps),
            held: Vec::new(),
            passed: 0,
            given: 0,
            answered: false,
            early: 0,
            ended: false,
            deadline: after(caps.first_byte),
            body: BodyPace::default(),
            reading: Alarm::default(),
            stalled: None,
            writing: Alarm::default(),
            linger: None,
        }
    }

    /// Hands out what was held back.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let waiting = &self.held[self.given..self.passed];
        let fits = waiting.len().min(buf.remaining());
        buf.put_slice(&waiting[..fits]);
        self.given += fits;
        if self.given == self.passed {
            (self.held, self.given, self.passed) = (Vec::new(), 0, 0);
        }
    }

    /// After an answer: the next request, or the end.
    fn turn(&mut self) {
        if self.answered && self.scanner.stage() == Stage::Answer {
            self.answered = false;
            self.link.forget_answered();
            if self.early > 0 || self.link.refused().is_some() {
                self.ended = true;
                return;
            }
            self.scanner.handle_answered();
            self.body = BodyPace::default();
            self.deadline = after(self.caps.rest);
        }
    }

    /// Looks at the bytes that came to stand at `start`, and leaves only what may go on. `Ready` when hyper is to know.
    fn take(&mut self, buf: &mut ReadBuf<'_>, start: usize) -> Poll<io::Result<()>> {
        match self.scanner.stage() {
            Stage::Answer => {
                self.early += buf.filled().len() - start;
                buf.set_filled(start);
                self.link.tell_ending();
                // What follows a refused request is no surprise, and its answer is on the way.
                if self.early > MAX_EARLY && self.link.refused().is_none() {
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
                Poll::Pending
            }
            Stage::Head => self.take_head(buf, start),
            Stage::Body => {
                self.body.handle_came(buf.filled().len() - start);
                match self.scanner.scan(&buf.filled()[start..]) {
                    Ok(passed) => {
                        self.keep(buf, start, passed);
                        Poll::Ready(Ok(()))
                    }
                    Err(refusal) => {
                        buf.set_filled(start);
                        Poll::Ready(Err(self.cut(refusal)))
                    }
                }
            }
        }
    }

    fn take_head(&mut self, buf: &mut ReadBuf<'_>, start: usize) -> Poll<io::Result<()>> {
        if !self.held.is_empty() {
            self.held.extend_from_slice(&buf.filled()[start..]);
            buf.set_filled(start);
            match self.scanner.scan(&self.held) {
                Ok(passed) => self.passed = passed,
                Err(refusal) => self.refuse(refusal),
            }
            if self.passed > 0 && self.scanner.stage() == Stage::Answer {
                self.early += self.held.len() - self.passed;
                self.note_early();
            }
            return Poll::Pending;
        }
        match self.scanner.scan(&buf.filled()[start..]) {
            Ok(0) => {
                self.held.extend_from_slice(&buf.filled()[start..]);
                buf.set_filled(start);
                self.deadline = after(self.caps.head);
                Poll::Pending
            }
            Ok(passed) => {
                self.keep(buf, start, passed);
                Poll::Ready(Ok(()))
            }
            Err(refusal) => {
                self.held.extend_from_slice(&buf.filled()[start..]);
                buf.set_filled(start);
                self.refuse(refusal);
                Poll::Pending
            }
        }
    }

    /// Leaves `passed` bytes from `start` on; what comes after them came early.
    fn keep(&mut self, buf: &mut ReadBuf<'_>, start: usize, passed: usize) {
        self.early += buf.filled().len() - start - passed;
        self.note_early();
        buf.set_filled(start + passed);
    }

    fn note_early(&mut self) {
        if self.early > 0 {
            self.link.tell_ending();
        }
    }

    /// Puts the stand-in where the refused head was.
    fn refuse(&mut self, refusal: Refusal) {
        self.link.refuse(refusal, gate::dialect_of_head(&self.held));
        let stand_in = if self.held.starts_with(b"HEAD ") { STAND_IN_HEAD } else { STAND_IN };
        self.held = stand_in.to_vec();
        (self.passed, self.given) = (stand_in.len(), 0);
        self.scanner.handle_refused();
    }

    /// Ends a request in the midst of its body. Who reads the body learns why.
    fn cut(&mut self, refusal: Refusal) -> io::Error {
        self.ended = true;
        self.link.tell_ending();
        io::Error::new(io::ErrorKind::InvalidData, refusal)
    }

    /// Nothing has come: ready when it should have.
    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Overdue> {
        match self.scanner.stage() {
            Stage::Answer => Poll::Pending,
            Stage::Head if self.held.is_empty() => {
                if self.drain.phase() > Phase::Serving {
                    self.deadline = self.deadline.min(after(LAST_CHANCE));
                }
                self.reading.poll(cx, self.deadline).map(|()| Overdue::End)
            }
            Stage::Head => self.reading.poll(cx, self.deadline).map(|()| Overdue::Refuse(HEAD_TOO_LATE)),
            Stage::Body => {
                let deadline = self.body.deadline(&self.caps);
                self.reading.poll(cx, deadline).map(|()| Overdue::Refuse(BODY_TOO_LATE))
            }
        }
    }

    /// A write could not go on: an error once the caller has taken nothing for too long.
    fn poll_stalled<T>(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        let patience = self.caps.write_stall;
        let deadline = *self.stalled.get_or_insert_with(|| after(patience));
        self.writing.poll(cx, deadline).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = *self.linger.get_or_insert_with(|| after(LINGER));
        let mut scratch = [0; SCRATCH];
        loop {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() && Instant::now() < deadline => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return self.reading.poll(cx, deadline),
            }
        }
    }
}

impl BodyPace {
    fn handle_came(&mut self, bytes: usize) {
        self.came += bytes as u64;
        if let Some(since) = self.waiting.take() {
            self.waited += since.elapsed();
        }
    }

    /// Until when more must have come.
    fn deadline(&mut self, caps: &Caps) -> Instant {
        let since = *self.waiting.get_or_insert_with(Instant::now);
        let earned = Duration::from_millis(self.came.saturating_mul(1_000) / caps.body_rate.max(1));
        since + caps.body_grace.max(earned).saturating_sub(self.waited).min(LONGEST_BODY)
    }
}

impl AsyncRead for Strict {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.given < this.passed {
                this.give(buf);
                return Poll::Ready(Ok(()));
            }
            this.turn();
            if this.ended || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let start = buf.filled().len();
            match Pin::new(&mut this.stream).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() > start => {
                    if let Poll::Ready(taken) = this.take(buf, start) {
                        return Poll::Ready(taken);
                    }
                }
                Poll::Ready(other) => return Poll::Ready(other),
                Poll::Pending => match ready!(this.poll_overdue(cx)) {
                    Overdue::End => {
                        this.ended = true;
                        return Poll::Ready(Ok(()));
                    }
                    Overdue::Refuse(refusal) if this.scanner.stage() == Stage::Head => this.refuse(refusal),
                    Overdue::Refuse(refusal) => return Poll::Ready(Err(this.cut(refusal))),
                },
            }
        }
    }
}

impl AsyncWrite for Strict {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.stream).poll_write_vectored(cx, bytes) {
            Poll::Ready(written) => {
                this.stalled = None;
                Poll::Ready(written)
            }
            Poll::Pending => this.poll_stalled(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// hyper flushes when it has handed over all it had, and need not read again before bytes come: so the wait for these
    /// begins here.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.link.is_answered() && !this.answered {
            this.answered = true;
            this.turn();
            if this.ended || (this.scanner.stage() == Stage::Head && this.poll_overdue(cx).is_ready()) {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.linger.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        let unread = this.early > 0 || this.link.refused().is_some() || this.scanner.stage() == Stage::Body;
        if unread { this.poll_linger(cx).map(Ok) } else { Poll::Ready(Ok(())) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn nothing_is_kept_back_to_be_sent_with_what_follows() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _caller = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        assert!(!stream.nodelay().unwrap(), "the system does that by itself, and this test is void");
        let strict = Strict::new(stream, Arc::default(), Drain::default(), Caps::default());
        assert!(strict.stream.nodelay().unwrap());
    }
}
