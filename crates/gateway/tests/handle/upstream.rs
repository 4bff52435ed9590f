//! A scripted provider: plays one script for each request it reads, in order, and keeps what it read.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use paceline::Upstream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::support::provider;

/// What the server does once it has read a request.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends these bytes.
    Bytes(Vec<u8>),
    /// Waits so long.
    Sleep(Duration),
    /// Closes the connection in order.
    Close,
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
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    Step::Bytes(head.into())
}

/// One piece of a chunked body.
pub(crate) fn chunk(bytes: &[u8]) -> Step {
    Step::Bytes([format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
}

/// A stream of these pieces with a clean end.
pub(crate) fn stream(pieces: &[&str]) -> Vec<Step> {
    let mut steps = vec![stream_head()];
    steps.extend(pieces.iter().map(|piece| chunk(piece.as_bytes())));
    steps.push(Step::Bytes(b"0\r\n\r\n".to_vec()));
    steps
}

/// A request as the server read it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// Request line and headers.
    pub(crate) head: String,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Seen {
    /// The values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        self.headers().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
    }

    /// All headers.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.lines().skip(1).filter_map(|line| line.split_once(": "))
    }
}

#[derive(Default)]
struct State {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    always: Mutex<Option<Vec<Step>>>,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<usize>,
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
    /// Plays these scripts, one for each request, and closes the connection when there are none left.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(State { scripts: Mutex::new(scripts.into()), ..State::default() });
        let server = Server { address: listener.local_addr().unwrap(), state: state.clone() };
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                *state.connections.lock().unwrap() += 1;
                tokio::spawn(serve(tcp, state.clone()));
            }
        });
        server
    }

    /// Plays this script for every request.
    pub(crate) async fn always(script: Vec<Step>) -> Server {
        let server = Server::start(Vec::new()).await;
        *server.state.always.lock().unwrap() = Some(script);
        server
    }

    /// Plays this next.
    pub(crate) fn play(&self, script: Vec<Step>) {
        self.state.scripts.lock().unwrap().push_back(script);
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The requests since this was asked last.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.state.seen.lock().unwrap())
    }

    /// How often anybody has connected.
    pub(crate) fn connections(&self) -> usize {
        *self.state.connections.lock().unwrap()
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

    /// An upstream at this server, of `kind`, with a credential that nobody may see.
    pub(crate) fn upstream(&self, name: &str, kind: &str) -> Upstream {
        self.open_upstream(name, kind).api_key(crate::support::KEY)
    }

    /// The same without a credential.
    pub(crate) fn open_upstream(&self, name: &str, kind: &str) -> Upstream {
        Upstream::new(name, provider(kind)).base_url(format!("http://{}", self.address))
    }
}

async fn serve(tcp: TcpStream, state: Arc<State>) {
    tcp.set_nodelay(true).unwrap();
    let (mut reader, mut writer) = tcp.into_split();
    let mut unread = Vec::new();
    while let Some(seen) = read_request(&mut reader, &mut unread).await {
        state.seen.lock().unwrap().push(seen);
        state.changed.notify_waiters();
        let script = state.scripts.lock().unwrap().pop_front();
        let script = script.or_else(|| state.always.lock().unwrap().clone());
        for step in script.unwrap_or_else(|| vec![Step::Close]) {
            match play(step, &mut reader, &mut writer).await {
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
async fn play(step: Step, reader: &mut OwnedReadHalf, writer: &mut OwnedWriteHalf) -> Option<bool> {
    let mut byte = [0];
    match step {
        Step::Bytes(bytes) => writer.write_all(&bytes).await.ok().map(|()| true),
        Step::Sleep(long) => tokio::select! {
            () = tokio::time::sleep(long) => Some(true),
            _ = reader.read(&mut byte) => None,
        },
        Step::Close => {
            writer.shutdown().await.ok()?;
            let _ = reader.read(&mut byte).await;
            Some(false)
        }
        Step::Hang => {
            let _ = reader.read(&mut byte).await;
            None
        }
    }
}

/// Reads one request; `None` at the end of the connection.
async fn read_request(reader: &mut OwnedReadHalf, unread: &mut Vec<u8>) -> Option<Seen> {
    let end = loop {
        if let Some(end) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if reader.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(unread[..end].to_vec()).unwrap();
    let mut seen = Seen { head, body: Vec::new() };
    let length: usize = seen.header("content-length").first().map_or(0, |length| length.parse().unwrap());
    while unread.len() < end + length {
        if reader.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
    seen.body = unread[end..end + length].to_vec();
    unread.drain(..end + length);
    Some(seen)
}
