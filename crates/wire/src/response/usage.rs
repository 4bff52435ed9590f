//! Reads the `usage` object of an answer, whoever wrote it.
//!
//! Anthropic counts the kinds of input apart; OpenAI and its kin count the whole prompt and say which part of it came
//! from the cache, under three different names.

use serde_json::Value;

use crate::dialect::Endpoint;
use crate::usage::FullUsage;

/// A count above this was never meant: it is discarded.
const MOST_TOKENS: u64 = 1_000_000_000_000;

/// Reads a `usage` object of an answer of `endpoint`; `None` when it tells neither input nor output.
pub fn read(endpoint: Endpoint, usage: &Value) -> Option<FullUsage> {
    match endpoint {
        Endpoint::Messages => anthropic(usage),
        Endpoint::Other if usage.get("cache_read_input_tokens").is_some() => anthropic(usage),
        _ => openai(usage),
    }
}

fn anthropic(usage: &Value) -> Option<FullUsage> {
    let input = count(usage, "input_tokens");
    let output = count(usage, "output_tokens");
    if input.is_none() && output.is_none() {
        return None;
    }
    let cache_write_tokens = count(usage, "cache_creation_input_tokens").unwrap_or(0);
    let kept_an_hour =
        usage.get("cache_creation").and_then(|kinds| count(kinds, "ephemeral_1h_input_tokens"));
    Some(FullUsage {
        input_tokens: input.unwrap_or(0),
        cache_write_tokens,
        cache_write_1h_tokens: kept_an_hour.unwrap_or(0).min(cache_write_tokens),
        cache_read_tokens: count(usage, "cache_read_input_tokens").unwrap_or(0),
        output_tokens: output.unwrap_or(0),
        reasoning_tokens: 0,
    })
}

fn openai(usage: &Value) -> Option<FullUsage> {
    let hit = count(usage, "prompt_cache_hit_tokens");
    let miss = count(usage, "prompt_cache_miss_tokens");
    let prompt = first_count(usage, &["prompt_tokens", "input_tokens"]).or_else(|| Some(hit? + miss?));
    let told = first_count(usage, &["completion_tokens", "output_tokens"]);
    if prompt.is_none() && told.is_none() {
        return None;
    }
    let prompt = prompt.unwrap_or(0);
    let details = first_object(usage, &["prompt_tokens_details", "input_tokens_details"]);
    let read = details.and_then(|details| count(details, "cached_tokens"));
    let read = read.or(hit).or_else(|| count(usage, "cached_tokens")).unwrap_or(0).min(prompt);
    let write =
        details.and_then(|details| count(details, "cache_write_tokens")).unwrap_or(0).min(prompt - read);
    let output = first_object(usage, &["completion_tokens_details", "output_tokens_details"]);
    let reasoning = output.and_then(|details| count(details, "reasoning_tokens")).unwrap_or(0);
    // Some leave the thinking out of the completion and show it in the total alone (Gemini, xAI).
    let unseen = count(usage, "total_tokens").map(|total| total.saturating_sub(prompt + told.unwrap_or(0)));
    let output_tokens = told.unwrap_or(0) + unseen.unwrap_or(0);
    Some(FullUsage {
        input_tokens: prompt - read - write,
        cache_write_tokens: write,
        cache_write_1h_tokens: 0,
        cache_read_tokens: read,
        output_tokens,
        reasoning_tokens: reasoning.min(output_tokens),
    })
}

fn count(object: &Value, key: &str) -> Option<u64> {
    object.get(key)?.as_u64().filter(|count| *count <= MOST_TOKENS)
}

fn first_count(object: &Value, keys: &[&str]) -> Option<u64> {
    keys.iter().find_map(|key| count(object, key))
}

fn first_object<'a>(object: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().find_map(|key| object.get(key).filter(|value| value.is_object()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(endpoint: Endpoint, json: &str) -> Option<[u64; 6]> {
        let usage = read(endpoint, &serde_json::from_str(json).unwrap())?;
        Some([
            usage.input_tokens,
            usage.cache_write_tokens,
            usage.cache_write_1h_tokens,
            usage.cache_read_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
        ])
    }

    #[test]
    fn every_dialect_of_usage_is_understood() {
        use Endpoint::*;
        let cases = [
            (
                Messages,
                r#"{"input_tokens":12,"output_tokens":340,"cache_creation_input_tokens":2048,
                    "cache_read_input_tokens":18000,"cache_creation":{"ephemeral_5m_input_tokens":48,
                    "ephemeral_1h_input_tokens":2000},"server_tool_use":{"web_search_requests":0}}"#,
                Some([12, 2048, 2000, 18000, 340, 0]),
            ),
            (Messages, r#"{"output_tokens":108}"#, Some([0, 0, 0, 0, 108, 0])),
            (
                ChatCompletions,
                r#"{"prompt_tokens":2006,"completion_tokens":300,"total_tokens":2306,
                    "prompt_tokens_details":{"cached_tokens":1920,"audio_tokens":0},
                    "completion_tokens_details":{"reasoning_tokens":120}}"#,
                Some([86, 0, 0, 1920, 300, 120]),
            ),
            (
                Responses,
                r#"{"input_tokens":81,"input_tokens_details":{"cached_tokens":1},"output_tokens":1035,
                    "output_tokens_details":{"reasoning_tokens":832},"total_tokens":1116}"#,
                Some([80, 0, 0, 1, 1035, 832]),
            ),
            (Embeddings, r#"{"prompt_tokens":8,"total_tokens":8}"#, Some([8, 0, 0, 0, 0, 0])),
            (
                ChatCompletions, // DeepSeek.
                r#"{"completion_tokens":5,"prompt_cache_hit_tokens":64,"prompt_cache_miss_tokens":36}"#,
                Some([36, 0, 0, 64, 5, 0]),
            ),
            (
                ChatCompletions, // Groq and Mistral, with times and nulls among the counts.
                r#"{"queue_time":0.02,"prompt_tokens":18,"completion_tokens":4,"total_tokens":22,
                    "prompt_tokens_details":null}"#,
                Some([18, 0, 0, 0, 4, 0]),
            ),
            (
                ChatCompletions, // Thinking shows in the total alone.
                r#"{"prompt_tokens":10,"completion_tokens":20,"total_tokens":130,
                    "completion_tokens_details":{"reasoning_tokens":100}}"#,
                Some([10, 0, 0, 0, 120, 100]),
            ),
            (
                ChatCompletions, // OpenRouter tells cache writes.
                r#"{"prompt_tokens":100,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":30,
                    "cache_write_tokens":50}}"#,
                Some([20, 50, 0, 30, 1, 0]),
            ),
            (
                ChatCompletions,
                r#"{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":9}}"#,
                Some([0, 0, 0, 5, 0, 0]),
            ),
            (ChatCompletions, r#"{"prompt_tokens":-5,"completion_tokens":1e30}"#, None),
            (ChatCompletions, r#"{"prompt_tokens":18446744073709551615}"#, None),
            (ChatCompletions, "null", None),
            (Messages, "[]", None),
            (Messages, r#""much""#, None),
        ];
        for (endpoint, json, want) in cases {
            assert_eq!(seen(endpoint, json), want, "{json}");
        }
    }
}
