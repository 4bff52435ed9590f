//! From what the file says to what holds: names resolve, nothing is doubled, every value makes sense.

use std::collections::HashSet;

use paceline::Priority;
use paceline_core::quota::{self, Dimension};
use paceline_gateway::callers::{Allowance, CallerConfig, Counted, KeyHash};
use paceline_wire::provider::{Catalog, Provider};
use toml::Spanned;

use super::file;
use super::origin::Origin;
use super::place::Problem;
use super::pools::{self, Pool};
use super::secret::SecretSource;
use super::server::{self, Server};
use super::usage::{self, OwnPrice, Usage};

/// Hashes of the empty key (SHA-256, BLAKE3): whoever stored one stored nothing.
const EMPTY_HASHES: [&str; 2] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
];

/// Keys that documentation shows: their hashes protect nothing.
const SAMPLES: [&str; 3] = ["sk-1234", "changeme", "your-api-key"];

/// A checked configuration.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file it was read from.
    pub(crate) origin: Origin,
    /// How the gateway serves.
    pub(crate) server: Server,
    /// The places to send to, names unique.
    pub(crate) upstreams: Vec<Upstream>,
    /// Ceilings, each of an account that some upstream has.
    pub(crate) quotas: Vec<Quota>,
    /// Model names that callers use, each served by known upstreams.
    pub(crate) pools: Vec<Pool>,
    /// Our own callers, names unique.
    pub(crate) callers: Vec<CallerConfig>,
    /// Where usage is recorded, if it is.
    pub(crate) usage: Option<Usage>,
    /// Prices that hold instead of the built-in ones.
    pub(crate) prices: Vec<OwnPrice>,
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
    pub(crate) api_key: Option<Spanned<SecretSource>>,
    /// Has no key: its callers' own go there.
    pub(crate) pass_through: bool,
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

/// Checks a parsed file as a whole.
pub(super) fn check(file: file::File, origin: &Origin) -> Result<Config, Problem> {
    unique("upstream", file.upstream.iter().map(|upstream| &upstream.name))?;
    unique("pool", file.pool.iter().map(|pool| &pool.model))?;
    unique("caller", file.caller.iter().map(|caller| &caller.name))?;
    let server = server::server(&file.server)?;
    check_pass_through(&file.upstream, &file.caller)?;
    let upstreams = file.upstream.into_iter().map(upstream).collect::<Result<Vec<_>, _>>()?;
    let quotas = file.quota.iter().map(|quota| check_quota(quota, &upstreams)).collect::<Result<_, _>>()?;
    let pools = pools::check(&file.pool, &upstreams)?;
    let callers = file.caller.iter().map(caller).collect::<Result<Vec<_>, _>>()?;
    unique_keys(&file.caller, &callers)?;
    let usage = usage::usage(&file.usage, &callers, origin.folder())?;
    let prices = file.price.into_iter().map(usage::price).collect::<Result<_, _>>()?;
    Ok(Config { origin: origin.clone(), server, upstreams, quotas, pools, callers, usage, prices })
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

fn upstream(upstream: file::Upstream) -> Result<Upstream, Problem> {
    let name = upstream.provider.get_ref();
    let catalog = Catalog::embedded();
    let provider = catalog.provider(name).ok_or_else(|| {
        let known: Vec<&str> = catalog.providers().map(|provider| provider.name.as_str()).collect();
        Problem::at(upstream.provider.span(), format!("unknown provider `{name}`")).meant(name, &known)
    })?;
    check_base_url(&upstream, provider)?;
    Ok(Upstream {
        name: upstream.name.into_inner(),
        provider,
        base_url: upstream.base_url.map(Spanned::into_inner),
        api_key: upstream.api_key,
        pass_through: upstream.pass_through.is_some_and(Spanned::into_inner),
        account: upstream.account.map(Spanned::into_inner),
    })
}

/// Finds what the client would refuse later, while the line is known.
fn check_base_url(upstream: &file::Upstream, provider: &Provider) -> Result<(), Problem> {
    let Some(url) = &upstream.base_url else { return Ok(()) };
    let fault = |message: String| Problem::at(url.span(), message);
    crate::upstream::check_url(url.get_ref()).map_err(fault)?;
    let mut built =
        paceline::Upstream::new(upstream.name.get_ref(), provider.clone()).base_url(url.get_ref());
    let passes = upstream.pass_through.as_ref().is_some_and(|it| *it.get_ref());
    if crate::upstream::keyless(provider) && upstream.api_key.is_none() && !passes {
        built = built.allow_plain_http();
    }
    built.check().map_err(|error| fault(error.to_string()))
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

fn caller(caller: &file::Caller) -> Result<CallerConfig, Problem> {
    let problem = |message: &str| Problem::at(caller.key_hash.span(), message);
    let key: KeyHash = caller.key_hash.get_ref().parse().map_err(|()| {
        problem("`key_hash` is not a hash of 64 hexadecimal digits").hint(
            "the key itself does not stand in this file; `paceline keys new` draws one and shows its hash",
        )
    })?;
    if EMPTY_HASHES.contains(&key.to_string().as_str()) {
        return Err(problem("`key_hash` is the hash of an empty key"));
    }
    if SAMPLES.iter().any(|sample| key == KeyHash::of(sample.as_bytes())) {
        return Err(
            problem("`key_hash` is the hash of a sample key").hint("draw one with `paceline keys new`")
        );
    }
    if let Some(zero) = caller.weight.as_ref().filter(|weight| *weight.get_ref() == 0) {
        return Err(Problem::at(zero.span(), "`weight = 0` would starve this caller"));
    }
    let rates = [(Counted::Requests, &caller.requests), (Counted::Tokens, &caller.tokens)];
    let quotas = rates.into_iter().flat_map(|(counted, rates)| {
        rates.0.iter().map(move |rate| Allowance { counted, window: rate.window, limit: rate.limit })
    });
    let budget = caller.budget.map(|budget| Allowance {
        counted: Counted::Money,
        window: budget.1,
        limit: budget.0.micros(),
    });
    Ok(CallerConfig {
        name: caller.name.get_ref().clone(),
        key,
        priority: match caller.priority {
            file::Priority::Interactive => Priority::Interactive,
            file::Priority::Normal => Priority::Normal,
            file::Priority::Batch => Priority::Batch,
        },
        weight: caller.weight.as_ref().map_or(1, |weight| *weight.get_ref()),
        allowances: quotas.chain(budget).collect(),
    })
}

/// Two callers with one key could not be told apart.
fn unique_keys(texts: &[file::Caller], callers: &[CallerConfig]) -> Result<(), Problem> {
    let mut seen = HashSet::new();
    for (text, caller) in texts.iter().zip(callers) {
        if !seen.insert(caller.key) {
            return Err(Problem::at(text.key_hash.span(), "another caller has the same key")
                .hint("draw one for each with `paceline keys new`"));
        }
    }
    Ok(())
}

/// A caller's own credential goes to every upstream that could serve, or to none: it is no business of the others.
fn check_pass_through(upstreams: &[file::Upstream], callers: &[file::Caller]) -> Result<(), Problem> {
    let passing = |upstream: &&file::Upstream| upstream.pass_through.as_ref().is_some_and(|it| *it.get_ref());
    let Some(first) = upstreams.iter().find(passing) else { return Ok(()) };
    if let Some(own) = upstreams.iter().find(|upstream| passing(upstream) && upstream.api_key.is_some()) {
        return Err(Problem::at(own.name.span(), "an upstream with `pass_through` has no `api_key`"));
    }
    if let Some(other) = upstreams.iter().find(|upstream| !passing(upstream)) {
        let message = format!(
            "`{}` passes callers' own keys on, `{}` does not; all do or none does",
            first.name.get_ref(),
            other.name.get_ref()
        );
        return Err(Problem::at(other.name.span(), message).hint("run two gateways for both"));
    }
    match callers.first() {
        Some(caller) => {
            Err(Problem::at(caller.name.span(), "callers with keys of ours have none to pass on")
                .hint("give the upstreams an `api_key` instead of `pass_through`"))
        }
        None => Ok(()),
    }
}
