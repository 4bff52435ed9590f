//! `paceline mock`, and the mock inside `paceline run --mock`.

use std::io::{self, Write};

use anyhow::Context;
use paceline::Upstream;
use paceline_mock::profile::{Amounts, EMBEDDED, Enforcement, Profile};
use paceline_mock::script::Script;
use paceline_mock::server::{Handle, Options, Server};
use paceline_wire::dialect::Dialect;
use paceline_wire::provider::{Catalog, Provider};

use crate::args::MockArgs;
use crate::exit::{Exit, Failure};
use crate::messages;
use crate::signals::Signals;
use crate::upstream::Destination;

/// Serves until a signal ends it.
pub(crate) fn mock(args: &MockArgs) -> Result<Exit, Failure> {
    if args.profile == "list" {
        return list();
    }
    let options = options(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.context("cannot start").map_err(Failure::stopped)?.block_on(serve(options))
}

fn options(args: &MockArgs) -> Result<Options, Failure> {
    let limits = Amounts {
        requests_per_minute: args.rpm,
        requests_per_day: args.rpd,
        input_tokens_per_minute: args.itpm,
        output_tokens_per_minute: args.otpm,
        tokens_per_minute: args.tpm,
        ..Amounts::default()
    };
    Ok(Options {
        listen: args.listen,
        profile: Profile::named(&args.profile).map_err(Failure::usage)?,
        limits,
        window: args.window,
        script: args
            .script
            .as_deref()
            .map(Script::load)
            .transpose()
            .map_err(Failure::usage)?
            .unwrap_or_default(),
        log: args.log.clone(),
        seed: args.seed,
        speed: args.speed,
        ..Options::default()
    })
}

fn list() -> Result<Exit, Failure> {
    let profiles = Profile::parse(EMBEDDED).map_err(Failure::stopped)?;
    let mut out = io::stdout().lock();
    for profile in profiles {
        // A reader who has closed the pipe has seen enough.
        if writeln!(out, "{:22} {} ({})", profile.name, profile.source, profile.date).is_err() {
            break;
        }
    }
    Ok(Exit::Done)
}

async fn serve(options: Options) -> Result<Exit, Failure> {
    let mut signals = Signals::install().context("cannot take signals over").map_err(Failure::stopped)?;
    let profile = options.profile.name.clone();
    let handle = Server::start(options).await.map_err(Failure::usage)?;
    // On stdout, so that a script that asked for port 0 can read it.
    let _ = writeln!(io::stdout(), "{}", handle.base_url());
    messages::say(&format!(
        "playing `{profile}`; ANTHROPIC_BASE_URL={0} OPENAI_BASE_URL={0}/v1",
        handle.base_url()
    ));
    signals.next().await;
    let (calls, whole) = (handle.total_calls(), handle.log_is_whole());
    handle.shutdown().await;
    messages::say(&format!("{calls} calls answered"));
    if !whole {
        return Err(Failure::stopped(anyhow::anyhow!("the call log is not whole: it could not be written")));
    }
    Ok(Exit::Done)
}

/// A mock inside this process. It ends with its handle.
pub(crate) struct InProcess(Handle);

/// Starts a mock for `paceline run --mock`.
pub(crate) async fn in_process() -> Result<InProcess, Failure> {
    let (profile, window) = account();
    let options = Options { profile, window: Some(window), ..Options::default() };
    Server::start(options).await.map(InProcess).map_err(Failure::stopped)
}

/// The account that it plays. It enforces the minute's limit by ten seconds, as strict providers do, so that a short run
/// meets the limit, too.
pub(crate) fn account() -> (Profile, Enforcement) {
    (Options::default().profile, Enforcement::TenSecondBucket)
}

impl InProcess {
    /// The mock as a destination.
    pub(crate) fn destination(&self, chosen: Option<&Provider>) -> Destination {
        destination(&self.0.base_url(), chosen)
    }
}

/// The mock as a destination to which nothing is going to be sent.
pub(crate) fn outline(chosen: Option<&Provider>) -> Destination {
    destination("http://127.0.0.1", chosen)
}

/// A mock at this address: it speaks both dialects, so lines of every family find their upstream.
fn destination(base_url: &str, chosen: Option<&Provider>) -> Destination {
    let catalog = Catalog::embedded();
    let known = |name| catalog.provider(name).expect("a test reads the embedded providers");
    let chosen = chosen.unwrap_or_else(|| known("anthropic"));
    let other = match chosen.dialect {
        Dialect::Anthropic => known("openai"),
        Dialect::OpenAi => known("anthropic"),
    };
    let name = |provider: &Provider| format!("mock-{}", provider.name);
    let upstream = |provider: &Provider| {
        let version = if provider.dialect == Dialect::OpenAi { "/v1" } else { "" };
        Upstream::new(name(provider), provider.clone())
            .base_url(format!("{base_url}{version}"))
            .api_key("mock")
    };
    Destination {
        upstreams: vec![upstream(chosen), upstream(other)],
        providers: [chosen, other].map(|provider| (name(provider), provider.clone())).into(),
        pools: Vec::new(),
        ceilings: Vec::new(),
        usage: None,
        provider: chosen.clone(),
    }
}

/// The model of lines without one, which the mock does not look at.
pub(crate) fn model(provider: &Provider) -> &'static str {
    match provider.dialect {
        Dialect::Anthropic => "claude-haiku-4-5",
        Dialect::OpenAi => "gpt-4o-mini",
    }
}
