//! What an answer says it consumed, in full: the price needs more detail than the limits do.

use paceline_core::quota::Usage;

use crate::provider::Provider;

/// The usage of one request. The four kinds of input never overlap: their sum is the whole prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FullUsage {
    /// Input that neither came from the cache nor went into it.
    pub input_tokens: u64,
    /// Input written to the cache, of any lifetime.
    pub cache_write_tokens: u64,
    /// The part of `cache_write_tokens` that is kept for an hour, which costs more.
    pub cache_write_1h_tokens: u64,
    /// Input read from the cache.
    pub cache_read_tokens: u64,
    /// Everything produced, thinking included.
    pub output_tokens: u64,
    /// The part of `output_tokens` that was thinking.
    pub reasoning_tokens: u64,
}

impl FullUsage {
    /// The whole prompt, whatever the cache did with it.
    pub fn prompt_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.cache_write_tokens).saturating_add(self.cache_read_tokens)
    }

    /// What `provider` charges against its limits for this usage of `model`.
    pub fn charged(&self, provider: &Provider, model: &str) -> Usage {
        let reads = if provider.cache_reads_free(model) { 0 } else { self.cache_read_tokens };
        Usage {
            input_tokens: self.input_tokens.saturating_add(self.cache_write_tokens).saturating_add(reads),
            output_tokens: self.output_tokens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Catalog;

    #[test]
    fn cache_reads_are_charged_where_they_are_not_free() {
        let usage = FullUsage {
            input_tokens: 10,
            cache_write_tokens: 200,
            cache_write_1h_tokens: 100,
            cache_read_tokens: 3_000,
            output_tokens: 7,
            reasoning_tokens: 5,
        };
        let cases = [
            ("anthropic", "claude-sonnet-5", 210),
            ("anthropic", "claude-3-5-haiku-20241022", 3_210),
            ("openai", "gpt-4o", 3_210),
            ("groq", "llama-3.1-8b-instant", 210),
        ];
        for (provider, model, input_tokens) in cases {
            let provider = Catalog::embedded().provider(provider).unwrap();
            assert_eq!(usage.charged(provider, model), Usage { input_tokens, output_tokens: 7 }, "{model}");
        }
        assert_eq!(usage.prompt_tokens(), 3_210);
    }
}
