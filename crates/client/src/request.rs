//! What a caller asks for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use paceline_core::engine::Priority;
use paceline_wire::request::Peek;
use tokio::time::Instant;

use crate::credential::Credential;

/// The request headers that are passed on. All others are left out: credentials, cookies and connection headers have
/// no way through.
pub const PASSED_HEADERS: [&str; 15] = [
    "accept",
    "anthropic-beta",
    "anthropic-version",
    "anthropic-workspace-id",
    "content-type",
    "http-referer",
    "idempotency-key",
    "openai-beta",
    "openai-organization",
    "openai-project",
    "user-agent",
    "x-app",
    "x-client-request-id",
    "x-request-id",
    "x-title",
];

/// One request to an AI provider. The body goes out byte for byte.
#[derive(Clone, Debug)]
pub struct Request(pub(crate) Box<Parts>); // Boxed, for it is big and handed on often.

/// All that makes up a request.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) peek: Option<Peek<'static>>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) to: Option<String>,
    pub(crate) priority: Priority,
    pub(crate) tenant: String,
    pub(crate) credential: Option<Credential>,
    pub(crate) affinity: Option<u64>,
    pub(crate) not_before: Option<Instant>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) before_send: Option<BeforeSend>,
    pub(crate) on_answer: Option<OnAnswer>,
    pub(crate) on_retry: Option<OnRetry>,
}

/// Whether an attempt may go out, once that is clear.
type Leave = Pin<Box<dyn Future<Output = bool> + Send>>;

/// What is asked before each attempt.
#[derive(Clone)]
pub(crate) struct BeforeSend(Arc<dyn Fn() -> Leave + Send + Sync>);

impl BeforeSend {
    pub(crate) async fn allows(&self) -> bool {
        (self.0)().await
    }
}

impl fmt::Debug for BeforeSend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BeforeSend").finish_non_exhaustive()
    }
}

/// Who is told that the answer is here.
#[derive(Clone)]
pub(crate) struct OnAnswer(Arc<dyn Fn() + Send + Sync>);

impl OnAnswer {
    pub(crate) fn tell(&self) {
        (self.0)();
    }
}

impl fmt::Debug for OnAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnAnswer").finish_non_exhaustive()
    }
}

/// Who is told that an attempt failed and another one follows.
#[derive(Clone)]
pub(crate) struct OnRetry(Arc<dyn Fn(bool) + Send + Sync>);

impl OnRetry {
    pub(crate) fn tell(&self, maybe_billed: bool) {
        (self.0)(maybe_billed);
    }
}

impl fmt::Debug for OnRetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnRetry").finish_non_exhaustive()
    }
}

impl Request {
    /// A POST of `body` to `path`, such as `/v1/messages` or `/v1/chat/completions`.
    pub fn new(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self(Box::new(Parts {
            method: Method::POST,
            path: path.into(),
            body: body.into(),
            peek: None,
            headers: Vec::new(),
            to: None,
            priority: Priority::Normal,
            tenant: String::new(),
            credential: None,
            affinity: None,
            not_before: None,
            deadline: None,
            before_send: None,
            on_answer: None,
            on_retry: None,
        }))
    }

    /// A GET, such as of `/v1/models`.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(path, Bytes::new()).method(Method::GET)
    }

    /// What the body asks for, for those who have read it already: it is not read again.
    pub fn peek(mut self, peek: Peek<'static>) -> Self {
        self.0.peek = Some(peek);
        self
    }

    /// Another method than POST.
    pub fn method(mut self, method: Method) -> Self {
        self.0.method = method;
        self
    }

    /// A header to pass on, if it is one of [`PASSED_HEADERS`]; otherwise it is left out.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if PASSED_HEADERS.contains(&name.as_str()) {
            self.0.headers.push((name, value));
        }
        self
    }

    /// Where to send: the name of an upstream or of a pool. Without it the model's pool serves, or every upstream of the
    /// endpoint's dialect.
    pub fn to(mut self, name: impl Into<String>) -> Self {
        self.0.to = Some(name.into());
        self
    }

    /// Its class.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.0.priority = priority;
        self
    }

    /// Whom it counts for when capacity is shared.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.0.tenant = tenant.into();
        self
    }

    /// The caller's own credential: it goes upstream, and the upstream's own does not. Limits are metered for each credential
    /// apart, until answers tell that several belong to one organisation. One that is refused takes only itself out of
    /// service. It is one provider's: of the upstreams that could serve, only those of the first one's provider do.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.0.credential = Some(credential);
        self
    }

    /// Requests of the same value go to the upstream that served it last, while that has room at once: providers cache how
    /// prompts begin, so a hash of that beginning makes a good value.
    pub fn affinity(mut self, value: u64) -> Self {
        self.0.affinity = Some(value);
        self
    }

    /// Not to be sent earlier.
    pub fn not_before(mut self, at: Instant) -> Self {
        self.0.not_before = Some(at);
        self
    }

    /// Asked right before each attempt goes out, such as to write down that it does; when it says no, nothing is sent and
    /// the request ends with [`SendError::Vetoed`](crate::SendError::Vetoed). The attempt waits for its word and counts as
    /// in flight meanwhile.
    pub fn before_send<F>(mut self, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.0.before_send = Some(BeforeSend(Arc::new(move || Box::pin(ask()))));
        self
    }

    /// Told as soon as a whole answer is here that says success: before its room is given to another attempt, and so
    /// before [`Client::send`](crate::Client::send) returns it. It holds everything up, so it must be quick.
    pub fn on_answer(mut self, tell: impl Fn() + Send + Sync + 'static) -> Self {
        self.0.on_answer = Some(OnAnswer(Arc::new(tell)));
        self
    }

    /// Told when an attempt has failed and the request waits for another one: none is under way until
    /// [`Request::before_send`] is asked again. Told whether any attempt so far may have been billed: one that broke after
    /// it had been sent, rather than being answered. It may be told twice of one failure, and must be quick.
    pub fn on_retry(mut self, tell: impl Fn(bool) + Send + Sync + 'static) -> Self {
        self.0.on_retry = Some(OnRetry(Arc::new(tell)));
        self
    }

    /// Of no use after: refused as soon as that is foreseeable.
    pub fn deadline(mut self, at: Instant) -> Self {
        self.0.deadline = Some(at);
        self
    }
}
