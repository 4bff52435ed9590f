//! The files that results go to: `OUT.jsonl`, and `OUT.errors.jsonl` for jobs that ended without success.
//!
//! A line belongs there if it is the line that its job's last record in the journal speaks of. Whatever else is found, torn
//! or edited or superseded, is taken out, so that at the end every job has exactly one line.

mod append;
mod clean;
mod order;
mod paths;
mod read;

pub(crate) use append::Appender;
pub(crate) use clean::{Cleaning, examine, repair};
pub(crate) use order::put_in_order;
pub use paths::OutputPaths;
pub(crate) use read::Results;
