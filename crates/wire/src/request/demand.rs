//! What a request is expected to consume, by the rules of its provider.

use paceline_core::quota::Demand;

use super::Peek;
use crate::estimate::{Ratio, Size};
use crate::provider::Provider;

/// What `peek`'s request is expected to be charged, with `ratio` learned on requests of its kind.
pub fn demand(provider: &Provider, peek: &Peek<'_>, ratio: &Ratio) -> Demand {
    let estimate = provider.input_estimate.filter(|_| provider.metering.input_is_estimate);
    let input_tokens = match estimate {
        // The provider's own arithmetic, which no learning could beat.
        Some(estimate) => {
            estimate.tokens(peek.text_chars, peek.messages).saturating_add(known(provider, peek))
        }
        None => ratio.tokens(size(provider, peek)),
    };
    let max_output_tokens = if peek.endpoint.generates() {
        peek.max_tokens.map(|tokens| tokens.saturating_mul(peek.choices))
    } else {
        Some(0)
    };
    Demand { input_tokens, max_output_tokens }
}

/// How big `peek`'s request is, for the ratio to be read at or learned from.
pub fn size(provider: &Provider, peek: &Peek<'_>) -> Size {
    let tools = if peek.has_tools() { u64::from(provider.tool_prompt_tokens) } else { 0 };
    Size {
        bytes: peek.text_bytes.saturating_add(peek.tool_bytes),
        fixed_tokens: known(provider, peek).saturating_add(tools),
    }
}

/// Tokens that don't depend on any text.
fn known(provider: &Provider, peek: &Peek<'_>) -> u64 {
    peek.images.saturating_mul(u64::from(provider.tokens_per_image)).saturating_add(peek.numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Endpoint;
    use crate::provider::Catalog;
    use crate::request::peek;

    fn demanded(provider: &str, endpoint: Endpoint, body: &str) -> Demand {
        let provider = Catalog::embedded().provider(provider).unwrap();
        let peek = peek(provider.dialect, endpoint, body.as_bytes()).unwrap();
        demand(provider, &peek, &Ratio::prior(provider))
    }

    #[test]
    fn demand_follows_the_provider() {
        let text = "x".repeat(400);
        let body = format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"max_tokens":50,"n":2}}"#);
        let cases = [
            // ceil(400/4) + 3 + 10, with no caution on top: this is the provider's own arithmetic.
            ("openai", Endpoint::ChatCompletions, 113, Some(100)),
            ("azure", Endpoint::ChatCompletions, 113, Some(100)),
            // 400/4 x 1.1, rounded up.
            ("mistral", Endpoint::ChatCompletions, 110, Some(100)),
            // 400/3.2 x 1.1 = 137.5
            ("anthropic", Endpoint::Messages, 138, Some(100)),
            ("anthropic", Endpoint::CountTokens, 138, Some(0)),
        ];
        for (provider, endpoint, input_tokens, max_output_tokens) in cases {
            let want = Demand { input_tokens, max_output_tokens };
            assert_eq!(demanded(provider, endpoint, &body), want, "{provider} {endpoint:?}");
        }
        assert_eq!(demanded("openai", Endpoint::ChatCompletions, "{}").max_output_tokens, None);
    }

    #[test]
    fn images_tools_and_ready_made_tokens_count_without_text() {
        let image = r#"{"messages":[{"content":[{"type":"image","source":{"type":"base64","data":"AAAA"}}]}],"tools":[1]}"#;
        assert_eq!(demanded("anthropic", Endpoint::Messages, image).input_tokens, 1600 + 480 + 2);
        assert_eq!(demanded("openai", Endpoint::ChatCompletions, image).input_tokens, 765 + 13);
        assert_eq!(demanded("openai", Endpoint::Embeddings, r#"{"input":[1,2,3]}"#).input_tokens, 13);
    }
}
