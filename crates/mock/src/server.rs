//! The provider on a socket: HTTP/1.1 on loopback, both dialects, told apart by path.
//!
//! Everything is bounded: connections, bodies, waits, what the log keeps. A caller who leaves is noticed, whether the
//! answer has begun or not; the slot is freed and the log says so.

mod options;
mod pieces;
mod provider;
mod reply;
mod service;
mod socket;
mod sse;
mod telling;
mod track;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinHandle;

pub use self::options::Options;
use self::provider::Provider;
use self::socket::{Rudeness, Socket};
use crate::log::{CallLog, Record};
use crate::profile::Amounts;

/// Connections beyond these wait to be accepted.
const MAX_CONNECTIONS: usize = 16_384;
/// After a failed accept (no file descriptors left), how long to leave it alone.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// What was asked for.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The log cannot be written.
    #[error("cannot write the call log `{path}`")]
    Log {
        /// What was asked for.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Starts servers.
#[derive(Debug)]
pub struct Server;

impl Server {
    /// Listens and answers on the current tokio runtime until the handle is shut down or dropped.
    pub async fn start(options: Options) -> Result<Handle, StartError> {
        let log = CallLog::open(options.log.as_deref())
            .map_err(|source| StartError::Log { path: options.log.clone().unwrap_or_default(), source })?;
        let address = options.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        let unix = options.unix.unwrap_or_else(machine_time);
        let provider = Arc::new(Provider::new(options, log, unix));
        let (stop, stopped) = watch::channel(());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&provider), stopped));
        Ok(Handle { addr, provider, stop: Some(stop), accepting })
    }
}

/// A running server. Dropped, it stops.
#[derive(Debug)]
pub struct Handle {
    addr: SocketAddr,
    provider: Arc<Provider>,
    stop: Option<watch::Sender<()>>,
    accepting: JoinHandle<()>,
}

impl Handle {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The base URL for the Messages API; OpenAI's has `/v1` after it.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The calls that have ended, as far as they are kept in memory.
    pub fn calls(&self) -> Vec<Record> {
        self.provider.log.calls()
    }

    /// How many calls have ended.
    pub fn total_calls(&self) -> u64 {
        self.provider.log.total()
    }

    /// Every line of the log could be written.
    pub fn log_is_whole(&self) -> bool {
        self.provider.log.is_whole()
    }

    /// Changes limits from now on; what is `None` stays as it is.
    pub fn set_limits(&self, limits: Amounts) {
        self.provider.set_limits(self.provider.clock.now(), limits);
    }

    /// Stops listening and ends every connection; returns when no more are accepted.
    pub async fn shutdown(mut self) {
        self.stop.take();
        // The task only ends by itself; a panic in it is no reason for another one here.
        let _ = (&mut self.accepting).await;
    }
}

/// The machine's clock, which only the provider's dates are taken from.
fn machine_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

async fn accept(listener: TcpListener, provider: Arc<Provider>, mut stopped: watch::Receiver<()>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let next = async {
            let permit = Arc::clone(&room).acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        let next = tokio::select! {
            _ = stopped.changed() => return,
            next = next => next,
        };
        match next {
            Some((permit, Ok((stream, _)))) => {
                tokio::spawn(connection(stream, Arc::clone(&provider), stopped.clone(), permit));
            }
            Some((_, Err(_))) => tokio::time::sleep(ACCEPT_PAUSE).await,
            None => return,
        }
    }
}

async fn connection(
    stream: TcpStream,
    provider: Arc<Provider>,
    mut stopped: watch::Receiver<()>,
    _permit: OwnedSemaphorePermit,
) {
    // Without it, pieces that are meant to come alone would be sent together; an error changes nothing else.
    let _ = stream.set_nodelay(true);
    let rudeness = Rudeness::default();
    let io = TokioIo::new(Socket::new(stream, rudeness.clone()));
    let service = service_fn(move |request| service::serve(Arc::clone(&provider), rudeness.clone(), request));
    let serving = http1::Builder::new().serve_connection(io, service);
    tokio::select! {
        _ = stopped.changed() => {}
        // An error here is the caller's leaving or the script's doing; the log has it already.
        _ = serving => {}
    }
}
