//! The client against a faithful provider: real limits, learned from nothing but its headers.

use paceline::wire::provider::Catalog;
use paceline::{Client, Request, Upstream};
use paceline_mock::log::Outcome;
use paceline_mock::profile::Profile;
use paceline_mock::script::Script;
use paceline_mock::server::{Handle, Options, Server};
use tokio::task::JoinSet;
use tokio::time::Instant;

async fn mock(profile: &str, script: &str) -> Handle {
    let profile = Profile::named(profile).unwrap();
    let script = Script::parse("faults.toml", script).unwrap();
    Server::start(Options { profile, script, ..Options::default() }).await.unwrap()
}

fn client(provider: &str, mock: &Handle) -> Client {
    let provider = Catalog::embedded().provider(provider).unwrap().clone();
    let upstream = Upstream::new("mock", provider).base_url(mock.base_url()).api_key("sk-test");
    Client::builder().upstream(upstream).seed(1).build().unwrap()
}

/// Sends so many requests at once; how many ended well.
async fn send_all(client: &Client, path: &str, count: usize) -> usize {
    let mut answers = JoinSet::new();
    for number in 0..count {
        let client = client.clone();
        let body = format!(
            r#"{{"model":"test-1","max_tokens":200,"messages":[{{"role":"user","content":"Say {number} nicely."}}]}}"#
        );
        let request = Request::new(path, body);
        answers.spawn(async move { client.send(request).await });
    }
    let mut done = 0;
    while let Some(answer) = answers.join_next().await {
        match answer.unwrap() {
            Ok(_) => done += 1,
            Err(error) => println!("{error}: {error:?}"),
        }
    }
    done
}

#[tokio::test(start_paused = true)]
async fn limits_are_learned_and_held() {
    for (profile, provider, path) in
        [("anthropic-tiny", "anthropic", "/v1/messages"), ("openai-tiny", "openai", "/v1/chat/completions")]
    {
        let mock = mock(profile, "").await;
        let client = client(provider, &mock);
        let start = Instant::now();
        assert_eq!(send_all(&client, path, 100).await, 100, "{profile}");
        let refused = mock.calls().iter().filter(|call| call.outcome == Outcome::Refused).count();
        assert_eq!(refused, 0, "{profile}");
        // A hundred at fifty a minute.
        let took = start.elapsed().as_secs();
        assert!((55..=150).contains(&took), "{profile}: {took} s");
    }
}

#[tokio::test(start_paused = true)]
async fn passing_faults_are_hidden() {
    let faults = [
        "overloaded",
        "unavailable",
        "server-error",
        "bad-gateway",
        "throttled",
        "slow-down",
        "error-in-200",
        "garbage",
        "empty",
        "reset-before-headers",
        "close-before-headers",
        "reset",
        "cut",
        "truncate",
        "stall",
    ];
    let rule = |fault: &&str| format!("[[rule]]\nfault = \"{fault}\"\nprobability = 0.007\n");
    let script: String = faults.iter().map(rule).collect();
    for (profile, provider, path) in
        [("anthropic-start", "anthropic", "/v1/messages"), ("openai-build", "openai", "/v1/chat/completions")]
    {
        let mock = mock(profile, &script).await;
        let client = client(provider, &mock);
        assert_eq!(send_all(&client, path, 400).await, 400, "{profile}");
        let faulty = mock.calls().iter().filter(|call| call.outcome == Outcome::Fault).count();
        assert!(10 <= faulty, "{profile}: only {faulty}");
        let snapshot = client.snapshot().await;
        assert!(snapshot.sent <= 480, "{profile}: {} attempts", snapshot.sent);
    }
}

#[tokio::test(start_paused = true)]
async fn odd_streams_are_streams() {
    for oddity in ["padding", "comments", "pings", "unknown-events", "crlf", "data-first", "split", "drip"] {
        let mock = mock("anthropic-start", &format!("[[rule]]\nfault = \"{oddity}\"\n")).await;
        for (provider, path) in [("anthropic", "/v1/messages"), ("openai", "/v1/chat/completions")] {
            let client = client(provider, &mock);
            let body = r#"{"model":"test-1","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
            let mut stream = client.stream(Request::new(path, body)).await.unwrap();
            let mut bytes = 0;
            while let Some(piece) = stream.next().await {
                bytes += piece.unwrap_or_else(|error| panic!("{oddity}, {provider}: {error}")).len();
            }
            assert!(200 < bytes, "{oddity}, {provider}: {bytes}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_stream_is_always_told() {
    for fault in ["cut", "truncate", "reset", "stall", "stream-error-mid"] {
        let mock = mock("anthropic-start", &format!("[[rule]]\nfault = \"{fault}\"\nafter = 4\n")).await;
        for (provider, path) in [("anthropic", "/v1/messages"), ("openai", "/v1/chat/completions")] {
            let client = client(provider, &mock);
            let body = r#"{"model":"test-1","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
            let mut stream = client.stream(Request::new(path, body)).await.unwrap();
            let mut last = None;
            while let Some(piece) = stream.next().await {
                last = Some(piece);
            }
            assert!(last.unwrap().is_err(), "{fault}, {provider}");
        }
    }
}
