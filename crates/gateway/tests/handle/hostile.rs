//! Bodies that would have us call somebody.

use std::fmt::Write;
use std::time::Duration;

use paceline::Ceilings;
use paceline::core::quota::{Dimension, Quota};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{CALLER, CHAT, COMPLETION, MESSAGE, MESSAGES};
use crate::upstream::{Server, json};

/// So many in each run; `BODIES=100000` in the environment takes that many instead.
const BODIES: u32 = 10_000;
const NAMES: [&str; 30] = [
    "model",
    "base_url",
    "api_base",
    "api_url",
    "url",
    "endpoint",
    "proxy",
    "host",
    "image_url",
    "file_url",
    "source",
    "webhook",
    "callback",
    "callback_url",
    "redirect",
    "location",
    "server_url",
    "mcp_servers",
    "fallbacks",
    "router",
    "config",
    "litellm_params",
    "deployment",
    "azure_endpoint",
    "organization",
    "user",
    "metadata",
    "tools",
    "system",
    "x",
];

/// A body that names `target` in some members, up to six levels down.
fn body(rng: &mut fastrand::Rng, target: &str) -> String {
    let mut text = String::from("{\"messages\":[{\"role\":\"user\",\"content\":");
    value(rng, target, 5, &mut text);
    text += "}]";
    let first = rng.usize(..NAMES.len());
    for at in 0..rng.usize(1..5) {
        let name = NAMES[(first + at * 7) % NAMES.len()];
        if ["model", "system", "tools"].contains(&name) {
            write!(text, ",\"{name}\":\"http://{target}/v1\"").unwrap();
        } else {
            write!(text, ",\"{name}\":").unwrap();
            value(rng, target, 5, &mut text);
        }
    }
    text + "}"
}

fn value(rng: &mut fastrand::Rng, target: &str, depth: u32, text: &mut String) {
    match if depth == 0 { 0 } else { rng.u32(..4) } {
        0 | 1 => {
            let scheme = ["http://", "https://", "//", "", "ws://", "file://"][rng.usize(..6)];
            write!(text, "\"{scheme}{target}/{}\"", rng.u32(..9)).unwrap();
        }
        2 => {
            *text += "[";
            value(rng, target, depth - 1, text);
            *text += "]";
        }
        _ => {
            write!(text, "{{\"type\":\"image_url\",\"{}\":", NAMES[rng.usize(..NAMES.len())]).unwrap();
            value(rng, target, depth - 1, text);
            *text += "}";
        }
    }
}

#[tokio::test]
async fn nobody_is_called_because_a_body_says_so() {
    let attacker = Server::always(json(200, "{}")).await;
    let target = attacker.address.to_string();
    let server = Server::always(json(200, MESSAGE)).await;
    let chat = Server::always(json(200, COMPLETION)).await;
    // Limits that are far away, so that nothing is spent on learning them.
    let ceilings = Dimension::ALL.into_iter().fold(Ceilings::new(), |ceilings, dimension| {
        ceilings.quota(Quota { dimension, window: Duration::from_secs(60), limit: 1 << 40 })
    });
    let builder = paceline::Client::builder()
        .ceilings(ceilings)
        .upstream(server.upstream("claude", "anthropic"))
        .upstream(chat.upstream("gpt", "openai"));
    let stand = crate::support::keyed(builder).await;
    let mut rng = fastrand::Rng::with_seed(7);
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let bodies = std::env::var("BODIES").map_or(BODIES, |bodies| bodies.parse().unwrap());
    let mut sent = 0;
    let mut answered = 0;
    while sent < bodies {
        let path = if rng.bool() { MESSAGES } else { CHAT };
        let body = body(&mut rng, &target);
        let headers =
            [("connection", "keep-alive"), ("x-api-key", CALLER), ("x-forwarded-host", target.as_str())];
        stream.write_all(stand.request("POST", path, &headers, &body).as_bytes()).await.unwrap();
        answered += u32::from(status(&mut stream).await == 200);
        sent += 1;
        if sent % 1000 == 0 {
            drop((server.take_seen(), chat.take_seen()));
        }
    }
    assert_eq!(attacker.connections(), 0);
    assert!(answered > bodies / 2, "only {answered} were taken seriously");
}

/// Reads one answer and gives its status.
async fn status(stream: &mut TcpStream) -> u16 {
    let mut bytes = Vec::new();
    loop {
        assert_ne!(stream.read_buf(&mut bytes).await.unwrap(), 0, "{}", String::from_utf8_lossy(&bytes));
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if bytes.len() == end + 4 + length.parse::<usize>().unwrap() {
            return head[9..12].parse().unwrap();
        }
    }
}
