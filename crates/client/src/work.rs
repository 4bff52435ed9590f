//! A request made ready: checked, read, sized, with its target resolved.

use std::hash::RandomState;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method};
use paceline_core::engine::Priority;
use paceline_core::quota::Demand;
use paceline_wire::estimate::{Ratios, Size};
use paceline_wire::provider::Provider;
use paceline_wire::request::{self, Peek};
use paceline_wire::{Dialect, Endpoint, FullUsage};
use tokio::time::Instant;

use crate::credential::{Credential, Presented};
use crate::directory::{Directory, Target};
use crate::error::SendError;
use crate::request::{BeforeSend, OnAnswer, OnRetry, Request};

/// The demand of requests that are metered by their count alone.
const NOTHING: Demand = Demand { input_tokens: 0, max_output_tokens: Some(0) };
/// The longest path with its query.
const MOST_PATH: usize = 8 << 10;

/// What tokens per byte were seen so far, by model and tenant. Shared by callers, who ask, and the loop, which learns.
#[derive(Clone, Default)]
pub(crate) struct Estimates(Arc<Mutex<Ratios>>);

impl Estimates {
    fn demand(&self, provider: &Provider, model: &str, tenant: &str, peek: &Peek<'_>) -> Demand {
        let ratio = self.0.lock().unwrap_or_else(PoisonError::into_inner).ratio(provider, model, tenant);
        request::demand(provider, peek, &ratio)
    }

    /// Learns what `work` really weighed.
    pub(crate) fn learn(&self, provider: &Provider, work: &Work, usage: &FullUsage) {
        if work.size.bytes > 0 && usage.prompt_tokens() > 0 {
            let mut ratios = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            ratios.observe(provider, &work.model, &work.tenant, work.size, usage.prompt_tokens());
        }
    }
}

/// A request made ready. Shared with its attempts.
pub(crate) struct Work {
    /// In the directory that was current when it was read.
    pub(crate) target: Target,
    pub(crate) directory: Arc<Directory>,
    /// The caller named the target.
    to: Option<String>,
    pub(crate) endpoint: Endpoint,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) body: Bytes,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// As the body says; empty when it says none.
    pub(crate) model: Arc<str>,
    pub(crate) demand: Demand,
    pub(crate) priority: Priority,
    pub(crate) tenant: String,
    pub(crate) affinity: Option<u64>,
    /// The caller's own credential.
    pub(crate) presented: Option<Presented>,
    pub(crate) not_before: Option<Instant>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) before_send: Option<BeforeSend>,
    pub(crate) on_answer: Option<OnAnswer>,
    pub(crate) on_retry: Option<OnRetry>,
    size: Size,
}

impl Work {
    /// Reads `request`, or says what is wrong with it.
    pub(crate) fn read(
        Request(request): Request,
        directory: Arc<Directory>,
        estimates: &Estimates,
        caller_key: &RandomState,
    ) -> Result<Work, SendError> {
        check_path(&request.path)?;
        let presented = request.credential.map(|credential| presented(credential, caller_key)).transpose()?;
        let endpoint = Endpoint::of(&request.method, &request.path);
        let named = request.to.as_deref().map(|name| named(&directory, name)).transpose()?;
        let dialect =
            named.map_or_else(|| directory.dialect_of(endpoint), |target| directory.dialect(target));
        // Bodies of endpoints we don't know stay unread: they are paced by request count.
        let peek = match endpoint {
            Endpoint::Other | Endpoint::Models => None,
            _ if request.peek.is_some() => request.peek,
            _ => Some(
                request::peek(dialect, endpoint, &request.body)
                    .map_err(|error| invalid(error.to_string()))?,
            ),
        };
        let model = peek.as_ref().and_then(|peek| peek.model.as_deref()).unwrap_or_default();
        let target = named.or_else(|| directory.target(None, endpoint, model));
        let target = target.ok_or_else(|| no_target(&directory, dialect))?;
        let first = directory.places[directory.ways_of(target)[0].place].clone();
        let provider = &first.provider;
        let weighs = peek.as_ref().filter(|_| endpoint != Endpoint::CountTokens);
        let (demand, size) = weighs.map_or((NOTHING, Size::default()), |peek| {
            (estimates.demand(provider, model, &request.tenant, peek), request::size(provider, peek))
        });
        Ok(Work {
            target,
            to: request.to,
            endpoint,
            model: model.into(),
            demand,
            size,
            method: request.method,
            path: request.path,
            headers: request.headers,
            priority: request.priority,
            tenant: request.tenant,
            affinity: request.affinity,
            presented,
            not_before: request.not_before,
            deadline: request.deadline,
            before_send: request.before_send,
            on_answer: request.on_answer,
            on_retry: request.on_retry,
            body: request.body,
            directory,
        })
    }

    /// Where it goes in a `new` directory, or why nowhere.
    pub(crate) fn heir(&self, new: &Directory, old: &Directory, target: Target) -> Result<Target, SendError> {
        let model = self.to.is_none().then_some(&*self.model);
        new.heir(old, target, model).ok_or_else(|| self.gone(new))
    }

    /// What it was for is not in the directory.
    pub(crate) fn gone(&self, directory: &Directory) -> SendError {
        let known = directory.upstream_names();
        match &self.to {
            Some(name) => {
                invalid(format!("there is no upstream or pool `{name}` any more; known are {known}"))
            }
            None => invalid(format!("who was to serve the request is gone; name one of {known}")),
        }
    }

    /// The name under which its limits are looked up. Counting tokens has limits of its own.
    pub(crate) fn metered_as(&self) -> Arc<str> {
        if self.endpoint == Endpoint::CountTokens { "count_tokens".into() } else { self.model.clone() }
    }
}

fn presented(credential: Credential, key: &RandomState) -> Result<Presented, SendError> {
    Presented::new(credential, key)
        .ok_or_else(|| invalid("the credential holds characters that no header can carry".to_owned()))
}

fn named(directory: &Directory, name: &str) -> Result<Target, SendError> {
    directory.named(name).ok_or_else(|| {
        invalid(format!("there is no upstream or pool `{name}`; known are {}", directory.upstream_names()))
    })
}

fn no_target(directory: &Directory, dialect: Dialect) -> SendError {
    invalid(format!(
        "it is open which upstream is to serve the request (its dialect is `{}`); name one of {}",
        dialect.name(),
        directory.upstream_names()
    ))
}

/// Paths reach the upstream as they are, so they must mean the same to everyone who reads them on the way.
fn check_path(path: &str) -> Result<(), SendError> {
    let (plain, query) = path.split_once('?').unwrap_or((path, ""));
    let graphic =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'\\');
    let canonical = plain.starts_with('/')
        && !plain.contains("//")
        && !plain.contains('%')
        && plain.split('/').all(|segment| segment != "." && segment != "..");
    if canonical && graphic(plain) && graphic(query) && path.len() <= MOST_PATH {
        return Ok(());
    }
    Err(invalid(format!("`{}` is no path; write it as `/v1/messages`", path.escape_debug())))
}

fn invalid(reason: String) -> SendError {
    SendError::Invalid { reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_mean_one_thing_only() {
        let cases = [
            ("/v1/messages", true),
            ("/v1/messages?beta=true&x=%20", true),
            ("/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21", true),
            ("v1/messages", false),
            ("//evil.example/v1", false),
            ("/v1/../admin", false),
            ("/v1/./x", false),
            ("/v1//messages", false),
            ("/v1/%2e%2e/admin", false),
            ("/v1\\messages", false),
            ("/v1/messages#x", false),
            ("/v1/mess ages", false),
            ("/v1/messages?a\r\nx: y", false),
            ("http://evil.example/", false),
            ("", false),
        ];
        for (path, good) in cases {
            assert_eq!(check_path(path).is_ok(), good, "{path:?}");
        }
        assert!(check_path(&format!("/{}", "x".repeat(MOST_PATH))).is_err());
    }
}
