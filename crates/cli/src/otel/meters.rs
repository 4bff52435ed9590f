//! The histograms: tokens and durations. The exporter bounds how many kinds of requests are told apart.

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Histogram, MeterProvider};
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::journey::Journey;
use super::names;

/// The bounds that the conventions ask for: powers of four, and from ten milliseconds on powers of two.
const TOKEN_BOUNDS: u32 = 14;
const DURATION_BOUNDS: u32 = 14;
const SHORTEST: f64 = 0.01;

/// Counts.
pub(super) struct Meters {
    tokens: Histogram<u64>,
    durations: Histogram<f64>,
}

impl Meters {
    pub(super) fn new(provider: &SdkMeterProvider) -> Self {
        let meter = provider.meter("paceline");
        let tokens = meter.u64_histogram("gen_ai.client.token.usage").with_unit("{token}");
        let durations = meter.f64_histogram("gen_ai.client.operation.duration").with_unit("s");
        let of_tokens = (0..TOKEN_BOUNDS).map(|power| 4_f64.powi(power as i32)).collect();
        let of_durations = (0..DURATION_BOUNDS).map(|power| SHORTEST * 2_f64.powi(power as i32)).collect();
        Self {
            tokens: tokens.with_boundaries(of_tokens).build(),
            durations: durations.with_boundaries(of_durations).build(),
        }
    }

    /// Counts a request that has ended.
    pub(super) fn record(&self, journey: &Journey) {
        let common = names::common(journey);
        let took = journey.ended.duration_since(journey.began).unwrap_or_default();
        self.durations.record(took.as_secs_f64(), &common);
        let Some(usage) = &journey.usage else { return };
        for (kind, tokens) in [("input", usage.prompt_tokens()), ("output", usage.output_tokens)] {
            let mut attributes = common.clone();
            attributes.push(KeyValue::new("gen_ai.token.type", kind));
            self.tokens.record(tokens, &attributes);
        }
    }
}
