//! From what the file says to what holds: names resolve, nothing is doubled, every value makes sense.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use paceline_core::quota::{self, Dimension};
use paceline_wire::price::MicroUsd;
use paceline_wire::provider::{Catalog, Provider};
use toml::Spanned;

use super::file;
use super::place::Problem;
use super::secret::SecretSource;

/// Where the gateway listens unless told otherwise: this machine only.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 4000);
/// The same for its admin side.
const ADMIN: ([u8; 4], u16) = ([127, 0, 0, 1], 4001);
/// Hashes of the empty key (SHA-256, BLAKE3): whoever stored one stored nothing.
const EMPTY_HASHES: [&str; 2] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
];

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Config {
    /// The folder of the file: relative paths start here.
    pub(crate) folder: PathBuf,
    /// Where the gateway listens.
    pub(crate) server: Server,
    /// The places to send to, names unique.
    pub(crate) upstreams: Vec<Upstream>,
    /// Ceilings, each of an account that some upstream has.
    pub(crate) quotas: Vec<Quota>,
    /// Model names that callers use, each served by known upstreams.
    pub(crate) pools: Vec<Pool>,
    /// Our own callers, names unique.
    pub(crate) callers: Vec<Caller>,
}

/// Where the gateway listens.
#[derive(Debug)]
pub(crate) struct Server {
    /// For callers.
    pub(crate) listen: SocketAddr,
    /// For the operator.
    pub(crate) admin: SocketAddr,
}

/// One place to send to.
#[derive(Debug)]
pub(crate) struct Upstream {
    /// Its unique name.
    pub(crate) name: String,
    /// Whose rules it follows.
    pub(crate) provider: &'static Provider,
    /// Instead of the provider's own.
    pub(crate) base_url: Option<String>,
    /// Its credential's place; the provider's own variable when absent.
    pub(crate) api_key: Option<SecretSource>,
    /// Whom its limits count against.
    pub(crate) account: Option<String>,
}

/// Ceilings of one account for a set of models, on one meter.
#[derive(Debug)]
pub(crate) struct Quota {
    /// Whose.
    pub(crate) account: String,
    /// Which models: names, in which a star stands for anything.
    pub(crate) models: Vec<String>,
    /// How much of what.
    pub(crate) ceilings: Vec<quota::Quota>,
    /// At most so many attempts in flight.
    pub(crate) in_flight: Option<u32>,
}

/// The upstreams that can serve one model name.
#[derive(Debug)]
pub(crate) struct Pool {
    /// The name callers use.
    pub(crate) model: String,
    /// Who serves it, in order.
    pub(crate) upstreams: Vec<String>,
    /// The name upstreams get instead.
    pub(crate) send_as: Option<String>,
    /// Pools that step in.
    pub(crate) fallback: Vec<String>,
}

/// One of our own callers.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Its unique name.
    pub(crate) name: String,
    /// What its key hashes to, in lower-case hexadecimal.
    pub(crate) key_hash: String,
    /// The class of its requests.
    pub(crate) priority: &'static str,
    /// Its share beside other callers.
    pub(crate) weight: u32,
    /// What it may spend, and over how long.
    pub(crate) budget: Option<(MicroUsd, Duration)>,
}

/// Checks a parsed file as a whole.
pub(super) fn check(file: file::File, folder: PathBuf) -> Result<Config, Problem> {
    unique("upstream", file.upstream.iter().map(|upstream| &upstream.name))?;
    unique("pool", file.pool.iter().map(|pool| &pool.model))?;
    unique("caller", file.caller.iter().map(|caller| &caller.name))?;
    let server = server(&file.server)?;
    let upstreams = file.upstream.into_iter().map(upstream).collect::<Result<Vec<_>, _>>()?;
    let quotas = file.quota.iter().map(|quota| check_quota(quota, &upstreams)).collect::<Result<_, _>>()?;
    let pools =
        file.pool.iter().map(|pool| check_pool(pool, &upstreams, &file.pool)).collect::<Result<_, _>>()?;
    let callers = file.caller.iter().map(caller).collect::<Result<_, _>>()?;
    Ok(Config { folder, server, upstreams, quotas, pools, callers })
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a Spanned<String>>) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for name in names {
        filled(what, name)?;
        if !seen.insert(name.get_ref()) {
            return Err(Problem::at(name.span(), format!("another {what} is called `{}`", name.get_ref()))
                .hint("give each its own name"));
        }
    }
    Ok(())
}

fn filled(what: &str, name: &Spanned<String>) -> Result<(), Problem> {
    if name.get_ref().trim().is_empty() {
        return Err(Problem::at(name.span(), format!("each {what} needs a name")));
    }
    Ok(())
}

fn server(server: &file::Server) -> Result<Server, Problem> {
    let listen = address(server.listen.as_ref(), LISTEN, server.allow_remote)?;
    let admin = address(server.admin.as_ref(), ADMIN, server.allow_remote)?;
    match [&server.admin, &server.listen].into_iter().flatten().next() {
        Some(either) if listen == admin => {
            Err(Problem::at(either.span(), "callers and admin cannot share one address")
                .hint("give each its own port"))
        }
        _ => Ok(Server { listen, admin }),
    }
}

fn address(
    text: Option<&Spanned<String>>,
    usual: ([u8; 4], u16),
    remote: bool,
) -> Result<SocketAddr, Problem> {
    let Some(text) = text else { return Ok(usual.into()) };
    let address: SocketAddr = text.get_ref().parse().map_err(|_| {
        let usual = SocketAddr::from(usual);
        Problem::at(text.span(), format!("`{}` is not an address with a port", text.get_ref()))
            .hint(format!("write it as `{usual}`"))
    })?;
    if address.ip().is_loopback() || remote {
        return Ok(address);
    }
    Err(Problem::at(text.span(), format!("`{address}` can be reached from other machines"))
        .hint("listen on 127.0.0.1, or say `allow_remote = true` if that is meant"))
}

fn upstream(upstream: file::Upstream) -> Result<Upstream, Problem> {
    let name = upstream.provider.get_ref();
    let catalog = Catalog::embedded();
    let provider = catalog.provider(name).ok_or_else(|| {
        let known: Vec<&str> = catalog.providers().map(|provider| provider.name.as_str()).collect();
        Problem::at(upstream.provider.span(), format!("unknown provider `{name}`")).meant(name, &known)
    })?;
    if let Some(url) = &upstream.base_url {
        crate::upstream::check_url(url.get_ref()).map_err(|message| Problem::at(url.span(), message))?;
    }
    Ok(Upstream {
        name: upstream.name.into_inner(),
        provider,
        base_url: upstream.base_url.map(Spanned::into_inner),
        api_key: upstream.api_key,
        account: upstream.account.map(Spanned::into_inner),
    })
}

fn check_quota(quota: &file::Quota, upstreams: &[Upstream]) -> Result<Quota, Problem> {
    let account = quota.account.get_ref();
    let accounts: Vec<&str> =
        upstreams.iter().map(|upstream| upstream.account.as_deref().unwrap_or(&upstream.name)).collect();
    if !accounts.contains(&account.as_str()) {
        return Err(Problem::at(quota.account.span(), format!("no upstream has the account `{account}`"))
            .meant(account, &accounts));
    }
    let dimensions = [
        (Dimension::Requests, &quota.requests),
        (Dimension::InputTokens, &quota.input_tokens),
        (Dimension::OutputTokens, &quota.output_tokens),
        (Dimension::TotalTokens, &quota.tokens),
    ];
    let ceilings: Vec<quota::Quota> = dimensions
        .into_iter()
        .flat_map(|(dimension, rates)| rates.0.iter().map(move |rate| (dimension, rate)))
        .map(|(dimension, rate)| quota::Quota { dimension, window: rate.window, limit: rate.limit })
        .collect();
    if ceilings.is_empty() && quota.in_flight.is_none() {
        return Err(Problem::at(quota.account.span(), "this quota limits nothing")
            .hint("add `requests`, `input_tokens`, `output_tokens`, `tokens` or `in_flight`, or remove it"));
    }
    if let Some(zero) = quota.in_flight.as_ref().filter(|slots| *slots.get_ref() == 0) {
        return Err(Problem::at(zero.span(), "`in_flight = 0` would let nothing through"));
    }
    for model in &quota.models {
        filled("model", model)?;
    }
    let models = match quota.models.as_slice() {
        [] => vec!["*".to_owned()],
        models => models.iter().map(|model| model.get_ref().clone()).collect(),
    };
    Ok(Quota {
        account: account.clone(),
        models,
        ceilings,
        in_flight: quota.in_flight.as_ref().map(|n| *n.get_ref()),
    })
}

fn check_pool(pool: &file::Pool, upstreams: &[Upstream], pools: &[file::Pool]) -> Result<Pool, Problem> {
    let known: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    if pool.upstreams.get_ref().is_empty() {
        return Err(Problem::at(pool.upstreams.span(), "a pool needs an upstream").meant("", &known));
    }
    for name in pool.upstreams.get_ref() {
        if !known.contains(&name.get_ref().as_str()) {
            let message = format!("no upstream is called `{}`", name.get_ref());
            return Err(Problem::at(name.span(), message).meant(name.get_ref(), &known));
        }
    }
    let others: Vec<&str> = pools.iter().map(|other| other.model.get_ref().as_str()).collect();
    for name in &pool.fallback {
        if name.get_ref() == pool.model.get_ref() {
            return Err(Problem::at(name.span(), format!("pool `{}` falls back on itself", name.get_ref())));
        }
        if !others.contains(&name.get_ref().as_str()) {
            let message = format!("no pool serves the model `{}`", name.get_ref());
            return Err(Problem::at(name.span(), message).meant(name.get_ref(), &others));
        }
    }
    let names = |list: &[Spanned<String>]| list.iter().map(|name| name.get_ref().clone()).collect();
    Ok(Pool {
        model: pool.model.get_ref().clone(),
        upstreams: names(pool.upstreams.get_ref()),
        send_as: pool.send_as.as_ref().map(|name| name.get_ref().clone()),
        fallback: names(&pool.fallback),
    })
}

fn caller(caller: &file::Caller) -> Result<Caller, Problem> {
    let hash = caller.key_hash.get_ref().to_ascii_lowercase();
    if hash.len() != 64 || !hash.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Problem::at(caller.key_hash.span(), "`key_hash` is not a hash of 64 hexadecimal digits")
            .hint("the key itself does not stand in this file"));
    }
    if EMPTY_HASHES.contains(&hash.as_str()) {
        return Err(Problem::at(caller.key_hash.span(), "`key_hash` is the hash of an empty key"));
    }
    if let Some(zero) = caller.weight.as_ref().filter(|weight| *weight.get_ref() == 0) {
        return Err(Problem::at(zero.span(), "`weight = 0` would starve this caller"));
    }
    Ok(Caller {
        name: caller.name.get_ref().clone(),
        key_hash: hash,
        priority: match caller.priority {
            file::Priority::Interactive => "interactive",
            file::Priority::Normal => "normal",
            file::Priority::Batch => "batch",
        },
        weight: caller.weight.as_ref().map_or(1, |weight| *weight.get_ref()),
        budget: caller.budget.map(|budget| (budget.0, budget.1)),
    })
}
