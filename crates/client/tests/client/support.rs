//! A scripted HTTP server: plays one script for each request it reads, in order, and keeps what it read.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::wire::provider::{Catalog, Provider};
use paceline::{Builder, Client, Request, Upstream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A credential that must not turn up anywhere but in its header.
pub(crate) const KEY: &str = "sk-canary-0123456789abcdef";
/// A request body.
pub(crate) const ASK: &str =
    r#"{"model":"test-1","max_tokens":9,"messages":[{"role":"user","content":"Hi"}]}"#;
/// The same, asking for a stream.
pub(crate) const ASK_STREAM: &str =
    r#"{"model":"test-1","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;
/// A whole answer to it.
pub(crate) const ANSWER: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"test-1","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":3}}"#;
/// A whole stream, event by event.
pub(crate) const EVENTS: [&str; 6] = [
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"test-1\",\"content\":[],\"stop_reason\":null,\"usage\":{\"input_tokens\":10,\"output_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n",
    "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":3}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
];
/// What an overloaded provider sends in a stream.
pub(crate) const OVERLOADED: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";

/// What the server does once it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Waits so long.
    Sleep(Duration),
    /// Closes the connection in order.
    Close,
    /// Resets the connection.
    Reset,
    /// Does nothing more until the client closes.
    Hang,
}

/// An answer with a length.
pub(crate) fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<Step> {
    let mut text = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    vec![Step::Bytes(format!("{text}\r\n{body}").into_bytes())]
}

/// A JSON answer.
pub(crate) fn json(status: u16, body: &str) -> Vec<Step> {
    answer(status, &[("content-type", "application/json")], body)
}

/// The head of a stream.
pub(crate) fn stream_head() -> Step {
    Step::Bytes(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )
}

/// One piece of a chunked body.
pub(crate) fn chunk(text: &str) -> Step {
    Step::Bytes(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

/// A stream of these events with a clean end.
pub(crate) fn stream(events: &[&str]) -> Vec<Step> {
    let mut steps = vec![stream_head()];
    steps.extend(events.iter().map(|event| chunk(event)));
    steps.push(Step::Bytes(b"0\r\n\r\n".to_vec()));
    steps
}

/// A request as the server read it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Which connection it came on, counted from 0.
    pub(crate) connection: usize,
    /// Request line and headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: String,
}

impl Seen {
    /// The values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }
}

#[derive(Default)]
struct State {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    seen: Mutex<Vec<Seen>>,
    left: Mutex<usize>,
    changed: Notify,
}

/// A running server.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
}

impl Server {
    /// Plays these scripts, one for each request; closes the connection when there are none left.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State { scripts: Mutex::new(scripts.into()), ..State::default() });
        let server = Server { address: listener.local_addr().unwrap(), state: state.clone() };
        tokio::spawn(async move {
            for connection in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                tokio::spawn(serve_tcp(tcp, connection, state.clone()));
            }
        });
        server
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// Waits until this many requests have been read.
    pub(crate) async fn has_seen(&self, count: usize) {
        self.until(|state| state.seen.lock().unwrap().len() >= count).await;
    }

    /// Waits until this many connections were closed by the client in the middle of something.
    pub(crate) async fn was_left(&self, count: usize) {
        self.until(|state| *state.left.lock().unwrap() >= count).await;
    }

    async fn until(&self, met: impl Fn(&State) -> bool) {
        loop {
            let changed = self.state.changed.notified();
            if met(&self.state) {
                return;
            }
            changed.await;
        }
    }

    /// An upstream of this name at this server.
    pub(crate) fn upstream(&self, name: &str) -> Upstream {
        Upstream::new(name, provider("anthropic")).base_url(format!("http://{}", self.address)).api_key(KEY)
    }

    /// A client with only this upstream.
    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// A description of such a client.
    pub(crate) fn builder(&self) -> Builder {
        Client::builder().upstream(self.upstream("mock")).seed(1)
    }
}

/// A known provider.
pub(crate) fn provider(name: &str) -> Provider {
    Catalog::embedded().provider(name).unwrap().clone()
}

/// A request for a whole answer.
pub(crate) fn ask() -> Request {
    Request::new("/v1/messages", ASK)
}

/// A request for a stream.
pub(crate) fn ask_stream() -> Request {
    Request::new("/v1/messages", ASK_STREAM)
}

async fn serve_tcp(tcp: TcpStream, connection: usize, state: Arc<State>) {
    tcp.set_zero_linger().unwrap();
    // A small write that waits for an acknowledgement takes real time, which a paused clock doesn't see.
    tcp.set_nodelay(true).unwrap();
    let (mut reader, mut writer) = tcp.into_split();
    let mut unread = Vec::new();
    while let Some(seen) = read_request(&mut reader, &mut unread, connection).await {
        state.seen.lock().unwrap().push(seen);
        state.changed.notify_waiters();
        let script = state.scripts.lock().unwrap().pop_front().unwrap_or_else(|| vec![Step::Close]);
        for step in script {
            let going_on = play(step, &mut reader, &mut writer).await;
            match going_on {
                Some(true) => {}
                Some(false) => return,
                None => {
                    *state.left.lock().unwrap() += 1;
                    state.changed.notify_waiters();
                    return;
                }
            }
        }
    }
}

/// Plays a step: whether to go on, or `None` when the client has left.
async fn play(
    step: Step,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> Option<bool> {
    let mut byte = [0];
    match step {
        Step::Bytes(bytes) => {
            writer.write_all(&bytes).await.ok()?;
            Some(true)
        }
        Step::Sleep(long) => tokio::select! {
            () = tokio::time::sleep(long) => Some(true),
            _ = reader.read(&mut byte) => None,
        },
        Step::Close => {
            // Without the zero linger's reset: what was sent arrives first.
            writer.shutdown().await.ok()?;
            let _ = reader.read(&mut byte).await;
            Some(false)
        }
        Step::Reset => Some(false),
        Step::Hang => {
            let _ = reader.read(&mut byte).await;
            None
        }
    }
}

/// Reads one request; `None` at the end of the connection.
pub(crate) async fn read_request(
    reader: &mut (impl AsyncRead + Unpin),
    unread: &mut Vec<u8>,
    connection: usize,
) -> Option<Seen> {
    let end = loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if reader.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(unread[..end].to_vec()).unwrap();
    let mut seen = Seen { connection, head, body: String::new() };
    let length: usize = seen.header("content-length").first().map_or(0, |length| length.parse().unwrap());
    while unread.len() < end + length {
        if reader.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = String::from_utf8(unread[end..end + length].to_vec()).unwrap();
    unread.drain(..end + length);
    Some(seen)
}
