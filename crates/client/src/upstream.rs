//! Where requests can go: upstreams, pools of them, and the ceilings a user types in.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use paceline_core::quota::{Dimension, Quota};
use paceline_wire::provider::Provider;

use crate::directory::Place;
use crate::error::BuildError;
use crate::secret::Secret;

/// One place to send to: a base URL with one credential.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub(crate) name: String,
    pub(crate) provider: Provider,
    pub(crate) base_url: Option<String>,
    pub(crate) api_key: Option<Secret>,
    pub(crate) account: Option<String>,
    pub(crate) in_flight: Option<u32>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) plain_http: bool,
}

impl Upstream {
    /// An upstream of `provider`, under a name of your choice, at the provider's own base URL.
    pub fn new(name: impl Into<String>, provider: Provider) -> Self {
        Self {
            name: name.into(),
            provider,
            base_url: None,
            api_key: None,
            account: None,
            in_flight: None,
            headers: Vec::new(),
            plain_http: false,
        }
    }

    /// The credential. Without one, requests go out without (local servers).
    pub fn api_key(mut self, key: impl Into<Secret>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Has no credential of its own: each request brings its caller's ([`crate::Request::credential`]), and goes out without
    /// one when it has none.
    pub fn pass_through(mut self) -> Self {
        self.api_key = None;
        self
    }

    /// Another base URL than the provider's own, as the official SDKs understand it. `https`, or `http` to this machine.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Whom the provider counts for. Upstreams of one account share its limits: several keys of one account don't get
    /// more. Without it, each credential is taken for an account of its own.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// At most this many attempts in flight, per model pool.
    pub fn in_flight(mut self, limit: u32) -> Self {
        self.in_flight = Some(limit);
        self
    }

    /// A header that goes with every request, such as `openai-organization`.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Lets the credential travel unencrypted to another machine. Only for networks that are trusted end to end.
    pub fn allow_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a client can use it: what [`crate::Builder::build`] would say of its URL and credential.
    pub fn check(&self) -> Result<(), BuildError> {
        Place::new(self.clone()).map(drop)
    }
}

/// The upstreams that can serve one model name.
#[derive(Clone, Debug)]
pub struct Pool {
    pub(crate) model: String,
    pub(crate) members: Vec<PoolMember>,
}

/// An upstream's place in a pool: one in each tier at most.
#[derive(Clone, Debug)]
pub struct PoolMember {
    /// The upstream's name.
    pub upstream: String,
    /// The model name to send there; `None` leaves the request's own.
    pub send_as: Option<String>,
    /// Order: a member serves only when none of a lower tier can in time.
    pub tier: u8,
    /// Share within its tier.
    pub weight: u32,
}

impl Pool {
    /// A pool that callers reach by asking for `model` (or by naming the pool so).
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into(), members: Vec::new() }
    }

    /// Adds an upstream of the first tier.
    pub fn upstream(self, name: impl Into<String>) -> Self {
        self.member(PoolMember { upstream: name.into(), send_as: None, tier: 0, weight: 1 })
    }

    /// Adds an upstream with its model name, tier and weight.
    pub fn member(mut self, member: PoolMember) -> Self {
        self.members.push(member);
        self
    }
}

/// Limits a user types in: never exceeded, whatever the provider's headers say. Without them limits are learned.
#[derive(Clone, Debug, Default)]
pub struct Ceilings {
    pub(crate) account: Option<String>,
    pub(crate) models: Vec<String>,
    pub(crate) quotas: Vec<Quota>,
    pub(crate) in_flight: Option<u32>,
}

impl Ceilings {
    /// Ceilings for every account and model. Narrow them with [`Ceilings::account`] and [`Ceilings::model`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Only for this account (or the upstream of this name).
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Only for models that match (`*` stands for any text). All that match share one meter.
    pub fn model(mut self, pattern: impl Into<String>) -> Self {
        self.models.push(pattern.into());
        self
    }

    /// At most this much.
    pub fn quota(mut self, quota: Quota) -> Self {
        self.quotas.push(quota);
        self
    }

    /// At most this many attempts in flight.
    pub fn in_flight(mut self, limit: u32) -> Self {
        self.in_flight = Some(limit);
        self
    }
}

/// One ceiling for every account and model: see [`crate::Client::set_common_ceiling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommonCeiling {
    /// Of a quota; `None` lifts it.
    Quota {
        /// What is counted.
        dimension: Dimension,
        /// Over how long.
        window: Duration,
        /// The most.
        limit: Option<u64>,
    },
    /// The most attempts in flight; `None` lifts it.
    InFlight(Option<u32>),
}

/// How long each part of an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name lookup, TCP and TLS together.
    pub connect: Duration,
    /// From sending the request to the first byte of its answer.
    pub first_byte: Duration,
    /// Between two pieces of an answer.
    pub idle: Duration,
    /// One attempt in all; `None` sets no bound.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(600),
            idle: Duration::from_secs(120),
            total: None,
        }
    }
}
