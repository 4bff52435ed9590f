//! What becomes of a request once it has come in: who calls, where to, when, and the answer.
//!
//! ```text
//! route -> credential -> access -> body -> (bill) -> client -> forward | waiting, streaming
//! ```
//!
//! Bodies are handed on as they came, in both directions. The policy of when to send is the client's; whatever it says when
//! there is no answer is put into the caller's words by `outcome`.

pub mod access;
mod bill;
mod call;
mod credential;
mod fanout;
mod forward;
mod headers;
mod models;
mod outcome;
mod route;
mod streaming;
mod waiting;
mod wishes;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use paceline::Client;
use paceline_usage::Ledger;
use paceline_wire::provider::Catalog;
use paceline_wire::{Dialect, Endpoint};
use tokio::sync::watch;
use tokio::time::Instant;

use self::access::Gatekeeper;
use self::call::Call;
pub use self::credential::{Form, Presented};
use self::fanout::Fanout;
use self::models::Models;
use self::outcome::Outcome;
use self::route::Route;
use crate::admin::Recent;
use crate::answer::{self, Kind};
use crate::body::Body;
use crate::front::{Handler, Peer, read_body};
use crate::settings::Settings;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-paceline-request-id");
/// A body must be there by then; the door sees to it that it comes at a fair rate until then.
const LONGEST_BODY: Duration = Duration::from_secs(600);
/// What the root says, for those who look whether anybody is there.
const HELLO: &str = concat!("{\"name\":\"paceline\",\"version\":\"", env!("CARGO_PKG_VERSION"), "\"}\n");

/// Answers requests: a [`Handler`] for the door. Clones are one and the same.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

/// What all requests share.
struct Shared {
    client: Client,
    catalog: Arc<Catalog>,
    settings: watch::Receiver<Arc<Settings>>,
    gatekeeper: Arc<dyn Gatekeeper>,
    ledger: Option<Ledger>,
    recent: Option<Recent>,
    models: Models,
    fanout: Arc<Fanout>,
    /// By how requests begin, which may be long: quick before all else. Nobody is let in by it.
    hashing: foldhash::quality::RandomState,
    last_id: AtomicU64,
}

impl Gateway {
    /// A gateway that sends through `client` what `gatekeeper` lets in, records it in `ledger`, if there is one, and leaves it
    /// with `recent`, if anybody takes it from there. The paths of `catalog`'s providers are known.
    pub fn new(
        client: Client,
        catalog: Arc<Catalog>,
        settings: watch::Receiver<Arc<Settings>>,
        gatekeeper: Arc<dyn Gatekeeper>,
        ledger: Option<Ledger>,
        recent: Option<Recent>,
    ) -> Self {
        Self(Arc::new(Shared {
            client,
            catalog,
            settings,
            gatekeeper,
            ledger,
            recent,
            models: Models::default(),
            fanout: Arc::new(Fanout::new()),
            hashing: foldhash::quality::RandomState::default(),
            // Begun anywhere, so that the ids of two runs are not the same ones.
            last_id: AtomicU64::new(fastrand::u64(..)),
        }))
    }
}

impl Handler for Gateway {
    async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let id = format!("{:016x}", self.0.last_id.fetch_add(1, Ordering::Relaxed));
        let mut response = self.0.answer(request, peer, &id).await;
        // Sixteen hexadecimal digits are always a header's value.
        if let Ok(id) = HeaderValue::try_from(id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        response
    }
}

impl Shared {
    async fn answer(&self, request: Request<Incoming>, peer: Peer, id: &str) -> Response<Body> {
        let (mut head, body) = request.into_parts();
        headers::strip_connection(&mut head.headers);
        if head.uri.path() == "/" {
            return hello(&head.method);
        }
        let speaks_anthropic = head.headers.contains_key("anthropic-version");
        let Some(route) = route::find(&head.method, &head.uri, speaks_anthropic, &self.catalog) else {
            return nothing_here(&head, speaks_anthropic);
        };
        let answered = self.let_in(&head, &route, body, peer, id).await;
        answered.unwrap_or_else(|outcome| outcome.response(route.dialect))
    }

    /// Finds out whether the caller may, before anything of the body is read.
    async fn let_in(
        &self,
        head: &Parts,
        route: &Route<'_>,
        body: Incoming,
        peer: Peer,
        id: &str,
    ) -> Result<Response<Body>, Outcome> {
        if route::carries_secret(&head.uri) {
            let message = "the URL carries a credential, and URLs are logged; send it as `authorization: Bearer <key>` or `x-api-key: <key>`";
            return Err(Outcome::new(Kind::BadRequest, message));
        }
        let presented = credential::extract(&head.headers)
            .map_err(|unclear| Outcome::new(Kind::Unauthenticated, unclear.to_string()))?;
        let admitted = self
            .gatekeeper
            .admit(presented.as_ref(), peer.address.ip())
            .map_err(|refusal| Outcome::refused(&refusal))?;
        if !admitted.pass_through && route.provider.is_none() && is_read(&head.method) {
            if route.endpoint == Endpoint::Models {
                return self.models.list(&self.client, route.dialect).await;
            }
            if let Some(id) = route.path.strip_prefix("/v1/models/") {
                return self.models.one(&self.client, route.dialect, id).await;
            }
        }
        let settings = self.settings.borrow().clone();
        let body = match read_body(body, settings.caps.body_bytes, Instant::now() + LONGEST_BODY).await {
            Ok(body) => body,
            Err(refusal) => return Ok(refusal.response(route.dialect)),
        };
        let call = Call { shared: self, id, head, route, presented, admitted, settings };
        call.answer(body).await
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn hello(method: &Method) -> Response<Body> {
    if !is_read(method) {
        let refused = Outcome::new(Kind::BadRequest, "there is nothing here but a greeting");
        return refused.status(StatusCode::METHOD_NOT_ALLOWED).response(Dialect::OpenAi);
    }
    let mut response = Response::new(Body::from(HELLO.to_owned()));
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

fn nothing_here(head: &Parts, speaks_anthropic: bool) -> Response<Body> {
    let message = "there is nothing at this path; set the base URL to the gateway's address (OpenAI's SDKs: with `/v1` behind it), or to `/<provider>/v1` for another provider";
    let anthropic = speaks_anthropic || head.uri.path().contains("/messages");
    let dialect = if anthropic { Dialect::Anthropic } else { Dialect::OpenAi };
    answer::error(dialect, Kind::NotFound, message)
}
