//! Brings telemetry to the collector, through a client like any other: it has the TLS, the names and the patience.

use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, anyhow};
use http::{HeaderMap, Request, Response, Uri};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use paceline::core::engine::Config;
use paceline::{BuildError, Client, SendError, Upstream};
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::Voice;
use crate::exit::Failure;
use crate::upstream;

/// The client's name for the collector, and whose manners it is expected to have.
const COLLECTOR: &str = "collector";
const MANNERS: &str = "openai-compatible";
/// One export takes no longer.
const LONGEST: Duration = Duration::from_secs(10);

/// The way to a collector.
pub(super) struct Post {
    collector: Upstream,
    /// Made when the first request says which headers they all have: they may hold a token, so they are the upstream's.
    client: OnceLock<Client>,
    /// Exporters work in threads of their own, outside of it.
    runtime: Handle,
    what: &'static str,
    failing: AtomicBool,
    voice: Voice,
}

impl Post {
    /// The way to the collector that the variable `name` names.
    pub(super) fn to(
        (name, url): &(&str, String),
        what: &'static str,
        voice: Voice,
    ) -> Result<Self, Failure> {
        let unusable = || format!("`{name}` cannot be used");
        let uri: Uri = url.parse().with_context(unusable).map_err(Failure::usage)?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(Failure::usage(anyhow!("`{name}` is no URL"))
                .hint("name a collector, as `http://127.0.0.1:4318`"));
        };
        // A collector nearby has no certificate, and no prompt or key goes there.
        let collector = Upstream::new(COLLECTOR, upstream::known(MANNERS)?.clone())
            .base_url(format!("{scheme}://{authority}"))
            .allow_plain_http();
        collector.check().with_context(unusable).map_err(Failure::usage)?;
        let (client, failing) = (OnceLock::new(), AtomicBool::new(false));
        Ok(Self { collector, client, runtime: Handle::current(), what, failing, voice })
    }

    fn client(&self, headers: &HeaderMap) -> Result<Client, BuildError> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let mut collector = self.collector.clone();
        for (name, value) in headers {
            let mut value = value.clone();
            value.set_sensitive(true);
            collector = collector.header(name.clone(), value);
        }
        let _inside = self.runtime.enter(); // Where its loop is to run.
        // To try again is the exporter's affair.
        let once = Config { max_attempts: 1, ..Config::default() };
        let client = Client::builder().config(once).upstream(collector).build()?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    /// Tells of trouble when it begins and when it is over, not each time.
    fn note(&self, fault: Option<&dyn fmt::Display>) {
        let was_failing = self.failing.swap(fault.is_some(), Ordering::Relaxed);
        match fault {
            Some(fault) if !was_failing => {
                (self.voice)(&format!("{} cannot be exported: {fault}", self.what))
            }
            None if was_failing => (self.voice)(&format!("{} are exported again", self.what)),
            _ => {}
        }
    }
}

impl fmt::Debug for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Post").field("what", &self.what).finish_non_exhaustive()
    }
}

type Sent<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Post {
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request<Bytes>) -> Sent<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let client = self.client(request.headers())?;
            let sending = self.runtime.spawn(async move { timeout(LONGEST, send(client, request)).await });
            let sent: Result<Response<Bytes>, HttpError> = match sending.await {
                Ok(Ok(sent)) => sent.map_err(HttpError::from),
                Ok(Err(late)) => Err(late.into()),
                Err(ended) => Err(ended.into()),
            };
            match &sent {
                Ok(answer) if answer.status().is_success() => self.note(None),
                Ok(answer) => self.note(Some(&format!("the collector answers {}", answer.status()))),
                Err(error) => self.note(Some(error)),
            }
            sent
        })
    }
}

/// An answer that says no is an answer.
async fn send(client: Client, request: Request<Bytes>) -> Result<Response<Bytes>, SendError> {
    let (head, body) = request.into_parts();
    let ask = paceline::Request::new(head.uri.path(), body).to(COLLECTOR);
    let (status, headers, body) = match client.send(ask).await {
        Ok(answer) => (answer.status, answer.headers, answer.body),
        Err(SendError::Failed(failed)) => match failed.status {
            Some(status) => (status, HeaderMap::new(), failed.body),
            None => return Err(SendError::Failed(failed)),
        },
        Err(error) => return Err(error),
    };
    let mut answer = Response::new(body);
    (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
    Ok(answer)
}
