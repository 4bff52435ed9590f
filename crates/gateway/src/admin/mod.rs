//! The operator's side, on a listener of its own: a dashboard, health, metrics, status, and what can be done by hand.

mod actions;
mod assets;
mod counters;
mod live;
mod metrics;
mod observed;
mod prometheus;
mod recent;
mod status;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use paceline::{Client, Snapshot};
use paceline_status::{About, Kind, Status};
use paceline_usage::Ledger;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};

use self::live::LiveBody;
use crate::body::Body;
use crate::callers::{Callers, Clock, KeyHash};
use crate::front::{Handler, Peer, dialect, read_body};
pub use counters::{Counters, Outcome};
pub use live::{Live, Run};
pub use observed::{Observed, Sent};
pub(crate) use recent::Passing;
pub use recent::Recent;

/// An action's words are there by then.
const LONGEST_READING: Duration = Duration::from_secs(10);

/// What the operator wants of the process.
#[derive(Debug)]
pub enum Order {
    /// Take no more requests, finish those under way, end.
    Drain,
    /// Read the configuration again, and say what came of it: the fault is one line, safe to show.
    Reload(oneshot::Sender<Result<(), String>>),
    /// Nothing but to log what was done: one line, safe to show.
    Note(String),
}

/// Answers the operator. Cheap to clone. [`Admin::watch`] must run beside it.
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
    /// Where the requests are found that ended; nothing without a listener, where nobody would look at them.
    pub recent: Option<Recent>,
    /// What dashboards share.
    pub live: Live,
    /// Batches that run by themselves on this machine.
    pub runs: watch::Receiver<Arc<Vec<Run>>>,
    /// False once the process drains.
    pub ready: watch::Receiver<bool>,
    /// Where orders go.
    pub orders: mpsc::Sender<Order>,
    /// What the operator's token hashes to; without one, whoever reaches the listener is the operator.
    pub token: watch::Receiver<Option<KeyHash>>,
    /// When the process began.
    pub started: Instant,
    /// Tells the time of day.
    pub clock: Clock,
}

impl Handler for Admin {
    async fn handle(&self, request: Request<Incoming>, _: Peer) -> Response<Body> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        if let Some(answer) = self.open_to_all(&head.method, path) {
            return answer;
        }
        if actions::is_foreign(&head.headers) {
            return object(
                StatusCode::FORBIDDEN,
                json!({"error": "pages of other origins may not ask this"}),
            );
        }
        if !self.is_operator(&head.headers) {
            let mut refused =
                object(StatusCode::UNAUTHORIZED, json!({"error": "the admin token is missing or wrong"}));
            refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return refused;
        }
        if is_look(&head.method) {
            return self.look(path).await;
        }
        if head.method != Method::POST {
            return unheard_of(path);
        }
        let until = tokio::time::Instant::now() + LONGEST_READING;
        match read_body(body, actions::LONGEST_BODY, until).await {
            Ok(body) => self.act(path, &body).await,
            Err(refusal) => refusal.response(dialect(path)),
        }
    }
}

impl Admin {
    /// Probes of a supervisor have no token, and learn nothing but yes or no; the page is the same for everybody.
    fn open_to_all(&self, method: &Method, path: &str) -> Option<Response<Body>> {
        if !is_look(method) {
            return None;
        }
        match path {
            "/healthz" => Some(text(StatusCode::OK, "live\n")),
            "/readyz" if *self.ready.borrow() => Some(text(StatusCode::OK, "ready\n")),
            "/readyz" => Some(text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")),
            path => assets::find(path),
        }
    }

    async fn look(&self, path: &str) -> Response<Body> {
        match path {
            "/metrics" => self.metrics().await,
            "/v1/status" => self.status().await,
            "/v1/live" => self.live(),
            path => unheard_of(path),
        }
    }

    async fn act(&self, path: &str, body: &[u8]) -> Response<Body> {
        match path {
            "/drain" => self.drain().await,
            "/reload" => self.reload().await,
            "/pause" => self.pause(true),
            "/resume" => self.pause(false),
            "/upstreams/out" => self.set_service(true, body).await,
            "/upstreams/in" => self.set_service(false, body).await,
            "/ceilings" => self.retune(body).await,
            path => unheard_of(path),
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
        answer(StatusCode::OK, prometheus::CONTENT_TYPE, page)
    }

    /// How everything stands.
    pub async fn standing(&self) -> Status {
        let snapshot = self.client.snapshot().await;
        self.status_of(&snapshot)
    }

    async fn status(&self) -> Response<Body> {
        match serde_json::to_string(&self.standing().await) {
            Ok(text) => answer(StatusCode::OK, "application/json", text),
            Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "the status cannot be written\n"),
        }
    }

    fn status_of(&self, snapshot: &Snapshot) -> Status {
        let callers = self.callers.borrow().clone();
        Status {
            throttles: self.counters.throttles(),
            cost_today: self.recent.as_ref().map(|_| self.live.today(self.clock.now())),
            ..status::status(self.about(), snapshot, &callers)
        }
    }

    fn live(&self) -> Response<Body> {
        let Some(body) = LiveBody::open(&self.live, self.clock) else {
            return object(StatusCode::SERVICE_UNAVAILABLE, json!({"error": "too many dashboards are open"}));
        };
        let mut response = answer(StatusCode::OK, "text/event-stream; charset=utf-8", String::new());
        *response.body_mut() = Body::stream(body);
        response
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
            Ok(()) => object(StatusCode::ACCEPTED, json!({"draining": true})),
            Err(_) => object(StatusCode::SERVICE_UNAVAILABLE, json!({"error": "the process is ending"})),
        }
    }

    async fn reload(&self) -> Response<Body> {
        let (reply, answer) = oneshot::channel();
        let sent = self.orders.send(Order::Reload(reply)).await;
        match (sent, answer.await) {
            (Ok(()), Ok(Ok(()))) => object(StatusCode::OK, json!({"reloaded": true})),
            (Ok(()), Ok(Err(fault))) => {
                object(StatusCode::UNPROCESSABLE_ENTITY, json!({"reloaded": false, "error": fault}))
            }
            _ => object(StatusCode::SERVICE_UNAVAILABLE, json!({"error": "the process is ending"})),
        }
    }
}

fn is_look(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Nothing is there, or not with this method.
fn unheard_of(path: &str) -> Response<Body> {
    const LOOKS: [&str; 5] = ["/healthz", "/readyz", "/metrics", "/v1/status", "/v1/live"];
    const ACTS: [&str; 7] =
        ["/drain", "/reload", "/pause", "/resume", "/upstreams/out", "/upstreams/in", "/ceilings"];
    if LOOKS.contains(&path) || ACTS.contains(&path) {
        return object(StatusCode::METHOD_NOT_ALLOWED, json!({"error": "not with this method"}));
    }
    let (looks, acts) = (LOOKS.join(", "), ACTS.join(", "));
    let words = format!("nothing is here; there are GET /, {looks}, POST {acts}");
    object(StatusCode::NOT_FOUND, json!({"error": words}))
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    answer(status, "text/plain; charset=utf-8", text.to_owned())
}

fn object(status: StatusCode, value: Value) -> Response<Body> {
    answer(status, "application/json", value.to_string())
}

fn answer(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
