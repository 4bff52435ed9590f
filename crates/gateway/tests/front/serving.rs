//! What callers of today send is served.

use paceline_gateway::Settings;
use tokio::io::AsyncWriteExt;

use crate::support::{Seen, answer, ends, start, status};

const CHAT: &str =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

#[tokio::test]
async fn serves_one_request_after_another_on_a_connection() {
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    for body in ["{}", "{\"model\":\"m\"}", ""] {
        let request = format!("{CHAT}Content-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let bodies: Vec<_> = front.recorder.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, [&b"{}"[..], b"{\"model\":\"m\"}", b""]);
}

#[tokio::test]
async fn a_head_in_pieces_and_a_body_in_chunks_arrive_whole() {
    let front = start(Settings::default()).await;
    let request =
        format!("{CHAT}Transfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0a\r\n          \r\n0\r\n\r\n");
    for pieces in [1, 2, 7] {
        let mut stream = front.connect().await;
        for piece in request.as_bytes().chunks(pieces) {
            stream.write_all(piece).await.unwrap();
            tokio::task::yield_now().await;
        }
        let answer = answer(&mut stream).await;
        assert_eq!(status(&answer), 200, "{answer}");
    }
    let body = b"{}          ".to_vec();
    let seen = Seen { method: "POST".into(), target: "/v1/chat/completions".into(), body };
    assert_eq!(front.recorder.seen(), vec![seen; 3]);
}

#[tokio::test]
async fn a_panic_costs_its_request_only() {
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    for (path, expected) in [("/panic", 500), ("/", 200)] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let answer = answer(&mut stream).await;
        assert_eq!(status(&answer), expected, "{answer}");
    }
}

#[tokio::test]
async fn a_refused_request_is_told_why_and_its_connection_ends() {
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    stream.write_all(b"GET /v1/../admin HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let answer = answer(&mut stream).await;
    assert_eq!(status(&answer), 400, "{answer}");
    assert!(answer.contains("connection: close") && answer.contains("plain form"), "{answer}");
    assert!(ends(&mut stream).await);
    assert_eq!(front.recorder.seen(), []);
}
