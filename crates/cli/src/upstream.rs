//! Chooses where a run sends: an upstream of the configuration, a provider by name, or whichever the environment has a
//! key for.

use std::collections::HashMap;

use http::{HeaderName, HeaderValue, Uri};
use paceline::wire::provider::{Auth, Catalog, Provider};
use paceline::{Builder, Ceilings, Client, Pool, PoolMember, Secret, Upstream};
use paceline_gateway::callers::{KeyHash, check_secret};

use crate::args::{self, Target};
use crate::ceilings;
use crate::config::{self, Config, Usage};
use crate::exit::Failure;

/// The name of the provider that stands for any server with an OpenAI-like API.
const COMPATIBLE: &str = "openai-compatible";
/// The address of a provider that has none of its own, where nothing is going to be sent.
const NOWHERE: &str = "https://plan.invalid";

/// Tells a gateway of ours that the jobs of a run give way to whoever waits for an answer. It goes no further than there, and
/// to other servers it means nothing.
const PRIORITY: HeaderName = HeaderName::from_static("x-paceline-priority");

/// Where a run sends.
pub(crate) struct Destination {
    /// The upstreams.
    pub(crate) upstreams: Vec<Upstream>,
    /// Their providers, by the upstreams' names.
    pub(crate) providers: HashMap<String, Provider>,
    /// The pools over them.
    pub(crate) pools: Vec<Pool>,
    /// Typed ceilings of the configuration.
    pub(crate) ceilings: Vec<Ceilings>,
    /// Where usage is recorded, if the configuration says so.
    pub(crate) usage: Option<Usage>,
    /// The provider whose dialect lines without one of their own are sent in.
    pub(crate) provider: Provider,
}

impl Destination {
    /// A client for it. Typed ceilings name no models, so they hold beside the configuration: the tighter one counts.
    pub(crate) fn client(self, typed: &args::Ceilings) -> Builder {
        let mut builder = Client::builder();
        for ceilings in ceilings::typed(typed).into_iter().chain(self.ceilings) {
            builder = builder.ceilings(ceilings);
        }
        for upstream in self.upstreams {
            builder = builder.upstream(upstream);
        }
        for pool in self.pools {
            builder = builder.pool(pool);
        }
        builder
    }
}

/// Whether credentials are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    /// Something is going to be sent.
    Needed,
    /// Nothing is.
    Unneeded,
}

/// Chooses by the flags; what they leave open the environment decides.
pub(crate) fn choose(
    target: &Target,
    model: Option<&str>,
    keys: Keys,
    env: &dyn Environment,
) -> Result<Destination, Failure> {
    let config = target.config.as_deref().map(config::load).transpose()?;
    match (&config, &target.provider, &target.base_url) {
        (Some(config), None, None) => from_config(config, target.upstream.as_deref(), model, keys),
        (Some(_), ..) => Err(Failure::usage(anyhow::anyhow!("`--config` says where to send already"))
            .hint("leave out `--provider` and `--base-url`, or put them into the file")),
        (None, Some(name), url) => from_provider(known(name)?, url.as_deref(), keys, env),
        (None, None, Some(url)) => from_provider(known(COMPATIBLE)?, Some(url), keys, env),
        (None, None, None) => from_provider(detect(model, keys, env)?, None, keys, env),
    }
}

/// Reads environment variables; a table in tests.
pub(crate) trait Environment {
    /// The value of a variable that is set and not empty.
    fn get(&self, name: &str) -> Option<String>;
}

/// The process's own environment.
pub(crate) struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn get(&self, name: &str) -> Option<String> {
        std::env::var(name).ok().filter(|value| !value.is_empty())
    }
}

/// The provider called `name`, or what it could have been.
pub(crate) fn known(name: &str) -> Result<&'static Provider, Failure> {
    Catalog::embedded().provider(name).ok_or_else(|| {
        let names: Vec<&str> =
            Catalog::embedded().providers().map(|provider| provider.name.as_str()).collect();
        let hint = match config::closest(name, &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: `{}`; for another server use `--base-url`", names.join("`, `")),
        };
        Failure::usage(anyhow::anyhow!("unknown provider `{name}`")).hint(hint)
    })
}

/// Says why a text cannot be a base URL.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    let fault = |what: &str| Err(format!("`{url}` {what}; write it as `https://host/path`"));
    let Ok(uri) = url.parse::<Uri>() else { return fault("is not a URL") };
    match (uri.scheme_str(), uri.authority()) {
        (Some("https" | "http"), Some(authority)) if authority.as_str().contains('@') => {
            // The URL may hold a password: it is not repeated.
            Err("a base URL holds no user or password; keys have a place of their own".to_owned())
        }
        (Some("https" | "http"), Some(_)) if uri.query().is_some() || url.contains('#') => {
            fault("has a query")
        }
        (Some("https" | "http"), Some(_)) => Ok(()),
        _ => fault("is not an http or https URL"),
    }
}

/// Whether a URL leads to one of the providers themselves, who are not to hear words of ours.
fn is_a_providers(url: &str) -> bool {
    let place = |url: &str| {
        let url: Uri = url.parse().ok()?;
        let usual = if url.scheme_str() == Some("http") { 80 } else { 443 };
        Some((url.host()?.to_ascii_lowercase(), url.port_u16().unwrap_or(usual)))
    };
    let mut known =
        Catalog::embedded().providers().filter_map(|provider| place(provider.base_url.as_deref()?));
    let asked = place(url);
    known.any(|known| Some(known) == asked)
}

fn from_provider(
    provider: &Provider,
    url: Option<&str>,
    keys: Keys,
    env: &dyn Environment,
) -> Result<Destination, Failure> {
    let mut upstream = Upstream::new(provider.name.clone(), provider.clone());
    match url {
        Some(url) => {
            check_url(url).map_err(|fault| Failure::usage(anyhow::anyhow!(fault)))?;
            upstream = upstream.base_url(url);
            if !is_a_providers(url) {
                upstream = upstream.header(PRIORITY, HeaderValue::from_static("batch"));
            }
        }
        None if provider.base_url.is_none() && keys == Keys::Unneeded => {
            upstream = upstream.base_url(NOWHERE)
        }
        None if provider.base_url.is_none() => {
            return Err(Failure::usage(anyhow::anyhow!("`{}` has no address of its own", provider.name))
                .hint("say where it is with `--base-url`"));
        }
        None => {}
    }
    upstream = match key_in(provider, env) {
        Some((variable, key)) => upstream.api_key(checked(key, &format!("the variable `{variable}`"))?),
        None if keyless(provider) || keys == Keys::Unneeded => upstream.allow_plain_http(),
        None => return Err(no_key(provider)),
    };
    Ok(Destination {
        providers: HashMap::from([(upstream.name().to_owned(), provider.clone())]),
        upstreams: vec![upstream],
        pools: Vec::new(),
        ceilings: Vec::new(),
        usage: None,
        provider: provider.clone(),
    })
}

fn from_config(
    config: &Config,
    name: Option<&str>,
    model: Option<&str>,
    keys: Keys,
) -> Result<Destination, Failure> {
    let names: Vec<&str> = config.upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
    let chosen: Vec<&config::Upstream> =
        config.upstreams.iter().filter(|upstream| name.is_none_or(|name| name == upstream.name)).collect();
    let Some(first) = chosen.first() else {
        let failure = match name {
            Some(name) => Failure::usage(anyhow::anyhow!("the configuration has no upstream `{name}`")),
            None => {
                return Err(Failure::usage(anyhow::anyhow!("the configuration has no upstream"))
                    .hint("add an [[upstream]]"));
            }
        };
        return Err(failure.hint(match config::closest(name.unwrap_or_default(), &names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it has: `{}`", names.join("`, `")),
        }));
    };
    let pools = if name.is_some() {
        Vec::new()
    } else {
        config.pools.iter().map(|pool| pool_of(pool, config)).collect()
    };
    let served = config.pools.iter().find(|pool| Some(pool.model.as_str()) == model);
    let preferred = served.and_then(|pool| chosen.iter().find(|upstream| pool.upstreams[0] == upstream.name));
    let accounts: Vec<&str> =
        chosen.iter().map(|upstream| upstream.account.as_deref().unwrap_or(&upstream.name)).collect();
    Ok(Destination {
        provider: preferred.unwrap_or(first).provider.clone(),
        providers: chosen
            .iter()
            .map(|upstream| (upstream.name.clone(), config::priced(upstream.provider, &config.prices)))
            .collect(),
        usage: config.usage.clone(),
        upstreams: chosen
            .iter()
            .map(|upstream| match (configured(upstream, config), keys) {
                (Ok((upstream, _)), _) => Ok(upstream),
                (Err(_), Keys::Unneeded) => Ok(outlined(upstream)),
                (Err(failure), Keys::Needed) => Err(failure),
            })
            .collect::<Result<_, _>>()?,
        pools,
        ceilings: config
            .quotas
            .iter()
            .filter(|quota| accounts.contains(&quota.account.as_str()))
            .map(ceilings_of)
            .collect(),
    })
}

/// An upstream of the configuration whose key is not there. It is taken for an account of its own unless it names one.
fn outlined(upstream: &config::Upstream) -> Upstream {
    let account = upstream.account.as_ref().unwrap_or(&upstream.name);
    let built = Upstream::new(upstream.name.clone(), upstream.provider.clone()).account(account);
    match &upstream.base_url {
        Some(url) => built.base_url(url).allow_plain_http(),
        None => built,
    }
}

/// An upstream of the configuration, and what its key hashes to when that may serve as a caller's.
pub(crate) fn configured(
    upstream: &config::Upstream,
    config: &Config,
) -> Result<(Upstream, Option<KeyHash>), Failure> {
    let provider = &config::priced(upstream.provider, &config.prices);
    let mut built = Upstream::new(upstream.name.clone(), provider.clone());
    if let Some(url) = &upstream.base_url {
        built = built.base_url(url);
    }
    if let Some(account) = &upstream.account {
        built = built.account(account);
    }
    if upstream.pass_through {
        return Ok((built.pass_through(), None));
    }
    let key = match &upstream.api_key {
        Some(source) => Some(config.origin.secret(source)?),
        None => key_in(provider, &ProcessEnvironment).map(|(_, key)| key),
    };
    match key {
        Some(key) => {
            let hash = guard(&key);
            Ok((built.api_key(Secret::new(key)), hash))
        }
        None if keyless(provider) => Ok((built.allow_plain_http(), None)),
        None => Err(no_key(provider)),
    }
}

/// What an upstream's key hashes to, so that whoever presents it is let in. A key that could be guessed lets nobody in.
pub(crate) fn guard(key: &str) -> Option<KeyHash> {
    let key = key.trim();
    check_secret(key).is_ok().then(|| KeyHash::of(key.as_bytes()))
}

/// A pool of the configuration, with the pools that step in.
pub(crate) fn pool_of(pool: &config::Pool, config: &Config) -> Pool {
    let mut built = Pool::new(pool.model.clone());
    let tiers = std::iter::once(pool).chain(fallbacks(pool, config));
    for (tier, source) in (0u8..).zip(tiers) {
        for upstream in &source.upstreams {
            let send_as = source.send_as.clone().or_else(|| (tier > 0).then(|| source.model.clone()));
            built = built.member(PoolMember { upstream: upstream.clone(), send_as, tier, weight: 1 });
        }
    }
    built
}

/// The pools that step in for `pool`, one level deep: their own fallbacks are theirs.
fn fallbacks<'a>(pool: &'a config::Pool, config: &'a Config) -> impl Iterator<Item = &'a config::Pool> {
    pool.fallback.iter().filter_map(|name| config.pools.iter().find(|other| other.model == *name))
}

/// A quota of the configuration.
pub(crate) fn ceilings_of(quota: &config::Quota) -> Ceilings {
    let mut ceilings = Ceilings::new().account(&quota.account);
    for model in &quota.models {
        ceilings = ceilings.model(model);
    }
    for ceiling in &quota.ceilings {
        ceilings = ceilings.quota(*ceiling);
    }
    match quota.in_flight {
        Some(slots) => ceilings.in_flight(slots),
        None => ceilings,
    }
}

/// The provider that the environment has a key for; several are told apart by the model. Where no key is needed and none
/// is there, all are.
fn detect(model: Option<&str>, keys: Keys, env: &dyn Environment) -> Result<&'static Provider, Failure> {
    let providers = || Catalog::embedded().providers().filter(|provider| provider.base_url.is_some());
    let mut found: Vec<&Provider> = providers().filter(|provider| key_in(provider, env).is_some()).collect();
    if keys == Keys::Unneeded && found.is_empty() {
        let serves = |provider: &&Provider| model.is_some_and(|model| provider.price(model).is_some());
        found = providers().filter(serves).collect();
        if found.is_empty() {
            return Err(Failure::usage(anyhow::anyhow!("nothing says where the jobs would be sent"))
                .hint("say it, such as `--provider anthropic`; or try `--mock`"));
        }
    }
    if let (Some(model), true) = (model, found.len() > 1) {
        let serving: Vec<&Provider> =
            found.iter().copied().filter(|provider| provider.price(model).is_some()).collect();
        if !serving.is_empty() {
            found = serving;
        }
    }
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(Failure::usage(anyhow::anyhow!("no API key is set, so there is nowhere to send to")).hint(
            "set one, such as `export ANTHROPIC_API_KEY=…` or `export OPENAI_API_KEY=…`; or try `--mock`, which needs none",
        )),
        several => {
            let names: Vec<String> = several.iter().map(|provider| format!("`--provider {}`", provider.name)).collect();
            Err(Failure::usage(anyhow::anyhow!("the environment has keys of several providers"))
                .hint(format!("choose with {}", names.join(" or "))))
        }
    }
}

/// The first of the provider's variables that is set, and what it holds.
pub(crate) fn key_in<'a>(provider: &'a Provider, env: &dyn Environment) -> Option<(&'a str, String)> {
    provider.env.iter().find_map(|name| env.get(name).map(|key| (name.as_str(), key)))
}

/// Whether the provider may be sent to without a credential.
pub(crate) fn keyless(provider: &Provider) -> bool {
    provider.auth == Auth::None || provider.name == COMPATIBLE
}

/// A key that can be one; `place` is where it was found.
pub(crate) fn checked(key: String, place: &str) -> Result<Secret, Failure> {
    match config::check_secret(key.trim()) {
        Ok(()) => Ok(Secret::new(key)),
        Err(fault) => Err(Failure::usage(anyhow::anyhow!("{place} {fault}"))),
    }
}

fn no_key(provider: &Provider) -> Failure {
    let failure = Failure::usage(anyhow::anyhow!("no API key for `{}`", provider.name));
    match provider.env.first() {
        Some(variable) => {
            failure.hint(format!("set it: `export {variable}=…`; or try `--mock`, which needs none"))
        }
        None => failure.hint("name its place in a configuration file: `api_key = { env = \"NAME\" }`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Table(HashMap<&'static str, &'static str>);

    impl Environment for Table {
        fn get(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }
    }

    fn target() -> Target {
        Target { mock: false, upstream: None, provider: None, base_url: None, config: None }
    }

    #[test]
    fn the_environment_and_the_model_decide_where_to_send() {
        let cases = [
            (&["ANTHROPIC_API_KEY"][..], None, Ok("anthropic")),
            (&["OPENAI_API_KEY"], None, Ok("openai")),
            (&["ANTHROPIC_API_KEY", "OPENAI_API_KEY"], Some("claude-sonnet-4-5"), Ok("anthropic")),
            (
                &["ANTHROPIC_API_KEY", "OPENAI_API_KEY"],
                None,
                Err("the environment has keys of several providers"),
            ),
            (&[], None, Err("no API key is set, so there is nowhere to send to")),
        ];
        for (variables, model, expected) in cases {
            let env = Table(variables.iter().map(|name| (*name, "sk-test-abcdef")).collect());
            let found = choose(&target(), model, Keys::Needed, &env);
            let found = found
                .map(|destination| destination.provider.name)
                .map_err(|failure| failure.error.to_string());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{variables:?} {model:?}");
        }
    }

    #[test]
    fn an_unknown_provider_gets_a_proposal() {
        let failure = known("antropic").unwrap_err();
        assert_eq!(failure.hint.as_deref(), Some("did you mean `anthropic`?"));
    }

    #[test]
    fn providers_are_known_by_where_they_are() {
        for (url, theirs) in [
            ("https://api.openai.com/v1", true),
            ("https://API.anthropic.com:443", true),
            ("http://127.0.0.1:11434/v1", true),
            ("http://127.0.0.1:4000/v1", false),
            ("https://gateway.example/openai/v1", false),
        ] {
            assert_eq!(is_a_providers(url), theirs, "{url}");
        }
    }

    #[test]
    fn base_urls_are_checked() {
        for good in ["https://api.example.com", "http://127.0.0.1:8080/v1", "https://[::1]:4000/a/b"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "ftp://example.com",
            "https://",
            "https://a b",
            "https://x/?q=1",
            "https://u:p@x/",
        ] {
            let fault = check_url(bad).unwrap_err();
            assert!(!fault.contains("u:p"), "{fault}");
        }
    }
}
