//! Runs a file of jobs to the end, whatever happens: JSONL in, JSONL out, a journal between.
//!
//! The laws, whatever the fault: every job has exactly one final line; no line is torn; a line counts only when it is on
//! disk; what is done is never sent again; only jobs that were in flight at a crash may have been billed twice, and the
//! next run says how many. Running the same command again goes on where it stopped.
//!
//! [`Checked::new`] looks at everything before anything is sent; [`Checked::survey`] tells of each job what a run would do.
//! [`run()`] does the work, with any [`Sender`].
//!
//! **Memory.** Nothing is held for each job but 16 bytes to find it by ([`Checked`]'s index), one byte for how it stands,
//! four for its line once there are earlier results, and a bit for whether it is wanted: some 210 MB for ten million jobs,
//! whatever their lines weigh. Jobs under way are bounded in number and weight.

mod check;
mod client;
mod commit;
mod control;
mod disk;
mod error;
mod input;
mod journal;
mod options;
mod output;
mod progress;
mod run;
mod sender;
mod shown;
mod standing;
mod stop;
mod survey;

pub use check::{Checked, Report};
pub use client::{ClientSender, PricesAsOf};
pub use commit::MOST_UNWRITTEN;
pub use control::{Control, Level};
pub use error::{CheckError, Duplicate};
pub use input::{ContentHasher, LONGEST_LINE};
pub use journal::{ContentHash, IdHash, LineSum, RECORD_SIZE, Record, Scan, scan};
pub use options::{LONGEST_OUTAGE, RunOptions, Selection};
pub use output::OutputPaths;
pub use progress::{Progress, View};
pub use run::{LOOK_AHEAD, LOOK_AHEAD_BYTES, Summary, run};
pub use sender::{Answer, End, Reply, Sender, Start};
pub use stop::StopReason;
pub use survey::{MOST_USAGES, Surveyed};
