//! The door over real sockets: what comes in, what does not, and when it closes.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod descriptors;
mod differential;
mod draining;
mod gate;
mod leaving;
mod malformed;
mod refusing;
#[path = "../../../../fuzz/checks/requests.rs"]
mod requests;
mod serving;
mod slow;
mod support;
