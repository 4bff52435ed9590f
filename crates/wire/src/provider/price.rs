//! What models cost, and which of the prices that are known holds for a request.

use super::file::{Date, LongContextFile, PicoUsd};
use super::{Pattern, Provider};
use crate::usage::FullUsage;

/// Who says so. Of two prices for one model, the later of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The embedded data.
    BuiltIn,
    /// The user's configuration.
    Config,
}

/// What some models cost, in pico-USD (10^-12 USD) per token: $1 per million tokens is 1,000,000.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// Which models.
    pub models: Vec<Pattern>,
    /// When this was the list price, as `YYYY-MM-DD`.
    pub as_of: String,
    /// Who says so.
    pub origin: Origin,
    /// Input that misses the cache.
    pub input: u64,
    /// Output, thinking included.
    pub output: u64,
    /// Input read from the cache.
    pub cache_read: u64,
    /// Input written to the cache for five minutes.
    pub cache_write: u64,
    /// Input written to the cache for an hour.
    pub cache_write_1h: u64,
    /// What the provider's own batch API takes of these prices, in percent.
    pub batch_percent: u32,
    /// What long prompts cost, where that differs.
    pub long_context: Option<LongContext>,
}

/// What prompts above a length cost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LongContext {
    /// Prompt tokens up to which the usual price holds.
    pub above: u64,
    /// The price beyond; `None` when nobody told.
    pub price: Option<Box<Price>>,
}

/// Rates as a file has them; what is left out costs as other input.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Input.
    pub input: PicoUsd,
    /// Output.
    pub output: PicoUsd,
    /// Input read from the cache.
    pub cache_read: Option<PicoUsd>,
    /// Input written to the cache for five minutes.
    pub cache_write: Option<PicoUsd>,
    /// Input written to the cache for an hour; as for five minutes when left out.
    pub cache_write_1h: Option<PicoUsd>,
}

impl Rates {
    /// The price that they make.
    pub fn price(
        self,
        origin: Origin,
        models: Vec<Pattern>,
        as_of: Date,
        batch_percent: u32,
        long: Option<LongContextFile>,
    ) -> Price {
        let cache_write = self.cache_write.unwrap_or(self.input);
        let mut price = Price {
            models,
            as_of: as_of.0,
            origin,
            input: self.input.0,
            output: self.output.0,
            cache_read: self.cache_read.unwrap_or(self.input).0,
            cache_write: cache_write.0,
            cache_write_1h: self.cache_write_1h.unwrap_or(cache_write).0,
            batch_percent,
            long_context: None,
        };
        price.long_context = long.map(|long| LongContext { above: long.above, price: beyond(&price, long) });
        price
    }
}

fn beyond(usual: &Price, long: LongContextFile) -> Option<Box<Price>> {
    let LongContextFile { input, output, cache_read, cache_write, cache_write_1h, .. } = long;
    let rates = Rates { input: input?, output: output?, cache_read, cache_write, cache_write_1h };
    let as_of = Date(usual.as_of.clone());
    Some(Box::new(rates.price(usual.origin, usual.models.clone(), as_of, usual.batch_percent, None)))
}

impl Provider {
    /// What `model` costs; `None` when nobody told.
    pub fn price(&self, model: &str) -> Option<&Price> {
        let weighed = self.prices.iter().filter_map(|price| {
            let best = price.models.iter().filter(|p| p.matches(model)).map(Pattern::weight).max()?;
            Some(((price.origin, best), price))
        });
        weighed.max_by_key(|(weight, _)| *weight).map(|(_, price)| price)
    }

    /// What `model` costs for this usage: long prompts may cost more. `None` when nobody told.
    pub fn price_for(&self, model: &str, usage: &FullUsage) -> Option<&Price> {
        let price = self.price(model)?;
        match &price.long_context {
            Some(long) if long.above < usage.prompt_tokens() => long.price.as_deref(),
            _ => Some(price),
        }
    }
}
