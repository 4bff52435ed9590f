//! From a client's events to a collector, in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::anyhow;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use paceline::ClientEvent;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::journey::Journeys;
use super::meters::Meters;
use super::post::Post;
use super::spans::Spans;
use super::{ENDPOINTS, Voice};
use crate::exit::Failure;
use crate::upstream::Environment;

/// Events that wait at most to be made into spans; more are lost, and that is told once.
const MOST_WAITING: usize = 16_384;
/// The last export may take so long; a collector that is away does not hold up the end.
const LAST_EXPORT: Duration = Duration::from_secs(3);
/// What the collector knows us by unless the environment says otherwise.
const SERVICE: &str = "paceline";

/// What a client told, and when; or the wish to be told when all before is done.
enum Seen {
    Event(SystemTime, ClientEvent),
    Flush(oneshot::Sender<()>),
}

/// An export that is going on.
pub(crate) struct Telemetry {
    seen: mpsc::Sender<Seen>,
    lost: Arc<AtomicBool>,
    tracers: Option<SdkTracerProvider>,
    meters: Option<SdkMeterProvider>,
    voice: Voice,
}

impl Telemetry {
    /// Begins to export where the environment names a collector; `None` where it doesn't. Trouble is told by `voice`.
    pub(crate) fn begin(env: &dyn Environment, voice: Voice) -> Result<Option<Self>, Failure> {
        let is_off = env.get("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let [all, traces, metrics] = ENDPOINTS.map(|name| env.get(name).map(|url| (name, url)));
        if is_off || (all.is_none() && traces.is_none() && metrics.is_none()) {
            return Ok(None);
        }
        check_protocol(env)?;
        let tracers = traces.or(all.clone()).map(|at| tracers(&at, env, voice)).transpose()?;
        let meters = metrics.or(all).map(|at| meters(&at, env, voice)).transpose()?;
        let (seen, mut coming) = mpsc::channel(MOST_WAITING);
        let spans = tracers.as_ref().map(Spans::new);
        let histograms = meters.as_ref().map(Meters::new);
        tokio::spawn(async move {
            let mut journeys = Journeys::default();
            while let Some(seen) = coming.recv().await {
                match seen {
                    Seen::Event(at, event) => {
                        let Some(journey) = journeys.take(at, event) else { continue };
                        spans.iter().for_each(|spans| spans.record(&journey));
                        histograms.iter().for_each(|meters| meters.record(&journey));
                    }
                    // Whoever asks may have gone.
                    Seen::Flush(done) => drop(done.send(())),
                }
            }
        });
        Ok(Some(Self { seen, lost: Arc::default(), tracers, meters, voice }))
    }

    /// Takes what a client tells: no more is done at once than to put it into the queue.
    pub(crate) fn listener(&self) -> impl Fn(&ClientEvent) + Send + Sync + 'static {
        let (seen, lost, voice) = (self.seen.clone(), self.lost.clone(), self.voice);
        move |event| {
            let waits = seen.try_send(Seen::Event(SystemTime::now(), event.clone()));
            if waits.is_err() && !lost.swap(true, Ordering::Relaxed) {
                voice("events come faster than telemetry is made of them: some requests will have no span");
            }
        }
    }

    /// Exports what is left, as far as that can be done soon.
    pub(crate) async fn end(self) {
        let voice = self.voice;
        let all = async {
            let (done, flushed) = oneshot::channel();
            if self.seen.send(Seen::Flush(done)).await.is_ok() {
                let _ = flushed.await; // It has ended: nothing is left.
            }
            let Self { tracers, meters, .. } = self;
            // They wait for threads of their own.
            let ended = tokio::task::spawn_blocking(move || {
                drop(tracers.map(|tracers| tracers.shutdown()));
                drop(meters.map(|meters| meters.shutdown()));
            });
            ended.await
        };
        if !matches!(timeout(LAST_EXPORT, all).await, Ok(Ok(()))) {
            voice("the last telemetry could not be exported in time");
        }
    }
}

/// One protocol is spoken; whoever asks for another is told so rather than sent something else.
fn check_protocol(env: &dyn Environment) -> Result<(), Failure> {
    const NAMES: [&str; 3] = [
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    ];
    for name in NAMES {
        if let Some(value) = env.get(name).filter(|value| value != "http/protobuf") {
            let failure = Failure::usage(anyhow!("`{name}` asks for `{value}`, which is not spoken here"));
            return Err(failure.hint("set it to `http/protobuf`; collectors listen for that on port 4318"));
        }
    }
    Ok(())
}

fn tracers(at: &(&str, String), env: &dyn Environment, voice: Voice) -> Result<SdkTracerProvider, Failure> {
    let exporter = SpanExporter::builder().with_http().with_http_client(Post::to(at, "traces", voice)?);
    let exporter = exporter.build().map_err(|error| unusable(at, error))?;
    // It waits with a bound, in a thread of its own, and drops what is too much.
    Ok(SdkTracerProvider::builder().with_resource(resource(env)).with_batch_exporter(exporter).build())
}

fn meters(at: &(&str, String), env: &dyn Environment, voice: Voice) -> Result<SdkMeterProvider, Failure> {
    let exporter = MetricExporter::builder().with_http().with_http_client(Post::to(at, "metrics", voice)?);
    let exporter = exporter.build().map_err(|error| unusable(at, error))?;
    Ok(SdkMeterProvider::builder().with_resource(resource(env)).with_periodic_exporter(exporter).build())
}

fn unusable((name, _): &(&str, String), error: impl std::error::Error + Send + Sync + 'static) -> Failure {
    Failure::usage(anyhow::Error::new(error).context(format!("`{name}` cannot be used")))
}

fn resource(env: &dyn Environment) -> Resource {
    let named = env.get("OTEL_SERVICE_NAME").is_some()
        || env.get("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|all| all.contains("service.name="));
    let resource = Resource::builder()
        .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if named { resource.build() } else { resource.with_service_name(SERVICE).build() }
}
