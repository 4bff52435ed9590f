//! From a parsed request to its answer: the gate, the handler, and what the answer's end means for the connection.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use paceline_wire::Dialect;
use tokio::sync::watch;

use super::drain::Drain;
use super::gate::{self, Pass};
use super::link::Link;
use super::room::Room;
use super::{Handler, Peer, Refusal};
use crate::body::{Body, BodyError};
use crate::settings::Settings;

const PANICKED: Refusal =
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "this gateway failed at the request");

/// The answering end of one connection.
pub(super) struct Answering<H> {
    pub(super) handler: H,
    pub(super) settings: watch::Receiver<Arc<Settings>>,
    pub(super) peer: Peer,
    /// Where the connection arrived.
    pub(super) local: SocketAddr,
    pub(super) link: Arc<Link>,
    pub(super) room: Arc<Room>,
    pub(super) drain: Drain,
}

impl<H: Handler> Answering<H> {
    pub(super) async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Answer>, Infallible> {
        let settings = Arc::clone(&self.settings.borrow());
        let (mut response, ends) = match self.link.refused() {
            Some((refusal, dialect)) => (refusal.response(dialect), true),
            None => (self.pass(request, &settings).await, false),
        };
        let ends = ends || self.link.is_ending() || self.drain.is_draining();
        if ends || self.room.is_crowded(&settings.caps) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(response.map(|body| Answer { body, link: Arc::clone(&self.link) }))
    }

    async fn pass(&self, request: Request<Incoming>, settings: &Settings) -> Response<Body> {
        let dialect = gate::dialect(request.uri().path());
        match gate::check(&request, settings, self.local) {
            Err(refusal) => refusal.response(dialect),
            Ok(Pass::Preflight(response)) => response,
            Ok(Pass::On { origin }) => {
                let mut response = self.contained(request, dialect).await;
                if let Some(origin) = origin {
                    gate::share(&mut response, origin);
                }
                response
            }
        }
    }

    /// The handler's answer. A panic costs the request, not the connection or its neighbours.
    async fn contained(&self, request: Request<Incoming>, dialect: Dialect) -> Response<Body> {
        let mut answer = pin!(async { self.handler.handle(request, self.peer).await });
        poll_fn(|cx| {
            let polled = catch_unwind(AssertUnwindSafe(|| answer.as_mut().poll(cx)));
            polled.unwrap_or_else(|_| Poll::Ready(PANICKED.response(dialect)))
        })
        .await
    }
}

/// An answer's body, which tells the socket's end when it is over.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    link: Arc<Link>,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(&mut self.body).poll_frame(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Some(Err(PANICKED.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Answer {
    /// hyper drops a body when it has taken the last of it, and only then flushes.
    fn drop(&mut self) {
        self.link.tell_answered();
    }
}
