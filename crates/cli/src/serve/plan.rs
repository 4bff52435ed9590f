//! What to serve, from the flags, the file and the environment: read at the start and again at each reload.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use paceline::core::engine;
use paceline::wire::provider::{Catalog, Provider};
use paceline::{Builder, Ceilings, Client, LearnedLimits, Pool, Upstream};
use paceline_gateway::Settings;
use paceline_gateway::callers::{CallerConfig, KeyHash, check_secret};
use toml::Spanned;

use crate::args::{OrNone, ProviderUrl, ServeArgs};
use crate::config::{self, Config, Origin, SecretSource, Server, Usage};
use crate::exit::Failure;
use crate::upstream::{self, Environment};

/// Everything that a file or the flags decide.
pub(super) struct Plan {
    /// For callers.
    pub(super) listen: SocketAddr,
    /// For the operator.
    pub(super) admin: Option<SocketAddr>,
    /// What the operator's token hashes to.
    pub(super) admin_token: Option<KeyHash>,
    /// Hosts, origins, bounds, waiting.
    pub(super) settings: Settings,
    /// How long requests under way may take to finish.
    pub(super) drain: Duration,
    /// Who is let in; `None` passes everybody's own key on.
    pub(super) keys: Option<Keys>,
    /// Where usage is recorded, if it is.
    pub(super) usage: Option<Usage>,
    upstreams: Vec<Upstream>,
    pools: Vec<Pool>,
    ceilings: Vec<Ceilings>,
    waiting: usize,
}

/// Who is let in.
#[derive(Clone)]
pub(super) struct Keys {
    /// Our own callers.
    pub(super) callers: Vec<CallerConfig>,
    /// The upstreams' own keys.
    pub(super) upstreams: Vec<(String, KeyHash)>,
}

impl Plan {
    /// Reads it anew.
    pub(super) fn read(args: &ServeArgs, env: &dyn Environment) -> Result<Self, Failure> {
        let mut plan = match &args.config {
            Some(path) => Self::of_config(path)?,
            None if args.from_env => Self::of_environment(&args.base_url, env)?,
            None => Self::pass_through(&args.base_url)?,
        };
        plan.listen = checked_address(args.listen, "--listen", args.allow_remote)?.unwrap_or(plan.listen);
        match args.admin {
            Some(OrNone::None) => plan.admin = None,
            Some(OrNone::Some(address)) => {
                plan.admin = checked_address(Some(address), "--admin", args.allow_remote)?;
            }
            None => {}
        }
        if plan.admin.is_some_and(|address| !address.ip().is_loopback()) && plan.admin_token.is_none() {
            return Err(Failure::usage(anyhow!("admin can be reached from other machines without a token"))
                .hint("name one in a configuration file: `admin_token = { file = \"PATH\" }`"));
        }
        // Two ports 0 are two ports.
        if plan.admin == Some(plan.listen) && plan.listen.port() != 0 {
            return Err(Failure::usage(anyhow!("callers and admin cannot share one address")));
        }
        Ok(plan)
    }

    /// Describes the client that does the sending.
    pub(super) fn client(&self, learned: Vec<LearnedLimits>) -> Builder {
        let config = engine::Config { queue_limit: self.waiting, ..engine::Config::default() };
        let mut builder = Client::builder().config(config).learned(learned);
        for upstream in &self.upstreams {
            builder = builder.upstream(upstream.clone());
        }
        for pool in &self.pools {
            builder = builder.pool(pool.clone());
        }
        for ceilings in &self.ceilings {
            builder = builder.ceilings(ceilings.clone());
        }
        for caller in self.keys.iter().flat_map(|keys| &keys.callers) {
            builder = builder.weight(caller.name.clone(), caller.weight);
        }
        builder
    }

    /// The upstreams' names.
    pub(super) fn upstreams(&self) -> Vec<&str> {
        self.upstreams.iter().map(Upstream::name).collect()
    }

    fn new(server: Server, upstreams: Vec<Upstream>, keys: Option<Keys>) -> Self {
        let Server { listen, admin, settings, drain, waiting, .. } = server;
        let (pools, ceilings) = (Vec::new(), Vec::new());
        let (admin_token, usage) = (None, None);
        Self { listen, admin, admin_token, settings, drain, keys, usage, upstreams, pools, ceilings, waiting }
    }

    fn pass_through(urls: &[ProviderUrl]) -> Result<Self, Failure> {
        let mut upstreams = Vec::new();
        for provider in Catalog::embedded().providers() {
            if let Some(upstream) = at_home_or(provider, urls)? {
                upstreams.push(upstream.pass_through());
            }
        }
        named_all(urls, &upstreams)?;
        Ok(Self::new(Server::default(), upstreams, None))
    }

    fn of_environment(urls: &[ProviderUrl], env: &dyn Environment) -> Result<Self, Failure> {
        let (mut upstreams, mut hashes) = (Vec::new(), Vec::new());
        for provider in Catalog::embedded().providers() {
            let Some((variable, key)) = upstream::key_in(provider, env) else { continue };
            let Some(upstream) = at_home_or(provider, urls)? else { continue };
            hashes.extend(upstream::guard(&key).map(|hash| (provider.name.clone(), hash)));
            let key = upstream::checked(key, &format!("the variable `{variable}`"))?;
            upstreams.push(upstream.api_key(key));
        }
        named_all(urls, &upstreams)?;
        if upstreams.is_empty() {
            return Err(Failure::usage(anyhow!("no API key is set, so there is nothing to send with")).hint(
                "set one, such as `export ANTHROPIC_API_KEY=…`; or leave out `--from-env`: callers' own keys are passed on",
            ));
        }
        let keys = Keys { callers: Vec::new(), upstreams: hashes };
        nobody_could_call(&keys)?;
        Ok(Self::new(Server::default(), upstreams, Some(keys)))
    }

    fn of_config(path: &Path) -> Result<Self, Failure> {
        let mut config = config::load(path)?;
        if config.upstreams.is_empty() {
            return Err(
                Failure::usage(anyhow!("the configuration has no upstream")).hint("add an [[upstream]]")
            );
        }
        let server = std::mem::take(&mut config.server);
        let token =
            server.admin_token.as_ref().map(|source| admin_token(source, &config.origin)).transpose()?;
        let (mut upstreams, mut hashes) = (Vec::new(), Vec::new());
        for upstream in &config.upstreams {
            let (built, hash) = upstream::configured(upstream, &config)?;
            hashes.extend(hash.map(|hash| (upstream.name.clone(), hash)));
            upstreams.push(built);
        }
        let passes = config.upstreams.iter().any(|upstream| upstream.pass_through);
        let keys = (!passes).then(|| Keys { callers: config.callers.clone(), upstreams: hashes });
        if let Some(keys) = &keys {
            nobody_could_call(keys)?;
        }
        let Config { pools, quotas, usage, .. } = &config;
        Ok(Self {
            pools: pools.iter().map(|pool| upstream::pool_of(pool, &config)).collect(),
            ceilings: quotas.iter().map(upstream::ceilings_of).collect(),
            admin_token: token,
            usage: usage.clone(),
            ..Self::new(server, upstreams, keys)
        })
    }
}

/// The hash of the operator's token, which must be one that protects something.
pub(crate) fn admin_token(source: &Spanned<SecretSource>, origin: &Origin) -> Result<KeyHash, Failure> {
    let token = origin.secret(source)?;
    check_secret(&token).map_err(|weakness| {
        origin
            .fault(source.span(), format!("the token {weakness}"))
            .hint("draw one: `paceline keys new --name admin` shows a good one")
    })?;
    Ok(KeyHash::of(token.as_bytes()))
}

/// The folder of the state, unless there is to be none.
pub(super) fn state_folder(args: &ServeArgs, env: &dyn Environment) -> Option<PathBuf> {
    match &args.state {
        Some(OrNone::Some(folder)) => Some(folder.clone()),
        Some(OrNone::None) => None,
        None => {
            // A service manager names the folder that it made.
            let own = env.get("STATE_DIRECTORY").map(PathBuf::from);
            let state = env.get("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
            let home = || env.get("HOME").map(|home| Path::new(&home).join(".local/state"));
            own.or_else(|| Some(state.or_else(home)?.join("paceline")))
        }
    }
}

fn checked_address(
    address: Option<SocketAddr>,
    flag: &str,
    remote: bool,
) -> Result<Option<SocketAddr>, Failure> {
    match address {
        Some(address) if !address.ip().is_loopback() && !remote => {
            Err(Failure::usage(anyhow!("`{flag} {address}` can be reached from other machines, without TLS"))
                .hint(
                    "listen on 127.0.0.1 behind a proxy with TLS, or add `--allow-remote` if that is meant",
                ))
        }
        address => Ok(address),
    }
}

/// The provider at its own address or at the one that was typed; `None` when it has none.
fn at_home_or(provider: &Provider, urls: &[ProviderUrl]) -> Result<Option<Upstream>, Failure> {
    let upstream = Upstream::new(provider.name.clone(), provider.clone());
    match urls.iter().rfind(|url| url.provider == provider.name) {
        Some(ProviderUrl { url, .. }) => {
            upstream::check_url(url).map_err(|fault| Failure::usage(anyhow!(fault)))?;
            Ok(Some(upstream.base_url(url)))
        }
        None => Ok(provider.base_url.is_some().then_some(upstream)),
    }
}

/// A typed address that nobody uses is a mistake.
fn named_all(urls: &[ProviderUrl], upstreams: &[Upstream]) -> Result<(), Failure> {
    for ProviderUrl { provider, .. } in urls {
        upstream::known(provider)?;
        if !upstreams.iter().any(|upstream| upstream.name() == provider) {
            let message = format!("`--base-url` names `{provider}`, which the environment has no key for");
            return Err(Failure::usage(anyhow!(message)));
        }
    }
    Ok(())
}

fn nobody_could_call(keys: &Keys) -> Result<(), Failure> {
    if keys.callers.is_empty() && keys.upstreams.is_empty() {
        return Err(Failure::usage(anyhow!("there is no key that callers could present"))
            .hint("add a [[caller]]; `paceline keys new --name NAME` draws its key"));
    }
    Ok(())
}
