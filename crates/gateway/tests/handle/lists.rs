//! The list of models.

use std::time::Duration;

use paceline::{Client, Pool};

use crate::support::{CALLER, KEY, keyed, open};
use crate::upstream::{Server, Step, json};

const CLAUDES: &str = r#"{"data":[{"type":"model","id":"claude-1","display_name":"Claude One","created_at":"2026-01-31T00:00:00Z"},{"type":"model","id":"shared","display_name":"S","created_at":"x"}],"has_more":false}"#;
const GPTS: &str = r#"{"object":"list","data":[{"id":"gpt-1","object":"model","created":1764499721,"owned_by":"openai"},{"id":"shared","object":"model","created":2,"owned_by":"openai"}]}"#;

fn ids(answer: &crate::support::Answer) -> Vec<String> {
    let tree = answer.json();
    tree["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn pools_and_all_upstreams_are_listed_in_both_dialects() {
    let (claude, gpt) =
        (Server::start(vec![json(200, CLAUDES)]).await, Server::start(vec![json(200, GPTS)]).await);
    let builder = Client::builder()
        .upstream(claude.upstream("claude", "anthropic"))
        .upstream(gpt.upstream("gpt", "openai"))
        .pool(Pool::new("smart").upstream("claude"))
        .pool(Pool::new("cheap").upstream("gpt"));
    let stand = keyed(builder).await;
    let seen = stand.get("/v1/models").await;
    assert_eq!(ids(&seen), ["cheap", "smart", "claude-1", "shared", "gpt-1"]);
    let tree = seen.json();
    assert_eq!(tree["object"], "list");
    assert_eq!(
        tree["data"][2],
        serde_json::json!({"id":"claude-1","object":"model","created":1769817600,"owned_by":"anthropic"})
    );
    assert_eq!(tree["data"][4]["created"], 1764499721);
    let headers = [("anthropic-version", "2023-06-01"), ("x-api-key", CALLER)];
    let seen = stand.call("GET", "/v1/models?limit=20", &headers, "").await;
    assert_eq!(ids(&seen), ["cheap", "smart", "claude-1", "shared", "gpt-1"]);
    let tree = seen.json();
    assert_eq!(
        (&tree["first_id"], &tree["last_id"], &tree["has_more"]),
        (&"cheap".into(), &"gpt-1".into(), &false.into())
    );
    assert_eq!(tree["data"][2]["display_name"], "Claude One");
    assert_eq!(
        tree["data"][4],
        serde_json::json!({"type":"model","id":"gpt-1","display_name":"gpt-1","created_at":"2025-11-30T10:48:41Z"})
    );
    let seen = stand.get("/v1/models/claude-1").await;
    assert_eq!(seen.json()["owned_by"], "anthropic");
    assert_eq!(stand.get("/v1/models/nothing").await.status, 404);
    assert_eq!(claude.seen()[0].header("x-api-key"), [KEY]);
    assert_eq!(gpt.seen()[0].header("authorization"), [format!("Bearer {KEY}")]);
    assert_eq!((claude.seen().len(), gpt.seen().len()), (1, 1), "asked once a minute at most");
    tokio::time::sleep(Duration::from_secs(61)).await;
    gpt.play(json(200, GPTS));
    claude.play(vec![Step::Hang]);
    assert_eq!(
        ids(&stand.get("/v1/models").await),
        ["cheap", "smart", "gpt-1", "shared"],
        "who is silent is left out"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_to_list_is_an_error() {
    let server = Server::always(json(401, "{}")).await;
    let stand = keyed(Client::builder().upstream(server.upstream("gpt", "openai"))).await;
    let seen = stand.get("/v1/models").await;
    assert_eq!(seen.status, 502, "{}", seen.text());
    assert_eq!(stand.call("GET", "/v1/models", &[], "").await.status, 401);
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_list_is_its_providers() {
    let (claude, gpt) = (Server::always(json(200, CLAUDES)).await, Server::always(json(200, GPTS)).await);
    let builder = Client::builder()
        .upstream(claude.open_upstream("anthropic", "anthropic"))
        .upstream(gpt.open_upstream("openai", "openai"))
        .upstream(gpt.open_upstream("groq", "groq"));
    let stand = open(builder).await;
    let claude_key = [("x-api-key", "sk-a"), ("anthropic-version", "2023-06-01")];
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);
    let cases: [Case; 4] = [
        ("/v1/models", &claude_key, CLAUDES),
        ("/v1/models", &[("authorization", "Bearer sk-b")], GPTS),
        ("/groq/v1/models", &[("authorization", "Bearer sk-c")], GPTS),
        ("/anthropic/v1/models?limit=5", &claude_key, CLAUDES),
    ];
    for (path, headers, want) in cases {
        let seen = stand.call("GET", path, headers, "").await;
        assert_eq!((seen.status, seen.text().as_str()), (200, want), "{path}");
    }
    assert!(claude.seen()[1].head.starts_with("GET /v1/models?limit=5 "));
}
