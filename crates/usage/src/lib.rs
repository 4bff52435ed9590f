//! The usage ledger: one row a request, in one SQLite file that people can open with any tool. What it used, what it cost,
//! how long it waited, how it ended; never what it said.
//!
//! One thread writes, at most [`WINDOW`] behind, many rows at a time. A request is on record before it goes out where
//! that is asked for ([`Ledger::set_ahead`]), so that a process that is killed leaves no request unaccounted for: it stays
//! in the file as *open*, and counts as what was reserved for it.

mod clock;
mod expected;
mod health;
mod insert;
mod ledger;
mod past;
mod queue;
mod record;
mod report;
mod row;
mod schema;
mod spent;
mod told;
mod writer;

pub use clock::Clock;
pub use expected::Expected;
pub use health::Health;
pub use ledger::{Begun, Ledger, OnFailure, Options, RETENTION};
pub use past::{Past, past};
pub use record::{Leave, Record};
pub use report::{By, Group, Report, Totals};
pub use row::{Ended, Finish};
pub use schema::{FileError, SCHEMA_VERSION};
pub use spent::Spent;
pub use writer::WINDOW;
