//! Why a request ended without an answer, and why a client could not be built.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use paceline_core::feedback::Class;
use paceline_core::quota::Dimension;
use paceline_wire::FullUsage;

use crate::answer::Trip;
use crate::net::Fault;

/// Why a request ended without a usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The request cannot be sent as it is.
    #[error("{reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// It asks for more than the limit grants in a whole window.
    #[error("the request needs {want} {}, over the limit of {limit}; shorten it", .dimension.name())]
    TooLarge {
        /// What it exceeds.
        dimension: Dimension,
        /// What it asks for.
        want: u64,
        /// The limit.
        limit: u64,
    },
    /// It could not start before its deadline.
    #[error("the request cannot start before its deadline{}", wait_text(.wait))]
    TooLate {
        /// How long it would have to wait, when that is known.
        wait: Option<Duration>,
    },
    /// Too many requests are waiting.
    #[error("too many requests are waiting; try again later")]
    QueueFull,
    /// It was never sent: every credential that could serve it is out of service.
    #[error("no upstream can serve the request: {}", no_upstream_text(*.class))]
    NoUpstream {
        /// Why they are out of service.
        class: Class,
    },
    /// It was sent and failed for good.
    #[error(transparent)]
    Failed(Box<Failed>),
    /// An attempt was due, and [`Request::before_send`](crate::Request::before_send) said no.
    #[error("the request was not allowed to go out")]
    Vetoed,
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

/// The last answer (or the lack of one) of a request that failed.
#[derive(Clone, thiserror::Error)]
#[error("`{}` {}{}", .trip.upstream, self.what(), self.why())]
#[non_exhaustive]
pub struct Failed {
    /// What the failure means.
    pub class: Class,
    /// Why it was not tried again.
    pub end: End,
    /// The status, when the upstream answered at all.
    pub status: Option<StatusCode>,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The answer's body as the provider said it; fragments of the credential are masked.
    pub body: Bytes,
    /// What the answer says, in one line that is safe to show.
    pub message: Option<String>,
    /// What it used all the same, as a refusal of the model does.
    pub usage: Option<FullUsage>,
    /// How it came to this.
    pub trip: Trip,
    /// An attempt broke after it had been sent: nobody knows whether it was billed.
    pub maybe_billed: bool,
    /// What broke, when it was not the answer itself that said no.
    #[source]
    pub fault: Option<Fault>,
}

/// Why a failed request was not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Trying again would not help, or may not be done.
    Final,
    /// It failed as often as attempts are allowed.
    Attempts,
    /// Too many requests fail: the shared retry budget is spent.
    Budget,
    /// Its deadline passes before another attempt could start; the wait, when known.
    Deadline(Option<Duration>),
    /// No credential that could serve it is left.
    NoUpstream,
}

impl Failed {
    fn what(&self) -> String {
        match (&self.message, self.status) {
            (Some(message), _) => format!("failed ({}): {message}", self.class.name()),
            (None, Some(status)) => format!("answered {}, but not to the end", status.as_u16()),
            (None, None) => "gave no answer".to_owned(),
        }
    }

    fn why(&self) -> String {
        match self.end {
            End::Final => hint(self.class).map(|hint| format!("; {hint}")).unwrap_or_default(),
            End::Attempts => format!("; gave up after {} attempts", self.trip.attempts),
            End::Budget => "; not tried again because too many requests fail".to_owned(),
            End::Deadline(wait) => format!("; not tried again{}", wait_text(&wait)),
            End::NoUpstream => format!("; {}", no_upstream_text(self.class)),
        }
    }
}

impl std::fmt::Debug for Failed {
    /// Leaves the body and headers out: they may quote the request.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Failed")
            .field("class", &self.class)
            .field("end", &self.end)
            .field("status", &self.status)
            .field("bytes", &self.body.len())
            .field("trip", &self.trip)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

fn wait_text(wait: &Option<Duration>) -> String {
    wait.map(|wait| format!(": it would have to wait {:.1} s", wait.as_secs_f64())).unwrap_or_default()
}

fn no_upstream_text(class: Class) -> String {
    hint(class).map_or_else(|| format!("all are out of service ({})", class.name()), str::to_owned)
}

fn hint(class: Class) -> Option<&'static str> {
    match class {
        Class::Auth => Some("the credential was refused; check the API key"),
        Class::Money => {
            Some("the account has no credit left or reached its spend limit; raise it at the provider")
        }
        Class::TooBig => Some("the request is too big for the model or the limit"),
        _ => None,
    }
}

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is nowhere to send to.
    #[error("no upstream is configured")]
    NoUpstream,
    /// Two upstreams or pools have one name.
    #[error("the name `{name}` is used twice among upstreams and pools")]
    SameName {
        /// The name.
        name: String,
    },
    /// The base URL cannot be used.
    #[error("upstream `{upstream}`: {reason}")]
    BaseUrl {
        /// Whose.
        upstream: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The credential cannot be put into a header.
    #[error("upstream `{upstream}`: the API key holds characters that no header can carry")]
    ApiKey {
        /// Whose.
        upstream: String,
    },
    /// A pool names an upstream that does not exist, or names one twice, or names none.
    #[error("pool `{pool}`: {reason}")]
    Pool {
        /// Which.
        pool: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Ceilings name an account that no upstream has.
    #[error("ceilings name the account `{account}`, which no upstream has")]
    Ceilings {
        /// The name.
        account: String,
    },
    /// TLS could not be set up.
    #[error("TLS could not be set up")]
    Tls(#[source] Arc<rustls::Error>),
    /// The client needs a tokio runtime to live in.
    #[error("there is no tokio runtime here; build the client inside one")]
    NoRuntime,
}
