//! Describes a client and checks the description as a whole before anything runs.

use std::collections::{HashMap, HashSet};
use std::hash::RandomState;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, RwLock};

use paceline_core::engine::Config;
use tokio::sync::{broadcast, mpsc};

use crate::client::{Client, Current, Shared};
use crate::credential::CallerKey;
use crate::directory::Directory;
use crate::error::BuildError;
use crate::net::{Dialer, tls_config};
use crate::routes::Routes;
use crate::shell::{self, EVENTS_KEPT, Plan};
use crate::upstream::{Ceilings, Pool, Timeouts, Upstream};
use crate::watch::{ClientEvent, LearnedLimits, OnEvent};
use crate::work::Estimates;

/// Whom to trust on connections.
#[derive(Default)]
pub(crate) struct Trust {
    roots: Vec<Vec<u8>>,
    needs_tls: bool,
}

/// Describes a client. See [`Client::builder`].
#[derive(Clone, Debug, Default)]
pub struct Builder {
    upstreams: Vec<Upstream>,
    pools: Vec<Pool>,
    ceilings: Vec<Ceilings>,
    learned: Vec<LearnedLimits>,
    caller_key: Option<CallerKey>,
    roots: Vec<Vec<u8>>,
    weights: HashMap<String, u32>,
    timeouts: Timeouts,
    config: Config,
    seed: Option<u64>,
    on_event: Option<OnEvent>,
}

impl Builder {
    /// Adds a place to send to.
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstreams.push(upstream);
        self
    }

    /// Adds a model name that several upstreams serve.
    pub fn pool(mut self, pool: Pool) -> Self {
        self.pools.push(pool);
        self
    }

    /// Adds limits that are never exceeded. Of those that name models the first that matches holds; those that name none hold
    /// beside it, and the tighter one counts.
    pub fn ceilings(mut self, ceilings: Ceilings) -> Self {
        self.ceilings.push(ceilings);
        self
    }

    /// Starts from what an earlier client learned: see [`Client::learned`]. Add the time since to each age.
    pub fn learned(mut self, learned: impl IntoIterator<Item = LearnedLimits>) -> Self {
        self.learned.extend(learned);
        self
    }

    /// Gives callers with credentials of their own names that outlast the client, so that what was learned of their limits
    /// is told too ([`Client::learned`]) and serves the next client with this key. A name is a keyed hash: keep the key.
    pub fn caller_key(mut self, key: CallerKey) -> Self {
        self.caller_key = Some(key);
        self
    }

    /// How long each part of an exchange may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Gives a tenant ([`crate::Request::tenant`]) a share other than 1 when capacity is shared.
    pub fn weight(mut self, tenant: impl Into<String>, weight: u32) -> Self {
        self.weights.insert(tenant.into(), weight);
        self
    }

    /// Attempts per request before it fails; throttled ones don't count.
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.config.max_attempts = attempts;
        self
    }

    /// Everything the engine lets its users choose, in place of what was set before.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Decides all jitter; without it each client has its own.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Told of each event as it happens, in their order, and of all of them: [`Client::events`] may miss some. It holds
    /// everything up, so it must be quick.
    pub fn on_event(mut self, tell: impl Fn(&ClientEvent) + Send + Sync + 'static) -> Self {
        self.on_event = Some(OnEvent(Arc::new(tell)));
        self
    }

    /// Trusts one more certificate authority (DER), such as a company's own.
    pub fn root_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.roots.push(der.into());
        self
    }

    /// Checks the description and starts the client on the current tokio runtime.
    pub fn build(mut self) -> Result<Client, BuildError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let learned = std::mem::take(&mut self.learned);
        let caller_key = self.caller_key.take();
        let seed = self.seed.unwrap_or_else(|| fastrand::u64(..));
        let on_event = self.on_event.take();
        let (plan, trust) = self.plan(None)?;
        let current = Current { directory: plan.directory.clone(), trust: trust.unwrap_or_default() };
        let estimates = Estimates::default();
        let (mailbox, mail) = mpsc::unbounded_channel();
        let (events, _) = broadcast::channel(EVENTS_KEPT);
        let start = shell::Start {
            plan,
            estimates: estimates.clone(),
            learned,
            caller_key,
            seed,
            mailbox: mailbox.clone(),
            events: events.clone(),
            on_event,
        };
        runtime.spawn(shell::run(start, mail));
        Ok(Client::new(Shared {
            mailbox,
            current: RwLock::new(current),
            estimates,
            caller_key: RandomState::new(),
            events,
            last_request: AtomicU64::new(0),
        }))
    }

    /// Checks the description and tells where requests would go, without starting anything.
    pub fn routes(self) -> Result<Routes, BuildError> {
        self.check_names()?;
        Directory::new(self.upstreams, self.pools, self.ceilings).map(Routes::new)
    }

    /// Checks the description. Comes with whom to trust, unless that is as `known`.
    pub(crate) fn plan(self, known: Option<&Trust>) -> Result<(Plan, Option<Trust>), BuildError> {
        self.check_names()?;
        let directory = Arc::new(Directory::new(self.upstreams, self.pools, self.ceilings)?);
        let needs_tls = directory.places.iter().any(|place| place.origin.tls_name.is_some());
        let trust = Trust { roots: self.roots, needs_tls };
        let changed = known.is_none_or(|known| known.roots != trust.roots || !known.needs_tls && needs_tls);
        let tls = (changed && needs_tls).then(|| tls_config(&trust.roots)).transpose();
        let tls = tls.map_err(|error| BuildError::Tls(Arc::new(error)))?;
        let dialer = changed.then_some(Dialer { tls, ..Dialer::default() });
        let plan =
            Plan { directory, config: self.config, timeouts: self.timeouts, weights: self.weights, dialer };
        Ok((plan, changed.then_some(trust)))
    }

    fn check_names(&self) -> Result<(), BuildError> {
        let upstreams = self.upstreams.iter().map(|upstream| &upstream.name);
        let mut seen = HashSet::new();
        for name in upstreams.chain(self.pools.iter().map(|pool| &pool.model)) {
            if !seen.insert(name) {
                return Err(BuildError::SameName { name: name.clone() });
            }
        }
        Ok(())
    }
}
