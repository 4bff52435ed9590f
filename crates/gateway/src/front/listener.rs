//! Accepts connections and gives each a task; slows down when there is no room, and ends when told to.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::answering::Answering;
use super::drain::{Drain, Phase, Working};
use super::link::Link;
use super::room::{Room, Seat};
use super::strict::Strict;
use super::{Handler, Peer};
use crate::settings::{Caps, Settings};

/// What hyper may hold of a connection's bytes, each way. It begins with much less; a body that fits need not be copied.
const BUFFER: usize = 256 << 10;
/// As many headers as hyper has room for without asking for memory each time.
const USUAL_HEADERS: usize = 100;
/// How long to leave the listener alone after it failed (no descriptors left, mostly): first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Serves `listener` until `drain` has begun and every connection has ended.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    settings: watch::Receiver<Arc<Settings>>,
    handler: H,
    drain: Drain,
) {
    let working = drain.enter();
    let local = listener.local_addr().unwrap_or_else(|_| (Ipv4Addr::UNSPECIFIED, 0).into());
    let door = Door { settings, handler, drain: drain.clone(), room: Arc::default(), local };
    accept_all(&listener, &door).await;
    drop(listener);
    drop(working);
    door.room.wait_below(1).await;
}

/// What every connection of a listener needs.
struct Door<H> {
    settings: watch::Receiver<Arc<Settings>>,
    handler: H,
    drain: Drain,
    room: Arc<Room>,
    local: SocketAddr,
}

async fn accept_all<H: Handler>(listener: &TcpListener, door: &Door<H>) {
    let mut pause = Pause::default();
    let mut begun = pin!(door.drain.begun());
    loop {
        let caps = door.settings.borrow().caps;
        let next = async {
            door.room.wait_below(caps.connections.max(1)).await;
            listener.accept().await
        };
        let accepted = tokio::select! {
            biased;
            () = &mut begun => break,
            accepted = next => accepted,
        };
        if let Some(wait) = pause.after(&accepted) {
            tokio::time::sleep(wait).await;
        }
        if let Ok((stream, address)) = accepted {
            door.open(stream, address, caps);
        }
    }
    accept_waiting(listener, door).await;
}

/// Those who were in the line already would be cut off with the listener.
async fn accept_waiting<H: Handler>(listener: &TcpListener, door: &Door<H>) {
    let caps = door.settings.borrow().caps;
    for _ in 0..caps.connections {
        let accepted = poll_fn(|cx| Poll::Ready(listener.poll_accept(cx))).await;
        let Poll::Ready(Ok((stream, address))) = accepted else { return };
        door.open(stream, address, caps);
    }
}

impl<H: Handler> Door<H> {
    /// Gives a connection its task, if its address has not its share already.
    fn open(&self, stream: TcpStream, address: SocketAddr, caps: Caps) {
        let Some(seat) = self.room.try_enter(address.ip(), &caps) else { return };
        let local = if self.local.ip().is_unspecified() { stream.local_addr().ok() } else { None };
        let link = Arc::new(Link::default());
        let answering = Answering {
            handler: self.handler.clone(),
            settings: self.settings.clone(),
            peer: Peer { address },
            local: local.unwrap_or(self.local),
            link: Arc::clone(&link),
            room: Arc::clone(&self.room),
            drain: self.drain.clone(),
        };
        let socket = Strict::new(stream, link, self.drain.clone(), caps);
        tokio::spawn(connection(socket, Arc::new(answering), caps, (self.drain.enter(), seat)));
    }
}

/// One connection, from its first byte to its end. `_places` are kept until then.
async fn connection<H: Handler>(
    socket: Strict,
    answering: Arc<Answering<H>>,
    caps: Caps,
    _places: (Working, Seat),
) {
    let drain = answering.drain.clone();
    let mut http = http1::Builder::new();
    // The socket keeps all deadlines; hyper's own would cost an allocation for each request.
    http.header_read_timeout(None).max_buf_size(BUFFER.max(caps.head_bytes + (8 << 10)));
    if caps.headers > USUAL_HEADERS {
        http.max_headers(caps.headers);
    }
    // In a box of its own, which goes as soon as there is an answer: a connection that streams, or rests, would keep the
    // room for it, some 15 KB.
    let service = service_fn(|request| Box::pin(Arc::clone(&answering).answer(request)));
    let mut served = pin!(http.serve_connection(TokioIo::new(socket), service));
    let mut changed = pin!(drain.changed());
    let mut known = None;
    poll_fn(|cx| {
        // A change wakes this task; to ask each time whether there is one would take a lock that all connections share.
        let phase = drain.phase();
        if known != Some(phase) {
            while changed.as_mut().poll(cx).is_ready() {
                changed.set(drain.changed());
            }
            known = Some(phase);
        }
        if drain.phase() == Phase::Stopped {
            return Poll::Ready(Ok(()));
        }
        served.as_mut().poll(cx)
    })
    .await
    // Whatever ends a connection before its time is the caller's doing, or has been told to the handler.
    .unwrap_or(());
}

/// How long to leave a failing listener alone.
#[derive(Debug, Default)]
struct Pause {
    last: Option<Duration>,
}

impl Pause {
    /// What to do after this outcome: longer pauses while it goes on failing, none for a connection that was gone already.
    fn after<T>(&mut self, accepted: &io::Result<T>) -> Option<Duration> {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
        self.last = match accepted {
            Ok(_) => None,
            Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) => None,
            Err(_) => Some(self.last.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE))),
        };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_listener_is_left_alone_for_longer_each_time() {
        let mut pause = Pause::default();
        let full = || Err::<(), _>(io::Error::from_raw_os_error(24)); // EMFILE
        let gone = || Err::<(), _>(io::ErrorKind::ConnectionAborted.into());
        let script = [
            (full(), 10),
            (full(), 20),
            (full(), 40),
            (full(), 80),
            (full(), 100),
            (full(), 100),
            (gone(), 0),
            (full(), 10),
            (Ok(()), 0),
            (full(), 10),
        ];
        for (at, (accepted, millis)) in script.into_iter().enumerate() {
            let wait = pause.after(&accepted).unwrap_or_default();
            assert_eq!(wait, Duration::from_millis(millis), "{at}");
        }
    }
}
