//! What is refused is answered, told why in the caller's dialect, and never reaches the handler; what is legal does.

use paceline_gateway::{Caps, Settings};
use tokio::io::AsyncWriteExt;

use crate::malformed::FAMILIES;
use crate::support::{Front, PATIENCE, Seen, answer, ends, start, status, with_caps};

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Sends it in pieces of this size and returns the answer; the connection must have ended with it.
async fn refused(front: &Front, request: &[u8], piece: usize) -> String {
    let mut stream = front.connect().await;
    for bytes in request.chunks(piece) {
        // The answer, and the end, may come before the last byte of what is refused.
        if stream.write_all(bytes).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let answer = answer(&mut stream).await;
    stream.shutdown().await.ok();
    assert!(ends(&mut stream).await, "the connection goes on after {answer}");
    answer
}

#[tokio::test]
async fn refuses_what_parsers_read_differently() {
    let front = start(Settings::default()).await;
    let mut cases = 0;
    for family in FAMILIES {
        for (case, expected) in family.cases {
            let request = format!("{}{case}{}{SMUGGLED}", family.around.0, family.around.1);
            for piece in [usize::MAX, 1] {
                let answer = refused(&front, request.as_bytes(), piece).await;
                assert_eq!(
                    status(&answer),
                    *expected,
                    "{}: {case:?}, pieces of {piece}: {answer}",
                    family.name
                );
                assert!(answer.contains("\r\nconnection: close\r\n"), "{case:?}: {answer}");
                assert!(answer.contains("error") || request.starts_with("HEAD"), "{case:?}: {answer}");
            }
            assert_eq!(front.recorder.seen(), [], "{}: {case:?}", family.name);
            cases += 1;
        }
    }
    assert!(cases >= 211, "{cases} cases");
}

#[tokio::test]
async fn a_refusal_speaks_the_dialect_of_its_path_and_has_no_body_for_head() {
    let front = start(Settings::default()).await;
    let cases = [
        ("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nX_Y: z\r\n\r\n", "\"type\":\"error\""),
        ("POST /anthropic/v1/messages HTTP/1.1\r\nHost: localhost\r\nX_Y: z\r\n\r\n", "\"type\":\"error\""),
        ("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nX_Y: z\r\n\r\n", "\"param\":null"),
        ("rubbish\r\n\r\n", "\"param\":null"),
    ];
    for (request, expected) in cases {
        let answer = refused(&front, request.as_bytes(), usize::MAX).await;
        assert!(answer.contains(expected), "{request:?}: {answer}");
    }
    let mut stream = front.connect().await;
    stream.write_all(b"HEAD / HTTP/1.1\r\nHost: localhost\r\nX_Y: z\r\n\r\n").await.unwrap();
    let mut came = String::new();
    tokio::time::timeout(PATIENCE, tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut came))
        .await
        .unwrap()
        .unwrap();
    assert!(came.starts_with("HTTP/1.1 400 ") && came.ends_with("\r\n\r\n"), "{came}");
}

#[tokio::test]
async fn sizes_are_taken_up_to_their_bounds() {
    let caps =
        Caps { head_bytes: 2_000, headers: 10, target_bytes: 500, body_bytes: 1_000, ..Caps::default() };
    let front = start(with_caps(caps)).await;
    let host = "Host: localhost\r\n";
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\n{host}\r\n", "a".repeat(length - 1));
    let headers = |count: usize| format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: y\r\n".repeat(count - 1));
    let head = |length: usize| {
        let around = format!("GET / HTTP/1.1\r\n{host}X: \r\n\r\n").len();
        format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "y".repeat(length - around))
    };
    let post = format!("POST / HTTP/1.1\r\n{host}Content-Type: application/json\r\n");
    let length = |length: usize| format!("{post}Content-Length: {length}\r\n\r\n{}", "1".repeat(length));
    let chunks = |length: usize| {
        let half = "1".repeat(length / 2);
        let rest = "1".repeat(length - length / 2);
        format!(
            "{post}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{half}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
            half.len(),
            rest.len()
        )
    };
    type Case<'a> = (&'a str, &'a dyn Fn(usize) -> String, usize, u16);
    let cases: [Case<'_>; 5] = [
        ("target", &target, 500, 414),
        ("headers", &headers, 10, 431),
        ("head", &head, 2_000, 431),
        ("length", &length, 1_000, 413),
        ("chunks", &chunks, 1_000, 413),
    ];
    for (name, request, bound, refusal) in cases {
        for (size, expected) in [(bound - 1, 200), (bound, 200), (bound + 1, refusal), (bound * 50, refusal)]
        {
            for piece in [usize::MAX, 100] {
                let answer = refused_or_taken(&front, request(size).as_bytes(), piece).await;
                assert_eq!(status(&answer), expected, "{name} of {size}, pieces of {piece}: {answer}");
            }
        }
    }
}

async fn refused_or_taken(front: &Front, request: &[u8], piece: usize) -> String {
    let mut stream = front.connect().await;
    for bytes in request.chunks(piece) {
        if stream.write_all(bytes).await.is_err() {
            break;
        }
    }
    answer(&mut stream).await
}

#[tokio::test]
async fn takes_what_is_legal() {
    let front = start(Settings::default()).await;
    let json = "Content-Type: application/json\r\n";
    let cases = [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "GET", "/", ""),
        ("GET / HTTP/1.0\r\nHost: localhost\r\n\r\n".to_owned(), "GET", "/", ""),
        ("GET / HTTP/1.1\r\nHOST:localhost\r\n\r\n".to_owned(), "GET", "/", ""),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\n\r\n".to_owned(), "GET", "/", ""),
        ("GET / HTTP/1.1\r\nhost: \t localhost \t\r\n\r\n".to_owned(), "GET", "/", ""),
        (
            "GET /v1/models?limit=10&after=a%2Fb[]=c HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "GET",
            "/v1/models?limit=10&after=a%2Fb[]=c",
            "",
        ),
        (
            "GET /v1/models/ft:gpt-4o-mini-2024-07-18:acme::abc123 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                .to_owned(),
            "GET",
            "/v1/models/ft:gpt-4o-mini-2024-07-18:acme::abc123",
            "",
        ),
        (
            "GET /v1/models/openai/gpt-4.1@latest HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "GET",
            "/v1/models/openai/gpt-4.1@latest",
            "",
        ),
        (
            "GET /v1/files/.hidden HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "GET",
            "/v1/files/.hidden",
            "",
        ),
        ("GET /? HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "GET", "/?", ""),
        ("GET /?a=/../b HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "GET", "/?a=/../b", ""),
        (
            "DELETE /v1/files/f-1 HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
            "DELETE",
            "/v1/files/f-1",
            "",
        ),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n".to_owned(), "GET", "/", ""),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nX:\r\nY: \t\r\nX-Title: caf\u{e9}\ttab\r\n\r\n".to_owned(),
            "GET",
            "/",
            "",
        ),
        (
            "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, TE\r\nTE: trailers\r\n\r\n"
                .to_owned(),
            "GET",
            "/",
            "",
        ),
        ("POST /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(), "POST", "/v1/x", ""),
        (
            format!("POST /v1/x HTTP/1.1\r\nHost: localhost\r\n{json}Content-Length: 2\r\n\r\n{{}}"),
            "POST",
            "/v1/x",
            "{}",
        ),
        (
            format!("POST /v1/x HTTP/1.0\r\nHost: localhost\r\n{json}Content-Length: 2\r\n\r\n{{}}"),
            "POST",
            "/v1/x",
            "{}",
        ),
        (
            format!("DELETE /v1/x HTTP/1.1\r\nHost: localhost\r\n{json}Content-Length: 2\r\n\r\n{{}}"),
            "DELETE",
            "/v1/x",
            "{}",
        ),
        (
            format!(
                "POST /v1/x HTTP/1.1\r\nHost: localhost\r\n{json}transfer-encoding:Chunked\r\n\r\n0002\r\n{{}}\r\n00\r\n\r\n"
            ),
            "POST",
            "/v1/x",
            "{}",
        ),
        (
            format!(
                "POST /v1/x HTTP/1.1\r\nHost: localhost\r\n{json}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
            "POST",
            "/v1/x",
            "",
        ),
        (
            format!(
                "POST /v1/x HTTP/1.1\r\nHost: localhost\r\n{json}Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\nA\r\n1234567890\r\n1\r\n]\r\n0\r\n\r\n"
            ),
            "POST",
            "/v1/x",
            "[1234567890]",
        ),
        (
            format!(
                "POST /v1/x HTTP/1.1\r\nHost: localhost\r\n{json}Expect: 100-Continue\r\nContent-Length: 2\r\n\r\n{{}}"
            ),
            "POST",
            "/v1/x",
            "{}",
        ),
    ];
    for (request, method, target, body) in cases {
        for piece in [usize::MAX, 3, 1] {
            front.recorder.seen.lock().unwrap().clear();
            let answer = refused_or_taken(&front, request.as_bytes(), piece).await;
            let taken = answer.trim_start_matches("HTTP/1.1 100 Continue\r\n\r\n");
            assert_eq!(status(taken), 200, "{request:?}: {answer}");
            let (method, target) = (method.to_owned(), target.to_owned());
            let seen = Seen { method, target, body: body.as_bytes().to_vec() };
            assert_eq!(front.recorder.seen(), [seen], "{request:?}");
        }
    }
}

#[tokio::test]
async fn a_caller_who_waits_for_100_is_told_to_go_on() {
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 2\r\nExpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut interim = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    assert_eq!(status(&answer(&mut stream).await), 200);
}

#[tokio::test]
async fn a_body_too_large_is_told_even_to_who_sends_all_of_it_first() {
    let front = start(Settings::default()).await;
    let length = (32 << 20) + 1;
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut stream = front.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; length]).await.unwrap();
    let answer = answer(&mut stream).await;
    assert_eq!(status(&answer), 413, "{answer}");
    assert!(answer.contains("request_too_large"), "{answer}");
}
