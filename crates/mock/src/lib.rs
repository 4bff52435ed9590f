//! A faithful AI provider on loopback, for tests.
//!
//! [`model`] is the provider's meter in virtual time, [`headers`] what it tells about it, [`profile`] the accounts it can
//! play; [`server`] puts that on a socket in the manners of OpenAI and Anthropic, [`script`] makes it fail on purpose,
//! and [`log`] is the ground truth of what was asked of it.

mod accounts;
mod answer;
mod asked;
pub mod clock;
pub mod headers;
pub mod log;
pub mod model;
mod problem;
pub mod profile;
pub mod script;
pub mod server;
mod text;

pub use accounts::{Account, Key, Project};
