//! The load generator: asks, reads every answer to its end, and says how long that took.
//!
//! Lean on purpose, for it shares the machine with what it measures: one thread and one connection for each caller, and
//! requests that were put together beforehand.

pub mod answer;
pub mod caller;
pub mod closed;
pub mod hold;
pub mod open;
pub mod request;
pub mod tally;
