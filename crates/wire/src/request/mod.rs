//! Requests: what a body asks for, seen without building a tree of it, and small changes that leave all other bytes alone.

mod demand;
mod members;
mod peek;
mod prefix;
mod splice;
mod survey;
mod text;
mod tokens;

pub use demand::{demand, size};
pub use peek::{Peek, peek};
pub use prefix::{conversation, marks};
pub use splice::{set_model, with_defaults, with_usage, without, without_all};

/// How deeply a body may nest.
pub const MOST_DEPTH: usize = 64;

/// Why a body cannot be read, or changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeekError {
    /// It is not JSON.
    #[error("the body is no JSON: {message}")]
    Syntax {
        /// Where and what, in the parser's words.
        message: String,
    },
    /// It is JSON, but no object.
    #[error("the body is no JSON object; write it as {{\"model\": ..., ...}}")]
    NoObject,
    /// It nests too deeply.
    #[error("the body nests deeper than {MOST_DEPTH} levels")]
    TooDeep,
    /// A member that we act on is there twice, and readers differ on which one holds.
    #[error("the body has `{key}` twice; take one out")]
    Duplicate {
        /// Which.
        key: String,
    },
    /// A member is not of its type.
    #[error("`{key}` must be {expected}")]
    Type {
        /// Which.
        key: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// `set_model` found no model to change.
    #[error("the body has no `model`; add one, or give a default")]
    NoModel,
}
