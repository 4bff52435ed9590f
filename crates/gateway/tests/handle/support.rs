//! A running gateway, and a caller who sees every byte of its answers.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use paceline::wire::provider::{Catalog, Provider};
use paceline::{Builder, Client, Priority};
use paceline_gateway::front::{self, Drain};
use paceline_gateway::handle::Presented;
use paceline_gateway::handle::access::{Admitted, Ask, Gatekeeper, Guard, PassThrough, Purse, Refusal, Used};
use paceline_gateway::{Gateway, Settings};
use paceline_usage::Ledger;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::upstream::Server;

/// A credential of ours: nobody but the upstream may see it.
pub(crate) const KEY: &str = "sk-canary-0123456789abcdef";
/// A caller's key.
pub(crate) const CALLER: &str = "pk-caller-0123456789abcdef";

pub(crate) const MESSAGES: &str = "/v1/messages";
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// Request bodies.
pub(crate) const ASK: &str =
    r#"{"model":"test-1","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
pub(crate) const ASK_STREAM: &str =
    r#"{"model":"test-1","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
/// Whole answers to them.
pub(crate) const MESSAGE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"test-1","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":3}}"#;
pub(crate) const COMPLETION: &str = r#"{"id":"c","object":"chat.completion","model":"test-1","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}"#;
/// Streamed ones, event by event, spaced as the providers space them.
pub(crate) const MESSAGE_EVENTS: [&str; 7] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"test-1\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}     }\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}           }\n\n",
    "event: ping\ndata: {\"type\": \"ping\"}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hell\u{f6}\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0        }\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":3}            }\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"          }\n\n",
];
pub(crate) const CHAT_EVENTS: [&str; 5] = [
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hell\u{f6}\"},\"finish_reason\":null}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n",
    "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":3,\"total_tokens\":13}}\n\n",
    "data: [DONE]\n\n",
];

/// A known provider.
pub(crate) fn provider(name: &str) -> Provider {
    Catalog::embedded().provider(name).unwrap().clone()
}

/// A running gateway.
pub(crate) struct Stand {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    _settings: watch::Sender<Arc<Settings>>,
}

/// A gateway with credentials of its own, for callers who present [`CALLER`].
pub(crate) async fn keyed(builder: Builder) -> Stand {
    start(builder, Settings::default(), Arc::new(Keyed::default())).await
}

/// A gateway for callers who bring their own credentials.
pub(crate) async fn open(builder: Builder) -> Stand {
    start(builder, Settings::default(), Arc::new(PassThrough)).await
}

/// A keyed gateway before `server`, which speaks both dialects.
pub(crate) async fn before(server: &Server) -> Stand {
    keyed(both(server)).await
}

/// Two upstreams at one server: `claude` and `gpt`.
pub(crate) fn both(server: &Server) -> Builder {
    Client::builder()
        .seed(1)
        .upstream(server.upstream("claude", "anthropic"))
        .upstream(server.upstream("gpt", "openai"))
}

pub(crate) async fn start(builder: Builder, settings: Settings, gatekeeper: Arc<dyn Gatekeeper>) -> Stand {
    stand(builder, settings, gatekeeper, None).await
}

/// A keyed gateway that records what it serves.
pub(crate) async fn recorded(builder: Builder, gatekeeper: Keyed, ledger: Ledger) -> Stand {
    stand(builder, Settings::default(), Arc::new(gatekeeper), Some(ledger)).await
}

async fn stand(
    builder: Builder,
    settings: Settings,
    gatekeeper: Arc<dyn Gatekeeper>,
    ledger: Option<Ledger>,
) -> Stand {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = watch::channel(Arc::new(settings));
    let client = builder.build().unwrap();
    let catalog = Arc::new(Catalog::embedded().clone());
    let gateway = Gateway::new(client.clone(), catalog, receiver.clone(), gatekeeper, ledger, None);
    tokio::spawn(front::serve(listener, receiver, gateway, Drain::default()));
    Stand { address, client, _settings: sender }
}

/// Lets in whoever knows [`CALLER`], with a purse that keeps account.
#[derive(Default)]
pub(crate) struct Keyed {
    pub(crate) purse: Option<Arc<Account>>,
}

impl Gatekeeper for Keyed {
    fn admit(&self, presented: Option<&Presented>, _: std::net::IpAddr) -> Result<Admitted, Refusal> {
        let known = *blake3::hash(CALLER.as_bytes()).as_bytes();
        if presented.is_none_or(|presented| *presented.hash() != known) {
            return Err(Refusal::Unauthenticated);
        }
        let purse = self.purse.clone().map(|purse| purse as Arc<dyn Purse>);
        Ok(Admitted { tenant: "ci".into(), priority: Priority::Normal, pass_through: false, purse })
    }
}

/// What was reserved, and what became of it.
#[derive(Default)]
pub(crate) struct Account {
    pub(crate) refuses: Mutex<Option<Refusal>>,
    pub(crate) booked: Arc<Mutex<Vec<(Ask, Ending)>>>,
}

/// What became of a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    GivenBack,
    Stands,
    Settled(Used),
}

impl Purse for Account {
    fn reserve(&self, ask: &Ask) -> Result<Box<dyn Guard>, Refusal> {
        match self.refuses.lock().unwrap().clone() {
            Some(refusal) => Err(refusal),
            None => Ok(Box::new(Reservation {
                ask: *ask,
                ending: Ending::GivenBack,
                booked: self.booked.clone(),
            })),
        }
    }
}

struct Reservation {
    ask: Ask,
    ending: Ending,
    booked: Arc<Mutex<Vec<(Ask, Ending)>>>,
}

impl Guard for Reservation {
    fn settle(mut self: Box<Self>, used: Option<Used>) {
        self.ending = used.map_or(Ending::Stands, Ending::Settled);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.booked.lock().unwrap().push((self.ask, self.ending));
    }
}

/// An answer, to the last byte.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// It came to its end, as its framing tells.
    pub(crate) whole: bool,
}

impl Answer {
    /// A header's only value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values =
            self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let value = values.next();
        assert_eq!(values.next(), None, "{name} is there twice");
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Takes an answer apart that has come to the connection's end.
    pub(crate) fn parse(bytes: &[u8]) -> Answer {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer's head") + 4;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: Vec::new(), whole: false };
        let rest = &bytes[end..];
        if answer.header("transfer-encoding") == Some("chunked") {
            (answer.body, answer.whole) = unchunked(rest);
        } else {
            let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
            answer.whole = rest.len() == length;
            answer.body = rest.to_vec();
        }
        answer
    }
}

/// The data of a chunked body, and whether it came to its end.
fn unchunked(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = rest.windows(2).position(|window| window == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..line]).unwrap(), 16).unwrap();
        rest = &rest[line + 2..];
        if size == 0 {
            return (body, rest == b"\r\n");
        }
        body.extend_from_slice(&rest[..size.min(rest.len())]);
        if rest.len() < size + 2 {
            return (body, false);
        }
        rest = &rest[size + 2..];
    }
}

impl Stand {
    /// Posts `body` as the keyed gateway's caller.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.call("POST", path, &[("x-api-key", CALLER)], body).await
    }

    /// Asks for `path` as the keyed gateway's caller.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[("x-api-key", CALLER)], "").await
    }

    /// Sends a request and reads the answer to the connection's end.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut stream = self.begin(method, path, headers, body).await;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        Answer::parse(&bytes)
    }

    /// Sends a request.
    pub(crate) async fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(self.request(method, path, headers, body).as_bytes()).await.unwrap();
        stream
    }

    /// A request's bytes. Its connection is to end with the answer, unless `headers` say otherwise.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("connection")) {
            head += "connection: close\r\n";
        }
        if !body.is_empty() {
            head += &format!("content-type: application/json\r\ncontent-length: {}\r\n", body.len());
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        format!("{head}\r\n{body}")
    }
}
