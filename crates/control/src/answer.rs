//! Answers over HTTP/1.1: one request a connection.

use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use paceline_status::Status;
use serde::Serialize;
use serde_json::json;
use tokio::net::UnixStream;

use crate::words::{LimitChange, Who};

/// Bytes of a request's body.
pub const MOST_BODY: usize = 4 << 10;
/// Bytes of a request's head: the least that hyper takes.
const MOST_HEAD: usize = 8 << 10;
/// From the connection to the end of the head.
const LONGEST_HEAD: Duration = Duration::from_secs(5);

/// Who answers at a control socket.
pub trait Desk: Clone + Send + Sync + 'static {
    /// Who this is.
    fn who(&self) -> Who;

    /// How everything stands.
    fn status(&self) -> impl Future<Output = Status> + Send;

    /// Stops sending, or goes on.
    fn pause(&self, paused: bool);

    /// Puts a ceiling in force, or lifts it; says why that can't be.
    fn limit(&self, change: LimitChange) -> impl Future<Output = Result<(), String>> + Send;
}

/// Serves one caller.
pub(crate) async fn serve(caller: UnixStream, desk: impl Desk) {
    let service = service_fn(move |request| {
        let desk = desk.clone();
        async move { Ok::<_, Infallible>(answer(&desk, request).await) }
    });
    let mut server = http1::Builder::new();
    server
        .timer(TokioTimer::new())
        .header_read_timeout(LONGEST_HEAD)
        .keep_alive(false)
        .max_buf_size(MOST_HEAD);
    // Callers who leave before their answer have nothing to learn.
    let _ = server.serve_connection(TokioIo::new(caller), service).await;
}

async fn answer(desk: &impl Desk, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let method = match path.as_str() {
        "/v1/who" | "/v1/status" => Method::GET,
        "/pause" | "/resume" | "/limit" => Method::POST,
        _ => {
            let paths = "GET /v1/who, /v1/status, POST /pause, /resume, /limit";
            return problem(StatusCode::NOT_FOUND, &format!("nothing is here; there are {paths}"));
        }
    };
    if *request.method() != method {
        let mut refused = problem(StatusCode::METHOD_NOT_ALLOWED, "not with this method");
        let allowed = HeaderValue::from_static(if method == Method::GET { "GET" } else { "POST" });
        refused.headers_mut().insert(ALLOW, allowed);
        return refused;
    }
    match path.as_str() {
        "/v1/who" => written(StatusCode::OK, &desk.who()),
        "/v1/status" => written(StatusCode::OK, &desk.status().await),
        "/limit" => limit(desk, request.into_body()).await,
        _ => {
            let paused = path == "/pause";
            desk.pause(paused);
            written(StatusCode::OK, &json!({ "paused": paused }))
        }
    }
}

async fn limit(desk: &impl Desk, body: Incoming) -> Response<Full<Bytes>> {
    let Ok(body) = Limited::new(body, MOST_BODY).collect().await else {
        return problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is too long or broke off");
    };
    let change: LimitChange = match serde_json::from_slice(&body.to_bytes()) {
        Ok(change) => change,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &format!("that is no limit: {error}")),
    };
    let done = match change.check() {
        Ok(()) => desk.limit(change).await,
        Err(why) => Err(why.to_owned()),
    };
    match done {
        Ok(()) => written(StatusCode::OK, &change),
        Err(why) => problem(StatusCode::UNPROCESSABLE_ENTITY, &why),
    }
}

fn problem(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    written(status, &json!({ "error": why }))
}

fn written(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    let Ok(text) = serde_json::to_vec(value) else {
        let mut failed = Response::default();
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return failed;
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
