//! The client against servers that do just what a test tells them.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod accounts;
mod answers;
mod asked;
mod callers;
mod cancel;
mod connections;
mod operating;
mod provider;
mod reload;
mod streams;
mod support;
mod tls;
