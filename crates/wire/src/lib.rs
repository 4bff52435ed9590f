//! Translates between the dialects of AI providers and the words of `paceline-core`.
//!
//! Pure: bytes and numbers in, words out. No clock, no socket, no file, no chance. It knows what providers say and
//! nothing of what should be done about it.

pub mod class;
pub mod cut;
pub mod dialect;
pub mod estimate;
pub mod hint;
pub mod limits;
pub mod line;
pub mod price;
pub mod provider;
pub mod request;
pub mod response;
pub mod sse;
pub mod stream;
pub mod terminal;
pub mod usage;

pub use dialect::{Dialect, Endpoint};
pub use usage::FullUsage;
