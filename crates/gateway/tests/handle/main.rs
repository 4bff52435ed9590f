//! The gateway on a real socket, between callers and upstreams that do just what a test tells them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bills;
mod cache;
mod credentials;
mod hostile;
mod lists;
mod passing;
mod provider;
mod records;
mod streams;
mod support;
mod upstream;
mod wait;
mod whole;
