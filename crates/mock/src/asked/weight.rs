//! How much text a body holds, and how many tokens a provider takes that for.

use serde_json::{Map, Value};

use super::Endpoint;

/// OpenAI's admission estimate: a fixed part, a part for each message, and a token for every four characters.
const OPENAI_FIXED: u64 = 10;
const OPENAI_PER_MESSAGE: u64 = 3;
const OPENAI_CHARS_PER_TOKEN: u64 = 4;
/// The responses API hides a longer preamble.
const OPENAI_RESPONSES_FIXED: u64 = 25;
/// What an image counts.
const OPENAI_PER_IMAGE: u64 = 765;
const ANTHROPIC_PER_IMAGE: u64 = 1_600;
/// Claude's tokenizer yields about a token for every 3.6 bytes of prose.
const ANTHROPIC_BYTES_PER_TEN_TOKENS: u64 = 36;
const ANTHROPIC_FIXED: u64 = 7;
const ANTHROPIC_PER_MESSAGE: u64 = 3;
/// Tools bring a hidden prompt.
const ANTHROPIC_TOOLS: u64 = 290;

/// Names of fields whose text is no prompt.
const NO_PROMPT: [&str; 8] =
    ["type", "role", "id", "tool_use_id", "tool_call_id", "cache_control", "media_type", "encrypted_content"];

/// Text and images of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    chars: u64,
    bytes: u64,
    images: u64,
    messages: u64,
    tools: bool,
    tool_bytes: u64,
}

impl Weight {
    /// Everything that is prompt in `body`.
    pub(super) fn of(body: &Map<String, Value>) -> Weight {
        let mut weight = Weight { messages: 1, ..Weight::default() };
        for key in ["system", "instructions", "messages", "input", "prompt"] {
            if let Some(value) = body.get(key) {
                weight.add(value);
            }
        }
        if let Some(Value::Array(messages)) = body.get("messages") {
            weight.messages = messages.len() as u64;
        }
        if let Some(tools) = body.get("tools").filter(|tools| tools.as_array().is_some_and(|t| !t.is_empty()))
        {
            weight.tools = true;
            weight.tool_bytes = tools.to_string().len() as u64;
        }
        weight
    }

    /// What the provider charges when it lets the call in.
    pub(super) fn charged(&self, endpoint: Endpoint) -> u64 {
        let by_chars = self.chars.div_ceil(OPENAI_CHARS_PER_TOKEN) + self.images * OPENAI_PER_IMAGE;
        match endpoint {
            Endpoint::Messages | Endpoint::CountTokens => self.tokens(endpoint),
            Endpoint::Embeddings | Endpoint::Moderations => by_chars,
            Endpoint::Responses | Endpoint::ResponseTokens => by_chars + OPENAI_RESPONSES_FIXED,
            _ => by_chars + OPENAI_PER_MESSAGE * self.messages + OPENAI_FIXED,
        }
    }

    /// What the usage says, which is the tokenizer's own count.
    pub(super) fn tokens(&self, endpoint: Endpoint) -> u64 {
        match endpoint {
            Endpoint::Messages | Endpoint::CountTokens => {
                let text = ((self.bytes + self.tool_bytes) * 10).div_ceil(ANTHROPIC_BYTES_PER_TEN_TOKENS);
                let hidden = if self.tools { ANTHROPIC_TOOLS } else { 0 };
                let framing = ANTHROPIC_FIXED + ANTHROPIC_PER_MESSAGE * self.messages;
                text + hidden + framing + self.images * ANTHROPIC_PER_IMAGE
            }
            Endpoint::Embeddings | Endpoint::Moderations => (self.chars * 10).div_ceil(45),
            _ => {
                let text = ((self.chars + self.tool_bytes) * 10).div_ceil(45);
                text + OPENAI_PER_MESSAGE * (self.messages + 1) + self.images * OPENAI_PER_IMAGE
            }
        }
    }

    /// Recursion is bounded: the JSON reader refuses deep nesting.
    fn add(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                self.bytes += text.len() as u64;
                self.chars += text.chars().count() as u64;
            }
            Value::Number(_) => self.chars += OPENAI_CHARS_PER_TOKEN, // Input that is already tokens.
            Value::Array(values) => values.iter().for_each(|value| self.add(value)),
            Value::Object(fields) if is_image(fields) => self.images += 1,
            Value::Object(fields) => {
                let prompt = fields.iter().filter(|(name, _)| !NO_PROMPT.contains(&name.as_str()));
                prompt.for_each(|(_, value)| self.add(value));
            }
            Value::Null | Value::Bool(_) => {}
        }
    }
}

fn is_image(fields: &Map<String, Value>) -> bool {
    let kind = fields.get("type").and_then(Value::as_str);
    matches!(
        kind,
        Some("image" | "image_url" | "input_image" | "document" | "file" | "input_file" | "input_audio")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn weight(body: Value) -> Weight {
        Weight::of(body.as_object().unwrap())
    }

    #[test]
    fn images_are_not_their_base64() {
        let image = json!({"type": "image", "source": {"type": "base64", "data": "A".repeat(100_000)}});
        let body =
            json!({"messages": [{"role": "user", "content": [image, {"type": "text", "text": "what?"}]}]});
        let weight = weight(body);
        assert_eq!(weight.tokens(Endpoint::Messages), 2 + 7 + 3 + 1_600);
        assert_eq!(weight.charged(Endpoint::Chat), 2 + 765 + 3 + 10);
    }

    #[test]
    fn letters_are_counted_by_one_provider_and_bytes_by_the_other() {
        let body = json!({"messages": [{"role": "user", "content": "東京東京"}]});
        assert_eq!(weight(body.clone()).charged(Endpoint::Chat), 1 + 3 + 10);
        assert_eq!(weight(body).charged(Endpoint::Messages), 4 + 7 + 3);
    }

    #[test]
    fn embeddings_are_charged_for_their_text_alone() {
        assert_eq!(weight(json!({"input": ["12345678", "1234"]})).charged(Endpoint::Embeddings), 3);
        assert_eq!(weight(json!({"input": [[1, 2, 3]]})).charged(Endpoint::Embeddings), 3);
    }
}
