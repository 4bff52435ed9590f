//! The accounts a mock can play: limits, how they are enforced and counted, how fast and how long it answers.
//!
//! Data, in the embedded `profiles.toml`; every figure there has a source and a date.

mod amounts;
mod spread;

use std::time::Duration;

use paceline_core::quota::{Metering, OutputRule};
use serde::Deserialize;

pub use self::amounts::{Amounts, Enforcement, UnknownEnforcement};
pub use self::spread::Spread;
use crate::model::{Limit, Rules};

/// The text of the embedded profiles.
pub const EMBEDDED: &str = include_str!("../profiles.toml");

/// Whose manners a path or an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    /// The Messages API.
    Anthropic,
    /// Chat completions, responses, embeddings and their like.
    OpenAi,
}

/// Where a provider of a dialect differs in its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Manners {
    /// As the dialect's own provider.
    #[default]
    Plain,
    /// Bare numbers in headers, its own 429s, `apim-request-id`.
    Azure,
}

/// One account to play.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// How to ask for it.
    pub name: String,
    /// Whose way of counting it has.
    pub dialect: Dialect,
    /// Where its figures were read.
    pub source: String,
    /// When they were.
    pub date: String,
    /// The limits.
    pub limits: Amounts,
    /// How they are enforced.
    pub window: Enforcement,
    /// How requests are enforced, if not like the rest.
    pub requests_window: Option<Enforcement>,
    /// How it words things.
    pub manners: Manners,
    /// What is counted.
    pub rules: Rules,
    /// Beginnings of model names that share one meter; other models have their own.
    pub pools: Vec<Vec<String>>,
    /// Milliseconds from admission to the first token.
    pub first_token_ms: Spread,
    /// Milliseconds from token to token.
    pub token_every_ms: Spread,
    /// Tokens an answer would have if `max_tokens` allowed.
    pub output_tokens: Spread,
}

impl Profile {
    /// The embedded profile of that name.
    pub fn named(name: &str) -> Result<Profile, ProfileError> {
        let mut all = Profile::parse(EMBEDDED)?;
        match all.iter().position(|profile| profile.name == name) {
            Some(at) => Ok(all.swap_remove(at)),
            None => {
                let known = all.into_iter().map(|p| format!("`{}`", p.name)).collect::<Vec<_>>().join(", ");
                Err(ProfileError::Unknown { name: name.to_owned(), known })
            }
        }
    }

    /// Every profile of a TOML text like the embedded one.
    pub fn parse(text: &str) -> Result<Vec<Profile>, ProfileError> {
        let file: File = toml::from_str(text).map_err(|source| ProfileError::Grammar(Box::new(source)))?;
        Ok(file.profile.into_iter().map(Profile::from).collect())
    }

    /// The limits as the meter takes them.
    pub fn meter_limits(&self) -> Vec<Limit> {
        self.enforce(self.limits)
    }

    /// `amounts` under this account's ways of enforcing.
    pub fn enforce(&self, amounts: Amounts) -> Vec<Limit> {
        amounts.enforced_with(self.window, self.requests_window.unwrap_or(self.window))
    }

    /// The name of the meter that counts `model`.
    pub fn pool<'a>(&'a self, model: &'a str) -> &'a str {
        let shared =
            self.pools.iter().find(|pool| pool.iter().any(|start| model.starts_with(start.as_str())));
        shared.and_then(|pool| pool.first()).map_or(model, String::as_str)
    }

    /// The same account, answering at once: what is measured against it is the caller's own speed.
    pub fn without_latency(mut self) -> Self {
        (self.first_token_ms, self.token_every_ms) = (Spread::ZERO, Spread::ZERO);
        self
    }
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The name is not among the embedded ones.
    #[error("unknown profile `{name}`; known are {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// The text is not a list of profiles.
    #[error("profiles cannot be read")]
    Grammar(#[source] Box<toml::de::Error>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Vec<Written>,
}

/// A profile as it is written: what is left out has the dialect's own default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    name: String,
    dialect: Dialect,
    source: String,
    date: String,
    limits: Amounts,
    window: Option<Enforcement>,
    requests_window: Option<Enforcement>,
    manners: Option<Manners>,
    output: Option<WrittenOutput>,
    refusals_count: Option<bool>,
    concurrency: Option<u32>,
    pools: Option<Vec<Vec<String>>>,
    first_token_ms: Option<Spread>,
    token_every_ms: Option<Spread>,
    output_tokens: Option<Spread>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenOutput {
    Produced,
    UpFront,
    Reserved,
    NotCounted,
}

impl From<Written> for Profile {
    fn from(written: Written) -> Self {
        let openai = written.dialect == Dialect::OpenAi;
        let output = match written.output {
            Some(WrittenOutput::Produced) => OutputRule::Produced,
            Some(WrittenOutput::UpFront) => OutputRule::UpFront,
            Some(WrittenOutput::Reserved) => OutputRule::Reserved,
            Some(WrittenOutput::NotCounted) => OutputRule::NotCounted,
            None if openai => OutputRule::NotCounted,
            None => OutputRule::Produced,
        };
        let refusals_count = written.refusals_count.unwrap_or(openai);
        let metering = Metering { output, input_is_estimate: openai, refusals_count };
        Profile {
            name: written.name,
            dialect: written.dialect,
            source: written.source,
            date: written.date,
            limits: written.limits,
            window: written.window.unwrap_or_default(),
            requests_window: written.requests_window,
            manners: written.manners.unwrap_or_default(),
            rules: Rules { metering, concurrency: written.concurrency, ..Rules::default() },
            pools: written.pools.unwrap_or_else(shared_pools),
            first_token_ms: written.first_token_ms.unwrap_or(Spread { median: 600.0, sigma: 0.4 }),
            token_every_ms: written.token_every_ms.unwrap_or(Spread { median: 12.0, sigma: 0.25 }),
            output_tokens: written.output_tokens.unwrap_or(Spread { median: 300.0, sigma: 0.7 }),
        }
    }
}

/// The pools that Anthropic documents (2026-08-22); every other model is a pool of its own.
fn shared_pools() -> Vec<Vec<String>> {
    let opus = ["claude-opus-4-8", "claude-opus-4-7", "claude-opus-4-6", "claude-opus-4-5"];
    let sonnet = ["claude-sonnet-4-6", "claude-sonnet-4-5"];
    [&opus[..], &sonnet[..]].map(|pool| pool.iter().map(|name| (*name).to_owned()).collect()).to_vec()
}

/// A minute, the window of most limits.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
/// A day, the window of the others.
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use paceline_core::quota::Dimension;

    use super::*;
    use crate::model::Algorithm;

    #[test]
    fn every_embedded_profile_is_sound() {
        let all = Profile::parse(EMBEDDED).unwrap();
        for profile in &all {
            assert_eq!(profile.date.len(), "2026-11-22".len(), "{}", profile.name);
            assert!(!profile.source.is_empty());
            let same_name = all.iter().filter(|other| other.name == profile.name).count();
            assert_eq!(same_name, 1, "{}", profile.name);
        }
        let start = Profile::named("anthropic-start").unwrap();
        let itpm = start.meter_limits().into_iter().find(|l| l.dimension == Dimension::InputTokens).unwrap();
        assert_eq!((itpm.amount, itpm.algorithm), (2_000_000, Algorithm::Bucket { capacity: 2_000_000 }));
        assert_eq!(start.rules.metering.output, OutputRule::Produced);
        let openai = Profile::named("openai-build").unwrap();
        assert_eq!(openai.rules.metering.output, OutputRule::NotCounted);
        assert!(openai.rules.metering.refusals_count);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = Profile::named("anthropic-stat").unwrap_err().to_string();
        assert!(error.starts_with("unknown profile `anthropic-stat`; known are `anthropic-evaluation`, "));
    }

    #[test]
    fn models_of_a_pool_share_its_meter() {
        let profile = Profile::named("anthropic-start").unwrap();
        assert_eq!(profile.pool("claude-opus-4-5-20251101"), profile.pool("claude-opus-4-8"));
        assert_eq!(profile.pool("claude-haiku-4-5"), "claude-haiku-4-5");
    }
}
