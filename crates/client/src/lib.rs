//! Calls AI providers at the full speed their rate limits allow, without 429s.
//!
//! A [`Client`] takes requests as they come and sends each one when every limit it touches has room: requests, input
//! tokens, output tokens, in flight, by account and model. Limits are learned from the answers; typed ones are ceilings.
//! Throttled and failed attempts are repeated by rules that all requests share. The policy is `paceline_core`'s, the
//! providers' grammar `paceline_wire`'s; this crate owns the clock, the sockets, and the one loop between them.
//!
//! Paceline uses granted limits fully; it does not evade them. Several keys of one account share its limits: give their
//! upstreams the same [`Upstream::account`].

mod answer;
mod builder;
mod candidate;
mod client;
mod credential;
mod directory;
mod error;
mod net;
mod request;
mod routes;
mod secret;
mod shell;
mod upstream;
mod watch;
mod work;

pub use answer::{Response, StreamError, Streaming, Trip};
pub use builder::Builder;
pub use candidate::Candidate;
pub use client::Client;
pub use credential::{CallerKey, Credential};
pub use error::{BuildError, End, Failed, SendError};
pub use net::Fault;
pub use paceline_core as core;
pub use paceline_core::engine::Priority;
pub use paceline_wire as wire;
pub use request::{PASSED_HEADERS, Request};
pub use routes::{LaneOutline, Routes};
pub use secret::Secret;
pub use shell::EVENTS_KEPT;
pub use upstream::{Ceilings, CommonCeiling, Pool, PoolMember, Timeouts, Upstream};
pub use watch::{
    Asked, ClientEvent, FLIGHTS_SHOWN, Flight, LearnedLimits, LimiterStanding, Snapshot, TenantStanding,
    UpstreamStanding,
};
