//! The operator's side, on a listener of its own: health, metrics, status, drain, reload.

mod counters;
mod metrics;
mod observed;
mod page;
mod status;

use std::sync::Arc;
use std::time::Instant;

use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use paceline::Client;
use paceline_status::{About, Kind, Status};
use paceline_usage::Ledger;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use crate::body::Body;
use crate::callers::{Callers, KeyHash};
use crate::front::{Handler, Peer};
pub use counters::{Counters, Outcome};
pub use observed::{Observed, Sent};

/// What the operator wants of the process.
#[derive(Debug)]
pub enum Order {
    /// Take no more requests, finish those under way, end.
    Drain,
    /// Read the configuration again, and say what came of it: the fault is one line, safe to show.
    Reload(oneshot::Sender<Result<(), String>>),
}

/// Answers the operator. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    /// Whose standing is shown.
    pub client: Client,
    /// Whose spending is shown.
    pub callers: watch::Receiver<Arc<Callers>>,
    /// Whose health is shown, where there is one.
    pub ledger: Option<Ledger>,
    /// What was counted.
    pub counters: Arc<Counters>,
    /// False once the process drains.
    pub ready: watch::Receiver<bool>,
    /// Where orders go.
    pub orders: mpsc::Sender<Order>,
    /// What the operator's token hashes to; without one, whoever reaches the listener is the operator.
    pub token: watch::Receiver<Option<KeyHash>>,
    /// When the process began.
    pub started: Instant,
}

impl Handler for Admin {
    async fn handle(&self, request: Request<Incoming>, _: Peer) -> Response<Body> {
        self.answer(request.method(), request.uri().path(), request.headers()).await
    }
}

impl Admin {
    /// Answers a request for `path`.
    pub async fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response<Body> {
        let is_look = matches!(*method, Method::GET | Method::HEAD);
        // Probes of a supervisor have no token, and learn nothing but yes or no.
        match path {
            "/healthz" if is_look => return text(StatusCode::OK, "live\n"),
            "/readyz" if is_look && *self.ready.borrow() => return text(StatusCode::OK, "ready\n"),
            "/readyz" if is_look => return text(StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
            _ => {}
        }
        if !self.is_operator(headers) {
            let mut refused =
                json(StatusCode::UNAUTHORIZED, json!({"error": "the admin token is missing or wrong"}));
            refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return refused;
        }
        match path {
            "/metrics" if is_look => self.metrics().await,
            "/v1/status" if is_look => self.status().await,
            "/drain" if *method == Method::POST => self.drain().await,
            "/reload" if *method == Method::POST => self.reload().await,
            "/healthz" | "/readyz" | "/metrics" | "/v1/status" | "/drain" | "/reload" => {
                json(StatusCode::METHOD_NOT_ALLOWED, json!({"error": "not with this method"}))
            }
            _ => json(
                StatusCode::NOT_FOUND,
                json!({"error": "nothing is here; there are GET /healthz, /readyz, /metrics, /v1/status, POST /drain, /reload"}),
            ),
        }
    }

    fn is_operator(&self, headers: &HeaderMap) -> bool {
        let Some(token) = *self.token.borrow() else { return true };
        let mut presented = headers.get_all(AUTHORIZATION).iter();
        let (Some(only), None) = (presented.next(), presented.next()) else { return false };
        // Hashes are compared in constant time.
        only.as_bytes().strip_prefix(b"Bearer ").is_some_and(|presented| KeyHash::of(presented) == token)
    }

    async fn metrics(&self) -> Response<Body> {
        let snapshot = self.client.snapshot().await;
        let callers = self.callers.borrow().clone();
        let page =
            metrics::page(&self.counters, &snapshot, &callers, self.ledger.as_ref(), *self.ready.borrow());
        answer(StatusCode::OK, page::CONTENT_TYPE, page)
    }

    /// How everything stands.
    pub async fn standing(&self) -> Status {
        let snapshot = self.client.snapshot().await;
        let callers = self.callers.borrow().clone();
        status::status(self.about(), &snapshot, &callers)
    }

    async fn status(&self) -> Response<Body> {
        match serde_json::to_string(&self.standing().await) {
            Ok(text) => answer(StatusCode::OK, "application/json", text),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the status cannot be written\n"),
        }
    }

    fn about(&self) -> About {
        About {
            kind: Kind::Serve,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            up: self.started.elapsed(),
            ready: *self.ready.borrow(),
        }
    }

    async fn drain(&self) -> Response<Body> {
        match self.orders.send(Order::Drain).await {
            Ok(()) => json(StatusCode::ACCEPTED, json!({"draining": true})),
            Err(_) => json(StatusCode::SERVICE_UNAVAILABLE, json!({"error": "the process is ending"})),
        }
    }

    async fn reload(&self) -> Response<Body> {
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.send(Order::Reload(reply)).await;
        match (sent, answer.await) {
            (Ok(()), Ok(Ok(()))) => json(StatusCode::OK, json!({"reloaded": true})),
            (Ok(()), Ok(Err(fault))) => {
                json(StatusCode::UNPROCESSABLE_ENTITY, json!({"reloaded": false, "error": fault}))
            }
            _ => json(StatusCode::SERVICE_UNAVAILABLE, json!({"error": "the process is ending"})),
        }
    }
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", text.to_owned())
}

fn json(status: StatusCode, value: Value) -> Response<Body> {
    answer(status, "application/json", value.to_string())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
