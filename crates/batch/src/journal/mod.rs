//! The journal: the file that knows which jobs of a batch are done.
//!
//! Records of one fixed size, each with its own checksum, are appended and never changed (except for the holder's
//! slot). No record holds an offset into another file: a result's record names the checksum of its line instead, so that
//! the results may be put into another order, thinned out or moved without touching the journal.
//!
//! The order of a group's writes is: its records, then its lines, then one sync of each file. A crash in between leaves
//! records without lines, which count for nothing, and never a line that nobody knows.

mod file;
mod record;
mod scan;

pub(crate) use file::{Journal, JournalLock};
pub use record::{ContentHash, IdHash, LineSum, RECORD_SIZE, Record};
pub(crate) use record::{Keys, VERSION};
pub use scan::{Scan, scan};
