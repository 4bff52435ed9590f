//! One exchange: a request out, an answer in, each part within its deadline and its size.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::{ConnectionPool, Fault, Link, Origin};
use crate::upstream::Timeouts;

/// A head that weighs more while it is incomplete is refused, so none weighs more than twice this.
pub(super) const HEAD_CAP: usize = 64 << 10;
/// Space set aside on the word of a `content-length` before any of it came.
const TRUSTED_LENGTH: usize = 1 << 20;
/// Stands in for waits that end beyond all time.
const DISTANT: Duration = Duration::from_secs(30 * 365 * 86_400);

/// An answer whose body is still to be read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
}

/// The rest of an answer, on the connection that carries it.
pub(crate) struct Body {
    incoming: Incoming,
    link: Link,
    patience: Patience,
}

/// How long an exchange is waited for.
#[derive(Clone, Copy)]
pub(crate) struct Patience {
    timeouts: Timeouts,
    ends: Option<(Instant, Duration)>,
}

impl Patience {
    /// Patience from now on.
    pub(crate) fn new(timeouts: Timeouts) -> Self {
        let ends = timeouts.total.and_then(|total| Some((Instant::now().checked_add(total)?, total)));
        Self { timeouts, ends }
    }

    /// Waits by `alarm` for `future`: so long (else it is `late`), and not beyond the end of the whole attempt.
    async fn wait<F: Future>(
        &self,
        alarm: &mut Alarm,
        long: Duration,
        late: fn(Duration) -> Fault,
        future: F,
    ) -> Result<F::Output, Fault> {
        let now = Instant::now();
        let own = now.checked_add(long).unwrap_or(now + DISTANT);
        match self.ends {
            Some((end, total)) if end < own => {
                alarm.wait(end, future).await.ok_or(Fault::TotalTimeout(total))
            }
            _ => alarm.wait(own, future).await.ok_or_else(|| late(long)),
        }
    }
}

/// Sends `request` to `origin` and waits for the head of its answer. A redirect is an answer like any other: nothing
/// follows it, least of all a credential.
pub(crate) async fn exchange(
    pool: &ConnectionPool,
    origin: &Origin,
    request: Request<Full<Bytes>>,
    fresh: bool,
    patience: Patience,
) -> Result<Answer, Fault> {
    let Timeouts { connect, first_byte, .. } = patience.timeouts;
    let rested = if fresh { None } else { pool.take(origin) };
    let mut link = match rested {
        Some(link) => link,
        None => {
            // Boxed: opening one takes a lot of room, and most exchanges find one at rest.
            let opening = Box::pin(pool.open(origin));
            patience.wait(&mut Alarm::default(), connect, Fault::ConnectTimeout, opening).await??
        }
    };
    let answering = link.sender.send_request(request);
    let answer = patience.wait(&mut link.alarm, first_byte, Fault::FirstByteTimeout, answering).await?;
    let answer = answer.map_err(|error| Fault::Broken {
        stale: link.reused && !link.heard.anything() && !error.is_user(),
        source: Arc::new(error),
    })?;
    let (head, incoming) = answer.into_parts();
    if head
        .headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        return Err(Fault::Encoded);
    }
    let body = Body { incoming, link, patience };
    Ok(Answer { status: head.status, headers: head.headers, body })
}

impl Body {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let idle = self.patience.timeouts.idle;
            let next = self.incoming.frame();
            match self.patience.wait(&mut self.link.alarm, idle, Fault::IdleTimeout, next).await? {
                None => return Ok(None),
                Some(Err(error)) => return Err(Fault::Broken { source: Arc::new(error), stale: false }),
                // Trailers say nothing we need; empty data says nothing at all.
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(bytes) if !bytes.is_empty() => return Ok(Some(bytes)),
                    _ => {}
                },
            }
        }
    }

    /// All of it, up to `cap` bytes.
    pub(crate) async fn whole(&mut self, headers: &HeaderMap, cap: usize) -> Result<Bytes, Fault> {
        let Some(first) = self.next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.next().await? else { return Ok(first) };
        let announced = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let mut all = BytesMut::with_capacity(announced.unwrap_or(0).min(TRUSTED_LENGTH));
        all.extend_from_slice(&first);
        let mut next = Some(second);
        while let Some(bytes) = next {
            if all.len() + bytes.len() > cap {
                return Err(Fault::TooBig(cap));
            }
            all.extend_from_slice(&bytes);
            next = self.next().await?;
        }
        Ok(all.freeze())
    }

    /// The connection, once the body has been read to its end.
    pub(crate) fn into_link(self) -> Link {
        self.link
    }
}
