//! The grammar of provider files, as serde sees it. Every key is optional here: `catalog` lays files over one another.

use std::collections::BTreeMap;
use std::ops::Deref;

use paceline_core::quota::{Metering, OutputRule};
use serde::Deserialize;

use super::rate::{Rate, decimal};
use super::{Auth, InputEstimate, LimitHeaders, Quirks};
use crate::dialect::Dialect;

/// A whole file: providers by name.
pub(super) type File = BTreeMap<String, ProviderFile>;

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProviderFile {
    pub(super) like: Option<String>,
    pub(super) dialect: Option<Dialect>,
    pub(super) base_url: Option<BaseUrl>,
    pub(super) auth: Option<Auth>,
    pub(super) env: Vec<String>,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) request_id: Option<String>,
    pub(super) organisation: Vec<String>,
    pub(super) organisation_unless: Vec<String>,
    pub(super) limit_headers: Option<LimitHeaders>,
    pub(super) metering: MeteringFile,
    pub(super) input_estimate: Option<InputEstimate>,
    pub(super) cache_reads: CacheReadsFile,
    pub(super) self_hosted: bool,
    pub(super) bytes_per_token: Option<BytesPerToken>,
    pub(super) tokens_per_image: Option<u32>,
    pub(super) tool_prompt_tokens: Option<u32>,
    pub(super) tokens_per_second: Option<u32>,
    pub(super) quirks: Quirks,
    pub(super) pools: BTreeMap<String, Vec<String>>,
    pub(super) tiers: BTreeMap<String, TierFile>,
    pub(super) prices: BTreeMap<String, PriceFile>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MeteringFile {
    output: OutputFile,
    input_is_estimate: bool,
    refusals_count: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum OutputFile {
    #[default]
    Produced,
    UpFront,
    Reserved,
    NotCounted,
}

impl From<MeteringFile> for Metering {
    fn from(file: MeteringFile) -> Metering {
        let output = match file.output {
            OutputFile::Produced => OutputRule::Produced,
            OutputFile::UpFront => OutputRule::UpFront,
            OutputFile::Reserved => OutputRule::Reserved,
            OutputFile::NotCounted => OutputRule::NotCounted,
        };
        let MeteringFile { input_is_estimate, refusals_count, .. } = file;
        Metering { output, input_is_estimate, refusals_count }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct CacheReadsFile {
    pub(super) free: bool,
    pub(super) except: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TierFile {
    pub(super) as_of: Date,
    #[serde(default)]
    pub(super) source: String,
    pub(super) limits: Vec<LimitFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitFile {
    pub(super) models: Vec<String>,
    #[serde(default)]
    pub(super) requests: Rates,
    #[serde(default)]
    pub(super) input_tokens: Rates,
    #[serde(default)]
    pub(super) output_tokens: Rates,
    #[serde(default)]
    pub(super) tokens: Rates,
    pub(super) in_flight: Option<u32>,
}

/// Prices are USD per million tokens, as strings, because money is never a float.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceFile {
    /// Patterns; without them the key is the model's name.
    pub(super) models: Option<Vec<String>>,
    pub(super) as_of: Date,
    pub(super) input: PicoUsd,
    pub(super) output: PicoUsd,
    /// Default: as other input.
    pub(super) cache_read: Option<PicoUsd>,
    /// Default: as other input.
    pub(super) cache_write: Option<PicoUsd>,
    /// Default: as `cache_write`.
    pub(super) cache_write_1h: Option<PicoUsd>,
    /// Default: 100, no batch price.
    pub(super) batch_percent: Option<u32>,
    /// Default: as short ones.
    pub(super) long_context: Option<LongContextFile>,
}

/// What prompts above a length cost. Without rates nobody knows.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongContextFile {
    /// Prompt tokens up to which the usual rates hold.
    pub above: u64,
    /// As in a price.
    pub input: Option<PicoUsd>,
    /// As in a price.
    pub output: Option<PicoUsd>,
    /// As in a price.
    pub cache_read: Option<PicoUsd>,
    /// As in a price.
    pub cache_write: Option<PicoUsd>,
    /// As in a price.
    pub cache_write_1h: Option<PicoUsd>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Rates(Vec<Rate>);

impl TryFrom<String> for Rates {
    type Error = super::rate::RateError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Rate::parse_list(&text).map(Rates)
    }
}

impl Deref for Rates {
    type Target = [Rate];

    fn deref(&self) -> &[Rate] {
        &self.0
    }
}

/// USD per million tokens, held as pico-USD per token.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct PicoUsd(pub u64);

impl TryFrom<String> for PicoUsd {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        // A price above a million dollars per million tokens is a slip, and the bound keeps later products in range.
        let most = 1_000_000 * 1_000_000;
        decimal(&text, 6)
            .filter(|pico| *pico <= most)
            .map(PicoUsd)
            .ok_or_else(|| format!("`{text}` is no price; write USD per million tokens, such as \"3.75\""))
    }
}

/// A calendar date as `YYYY-MM-DD`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct Date(pub String);

impl TryFrom<String> for Date {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let date: Result<jiff::civil::Date, _> = text.parse();
        match date {
            Ok(date) if date.to_string() == text => Ok(Date(text)),
            _ => Err(format!("`{text}` is no date; write it as \"2026-08-22\"")),
        }
    }
}

/// An absolute http(s) URL without credentials, query or fragment.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct BaseUrl(pub(super) String);

impl TryFrom<String> for BaseUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let uri: Option<http::Uri> = text.parse().ok();
        let good = uri.is_some_and(|uri| {
            let plain_host = uri.authority().is_some_and(|host| !host.as_str().contains('@'));
            plain_host && matches!(uri.scheme_str(), Some("http" | "https")) && uri.query().is_none()
        });
        if good && !text.contains('#') {
            return Ok(BaseUrl(text));
        }
        Err(format!("`{text}` is no base URL; write it as \"https://api.example.com/v1\""))
    }
}

/// Held in thousandths.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "f64")]
pub(super) struct BytesPerToken(pub(super) u32);

impl TryFrom<f64> for BytesPerToken {
    type Error = String;

    fn try_from(bytes: f64) -> Result<Self, String> {
        if (0.25..=64.0).contains(&bytes) {
            return Ok(BytesPerToken((bytes * 1000.0).round() as u32));
        }
        Err(format!("`{bytes}` bytes per token is out of range; write 0.25 to 64, such as 3.5"))
    }
}
