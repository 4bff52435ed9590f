//! Everything that touches the network: HTTP/1.1 over TCP and TLS, one exchange per connection at a time.
//!
//! HTTP/1.1 on purpose: one connection for each exchange in flight has no limit on streams to stall behind, no stream
//! that blocks another, and ends with exactly the exchange that is canceled.

mod alarm;
mod dial;
mod exchange;
mod fault;
mod pool;
mod resolve;
mod tls;

pub(crate) use dial::{Dialer, Origin};
pub(crate) use exchange::{Answer, Patience, exchange};
pub use fault::Fault;
pub(crate) use pool::{ConnectionPool, Link};
pub(crate) use tls::tls_config;
