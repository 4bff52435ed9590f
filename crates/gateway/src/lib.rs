//! A drop-in gateway in front of AI providers: requests wait their turn instead of failing.
//!
//! From the socket inward: `front` reads HTTP strictly and turns away what must not come in; the handler finds out who
//! calls and where the request is to go, hands it to the one client that paces everything, and answers in the caller's own
//! dialect.

pub mod admin;
mod answer;
mod body;
pub mod callers;
pub mod front;
pub mod handle;
mod settings;
pub mod state;

pub use answer::{Kind, error, retry_after};
pub use body::{Body, BodyError};
pub use handle::Gateway;
pub use settings::{Caps, Settings, Waiting};
