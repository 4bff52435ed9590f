//! What the gateway and a run tell an OpenTelemetry collector: a span for each request with one for each of its attempts, tokens and
//! durations as histograms, by the conventions for generative AI. Never what a request says, nor a key.
//!
//! Only a build with the feature `otel` has it, and only where the environment names a collector. Requests pass events on
//! through a queue with a bound, as for the log; whatever goes wrong behind it costs telemetry, never a request.

#[cfg(feature = "otel")]
mod export;
#[cfg(feature = "otel")]
mod journey;
#[cfg(feature = "otel")]
mod meters;
#[cfg(feature = "otel")]
mod names;
#[cfg(not(feature = "otel"))]
mod off;
#[cfg(feature = "otel")]
mod post;
#[cfg(feature = "otel")]
mod spans;

#[cfg(feature = "otel")]
pub(crate) use export::Telemetry;
#[cfg(not(feature = "otel"))]
pub(crate) use off::Telemetry;

/// Tells whoever runs the program of trouble with telemetry, and of its end.
pub(crate) type Voice = fn(&str);

/// The variables that name a collector: for everything, for traces, for metrics.
const ENDPOINTS: [&str; 3] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
];
