//! A gateway's door on loopback with a handler that writes down what it sees, and a caller who can send anything.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use paceline_gateway::front::{self, Drain, Handler, Peer};
use paceline_gateway::{Body, Caps, Settings};
use paceline_wire::Dialect;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Nothing here takes this long; whatever hangs is to fail.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What the handler saw of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

/// Writes down every request and answers 200; some paths have a meaning of their own.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    pub(crate) seen: Arc<Mutex<Vec<Seen>>>,
    pub(crate) release: Arc<Notify>,
    pub(crate) entered: Arc<Notify>,
    pub(crate) left: Arc<Notify>,
}

/// Tells that a request's future has been dropped before its answer.
struct Leaving(Arc<Notify>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl Recorder {
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Handler for Recorder {
    async fn handle(&self, request: Request<Incoming>, _: Peer) -> Response<Body> {
        let (head, body) = request.into_parts();
        let read = front::read_body(body, 1 << 20, Instant::now() + PATIENCE * 100).await;
        let body = match read {
            Ok(body) => body,
            Err(refusal) => return refusal.response(Dialect::OpenAi),
        };
        let (method, target) = (head.method.to_string(), head.uri.to_string());
        self.seen.lock().unwrap().push(Seen { method, target, body: body.to_vec() });
        match head.uri.path() {
            "/panic" => panic!("on purpose"),
            "/wait" => {
                let leaving = Leaving(self.left.clone());
                self.entered.notify_one();
                self.release.notified().await;
                std::mem::forget(leaving);
                Response::new("waited".to_owned().into())
            }
            "/large" => Response::new(vec![b'x'; 32 << 20].into_iter().collect::<bytes::Bytes>().into()),
            _ => Response::new("ok".to_owned().into()),
        }
    }
}

/// A running door.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) recorder: Recorder,
    pub(crate) drain: Drain,
    pub(crate) settings: watch::Sender<Arc<Settings>>,
    pub(crate) serving: JoinHandle<()>,
}

pub(crate) async fn start(settings: Settings) -> Front {
    start_on("127.0.0.1:0", settings).await
}

pub(crate) async fn start_on(address: &str, settings: Settings) -> Front {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (settings, reader) = watch::channel(Arc::new(settings));
    let (recorder, drain) = (Recorder::default(), Drain::default());
    let serving = tokio::spawn(front::serve(listener, reader, recorder.clone(), drain.clone()));
    Front { address, recorder, drain, settings, serving }
}

pub(crate) fn with_caps(caps: Caps) -> Settings {
    Settings { caps, ..Settings::default() }
}

impl Front {
    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `bytes` in one piece and returns all that comes back until the connection ends, or rests after an answer.
    pub(crate) async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        stream.write_all(bytes).await.unwrap();
        answer(&mut stream).await
    }
}

/// One answer with a `content-length`, or whatever came until the end.
pub(crate) async fn answer(stream: &mut TcpStream) -> String {
    let mut came = Vec::new();
    let read = async {
        loop {
            if stream.read_buf(&mut came).await.unwrap_or(0) == 0 || is_whole(&came) {
                return;
            }
        }
    };
    timeout(PATIENCE, read).await.expect("an answer comes");
    String::from_utf8(came).unwrap()
}

fn is_whole(came: &[u8]) -> bool {
    let text = String::from_utf8_lossy(came);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head.starts_with("HTTP/1.1 100 ") {
        return is_whole(body.as_bytes());
    }
    if head.starts_with("HTTP/1.1 204 ") {
        return true;
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| body.len() >= length)
}

/// Whether the other end closes within patience, whatever it sends before.
pub(crate) async fn ends(stream: &mut TcpStream) -> bool {
    let mut scratch = [0; 4096];
    let end = async { while stream.read(&mut scratch).await.unwrap_or(0) > 0 {} };
    timeout(PATIENCE, end).await.is_ok()
}

pub(crate) fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
}
