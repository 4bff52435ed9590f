//! Reads a request's body whole.

use std::error::Error;
use std::io;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body::Body as _;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::Refusal;
use super::scanner::TOO_LARGE;

/// What is set aside at most for a body because its sender says it will be long.
const FIRST_RESERVE: usize = 256 << 10;

const TOO_LATE: Refusal = Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request's body came too slowly");
const CUT_SHORT: Refusal = Refusal::bad("the request's body ended before its end");

/// The whole of `body`, at most `cap` bytes, by `deadline`. A body that comes in one piece is not copied.
pub async fn read_body(body: Incoming, cap: usize, deadline: Instant) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    timeout_at(deadline, collect(body, cap)).await.unwrap_or(Err(TOO_LATE))
}

async fn collect(mut body: Incoming, cap: usize) -> Result<Bytes, Refusal> {
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if expected > cap {
        return Err(TOO_LARGE);
    }
    let Some(first) = data(&mut body).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return fitting(first, cap);
    }
    let Some(second) = data(&mut body).await? else { return fitting(first, cap) };
    let mut whole = BytesMut::with_capacity(expected.min(FIRST_RESERVE));
    whole.extend_from_slice(&first);
    drop(first);
    let mut next = Some(second);
    while let Some(bytes) = next {
        if whole.len() + bytes.len() > cap {
            return Err(TOO_LARGE);
        }
        if whole.capacity() - whole.len() < bytes.len() {
            // Whoever has sent so much is believed about the rest.
            whole.reserve(expected.saturating_sub(whole.len()).max(bytes.len()));
        }
        whole.extend_from_slice(&bytes);
        drop(bytes);
        next = data(&mut body).await?;
    }
    Ok(whole.freeze())
}

fn fitting(bytes: Bytes, cap: usize) -> Result<Bytes, Refusal> {
    if bytes.len() > cap { Err(TOO_LARGE) } else { Ok(bytes) }
}

/// The next piece of data.
async fn data(body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(|error| refusal(&error))?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// What the scanner said, if it was the one who ended the body.
fn refusal(error: &(dyn Error + 'static)) -> Refusal {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(refusal) = inner.and_then(|inner| inner.downcast_ref::<Refusal>()) {
            return *refusal;
        }
        cause = error.source();
    }
    CUT_SHORT
}
