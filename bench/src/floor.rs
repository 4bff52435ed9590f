//! The floor: the least that a gateway on hyper must do. Reads a request, passes it on over a connection that is kept, passes
//! the answer back as it comes. No policy, no checks, no memory: what a gateway costs above this is its own.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};

/// Whether to leave Nagle's algorithm on, to show what that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nagle {
    /// As it should be.
    Off,
    /// As the system has it.
    On,
}

/// Passes everything on to `upstream` until the listener fails.
pub async fn serve(listener: TcpListener, upstream: SocketAddr, nagle: Nagle) -> std::io::Result<Infallible> {
    let pool = Pool { upstream, nagle, idle: Arc::default() };
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(nagle == Nagle::Off)?;
        let pool = pool.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| pass(pool.clone(), request));
            let connection = hyper::server::conn::http1::Builder::new();
            // A caller who leaves takes only its own connection along.
            let _ = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The kept connections to the upstream.
#[derive(Clone)]
struct Pool {
    upstream: SocketAddr,
    nagle: Nagle,
    idle: Arc<Mutex<Vec<SendRequest<Incoming>>>>, // Bounded by how many requests were ever under way at once.
}

impl Pool {
    async fn take(&self) -> Result<SendRequest<Incoming>, Box<dyn std::error::Error + Send + Sync>> {
        while let Some(mut sender) = self.pop() {
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect(self.upstream).await?;
        stream.set_nodelay(self.nagle == Nagle::Off)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn pop(&self) -> Option<SendRequest<Incoming>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, sender: SendRequest<Incoming>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    }
}

async fn pass(pool: Pool, request: Request<Incoming>) -> Result<Response<Passed>, Infallible> {
    let answer = exchange(&pool, request).await.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        let mut response = Response::new(Passed { incoming: None, kept: None });
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    });
    Ok(answer)
}

async fn exchange(
    pool: &Pool,
    mut request: Request<Incoming>,
) -> Result<Response<Passed>, Box<dyn std::error::Error + Send + Sync>> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).parse()?;
    *request.uri_mut() = path;
    request.headers_mut().remove(CONNECTION);
    request.headers_mut().insert(HOST, HeaderValue::from_str(&pool.upstream.to_string())?);
    let mut sender = pool.take().await?;
    let mut response = sender.send_request(request).await?;
    response.headers_mut().remove(CONNECTION);
    response.headers_mut().remove(TRANSFER_ENCODING);
    Ok(response.map(|incoming| Passed { incoming: Some(incoming), kept: Some((sender, pool.clone())) }))
}

/// An answer on its way, and the connection that it comes over.
struct Passed {
    incoming: Option<Incoming>,
    kept: Option<(SendRequest<Incoming>, Pool)>,
}

impl Body for Passed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut self.incoming {
            None => Poll::Ready(None),
            Some(incoming) => Pin::new(incoming).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Passed {
    /// A connection whose answer was not read to its end is of no more use: hyper closes it, and `take` passes over it.
    fn drop(&mut self) {
        if let Some((sender, pool)) = self.kept.take() {
            pool.put(sender);
        }
    }
}
