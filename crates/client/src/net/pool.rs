//! Keeps connections that can be used again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::alarm::Alarm;
use super::dial::{Dialer, Heard, Origin};
use super::{Fault, exchange};

/// Idle connections kept per origin. Above it the oldest is closed: it is the likeliest to be dead.
const MOST_IDLE: usize = 1024;
/// How long an idle connection is trusted. Load balancers commonly close theirs after 60 s; being first is better than
/// racing them.
const IDLE_TRUST: Duration = Duration::from_secs(50);
/// Between two looks at who has been idle for longer than that.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// How long a connection may take to come to rest after its answer has ended.
const SETTLE: Duration = Duration::from_secs(1);

/// Connections to all upstreams. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ConnectionPool {
    dialer: Dialer,
    rested: Arc<Mutex<Rested>>,
}

/// Connections at rest, the longest first.
#[derive(Default)]
struct Rested {
    /// Whoever configures the upstreams picks the origins, so nobody can make them collide.
    by_origin: HashMap<Origin, Vec<Idle>, foldhash::fast::RandomState>,
    /// Somebody comes and closes those that have rested too long.
    swept: bool,
}

struct Idle {
    link: Link,
    since: Instant,
}

impl ConnectionPool {
    pub(crate) fn new(dialer: Dialer) -> Self {
        Self { dialer, rested: Arc::default() }
    }

    /// A new connection.
    pub(crate) async fn open(&self, origin: &Origin) -> Result<Link, Fault> {
        let stream = self.dialer.dial(origin).await?;
        let heard = stream.heard.clone();
        let mut builder = http1::Builder::new();
        builder.max_buf_size(exchange::HEAD_CAP);
        let (sender, connection) = builder
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| Fault::Broken { source: Arc::new(error), stale: false })?;
        // Its errors reach whoever waits for the answer; here they would only repeat.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        let alarm = Alarm::default();
        Ok(Link { origin: origin.clone(), sender, heard, alarm, driver, reused: false })
    }

    /// A connection at rest, if there is one.
    pub(crate) fn take(&self, origin: &Origin) -> Option<Link> {
        let mut rested = lock(&self.rested);
        let idle = rested.by_origin.get_mut(origin)?;
        // The latest first: it is the likeliest to be alive, and the rest can grow old and go.
        while let Some(Idle { mut link, since }) = idle.pop() {
            if since.elapsed() >= IDLE_TRUST {
                idle.clear();
                return None;
            }
            if link.sender.is_ready() {
                link.reused = true;
                link.heard.forget();
                return Some(link);
            }
        }
        None
    }

    /// Takes back a connection whose answer has been read to its end, if it is at rest already.
    pub(crate) fn give_back(&self, link: Link) -> Result<(), Link> {
        if !link.sender.is_ready() {
            return Err(link);
        }
        let mut rested = lock(&self.rested);
        let idle = match rested.by_origin.get_mut(&link.origin) {
            Some(idle) => idle,
            None => rested.by_origin.entry(link.origin.clone()).or_default(),
        };
        idle.push(Idle { link, since: Instant::now() });
        idle.drain(..idle.len().saturating_sub(MOST_IDLE));
        if !std::mem::replace(&mut rested.swept, true) {
            tokio::spawn(sweep(Arc::downgrade(&self.rested)));
        }
        Ok(())
    }

    /// As [`ConnectionPool::give_back`], for a connection that needs a moment.
    pub(crate) async fn give_back_soon(&self, mut link: Link) {
        if let Ok(Ok(())) = timeout(SETTLE, link.sender.ready()).await {
            drop(self.give_back(link));
        }
    }
}

impl Rested {
    /// Closes those that have rested too long. False when nobody is left.
    fn sweep(&mut self) -> bool {
        for idle in self.by_origin.values_mut() {
            let old = idle.iter().take_while(|idle| idle.since.elapsed() >= IDLE_TRUST).count();
            idle.drain(..old);
            idle.shrink_to(idle.len() * 2);
        }
        self.by_origin.retain(|_, idle| !idle.is_empty());
        self.swept = !self.by_origin.is_empty();
        self.swept
    }
}

/// Comes again and again, as long as anybody rests.
async fn sweep(rested: Weak<Mutex<Rested>>) {
    loop {
        sleep(SWEEP_EVERY).await;
        let Some(rested) = rested.upgrade() else { return };
        if !lock(&rested).sweep() {
            return;
        }
    }
}

fn lock(rested: &Mutex<Rested>) -> MutexGuard<'_, Rested> {
    // Every change is complete before anything in it can panic.
    rested.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection in use. Dropping it closes it, whatever is under way.
pub(crate) struct Link {
    origin: Origin,
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) heard: Heard,
    /// For waits on it: it outlives them, so that its timer can be left alone.
    pub(super) alarm: Alarm,
    pub(super) reused: bool,
    driver: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
