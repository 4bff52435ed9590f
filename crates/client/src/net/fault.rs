//! What can break between sending a request and having its whole answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use paceline_core::feedback::{Class, Failure};

/// What broke. No variant quotes a request, a credential, or what an upstream said.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The host has no address.
    #[error("the host name could not be resolved")]
    Resolve(#[source] Arc<io::Error>),
    /// No connection came about.
    #[error("no connection")]
    Connect(#[source] Arc<io::Error>),
    /// The upstream could not prove that it is the host it was called by.
    #[error("the host's certificate was refused")]
    Certificate(#[source] Arc<io::Error>),
    /// Name lookup, TCP and TLS together took too long.
    #[error("no connection within {:.1} s", .0.as_secs_f64())]
    ConnectTimeout(Duration),
    /// The connection broke, or what came is not HTTP.
    #[error("the connection broke")]
    Broken {
        /// How.
        #[source]
        source: Arc<hyper::Error>,
        /// It was a reused connection, and not one byte came back: the request was never looked at.
        stale: bool,
    },
    /// The first byte of the answer took too long.
    #[error("no answer within {:.1} s", .0.as_secs_f64())]
    FirstByteTimeout(Duration),
    /// The answer stopped coming.
    #[error("nothing came for {:.1} s in the middle of the answer", .0.as_secs_f64())]
    IdleTimeout(Duration),
    /// The whole attempt took too long.
    #[error("the attempt was not over after {:.1} s", .0.as_secs_f64())]
    TotalTimeout(Duration),
    /// The stream ended without its closing event.
    #[error("the stream ended before its closing event")]
    Truncated,
    /// The answer is bigger than what is taken.
    #[error("the answer is bigger than {} MiB", .0 >> 20)]
    TooBig(usize),
    /// The answer is encoded although plain bytes were asked for.
    #[error("the answer is compressed although plain bytes were asked for")]
    Encoded,
    /// The request cannot be put on the wire.
    #[error("the request cannot be put on the wire")]
    Unsendable,
    /// The client was closed, or the task that ran the attempt was lost.
    #[error("the client stopped")]
    Stopped,
}

impl Fault {
    /// What it means to the engine.
    pub(crate) fn failure(&self) -> Failure {
        let class = match self {
            // Trying again would hand the credential to whoever answers there: as good as refused.
            Fault::Certificate(_) => Class::Auth,
            Fault::Unsendable => Class::BadRequest,
            _ => Class::Transient,
        };
        let unprocessed = match self {
            Fault::Resolve(_) | Fault::Connect(_) | Fault::ConnectTimeout(_) => true,
            Fault::Broken { stale, .. } => *stale,
            _ => false,
        };
        Failure { class, wait: None, named: None, unprocessed }
    }

    /// Not one byte of the request has gone out.
    pub(crate) fn is_unsent(&self) -> bool {
        matches!(
            self,
            Fault::Resolve(_)
                | Fault::Connect(_)
                | Fault::ConnectTimeout(_)
                | Fault::Certificate(_)
                | Fault::Unsendable
        )
    }

    /// A reused connection was dead already: the next attempt should dial.
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Fault::Broken { stale: true, .. })
    }
}
