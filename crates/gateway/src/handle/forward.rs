//! Whole answers: handed over as they came, with a word on how.

use http::{HeaderMap, HeaderName, HeaderValue, Response};
use paceline::{StreamError, Streaming, Trip};

use super::headers;
use crate::body::Body;

const UPSTREAM: HeaderName = HeaderName::from_static("x-paceline-upstream");
const MODEL: HeaderName = HeaderName::from_static("x-paceline-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-paceline-attempts");
const WAIT_MS: HeaderName = HeaderName::from_static("x-paceline-wait-ms");

/// A whole answer.
pub(super) fn whole(response: paceline::Response, pass_through: bool) -> Response<Body> {
    let paceline::Response { status, headers, body, trip, .. } = response;
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers::answered(headers, pass_through, true);
    tell_trip(answer.headers_mut(), &trip);
    answer
}

/// An answer that was asked for as a stream and is none: the upstream sent it whole.
pub(super) async fn unstreamed(
    mut streaming: Streaming,
    pass_through: bool,
) -> Result<Response<Body>, StreamError> {
    let mut body = Vec::new();
    let mut first = None;
    while let Some(piece) = streaming.next().await {
        match (&mut first, piece?) {
            (None, piece) => first = Some(piece),
            (Some(first), piece) => {
                if body.is_empty() {
                    body.extend_from_slice(first);
                }
                body.extend_from_slice(&piece);
            }
        }
    }
    let body = if body.is_empty() { first.unwrap_or_default() } else { body.into() };
    let headers = std::mem::take(&mut streaming.headers);
    let mut answer = Response::new(Body::from(body));
    *answer.status_mut() = streaming.status;
    *answer.headers_mut() = headers::answered(headers, pass_through, true);
    tell_trip(answer.headers_mut(), &streaming.trip);
    Ok(answer)
}

/// Says who served it, as which model, with how many attempts, after what wait.
pub(super) fn tell_trip(headers: &mut HeaderMap, trip: &Trip) {
    for (name, value) in [(UPSTREAM, &trip.upstream), (MODEL, &trip.model)] {
        // A name that no header can carry goes untold.
        if let Ok(told) = HeaderValue::from_str(value)
            && !value.is_empty()
        {
            headers.insert(name, told);
        }
    }
    headers.insert(ATTEMPTS, HeaderValue::from(trip.attempts));
    let millis = u64::try_from(trip.waited.as_millis()).unwrap_or(u64::MAX);
    headers.insert(WAIT_MS, HeaderValue::from(millis));
}
