//! The door: reads HTTP/1.1 strictly, turns away what must not come in, and keeps everybody to their share.
//!
//! ```text
//! socket -> listener (accepts, counts) -> strict (scans raw bytes, keeps deadlines) -> hyper -> gate -> Handler
//! ```
//!
//! What `scanner` refuses never reaches hyper's parser, so that a request means the same to everybody who reads it after
//! us. Every wait for a caller has a deadline, and every count a bound.

mod alarm;
mod answering;
mod drain;
mod gate;
mod link;
mod listener;
mod read;
mod refusal;
mod room;
pub mod scanner;
mod strict;

use std::future::Future;
use std::net::SocketAddr;

use http::{Request, Response};
use hyper::body::Incoming;

pub use self::drain::Drain;
pub(crate) use self::gate::dialect;
pub use self::listener::serve;
pub use self::read::read_body;
pub use self::refusal::Refusal;
use crate::body::Body;

/// What answers requests.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Answers one request. Dropping the future means that the caller has left.
    fn handle(&self, request: Request<Incoming>, peer: Peer) -> impl Future<Output = Response<Body>> + Send;
}

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it comes from.
    pub address: SocketAddr,
}
