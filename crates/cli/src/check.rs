//! `paceline check`: says what a configuration means, or what is wrong with it.

use std::io::{self, Write};

use paceline::Priority;
use paceline_core::quota::Dimension;
use paceline_gateway::Settings;
use paceline_gateway::callers::{Allowance, Counted};
use paceline_usage::OnFailure;
use paceline_wire::price::MicroUsd;
use paceline_wire::terminal;
use toml::Spanned;

use crate::args::CheckArgs;
use crate::config::{self, Config, OwnPrice, Quota, SecretSource, Server};
use crate::exit::{Exit, Failure};
use crate::prices::per_million;
use crate::progress::{limit_name, span};

/// Checks the file and prints what it means.
pub(crate) fn check(args: &CheckArgs) -> Result<Exit, Failure> {
    let config = config::load(&args.config)?;
    if let Some(source) = &config.server.admin_token {
        crate::serve::admin_token(source, &config.origin)?;
    }
    for upstream in &config.upstreams {
        if let Some(source) = &upstream.api_key {
            config.origin.secret(source)?;
        }
    }
    let mut text = Vec::new();
    describe(&config, &mut text).expect("writing to a vector cannot fail");
    // A reader who has closed the pipe has seen enough.
    let _ = io::stdout().write_all(terminal::lines(&String::from_utf8_lossy(&text)).as_bytes());
    Ok(Exit::Done)
}

fn describe(config: &Config, out: &mut impl Write) -> io::Result<()> {
    server(&config.server, out)?;
    for upstream in &config.upstreams {
        let url = upstream.base_url.as_ref().or(upstream.provider.base_url.as_ref());
        let account = upstream.account.as_deref().unwrap_or(&upstream.name);
        let key = match upstream.api_key.as_ref().map(Spanned::get_ref) {
            Some(SecretSource::Env(name)) => format!("key from `{name}`"),
            Some(SecretSource::File { path, .. }) => format!("key from the file `{}`", path.display()),
            None if upstream.pass_through => "callers' own keys".to_owned(),
            None => "the provider's usual key, if any".to_owned(),
        };
        let url = url.map_or("nowhere", String::as_str);
        writeln!(
            out,
            "upstream `{}`: {} at {url}, account `{account}`, {key}",
            upstream.name, upstream.provider.name
        )?;
    }
    for quota in &config.quotas {
        writeln!(out, "quota of `{}` for {}: {}", quota.account, quota.models.join(", "), limits(quota))?;
    }
    for pool in &config.pools {
        let send_as = pool.send_as.as_ref().map(|name| format!(" as `{name}`")).unwrap_or_default();
        let fallback = match pool.fallback.as_slice() {
            [] => String::new(),
            names => format!(", then the pool {}", names.join(", ")),
        };
        writeln!(out, "model `{}`: {}{send_as}{fallback}", pool.model, pool.upstreams.join(", "))?;
    }
    for caller in &config.callers {
        let (name, key, weight) = (&caller.name, caller.key, caller.weight);
        let priority = match caller.priority {
            Priority::Interactive => "interactive",
            Priority::Normal => "normal",
            Priority::Batch => "batch",
        };
        let bounds: String =
            caller.allowances.iter().map(|it| format!(", at most {}", allowance(it))).collect();
        writeln!(out, "caller `{name}`: key hash {key:?}, {priority}, weight {weight}{bounds}")?;
    }
    if let Some(usage) = &config.usage {
        let kept = span(usage.retention);
        let fails = match usage.on_failure {
            OnFailure::Serve => "served",
            OnFailure::Refuse => "refused",
        };
        let budget = usage.budget.map(|budget| format!(", all together at most {}", allowance(&budget)));
        let (file, budget) = (usage.file.display(), budget.unwrap_or_default());
        writeln!(out, "usage in `{file}`, kept for {kept}; requests it cannot record are {fails}{budget}")?;
    }
    for OwnPrice { provider, price } in &config.prices {
        let models: Vec<String> = price.models.iter().map(ToString::to_string).collect();
        let (input, output) = (per_million(price.input), per_million(price.output));
        let models = models.join(", ");
        writeln!(
            out,
            "price of {models} at `{provider}`: ${input} in, ${output} out per million, as of {}",
            price.as_of
        )?;
    }
    Ok(())
}

fn server(server: &Server, out: &mut impl Write) -> io::Result<()> {
    match server.admin {
        Some(admin) => writeln!(out, "serve on {}, admin on {admin}", server.listen)?,
        None => writeln!(out, "serve on {}, no admin", server.listen)?,
    }
    let Settings { hosts, origins, waiting, .. } = &server.settings;
    for (what, names) in [("hosts", hosts), ("origins", origins)] {
        if !names.is_empty() {
            writeln!(out, "{what} besides this machine's: {}", names.join(", "))?;
        }
    }
    let (most, longest, drain) = (server.waiting, span(waiting.longest), span(server.drain));
    writeln!(out, "at most {most} requests wait, for {longest} at most; draining takes {drain} at most")
}

fn allowance(allowance: &Allowance) -> String {
    let Allowance { counted, window, limit } = *allowance;
    match counted {
        Counted::Requests => format!("{limit} {}", limit_name(Dimension::Requests, window)),
        Counted::Tokens => format!("{limit} {}", limit_name(Dimension::TotalTokens, window)),
        Counted::Money => format!("{} in {}", MicroUsd::new(limit), span(window)),
    }
}

fn limits(quota: &Quota) -> String {
    let ceilings =
        quota.ceilings.iter().map(|c| format!("{} {}", c.limit, limit_name(c.dimension, c.window)));
    let slots = quota.in_flight.map(|slots| format!("{slots} in flight"));
    ceilings.chain(slots).collect::<Vec<_>>().join(", ")
}
