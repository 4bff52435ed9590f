//! Turns what a file says into a [`Provider`] that lacks nothing.

use paceline_core::quota::{Dimension, Quota};

use super::catalog::CatalogError;
use super::file::{LimitFile, PriceFile, ProviderFile, TierFile};
use super::price::Rates;
use super::{CacheReads, ModelPool, Origin, Pattern, Price, Provider, Tier, TierLimit};

/// The provider called `name`, or the name of a key that it lacks.
pub(super) fn checked(name: &str, file: ProviderFile) -> Result<Provider, CatalogError> {
    let missing = |key| CatalogError::Missing { provider: name.to_owned(), key };
    Ok(Provider {
        name: name.to_owned(),
        dialect: file.dialect.ok_or_else(|| missing("dialect"))?,
        base_url: file.base_url.map(|url| url.0),
        auth: file.auth.ok_or_else(|| missing("auth"))?,
        env: file.env,
        headers: file.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
        request_id: file.request_id.map(|name| name.to_ascii_lowercase()),
        organisation: lower_case(file.organisation),
        organisation_unless: lower_case(file.organisation_unless),
        limit_headers: file.limit_headers.ok_or_else(|| missing("limit_headers"))?,
        metering: file.metering.into(),
        input_estimate: file.input_estimate,
        cache_reads: CacheReads { free: file.cache_reads.free, except: patterns(file.cache_reads.except) },
        self_hosted: file.self_hosted,
        milli_bytes_per_token: file.bytes_per_token.ok_or_else(|| missing("bytes_per_token"))?.0,
        tokens_per_image: file.tokens_per_image.ok_or_else(|| missing("tokens_per_image"))?,
        tool_prompt_tokens: file.tool_prompt_tokens.ok_or_else(|| missing("tool_prompt_tokens"))?,
        tokens_per_second: file.tokens_per_second.ok_or_else(|| missing("tokens_per_second"))?,
        quirks: file.quirks,
        pools: file
            .pools
            .into_iter()
            .map(|(name, models)| ModelPool { name, models: patterns(models) })
            .collect(),
        tiers: file.tiers.into_iter().map(tier).collect(),
        prices: file.prices.into_iter().map(price).collect(),
    })
}

fn lower_case(names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| name.to_ascii_lowercase()).collect()
}

fn patterns(texts: Vec<String>) -> Vec<Pattern> {
    texts.into_iter().map(Pattern::new).collect()
}

fn tier((name, file): (String, TierFile)) -> Tier {
    let limits = file.limits.into_iter().map(tier_limit).collect();
    Tier { name, as_of: file.as_of.0, source: file.source, limits }
}

fn tier_limit(file: LimitFile) -> TierLimit {
    let by_dimension = [
        (Dimension::Requests, &file.requests),
        (Dimension::InputTokens, &file.input_tokens),
        (Dimension::OutputTokens, &file.output_tokens),
        (Dimension::TotalTokens, &file.tokens),
    ];
    let quotas = by_dimension.into_iter().flat_map(|(dimension, rates)| {
        rates.iter().map(move |rate| Quota { dimension, window: rate.window, limit: rate.limit })
    });
    TierLimit { quotas: quotas.collect(), in_flight: file.in_flight, models: patterns(file.models) }
}

fn price((name, file): (String, PriceFile)) -> Price {
    let models = patterns(file.models.unwrap_or_else(|| vec![name]));
    let usual = Rates {
        input: file.input,
        output: file.output,
        cache_read: file.cache_read,
        cache_write: file.cache_write,
        cache_write_1h: file.cache_write_1h,
    };
    let percent = file.batch_percent.unwrap_or(100);
    usual.price(Origin::BuiltIn, models, file.as_of, percent, file.long_context)
}
