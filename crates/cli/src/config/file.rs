//! The configuration file as people write it: keys and their forms, not yet checked against each other.

use std::path::PathBuf;

use paceline_wire::price::MicroUsd;
use paceline_wire::provider::rate::Rate;
use paceline_wire::provider::{Date, LongContextFile, PicoUsd};
use serde::Deserialize;
use serde::de::{Deserializer, Error};
use toml::Spanned;

use super::secret::SecretSource;
use crate::units;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) server: Server,
    pub(super) upstream: Vec<Upstream>,
    pub(super) quota: Vec<Quota>,
    pub(super) pool: Vec<Pool>,
    pub(super) caller: Vec<Caller>,
    pub(super) usage: Usage,
    pub(super) price: Vec<Price>,
}

/// `[server]`: where the gateway listens.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Server {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) admin: Option<Spanned<String>>,
    pub(super) admin_token: Option<Spanned<SecretSource>>,
    pub(super) allow_remote: bool,
    pub(super) hosts: Vec<Spanned<String>>,
    pub(super) origins: Vec<Spanned<String>>,
    pub(super) longest_wait: Option<Span>,
    pub(super) drain: Option<Span>,
    pub(super) connections: Option<Spanned<u32>>,
    pub(super) connections_per_address: Option<Spanned<u32>>,
    pub(super) waiting: Option<Spanned<u32>>,
    pub(super) body: Option<Size>,
}

/// `[[upstream]]`: one place to send to.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Upstream {
    pub(super) name: Spanned<String>,
    pub(super) provider: Spanned<String>,
    pub(super) base_url: Option<Spanned<String>>,
    pub(super) api_key: Option<Spanned<SecretSource>>,
    pub(super) pass_through: Option<Spanned<bool>>,
    pub(super) account: Option<Spanned<String>>,
}

/// `[[quota]]`: a ceiling of one account for a set of models.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Quota {
    pub(super) account: Spanned<String>,
    #[serde(default)]
    pub(super) models: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) requests: Rates,
    #[serde(default)]
    pub(super) input_tokens: Rates,
    #[serde(default)]
    pub(super) output_tokens: Rates,
    #[serde(default)]
    pub(super) tokens: Rates,
    pub(super) in_flight: Option<Spanned<u32>>,
}

/// `[[pool]]`: the upstreams that can serve one model name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pool {
    pub(super) model: Spanned<String>,
    pub(super) upstreams: Spanned<Vec<Spanned<String>>>,
    pub(super) send_as: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) fallback: Vec<Spanned<String>>,
}

/// `[[caller]]`: one of our own callers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Caller {
    pub(super) name: Spanned<String>,
    pub(super) key_hash: Spanned<String>,
    #[serde(default)]
    pub(super) priority: Priority,
    pub(super) weight: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) requests: Rates,
    #[serde(default)]
    pub(super) tokens: Rates,
    pub(super) budget: Option<Budget>,
}

/// `[usage]`: the usage ledger.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Usage {
    pub(super) file: Option<Spanned<PathBuf>>,
    pub(super) retention: Option<Span>,
    pub(super) on_failure: OnFailure,
    pub(super) budget: Option<Spanned<Budget>>,
}

/// What becomes of requests while the ledger cannot be written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OnFailure {
    #[default]
    Serve,
    Refuse,
}

/// `[[price]]`: what some models of a provider cost, in USD per million tokens.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Price {
    pub(super) provider: Spanned<String>,
    pub(super) models: Spanned<Vec<String>>,
    pub(super) as_of: Date,
    pub(super) input: PicoUsd,
    pub(super) output: PicoUsd,
    pub(super) cache_read: Option<PicoUsd>,
    pub(super) cache_write: Option<PicoUsd>,
    pub(super) cache_write_1h: Option<PicoUsd>,
    pub(super) batch_percent: Option<Spanned<u32>>,
    pub(super) long_context: Option<LongContextFile>,
}

/// The class of a caller's requests.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Priority {
    Interactive,
    #[default]
    Normal,
    Batch,
}

/// Quotas, as in `"50/min"` or `"50/min, 1000/day"`.
#[derive(Debug, Default)]
pub(super) struct Rates(pub(super) Vec<Rate>);

impl<'de> Deserialize<'de> for Rates {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        Rate::parse_list(&text).map(Rates).map_err(D::Error::custom)
    }
}

/// A span of time, as in `"90s"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(pub(super) std::time::Duration);

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        units::duration(&String::deserialize(input)?).map(Span).map_err(D::Error::custom)
    }
}

/// So many bytes, as in `"32 MiB"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size(pub(super) usize);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        units::bytes(&String::deserialize(input)?).map(Size).map_err(D::Error::custom)
    }
}

/// Money per window, as in `"20 USD/day"`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget(pub(super) MicroUsd, pub(super) std::time::Duration);

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        units::spending(&text).map(|(amount, window)| Budget(amount, window)).map_err(D::Error::custom)
    }
}
