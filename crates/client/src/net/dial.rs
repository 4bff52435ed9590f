//! Opens connections: name lookup, a race over the addresses, TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Fault;
use super::resolve::Resolver;

/// Head start of each address over the next, so that a dead IPv6 route costs a moment and not the whole deadline.
const STAGGER: Duration = Duration::from_millis(250);

/// The far end of a connection: connections to equal origins can stand in for each other.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    /// Whom to be, when the connection is encrypted.
    pub(crate) tls_name: Option<ServerName<'static>>,
    /// Name or address.
    pub(crate) host: String,
    /// TCP port.
    pub(crate) port: u16,
}

/// Opens connections.
#[derive(Clone, Default)]
pub(crate) struct Dialer {
    /// None when no upstream needs it.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) resolver: Resolver,
}

impl Dialer {
    /// A connection to `origin`, encrypted and checked when it is to be. Has no deadline of its own.
    pub(crate) async fn dial(&self, origin: &Origin) -> Result<Stream, Fault> {
        let addresses = self.resolver.resolve(&origin.host, origin.port).await;
        let addresses = addresses.map_err(|error| Fault::Resolve(Arc::new(error)))?;
        let tcp = race(addresses).await.map_err(|error| Fault::Connect(Arc::new(error)))?;
        // Without it, a request that spans two writes waits for the peer's delayed acknowledgement. It can only fail on a
        // socket that is dead already, which the first write tells better.
        let _ = tcp.set_nodelay(true);
        let io = match &origin.tls_name {
            None => Io::Plain(tcp),
            Some(name) => Io::Tls(Box::new(self.handshake(name.clone(), tcp).await?)),
        };
        Ok(Stream { io, heard: Heard::default() })
    }

    async fn handshake(
        &self,
        name: ServerName<'static>,
        tcp: TcpStream,
    ) -> Result<TlsStream<TcpStream>, Fault> {
        let config = self.tls.clone().ok_or_else(|| {
            Fault::Connect(Arc::new(io::Error::new(io::ErrorKind::Unsupported, "TLS was not set up")))
        })?;
        TlsConnector::from(config).connect(name, tcp).await.map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            let distrusted = matches!(inner, Some(rustls::Error::InvalidCertificate(_)));
            if distrusted { Fault::Certificate(Arc::new(error)) } else { Fault::Connect(Arc::new(error)) }
        })
    }
}

/// Connects to whichever address answers first; later addresses start later.
async fn race(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    if let [only] = addresses[..] {
        return TcpStream::connect(only).await;
    }
    let mut racers = JoinSet::new();
    let mut head_start = Duration::ZERO;
    for address in addresses {
        racers.spawn(async move {
            sleep(head_start).await;
            TcpStream::connect(address).await
        });
        head_start += STAGGER;
    }
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    while let Some(finished) = racers.join_next().await {
        match finished {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(lost) => last = io::Error::other(lost),
        }
    }
    Err(last)
}

/// Whether anything came from the peer since it was last asked for something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard(Arc<AtomicBool>);

impl Heard {
    pub(crate) fn forget(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    pub(crate) fn anything(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An open connection.
pub(crate) struct Stream {
    io: Io,
    pub(crate) heard: Heard,
}

enum Io {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_read(cx, buf),
        };
        if buf.filled().len() > before {
            self.heard.0.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Io::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_flush(cx),
            Io::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Io::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Io::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(io) => io.is_write_vectored(),
            Io::Tls(io) => io.is_write_vectored(),
        }
    }
}
