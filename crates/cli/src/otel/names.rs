//! What things are called by OpenTelemetry's conventions for generative AI.

use opentelemetry::KeyValue;
use paceline::Candidate;
use paceline::wire::Endpoint;

use super::journey::Journey;

/// Names of models come from callers; no more of one is told.
const LONGEST_NAME: usize = 128;

/// What is asked for, by the convention where it has a word.
pub(super) fn operation(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Messages | Endpoint::ChatCompletions | Endpoint::Responses => "chat",
        Endpoint::Completions => "text_completion",
        Endpoint::Embeddings => "embeddings",
        Endpoint::CountTokens => "count_tokens",
        Endpoint::Moderations => "moderations",
        Endpoint::Models | Endpoint::Other => "other",
    }
}

/// The convention's name of a provider, where it differs from ours.
fn provider(name: &str) -> String {
    match name {
        "azure" => "azure.ai.openai",
        "gemini" => "gcp.gemini",
        "mistral" => "mistral_ai",
        "xai" => "x_ai",
        name => name,
    }
    .to_owned()
}

/// As much of a model's name as is told.
pub(super) fn model(name: &str) -> String {
    name.chars().take(LONGEST_NAME).collect()
}

/// What a request and the histograms have in common.
pub(super) fn common(journey: &Journey) -> Vec<KeyValue> {
    let mut all = vec![KeyValue::new("gen_ai.operation.name", operation(journey.asked.endpoint))];
    if !journey.asked.model.is_empty() {
        all.push(KeyValue::new("gen_ai.request.model", model(&journey.asked.model)));
    }
    if let Some(leg) = journey.legs.last() {
        all.push(KeyValue::new("gen_ai.provider.name", provider(&leg.to.provider().name)));
        if journey.error.is_none() && !leg.to.model().is_empty() {
            all.push(KeyValue::new("gen_ai.response.model", model(leg.to.model())));
        }
        all.extend(server(&leg.to));
    }
    if let Some(error) = journey.error {
        all.push(KeyValue::new("error.type", error));
    }
    all
}

/// Where it was sent.
pub(super) fn server(to: &Candidate) -> [KeyValue; 2] {
    let (host, port) = to.address();
    [KeyValue::new("server.address", host.to_owned()), KeyValue::new("server.port", i64::from(port))]
}
