//! Credentials: one way to find them, and each goes where it belongs.

use paceline::Client;

use crate::support::{ASK, CALLER, CHAT, COMPLETION, KEY, MESSAGE, MESSAGES, before, open};
use crate::upstream::{Server, json};

/// Every way to spell `key`, with the one header that says it.
fn spellings(key: &str) -> Vec<Vec<(&'static str, String)>> {
    let bearer = format!("Bearer {key}");
    vec![
        vec![("authorization", bearer.clone())],
        vec![("Authorization", format!("bearer {key}"))],
        vec![("x-api-key", key.to_owned())],
        vec![("X-Api-Key", key.to_owned())],
        vec![("api-key", key.to_owned())],
        vec![("x-goog-api-key", key.to_owned())],
        vec![("authorization", bearer.clone()), ("x-api-key", key.to_owned())],
        vec![("api-key", key.to_owned()), ("x-goog-api-key", key.to_owned())],
    ]
}

fn borrowed<'a>(headers: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test(start_paused = true)]
async fn every_spelling_means_the_same_on_every_route() {
    let server = Server::start(vec![]).await;
    let stand = before(&server).await;
    let routes =
        [("POST", MESSAGES, MESSAGE), ("POST", CHAT, COMPLETION), ("GET", "/v1/files/x", "{\"id\":1}")];
    for (method, path, body) in routes {
        let ask = if method == "POST" { ASK } else { "" };
        for (key, want) in [(CALLER, 200), ("pk-nobody", 401), (KEY, 401), (&CALLER[1..], 401)] {
            for headers in spellings(key) {
                if want == 200 {
                    server.play(json(200, body));
                }
                let seen = stand.call(method, path, &borrowed(&headers), ask).await;
                assert_eq!(seen.status, want, "{path} {headers:?}");
                if want == 401 {
                    assert_eq!(seen.json()["type"] == "error", path == MESSAGES);
                    assert!(!seen.text().contains(key));
                }
                for upstream in server.take_seen() {
                    assert!(!upstream.head.contains(CALLER) && upstream.head.contains(KEY));
                }
            }
        }
        let unclear: [&[(&str, &str)]; 6] = [
            &[],
            &[("authorization", "Basic eDp5")],
            &[("authorization", "Bearer ")],
            &[("x-api-key", CALLER), ("api-key", "other")],
            &[("authorization", "Bearer other"), ("x-api-key", CALLER)],
            &[("x-api-key", CALLER), ("x-api-key", "other")],
        ];
        for headers in unclear {
            assert_eq!(stand.call(method, path, headers, ask).await.status, 401, "{path} {headers:?}");
        }
        assert!(server.take_seen().is_empty());
        for query in ["key=x", "api_key=x", "a=b&access_token=x", "%6b%65%79=x"] {
            let seen = stand.call(method, &format!("{path}?{query}"), &[("x-api-key", CALLER)], ask).await;
            assert_eq!(seen.status, 400, "{query}");
        }
    }
    assert!(server.take_seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_callers_own_credential_goes_out_as_it_came() {
    let server = Server::start(vec![]).await;
    let builder = Client::builder()
        .upstream(server.open_upstream("anthropic", "anthropic").pass_through())
        .upstream(server.open_upstream("openai", "openai").pass_through())
        .upstream(server.open_upstream("groq", "groq").pass_through());
    let stand = open(builder).await;
    let routes = [(MESSAGES, MESSAGE), (CHAT, COMPLETION), ("/groq/v1/chat/completions", COMPLETION)];
    for (path, body) in routes {
        let cases = [
            (Some(("authorization", "Bearer sk-own")), "authorization", "Bearer sk-own"),
            (Some(("x-api-key", "sk-own")), "x-api-key", "sk-own"),
            (Some(("api-key", "sk-own")), "x-api-key", "sk-own"),
            (None, "", ""),
        ];
        for (header, name, value) in cases {
            server.play(json(200, body));
            let headers: Vec<(&str, &str)> = header.into_iter().collect();
            let seen = stand.call("POST", path, &headers, ASK).await;
            assert_eq!(seen.status, 200, "{path} {header:?}: {}", seen.text());
            let upstream = &server.take_seen()[0];
            let credentials = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];
            let found: Vec<(&str, &str)> =
                upstream.headers().filter(|(name, _)| credentials.contains(name)).collect();
            let want: Vec<(&str, &str)> = header.map(|_| (name, value)).into_iter().collect();
            assert_eq!(found, want, "{path}");
        }
    }
    let body = r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#;
    server.play(json(401, body));
    let seen = stand.call("POST", MESSAGES, &[("x-api-key", "sk-bad")], ASK).await;
    assert_eq!((seen.status, seen.text().as_str()), (401, body), "it is the caller's own business");
    let seen = stand.call("POST", MESSAGES, &[("x-api-key", "sk-bad")], ASK).await;
    assert_eq!((seen.status, seen.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
}

#[tokio::test(start_paused = true)]
async fn strangers_are_turned_away_before_their_bodies_are_read() {
    let server = Server::start(vec![]).await;
    let stand = before(&server).await;
    let head = "POST /v1/messages HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\nx-api-key: nobody\r\n\r\n{";
    let mut stream = tokio::net::TcpStream::connect(stand.address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stream, head.as_bytes()).await.unwrap();
    let mut bytes = [0; 12];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut bytes).await.unwrap();
    assert_eq!(&bytes, b"HTTP/1.1 401");
}
