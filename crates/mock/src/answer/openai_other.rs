//! What has no text: embeddings, moderations, token counts, lists of models.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::Answer;

/// The models that are listed; any other name is served as well.
const MODELS: [&str; 4] = ["gpt-5", "gpt-5-mini", "gpt-4o-mini", "text-embedding-3-small"];
/// The same in the other dialect, with the names people read.
const CLAUDE_MODELS: [(&str, &str); 3] = [
    ("claude-opus-4-8", "Claude Opus 4.8"),
    ("claude-sonnet-4-6", "Claude Sonnet 4.6"),
    ("claude-haiku-4-5", "Claude Haiku 4.5"),
];
/// What a moderation looks for.
const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(super) fn response_tokens(answer: &Answer) -> Value {
    json!({"object": "response.input_tokens", "input_tokens": answer.asked.input_tokens})
}

pub(super) fn embeddings(answer: &Answer) -> Value {
    let embed = |index: u64| {
        let mut rng = Rng::with_seed(answer.seed ^ index);
        let floats: Vec<f32> = (0..answer.asked.dimensions).map(|_| rng.f32() * 0.1 - 0.05).collect();
        let embedding = if answer.asked.base64 { Value::from(base64(&floats)) } else { json!(floats) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    };
    let data: Vec<Value> = (0..answer.asked.parts).map(embed).collect();
    let tokens = answer.asked.input_tokens;
    json!({
        "object": "list",
        "data": data,
        "model": answer.asked.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

pub(super) fn moderations(answer: &Answer) -> Value {
    let each = |value: Value| -> Map<String, Value> {
        CATEGORIES.iter().map(|category| ((*category).to_owned(), value.clone())).collect()
    };
    let result = json!({
        "flagged": false,
        "categories": each(json!(false)),
        "category_scores": each(json!(0.000_01)),
        "category_applied_input_types": each(json!(["text"])),
    });
    let results = vec![result; usize::try_from(answer.asked.parts).unwrap_or(1)];
    json!({"id": format!("modr-{}", answer.token), "model": answer.asked.model, "results": results})
}

pub(crate) fn models_openai() -> Value {
    let model =
        |id: &str| json!({"id": id, "object": "model", "created": 1_754_000_000, "owned_by": "system"});
    json!({"object": "list", "data": MODELS.map(model)})
}

pub(crate) fn models_anthropic() -> Value {
    let model = |(id, name): (&str, &str)| {
        json!({
            "type": "model",
            "id": id,
            "display_name": name,
            "created_at": "2026-02-04T00:00:00Z",
            "lifecycle": "active",
        })
    };
    let (first, last) = (CLAUDE_MODELS[0].0, CLAUDE_MODELS[CLAUDE_MODELS.len() - 1].0);
    json!({"data": CLAUDE_MODELS.map(model), "has_more": false, "first_id": first, "last_id": last})
}

/// Little-endian floats in base64, as the SDKs ask for them by default.
fn base64(floats: &[f32]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = floats.iter().flat_map(|float| float.to_le_bytes()).collect();
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_in_base64() {
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, -2.0]), "AACAPwAAAMA=");
        assert_eq!(base64(&[1.0, -2.0, 0.5]), "AACAPwAAAMAAAAA/");
    }
}
