//! The gateway before a provider that behaves as the real ones do.

use paceline::Client;
use paceline_mock::profile::{Amounts, Profile};
use paceline_mock::server::{Handle, Options, Server};

use crate::support::{CALLER, CHAT, MESSAGES, Stand, keyed, provider};

async fn mock(limits: Amounts) -> Handle {
    let profile = Profile::named("demo").unwrap().without_latency();
    Server::start(Options { profile, limits, ..Options::default() }).await.unwrap()
}

async fn stand(mock: &Handle) -> Stand {
    let upstream = |name, kind: &str, url: String| {
        paceline::Upstream::new(name, provider(kind)).base_url(url).api_key("sk-mock-1")
    };
    let builder = Client::builder()
        .seed(1)
        .upstream(upstream("claude", "anthropic", mock.base_url()))
        .upstream(upstream("gpt", "openai", format!("{}/v1", mock.base_url())));
    keyed(builder).await
}

fn ask(stream: bool) -> String {
    format!(
        r#"{{"model":"m-1","max_tokens":20,"stream":{stream},"messages":[{{"role":"user","content":"Hi"}}]}}"#
    )
}

#[tokio::test]
async fn whole_and_streamed_in_both_dialects() {
    let mock = mock(Amounts::default()).await;
    let stand = stand(&mock).await;
    for path in [MESSAGES, CHAT] {
        let seen = stand.post(path, &ask(false)).await;
        assert_eq!((seen.status, seen.whole), (200, true), "{}", seen.text());
        assert!(seen.json()["usage"].is_object());
        let forbidden = ["openai-organization", "anthropic-organization-id", "x-envoy-upstream-service-time"];
        assert!(
            seen.headers
                .iter()
                .all(|(name, _)| !forbidden.contains(&name.as_str()) && !name.contains("ratelimit"))
        );
        let seen = stand.post(path, &ask(true)).await;
        assert_eq!((seen.status, seen.whole), (200, true), "{}", seen.text());
        let text = seen.text();
        let end = if path == CHAT { "data: [DONE]\n\n" } else { "event: message_stop\ndata: " };
        assert!(text.contains(end), "{text}");
        assert!(path != CHAT || !text.contains("\"choices\":[]"), "{text}");
    }
    let responses = r#"{"model":"m-1","max_output_tokens":20,"stream":true,"input":"Hi"}"#;
    let seen = stand.post("/v1/responses", responses).await;
    assert!(seen.whole && seen.text().contains("event: response.incomplete"), "{}", seen.text());
    let seen = stand.post("/v1/embeddings", r#"{"model":"e-1","input":"Hi"}"#).await;
    assert_eq!(seen.status, 200, "{}", seen.text());
    let seen = stand.post("/v1/messages/count_tokens", &ask(false)).await;
    assert!(seen.json()["input_tokens"].is_u64(), "{}", seen.text());
    let seen = stand.get("/v1/models").await;
    assert!(!seen.json()["data"].as_array().unwrap().is_empty());
    assert!(mock.calls().iter().all(|call| call.status == 200));
}

#[tokio::test]
async fn its_limits_are_kept_and_not_shown() {
    let limits = Amounts { requests_per_minute: Some(60), ..Amounts::default() };
    let mock = mock(limits).await;
    let stand = stand(&mock).await;
    let asked: Vec<_> = (0..8).map(|_| ask(false)).collect();
    let headers = [("x-api-key", CALLER), ("x-paceline-deadline", "2")];
    let mut statuses = Vec::new();
    for ask in &asked {
        let seen = stand.call("POST", MESSAGES, &headers, ask).await;
        statuses.push(seen.status);
        assert!(seen.status == 200 || seen.header("retry-after-ms").is_some(), "{}", seen.text());
    }
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 200).count() >= 2, "{statuses:?}");
}
