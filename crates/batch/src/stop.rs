//! Why a run ended before all its jobs had.

use std::time::Duration;

use paceline_core::feedback::Class;
use paceline_wire::price::MicroUsd;

/// Why a run stopped early. Whatever the reason, the same command goes on where it stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StopReason {
    /// Results can no longer be written.
    #[error(
        "cannot write `{path}`: {error}; free some space or repair the disk, then run the same command again: \
         it asks once more for answers that were not on disk yet"
    )]
    Disk {
        /// Which file.
        path: String,
        /// What the system says.
        error: String,
    },
    /// Whoever read the results has gone away.
    #[error("nobody reads the results any more")]
    PipeClosed,
    /// The money is spent, or would be with what is in flight.
    #[error("the budget of {budget} is used up: {spent} spent")]
    Budget {
        /// The budget.
        budget: MicroUsd,
        /// What this run has spent.
        spent: MicroUsd,
    },
    /// A budget cannot be kept without a price.
    #[error("the price of `{model}` is not known, so no budget can be kept; run without `--budget`")]
    PriceUnknown {
        /// The model.
        model: String,
    },
    /// The run's deadline has passed.
    #[error("the deadline has passed")]
    Deadline,
    /// Too many jobs failed.
    #[error("{failures} jobs failed, which is the most that `--max-failures` allows")]
    Failures {
        /// How many.
        failures: u64,
    },
    /// No credential is left that works.
    #[error("{message}")]
    Credential {
        /// What the provider said of it.
        class: Class,
        /// What to do.
        message: String,
    },
    /// The provider could not be reached, or had no room, for too long.
    #[error("no answer for {} s: {message}", .lasted.as_secs())]
    Outage {
        /// For how long.
        lasted: Duration,
        /// The last thing heard.
        message: String,
    },
    /// The input is not what it was at the start.
    #[error("{place} has changed since the run began; run the same command again")]
    InputChanged {
        /// Where.
        place: String,
    },
    /// The input cannot be read any further.
    #[error("{message}")]
    Input {
        /// Why.
        message: String,
    },
    /// The user asked for it.
    #[error("interrupted")]
    Interrupted,
    /// The program itself failed.
    #[error("internal error: {message}")]
    Internal {
        /// In what.
        message: String,
    },
}
