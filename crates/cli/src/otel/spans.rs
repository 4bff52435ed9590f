//! A span for each request, and below it one for each attempt.

use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use paceline::Priority;

use super::journey::{Journey, Leg};
use super::names;

/// Makes spans.
pub(super) struct Spans(SdkTracer);

impl Spans {
    pub(super) fn new(provider: &SdkTracerProvider) -> Self {
        Self(provider.tracer("paceline"))
    }

    /// Tells of a request that has ended.
    pub(super) fn record(&self, journey: &Journey) {
        let operation = names::operation(journey.asked.endpoint);
        let name = format!("{operation} {}", names::model(&journey.asked.model));
        let builder = SpanBuilder::from_name(name.trim_end().to_owned())
            .with_kind(SpanKind::Client)
            .with_start_time(journey.began)
            .with_attributes(attributes(journey));
        let request = self.0.build_with_context(builder, &Context::new());
        let context = Context::new().with_span(request);
        for (number, leg) in (1_i64..).zip(&journey.legs) {
            self.attempt(&context, number, leg);
        }
        let request = context.span();
        if let Some(error) = journey.error {
            request.set_status(Status::error(error));
        }
        request.end_with_timestamp(journey.ended);
    }

    fn attempt(&self, request: &Context, number: i64, leg: &Leg) {
        // Without the operation's name, so that nobody takes it for another request.
        let mut attributes = vec![
            KeyValue::new("gen_ai.request.model", names::model(leg.to.model())),
            KeyValue::new("paceline.upstream", leg.to.upstream().to_owned()),
            KeyValue::new("paceline.attempt", number),
        ];
        attributes.extend(names::server(&leg.to));
        attributes.extend(leg.error.map(|error| KeyValue::new("error.type", error)));
        let builder = SpanBuilder::from_name("attempt")
            .with_kind(SpanKind::Client)
            .with_start_time(leg.began)
            .with_attributes(attributes);
        let mut attempt = self.0.build_with_context(builder, request);
        if let Some(error) = leg.error {
            attempt.set_status(Status::error(error));
        }
        attempt.end_with_timestamp(leg.ended);
    }
}

fn attributes(journey: &Journey) -> Vec<KeyValue> {
    let mut all = names::common(journey);
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    if let Some(usage) = &journey.usage {
        all.push(KeyValue::new("gen_ai.usage.input_tokens", count(usage.prompt_tokens())));
        all.push(KeyValue::new("gen_ai.usage.output_tokens", count(usage.output_tokens)));
    }
    if let Some(leg) = journey.legs.last() {
        all.push(KeyValue::new("paceline.upstream", leg.to.upstream().to_owned()));
    }
    let priority = match journey.asked.priority {
        Priority::Interactive => "interactive",
        Priority::Normal => "normal",
        Priority::Batch => "batch",
    };
    all.push(KeyValue::new("paceline.priority", priority));
    all.push(KeyValue::new("paceline.wait_seconds", journey.waited.as_secs_f64()));
    all.push(KeyValue::new("paceline.attempts", count(journey.legs.len() as u64)));
    all
}
