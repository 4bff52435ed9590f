//! What a collector hears of real traffic: a small one stands in for it, and reads what it is sent.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use rustix::process::Signal;
use serde_json::Value;

use crate::gateway::{Gateway, gateway, message, mock, send};
use crate::serve::{OWN_KEY, config};

/// One request to the collector: path, head, body.
type Heard = Arc<Mutex<Vec<(String, String, Vec<u8>)>>>;

/// A collector that takes everything; its URL, and what it heard.
fn collector() -> (String, Heard) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let heard = Heard::default();
    let told = heard.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, told) = (stream.unwrap(), told.clone());
            thread::spawn(move || hear(stream, &told));
        }
    });
    (url, heard)
}

/// Answers one connection until it is closed.
fn hear(stream: TcpStream, told: &Heard) {
    let mut source = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if source.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        source.read_exact(&mut body).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        told.lock().unwrap().push((path, head, body));
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n";
        source.get_mut().write_all(answer).unwrap();
    }
}

fn spans(heard: &Heard) -> Vec<Span> {
    let heard = heard.lock().unwrap();
    let bodies = heard.iter().filter(|(path, ..)| path == "/v1/traces").map(|(.., body)| body);
    let decoded = bodies.map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap());
    let resources = decoded.flat_map(|request| request.resource_spans);
    resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

/// The last state of every metric, and the name of who tells.
fn metrics(heard: &Heard) -> (String, Vec<Metric>) {
    let heard = heard.lock().unwrap();
    let last = heard.iter().rev().find(|(path, ..)| path == "/v1/metrics").unwrap();
    let mut resources = ExportMetricsServiceRequest::decode(&last.2[..]).unwrap().resource_metrics;
    let resource = resources.remove(0);
    let service = text(&resource.resource.unwrap().attributes, "service.name");
    (service, resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics).collect())
}

fn any(attributes: &[KeyValue], key: &str) -> Option<Any> {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    found.and_then(|attribute| attribute.value.clone()).and_then(|AnyValue { value }| value)
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    match any(attributes, key) {
        Some(Any::StringValue(text)) => text,
        other => panic!("{key}: {other:?} in {attributes:?}"),
    }
}

fn number(attributes: &[KeyValue], key: &str) -> i64 {
    match any(attributes, key) {
        Some(Any::IntValue(number)) => number,
        other => panic!("{key}: {other:?} in {attributes:?}"),
    }
}

fn histogram<'a>(metrics: &'a [Metric], name: &str) -> &'a [HistogramDataPoint] {
    let metric = metrics.iter().find(|metric| metric.name == name).unwrap();
    match &metric.data {
        Some(Data::Histogram(histogram)) => &histogram.data_points,
        other => panic!("{name}: {other:?}"),
    }
}

fn exporting(folder: &tempfile::TempDir, url: &str) -> Gateway {
    let usual = [
        ("KEY", OWN_KEY),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=canary-token"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
    ];
    gateway(folder.path(), &["--config", "c.toml"], &usual)
}

#[test]
fn a_collector_hears_of_requests_and_their_attempts() {
    let folder = tempfile::tempdir().unwrap();
    let faults = "[[rule]]\nfault = \"server-error\"\nnth = 1\n\n[[rule]]\nfault = \"throttled\"\nnth = 3\n";
    fs::write(folder.path().join("faults.toml"), faults).unwrap();
    let mock = mock(folder.path(), &["--profile", "unlimited", "--script", "faults.toml"]);
    config(folder.path(), &mock, "");
    let (url, heard) = collector();
    let mut served = exporting(&folder, &url);
    // A failure and its retry; then a 429 and another attempt, whose answer is a stream.
    let answer = served.ask_with(OWN_KEY, "x-paceline-priority: interactive\r\n");
    assert_eq!(answer.status, 200, "{answer:?}");
    let usage = serde_json::from_str::<Value>(&answer.body).unwrap()["usage"].clone();
    assert_eq!(send(&served.process.url, &message(OWN_KEY, "", 32, true)).finish().status, 200);
    served.process.signal(Signal::TERM);
    assert_eq!(served.process.end(), Some(0), "{}", served.process.said());

    let spans = spans(&heard);
    let (requests, attempts): (Vec<&Span>, Vec<&Span>) =
        spans.iter().partition(|span| span.parent_span_id.is_empty());
    assert_eq!((requests.len(), attempts.len()), (2, 4), "{spans:?}");
    let of = |request: &Span| -> Vec<&Span> {
        let own = attempts.iter().filter(|attempt| attempt.parent_span_id == request.span_id);
        own.copied().collect()
    };
    let first = requests[0];
    assert_eq!(first.name, "chat claude-haiku-4-5");
    let about = &first.attributes;
    for (key, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "anthropic"),
        ("gen_ai.request.model", "claude-haiku-4-5"),
        ("gen_ai.response.model", "claude-haiku-4-5"),
        ("server.address", "127.0.0.1"),
        ("paceline.upstream", "main"),
        ("paceline.priority", "interactive"),
    ] {
        assert_eq!(text(about, key), value, "{key}");
    }
    assert_eq!(Some(number(about, "gen_ai.usage.input_tokens")), usage["input_tokens"].as_i64());
    assert_eq!(Some(number(about, "gen_ai.usage.output_tokens")), usage["output_tokens"].as_i64());
    assert_eq!(number(about, "paceline.attempts"), 2);
    assert!(matches!(any(about, "paceline.wait_seconds"), Some(Any::DoubleValue(wait)) if wait > 0.0));
    assert_eq!(any(about, "error.type"), None);
    let errors = |request: &Span| -> Vec<Option<Any>> {
        of(request).iter().map(|attempt| any(&attempt.attributes, "error.type")).collect()
    };
    let said = |class: &str| Some(Any::StringValue(class.to_owned()));
    assert_eq!(errors(first), [said("transient"), None]);
    assert_eq!(errors(requests[1]), [said("throttled"), None]);
    for attempt in of(first) {
        assert_eq!((&attempt.trace_id, attempt.name.as_str()), (&first.trace_id, "attempt"));
        let within = first.start_time_unix_nano..=first.end_time_unix_nano;
        assert!(within.contains(&attempt.start_time_unix_nano), "{attempt:?} {first:?}");
        assert!(within.contains(&attempt.end_time_unix_nano), "{attempt:?} {first:?}");
    }

    let (service, metrics) = metrics(&heard);
    assert_eq!(service, "paceline");
    let durations = histogram(&metrics, "gen_ai.client.operation.duration");
    let counted: u64 = durations.iter().map(|point| point.count).sum();
    assert_eq!(counted, requests.len() as u64);
    assert_eq!(durations[0].explicit_bounds[..2], [0.01, 0.02]);
    let tokens = histogram(&metrics, "gen_ai.client.token.usage");
    for kind in ["input", "output"] {
        let of_kind = tokens.iter().filter(|point| text(&point.attributes, "gen_ai.token.type") == kind);
        let sum: f64 = of_kind.filter_map(|point| point.sum).sum();
        let key = format!("gen_ai.usage.{kind}_tokens");
        let spans = requests.iter().filter(|span| any(&span.attributes, &key).is_some());
        let told: i64 = spans.map(|span| number(&span.attributes, &key)).sum();
        assert_eq!(sum, told as f64, "{kind}");
    }

    let heard = heard.lock().unwrap();
    let bare = heard.iter().find(|(_, head, _)| !head.contains("x-token: canary-token"));
    assert_eq!(bare.map(|(_, head, _)| head), None);
    for (_, _, body) in heard.iter() {
        let body = String::from_utf8_lossy(body);
        assert!(!body.contains("canary-prompt") && !body.contains(&OWN_KEY[..12]), "{body}");
    }
    assert!(!served.process.said().contains("canary"), "{}", served.process.said());
}

#[test]
fn a_collector_hears_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let line = |n| format!("{{\"id\":\"job-{n}\",\"prompt\":\"canary-prompt\",\"max_tokens\":16}}\n");
    fs::write(folder.path().join("in.jsonl"), (1..=3).map(line).collect::<String>()).unwrap();
    let (url, heard) = collector();
    let mut run = crate::command(folder.path(), &["run", "in.jsonl", "--mock", "-o", "out.jsonl"]);
    run.env("OTEL_EXPORTER_OTLP_ENDPOINT", url).env("OTEL_SERVICE_NAME", "nightly");
    let ended = crate::ended(run.output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);

    let spans = spans(&heard);
    let (requests, attempts): (Vec<&Span>, Vec<&Span>) =
        spans.iter().partition(|span| span.parent_span_id.is_empty());
    assert_eq!((requests.len(), attempts.len()), (3, 3), "{spans:?}");
    assert!(requests.iter().all(|span| text(&span.attributes, "paceline.priority") == "batch"));
    let (service, metrics) = metrics(&heard);
    assert_eq!(service, "nightly");
    let durations = histogram(&metrics, "gen_ai.client.operation.duration");
    assert_eq!(durations.iter().map(|point| point.count).sum::<u64>(), 3);
    let told = heard.lock().unwrap();
    assert!(told.iter().all(|(_, _, body)| !String::from_utf8_lossy(body).contains("canary")));
}

#[test]
fn a_collector_that_is_away_harms_no_run() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.jsonl"), "{\"prompt\":\"hi\",\"max_tokens\":9}\n").unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (style, told) in [("plain", 1), ("none", 0)] {
        let args = ["run", "in.jsonl", "--mock", "--fresh", "--progress", style, "-o", "out.jsonl"];
        let mut run = crate::command(folder.path(), &args);
        run.env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", format!("http://{nobody}"));
        let ended = crate::ended(run.output().unwrap());
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.stderr.matches("traces cannot be exported").count(), told, "{}", ended.stderr);
    }
}

#[test]
fn a_collector_that_is_away_harms_nobody_and_is_told_of_once() {
    let folder = tempfile::tempdir().unwrap();
    let mock = mock(folder.path(), &["--profile", "unlimited"]);
    config(folder.path(), &mock, "");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut served = exporting(&folder, &format!("http://{nobody}"));
    for _ in 0..5 {
        assert_eq!(served.ask(OWN_KEY).status, 200);
        thread::sleep(Duration::from_millis(60));
    }
    served.wait_until("complains", |served| served.process.said().contains("traces cannot be exported"));
    served.process.signal(Signal::TERM);
    assert_eq!(served.process.end(), Some(0), "{}", served.process.said());
    let said = served.process.said();
    assert_eq!(said.matches("traces cannot be exported").count(), 1, "{said}");
}

#[test]
fn what_names_no_collector_ends_with_2() {
    let folder = tempfile::tempdir().unwrap();
    for (name, value, said) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "`OTEL_EXPORTER_OTLP_ENDPOINT` is no URL"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "asks for `grpc`, which is not spoken here"),
    ] {
        let mut command =
            crate::command(folder.path(), &["serve", "--listen", "127.0.0.1:0", "--admin", "none"]);
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9").env(name, value);
        let ended = crate::ended(command.output().unwrap());
        assert_eq!(ended.code, Some(2), "{name}: {}", ended.stderr);
        assert!(ended.stderr.contains(said), "{name}: {}", ended.stderr);
    }
}
