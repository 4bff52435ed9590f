//! The door over real sockets: what comes in, what does not, and when it closes.

mod serving;
mod support;
