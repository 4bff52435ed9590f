//! Where the examples send to: Anthropic with the key from the environment, or a mock inside this process without one.

use std::error::Error;

use paceline::Upstream;
use paceline::wire::provider::Catalog;
use paceline_mock::Account;
use paceline_mock::profile::Amounts;
use paceline_mock::script::Script;
use paceline_mock::server::{Handle, Options, Server};

/// One upstream for each of these environment variables, and the mock that must be kept while they are used.
pub(crate) async fn upstreams(variables: &[&str]) -> Result<(Vec<Upstream>, Option<Handle>), Box<dyn Error>> {
    let anthropic = Catalog::embedded().provider("anthropic").ok_or("the provider is embedded")?;
    let upstream = |name: &str| Upstream::new(name, anthropic.clone()).account(name);
    let keys: Vec<String> = variables.iter().filter_map(|name| std::env::var(name).ok()).collect();
    if keys.len() == variables.len() {
        let real = variables.iter().zip(keys).map(|(name, key)| upstream(name).api_key(key));
        return Ok((real.collect(), None));
    }
    // Each account of the mock has limits of its own, such as a thousand requests take some ten seconds with.
    let limits = Amounts {
        requests_per_minute: Some(6_000),
        input_tokens_per_minute: Some(1_000_000),
        output_tokens_per_minute: Some(10_000_000),
        ..Amounts::default()
    };
    let account = |name: &&str| Account {
        organization: (*name).to_owned(),
        keys: vec![(*name).into()],
        project: Vec::new(),
    };
    let script = Script { accounts: variables.iter().map(account).collect(), ..Script::default() };
    let mock = Server::start(Options { limits, script, ..Options::default() }).await?;
    let mocked = variables.iter().map(|name| upstream(name).base_url(mock.base_url()).api_key(*name));
    Ok((mocked.collect(), Some(mock)))
}
