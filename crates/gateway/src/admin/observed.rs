//! Stands between the door and a handler: counts how requests end, and hands those that still wait back when we drain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use paceline_wire::Dialect;

use super::counters::{Counters, Outcome};
use crate::answer::{self, Kind};
use crate::body::Body;
use crate::front::{Drain, Handler, Peer};

/// Whoever restarts us is back by then, mostly.
const BACK_AFTER: Duration = Duration::from_secs(2);

/// A handler whose requests are counted.
#[derive(Clone)]
pub struct Observed<H> {
    handler: H,
    counters: Arc<Counters>,
    drain: Drain,
}

/// Among a request's extensions: whether any of it has gone to an upstream. What has not can be handed back.
#[derive(Clone, Debug, Default)]
pub struct Sent(Arc<AtomicBool>);

impl Sent {
    /// It is going out.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it has gone out.
    pub fn is_marked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl<H: Handler> Observed<H> {
    /// Counts the requests of `handler` in `counters`.
    pub fn new(handler: H, counters: Arc<Counters>, drain: Drain) -> Self {
        Self { handler, counters, drain }
    }
}

impl<H: Handler> Handler for Observed<H> {
    async fn handle(&self, mut request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let dialect = crate::front::dialect(request.uri().path());
        let mut count = Count { counters: &self.counters, dialect, outcome: Outcome::Left };
        let sent = Sent::default();
        request.extensions_mut().insert(sent.clone());
        let handed_back = async {
            self.drain.begun().await;
            if sent.is_marked() {
                std::future::pending::<()>().await;
            }
        };
        let response = tokio::select! {
            biased;
            response = self.handler.handle(request, peer) => response,
            () = handed_back => stopping(dialect),
        };
        count.outcome = Outcome::of(response.status());
        response
    }
}

fn stopping(dialect: Dialect) -> Response<Body> {
    let refused = answer::error(dialect, Kind::Unavailable, "the gateway is stopping; try again in a moment");
    answer::retry_after(refused, BACK_AFTER)
}

/// Counts when it is dropped: a handler that is dropped before its answer has lost its caller.
struct Count<'a> {
    counters: &'a Counters,
    dialect: Dialect,
    outcome: Outcome,
}

impl Drop for Count<'_> {
    fn drop(&mut self) {
        self.counters.count_request(self.dialect, self.outcome);
    }
}
