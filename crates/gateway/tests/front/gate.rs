//! Which names we answer to, which pages may ask, and with what.

use std::net::SocketAddr;

use paceline_gateway::Settings;
use tokio::net::TcpStream;

use crate::support::{Front, answer, start, start_on, status};

/// `PORT` stands for the listener's own. Whether each is ours on 127.0.0.1, on [::1], and on 0.0.0.0 reached by 127.0.0.1.
const HOSTS: [(&str, [bool; 3]); 46] = [
    ("localhost", [true; 3]),
    ("localhost:PORT", [true; 3]),
    ("LOCALHOST:PORT", [true; 3]),
    ("LocalHost", [true; 3]),
    ("127.0.0.1", [true; 3]),
    ("127.0.0.1:PORT", [true; 3]),
    ("[::1]", [true; 3]),
    ("[::1]:PORT", [true; 3]),
    ("ai.example.com", [true; 3]),
    ("AI.Example.com", [true; 3]),
    ("ai.example.com:443", [true; 3]),
    ("ai.example.com:PORT", [true; 3]),
    ("[2001:db8::7]:80", [true; 3]),
    ("localhost:1", [false; 3]),
    ("127.0.0.1:1", [false; 3]),
    ("[::1]:1", [false; 3]),
    ("localhost:0PORT", [false; 3]),
    ("localhost.", [false; 3]),
    ("localhost.:PORT", [false; 3]),
    (".localhost", [false; 3]),
    ("localhost.localdomain", [false; 3]),
    ("localhost.attacker.example", [false; 3]),
    ("attacker.example", [false; 3]),
    ("attacker.example:PORT", [false; 3]),
    ("x.ai.example.com", [false; 3]),
    ("ai.example.com.", [false; 3]),
    ("ai.example.com.attacker.example", [false; 3]),
    ("ai.example.co", [false; 3]),
    ("example.com", [false; 3]),
    ("ai-example-com", [false; 3]),
    ("127.0.0.2", [false; 3]),
    ("127.0.0.1.", [false; 3]),
    ("127.1", [false; 3]),
    ("127.0.1", [false; 3]),
    ("0177.0.0.1", [false; 3]),
    ("127.0.0.01", [false; 3]),
    ("0x7f.0.0.1", [false; 3]),
    ("2130706433", [false; 3]),
    ("0", [false; 3]),
    ("0.0.0.0", [false; 3]),
    ("0.0.0.0:PORT", [false; 3]),
    ("[::]", [false; 3]),
    ("[0:0:0:0:0:0:0:1]", [false; 3]),
    ("[::ffff:127.0.0.1]", [false; 3]),
    ("[::1.]", [false; 3]),
    ("127.0.0.1.nip.io", [false; 3]),
];

/// A header, if there is one.
type Line = (&'static str, Option<&'static str>);

fn settings() -> Settings {
    Settings {
        hosts: vec!["ai.example.com".into(), "[2001:db8::7]".into()],
        origins: vec!["https://chat.example.com".into()],
        ..Settings::default()
    }
}

#[tokio::test]
async fn answers_to_its_own_names_only() {
    for (listener, address) in ["127.0.0.1:0", "[::1]:0", "0.0.0.0:0"].into_iter().enumerate() {
        let mut front = start_on(address, settings()).await;
        let port = front.address.port();
        if front.address.ip().is_unspecified() {
            front.address = SocketAddr::from(([127, 0, 0, 1], port));
        }
        for (host, passes) in HOSTS {
            let host = host.replace("PORT", &port.to_string());
            let request = format!("GET /{listener} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let answer = front.exchange(request.as_bytes()).await;
            let expected = if passes[listener] { 200 } else { 421 };
            assert_eq!(status(&answer), expected, "`{host}` at {address}: {answer}");
        }
        let passing = HOSTS.iter().filter(|(_, passes)| passes[listener]).count();
        assert_eq!(front.recorder.seen().len(), passing);
    }
}

#[tokio::test]
async fn answers_to_the_address_that_was_connected_to() {
    let front = start_on("0.0.0.0:0", Settings::default()).await;
    let port = front.address.port();
    let own = SocketAddr::from(([127, 9, 9, 9], port));
    let cases = [("127.9.9.9", 200), ("127.9.9.9:PORT", 200), ("127.9.9.9:1", 421), ("127.9.9.8", 421)];
    for (host, expected) in cases {
        let mut stream = TcpStream::connect(own).await.unwrap();
        let host = host.replace("PORT", &port.to_string());
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes()).await.unwrap();
        assert_eq!(status(&answer(&mut stream).await), expected, "{host}");
    }
}

/// With whether a page of it may ask.
const ORIGINS: [(Option<&str>, bool); 13] = [
    (None, true),
    (Some("https://chat.example.com"), true),
    (Some("http://localhost:PORT"), true), // A page of our own.
    (Some("http://localhost"), false),
    (Some("https://localhost:PORT"), false),
    (Some("http://127.0.0.1:PORT"), false),
    (Some("null"), false),
    (Some(""), false),
    (Some("https://chat.example.com.attacker.example"), false),
    (Some("https://chat.example.com:8443"), false),
    (Some("http://chat.example.com"), false),
    (Some("https://CHAT.example.com"), false),
    (Some("https://attacker.example"), false),
];

const CONTENTS: [(Option<&str>, bool); 12] = [
    (Some("application/json"), true),
    (Some("Application/JSON; charset=UTF-8"), true),
    (Some("application/json;charset=\"utf-8\""), true),
    (None, false),
    (Some("text/plain"), false),
    (Some("text/plain; application/json"), false),
    (Some("application/json, text/plain"), false),
    (Some("application/json; charset=utf-7"), false),
    (Some("application/json; x=y"), false),
    (Some("application/jsonx"), false),
    (Some("application/x-www-form-urlencoded"), false),
    (Some("multipart/form-data; boundary=x"), false),
];

const SITES: [(Option<&str>, bool); 6] = [
    (None, true),
    (Some("none"), true),
    (Some("same-origin"), true),
    (Some("same-site"), false),
    (Some("cross-site"), false),
    (Some("junk"), false),
];

#[tokio::test]
async fn no_page_spends_money_unasked() {
    let front = start(settings()).await;
    let mut passed = 0;
    for (origin, origin_fits) in ORIGINS {
        for (content, content_fits) in CONTENTS {
            for (site, site_fits) in SITES {
                let is_configured = origin == Some("https://chat.example.com");
                let expected = match () {
                    () if !(origin_fits && (site_fits || is_configured)) => 403,
                    () if !content_fits => 415,
                    () => 200,
                };
                let request = ask(
                    &front,
                    "POST /v1/messages",
                    &[("Origin", origin), ("Content-Type", content), ("Sec-Fetch-Site", site)],
                    "{}",
                );
                let answer = front.exchange(request.as_bytes()).await;
                assert_eq!(status(&answer), expected, "{request}: {answer}");
                let shared = "access-control-allow-origin: https://chat.example.com\r\n";
                let may_read = is_configured && expected == 200;
                assert_eq!(answer.contains(shared), may_read, "{request}: {answer}");
                assert_eq!(answer.contains("access-control-"), may_read, "{request}: {answer}");
                passed += usize::from(expected == 200);
            }
        }
    }
    assert_eq!(front.recorder.seen().len(), passed);
}

fn ask(front: &Front, line: &str, headers: &[(&str, Option<&str>)], body: &str) -> String {
    let port = front.address.port().to_string();
    let mut request = format!("{line} HTTP/1.1\r\nHost: localhost:{port}\r\n");
    for (name, value) in headers {
        if let Some(value) = value {
            request += &format!("{name}: {}\r\n", value.replace("PORT", &port));
        }
    }
    if !body.is_empty() {
        request += &format!("Content-Length: {}\r\n", body.len());
    }
    request + "\r\n" + body
}

#[tokio::test]
async fn other_methods_and_bodies_keep_to_the_same_rules() {
    let front = start(settings()).await;
    let json = ("Content-Type", Some("application/json"));
    let form = ("Content-Type", Some("multipart/form-data; boundary=x"));
    let ours = ("Origin", Some("http://localhost:PORT"));
    let cases: [(&str, &[Line], &str, u16); 14] = [
        ("GET /", &[("Origin", Some("https://attacker.example"))], "", 403),
        ("GET /", &[("Sec-Fetch-Site", Some("cross-site"))], "", 403),
        ("GET /", &[("Sec-Fetch-Site", Some("none"))], "", 200),
        ("GET /", &[("Origin", Some("null")), ("Origin", Some("https://chat.example.com"))], "", 400),
        ("POST /v1/batches/b/cancel", &[], "", 200), // Nothing is said about what is not there.
        ("POST /v1/batches/b/cancel", &[("Origin", Some("null"))], "", 403),
        ("DELETE /v1/x", &[("Content-Type", Some("text/plain"))], "{}", 415),
        ("POST /v1/x", &[json, json], "{}", 400),
        ("POST /v1/x", &[json, ("Content-Encoding", Some("gzip"))], "{}", 415),
        ("POST /v1/x", &[json, ("Content-Encoding", Some("identity"))], "{}", 200),
        ("POST /v1/files", &[form], "--x--", 200),
        ("POST /groq/v1/audio/transcriptions", &[form], "--x--", 200),
        ("POST /v1/files", &[form, ours], "--x--", 415),
        ("POST /v1/filesystem", &[form], "--x--", 415),
    ];
    for (line, headers, body, expected) in cases {
        let request = ask(&front, line, headers, body);
        let answer = front.exchange(request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{request}: {answer}");
    }
}

#[tokio::test]
async fn tells_only_known_pages_what_they_may_send() {
    let front = start(settings()).await;
    let method = ("Access-Control-Request-Method", Some("POST"));
    let wanted = (
        "Access-Control-Request-Headers",
        Some("Authorization,content-type, x-stainless-os ,cookie, x-forwarded-for, *"),
    );
    let known = ("Origin", Some("https://chat.example.com"));
    let answer =
        front.exchange(ask(&front, "OPTIONS /v1/messages", &[known, method, wanted], "").as_bytes()).await;
    assert_eq!(status(&answer), 204, "{answer}");
    for line in [
        "access-control-allow-origin: https://chat.example.com",
        "access-control-allow-headers: authorization, content-type, x-stainless-os",
        "access-control-allow-methods: GET, HEAD, POST, DELETE",
        "vary: origin",
    ] {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "no `{line}` in {answer}");
    }
    let cases: [(&[Line], u16); 4] = [
        (&[("Origin", Some("https://attacker.example")), method, wanted], 403),
        (&[("Origin", Some("null")), method], 403),
        (&[("Origin", Some("http://localhost:PORT")), method], 405),
        (&[method], 405),
    ];
    for (headers, expected) in cases {
        let request = ask(&front, "OPTIONS /v1/messages", headers, "");
        let answer = front.exchange(request.as_bytes()).await;
        assert_eq!(status(&answer), expected, "{request}: {answer}");
        assert!(!answer.contains("access-control-"), "{answer}");
    }
    assert_eq!(front.recorder.seen(), []);
}

#[tokio::test]
async fn a_reload_holds_from_the_next_request_on() {
    let front = start(Settings::default()).await;
    let mut stream = front.connect().await;
    for (hosts, expected) in [(vec![], 421), (vec!["ai.example.com".to_owned()], 200), (vec![], 421)] {
        front.settings.send_modify(|settings| {
            *settings = std::sync::Arc::new(Settings { hosts, ..Settings::default() })
        });
        let request = b"GET / HTTP/1.1\r\nHost: ai.example.com\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
        assert_eq!(status(&answer(&mut stream).await), expected);
    }
}
