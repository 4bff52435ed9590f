//! Money, in integers: what a usage costs by a provider's dated prices.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign};

use crate::provider::{Price, Provider};
use crate::usage::FullUsage;

/// Pico-USD in a micro-USD.
const PICO_PER_MICRO: u128 = 1_000_000;

/// An amount of money: millionths of a US dollar. Saturates; never a float.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroUsd(u64);

impl MicroUsd {
    /// Nothing.
    pub const ZERO: MicroUsd = MicroUsd(0);

    /// So many millionths of a dollar.
    pub const fn new(micros: u64) -> Self {
        MicroUsd(micros)
    }

    /// Millionths of a dollar.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Reads an amount such as `25`, `0.50`, `$3` or `20 USD`; `None` for anything else, or finer than a millionth.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let text = text.strip_prefix('$').unwrap_or(text);
        let text = text.strip_suffix("USD").or_else(|| text.strip_suffix("usd")).unwrap_or(text);
        crate::provider::rate::decimal(text.trim(), 6).map(MicroUsd)
    }
}

impl Add for MicroUsd {
    type Output = MicroUsd;

    fn add(self, more: MicroUsd) -> MicroUsd {
        MicroUsd(self.0.saturating_add(more.0))
    }
}

impl AddAssign for MicroUsd {
    fn add_assign(&mut self, more: MicroUsd) {
        *self = *self + more;
    }
}

impl Sum for MicroUsd {
    fn sum<I: Iterator<Item = MicroUsd>>(amounts: I) -> MicroUsd {
        amounts.fold(MicroUsd::ZERO, Add::add)
    }
}

/// `$12.34`; below a dollar, four places, because prompts cost fractions of a cent. Rounded up.
impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (places, unit) = if self.0 < 1_000_000 { (4, 100) } else { (2, 10_000) };
        let shown = self.0.div_ceil(unit);
        let dollar = 1_000_000 / unit;
        write!(f, "${}.{:0places$}", shown / dollar, shown % dollar)
    }
}

/// What `usage` of `model` costs at `provider`'s list prices, rounded up; `None` when the model's price is unknown.
pub fn cost(provider: &Provider, model: &str, usage: &FullUsage) -> Option<MicroUsd> {
    provider.price_for(model, usage).map(|price| price.of(usage))
}

impl Price {
    /// What `usage` costs, rounded up.
    pub fn of(&self, usage: &FullUsage) -> MicroUsd {
        let hour = usage.cache_write_1h_tokens.min(usage.cache_write_tokens);
        let parts = [
            (usage.input_tokens, self.input),
            (usage.cache_write_tokens - hour, self.cache_write),
            (hour, self.cache_write_1h),
            (usage.cache_read_tokens, self.cache_read),
            (usage.output_tokens, self.output),
        ];
        // Five products of two u64 stay far below what a u128 holds, as prices are at most 10^12.
        let pico: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(*price)).sum();
        MicroUsd(u64::try_from(pico.div_ceil(PICO_PER_MICRO)).unwrap_or(u64::MAX))
    }

    /// What `usage` would cost through the provider's own batch API, rounded up.
    pub fn of_batch(&self, usage: &FullUsage) -> MicroUsd {
        let micros = u128::from(self.of(usage).0) * u128::from(self.batch_percent);
        MicroUsd(u64::try_from(micros.div_ceil(100)).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::provider::Catalog;

    fn costs(provider: &str, model: &str, usage: FullUsage) -> Option<u64> {
        cost(Catalog::embedded().provider(provider).unwrap(), model, &usage).map(MicroUsd::micros)
    }

    fn long(input_tokens: u64) -> FullUsage {
        FullUsage { input_tokens, ..FullUsage::default() }
    }

    #[test]
    fn usage_costs_what_the_list_says() {
        let usage = FullUsage { input_tokens: 1_000, output_tokens: 500, ..FullUsage::default() };
        let cached = FullUsage {
            input_tokens: 10,
            cache_write_tokens: 3_000,
            cache_write_1h_tokens: 1_000,
            cache_read_tokens: 20_000,
            output_tokens: 100,
            reasoning_tokens: 50,
        };
        let cases = [
            ("openai", "gpt-4o-mini", usage, Some(150 + 300)),
            ("openai", "gpt-4o-2024-08-06", usage, Some(2_500 + 5_000)),
            ("openai", "gpt-4o-2024-05-13", usage, Some(5_000 + 7_500)),
            ("openai", "gpt-4o-audio-preview", usage, None),
            ("openai", "", usage, None),
            ("anthropic", "claude-sonnet-4-5-20250929", usage, Some(3_000 + 7_500)),
            ("anthropic", "claude-sonnet-4-5", cached, Some(30 + 7_500 + 6_000 + 6_000 + 1_500)),
            ("anthropic", "claude-opus-5", usage, None),
            // Long prompts cost more, and nobody has told how much.
            ("anthropic", "claude-sonnet-4-5", long(200_000), Some(600_000)),
            ("anthropic", "claude-sonnet-4-5", long(200_001), None),
            ("anthropic", "claude-haiku-4-5", long(200_001), Some(200_001)),
            ("openrouter", "meta-llama/llama-3:free", usage, Some(0)),
            ("ollama", "llama3", usage, None),
            // One token of 0.15 USD per million is 0.15 micro-USD: rounded up.
            ("openai", "gpt-4o-mini", FullUsage { input_tokens: 1, ..FullUsage::default() }, Some(1)),
        ];
        for (provider, model, usage, want) in cases {
            assert_eq!(costs(provider, model, usage), want, "{provider} {model}");
        }
    }

    #[test]
    fn long_prompts_cost_what_a_file_says() {
        let file = r#"
            [anthropic.prices."claude-sonnet-4.5+"]
            as_of = "2026-11-01"
            input = "3"
            output = "15"
            long_context = { above = 1000, input = "6", output = "22.50", cache_read = "0.60" }
        "#;
        let catalog = Catalog::parse(file).unwrap();
        let cost = |usage| cost(catalog.provider("anthropic").unwrap(), "claude-sonnet-4-5", &usage);
        assert_eq!(cost(long(1_000)), Some(MicroUsd(3_000)));
        assert_eq!(cost(long(1_001)), Some(MicroUsd(6_006)));
        // The whole prompt counts, whatever the cache did with it.
        let cached = FullUsage { cache_read_tokens: 1_000, output_tokens: 2, ..long(1) };
        assert_eq!(cost(cached), Some(MicroUsd(6 + 600 + 45)));
    }

    #[test]
    fn the_batch_price_is_a_part() {
        let openai = Catalog::embedded().provider("openai").unwrap();
        let usage = FullUsage { input_tokens: 1_001, output_tokens: 0, ..FullUsage::default() };
        assert_eq!(openai.price("gpt-4.1").unwrap().of_batch(&usage).micros(), 1_001);
    }

    #[test]
    fn money_reads_and_shows_as_people_write_it() {
        let cases = [
            ("25", Some(25_000_000), "$25.00"),
            (" $3 ", Some(3_000_000), "$3.00"),
            ("0.50 USD", Some(500_000), "$0.5000"),
            ("0.000001", Some(1), "$0.0001"),
            ("1.999999", Some(1_999_999), "$2.00"),
            ("0.99999", Some(999_990), "$1.0000"),
            ("12345.678", Some(12_345_678_000), "$12345.68"),
            ("0.0000001", None, ""),
            ("-1", None, ""),
            ("1e3", None, ""),
            ("", None, ""),
            ("ten", None, ""),
        ];
        for (text, micros, shown) in cases {
            let money = MicroUsd::parse(text);
            assert_eq!(money.map(MicroUsd::micros), micros, "{text}");
            assert_eq!(money.map(|money| money.to_string()).unwrap_or_default(), shown, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_usage_overflows_and_more_never_costs_less(a in any::<[u64; 5]>(), more in any::<u64>()) {
            let price = Catalog::embedded().provider("anthropic").unwrap().price("claude-opus-4-1").unwrap();
            let usage = FullUsage {
                input_tokens: a[0],
                cache_write_tokens: a[1],
                cache_write_1h_tokens: a[2],
                cache_read_tokens: a[3],
                output_tokens: a[4],
                reasoning_tokens: 0,
            };
            let bigger = FullUsage { output_tokens: usage.output_tokens.saturating_add(more), ..usage };
            prop_assert!(price.of(&usage) <= price.of(&bigger));
        }
    }
}
