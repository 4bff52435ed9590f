//! Decides when a request may be sent, where, and what its answer means for the next one.
//!
//! Pure: no clock, no socket, no chance of its own. `now` and a seed are parameters; see [`engine::Engine`].

mod breaker;
mod bucket;
pub mod engine;
mod estimates;
mod evidence;
pub mod feedback;
mod gate;
mod in_flight;
mod ledger;
mod limiter;
mod pacer;
mod production;
mod queue;
pub mod quota;
mod retry;
mod setpoint;
pub mod time;
mod tuning;
