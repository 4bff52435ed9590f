//! Opens a stream: with its own head if that comes soon, else with ours, kept alive until it comes.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response};
use paceline::{SendError, Streaming};
use tokio::time::timeout;

use super::bill::Bill;
use super::outcome::Outcome;
use super::streaming::{Forwarding, Manner, Opening};
use super::{forward, headers};
use crate::answer::Kind;
use crate::body::Body;
use crate::settings::Waiting;

/// Waits for `opening` as long as a silent caller will bear, then opens the answer without it.
pub(super) async fn open(
    mut opening: Opening,
    waiting: Waiting,
    manner: Manner,
    bill: Bill,
) -> Response<Body> {
    match timeout(waiting.open_after, &mut opening).await {
        Ok(opened) => handle_opened(opened, manner, bill).await,
        Err(_) => {
            let body = Forwarding::waiting(opening, waiting.sign_of_life, manner, bill);
            let mut response = Response::new(Body::stream(body));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
    }
}

/// Hands on what came of it: a stream that has begun, an answer that turns out to be none, or why there is neither.
pub(super) async fn handle_opened(
    opened: Result<Streaming, SendError>,
    manner: Manner,
    mut bill: Bill,
) -> Response<Body> {
    match opened {
        Ok(streaming) => begin(streaming, manner, bill).await,
        Err(error) => {
            bill.settle_failed(&error);
            Outcome::of(error, manner.pass_through).response(manner.dialect)
        }
    }
}

async fn begin(mut streaming: Streaming, manner: Manner, mut bill: Bill) -> Response<Body> {
    if headers::is_stream(&streaming.headers) {
        let shown = headers::answered(std::mem::take(&mut streaming.headers), manner.pass_through, true);
        let (status, trip) = (streaming.status, streaming.trip.clone());
        let mut response = Response::new(Body::stream(Forwarding::flowing(streaming, manner, bill)));
        *response.status_mut() = status;
        *response.headers_mut() = shown;
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        forward::tell_trip(response.headers_mut(), &trip);
        return response;
    }
    let (trip, usage) = (streaming.trip.clone(), streaming.usage());
    let answer = forward::unstreamed(streaming, manner.pass_through).await;
    match &answer {
        Ok(_) => bill.settle(&trip, usage.as_ref()),
        Err(error) => bill.settle_broken(error, &trip, usage.as_ref()),
    }
    answer.unwrap_or_else(|error| Outcome::new(Kind::BadGateway, error.to_string()).response(manner.dialect))
}
