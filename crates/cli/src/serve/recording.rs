//! The usage ledger of a gateway: what earlier processes were charged, its health, its end.

use std::time::{Duration, Instant};

use paceline_gateway::callers::{Callers, Clock};
use paceline_usage::{FileError, Health, Ledger, Options};
use tokio::time::timeout;
use tracing::{info, warn};

use crate::config::Usage;
use crate::exit::Failure;

/// A ledger that cannot be written is complained about no more often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// A ledger that is being written.
pub(super) struct Recording {
    ledger: Ledger,
    usage: Usage,
    complained: Option<Instant>,
    was_failing: bool,
}

impl Recording {
    /// Opens the ledger, and tells `callers` what it knows of their spending.
    pub(super) fn begin(usage: &Usage, callers: &Callers, clock: Clock) -> Result<Self, Failure> {
        let ledger = open(usage, clock)?;
        let recording = Self { ledger, usage: usage.clone(), complained: None, was_failing: false };
        recording.recall(callers).map_err(Failure::usage)?;
        Ok(recording)
    }

    /// Callers may have budgets that they had not before.
    pub(super) fn handle_reload(&self, callers: &Callers) {
        if let Err(fault) = self.recall(callers) {
            warn!("{:#}: budgets count from now on", anyhow::Error::from(fault));
        }
    }

    /// Tells `callers` what was charged so far. Budgets that outlast a kill need requests to be on record before they go
    /// out.
    fn recall(&self, callers: &Callers) -> Result<(), FileError> {
        let longest = callers.longest_budget();
        self.ledger.set_ahead(longest.is_some());
        if let Some(window) = longest {
            callers.recall(&self.ledger.spent(self.ledger.clock().now().saturating_sub(window))?);
        }
        Ok(())
    }

    /// What to record in.
    pub(super) fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    /// Whether a reload leaves the ledger where and as it is.
    pub(super) fn stays(now: Option<&Self>, next: Option<&Usage>) -> bool {
        match (now, next) {
            (None, None) => true,
            (Some(now), Some(next)) => {
                Usage { budget: None, ..now.usage.clone() } == Usage { budget: None, ..next.clone() }
            }
            _ => false,
        }
    }

    /// Tells when the ledger fails, now and then, and when it no longer does.
    pub(super) fn look(&mut self) {
        let Health { failing, dropped, unrecorded, .. } = self.ledger.health();
        match failing {
            Some(why) => {
                if self.complained.is_none_or(|at| COMPLAIN_EVERY <= at.elapsed()) {
                    self.complained = Some(Instant::now());
                    warn!(dropped, unrecorded, "the usage ledger cannot be written: {why}");
                }
                self.was_failing = true;
            }
            None if self.was_failing => {
                self.was_failing = false;
                info!(dropped, unrecorded, "the usage ledger is written again");
            }
            None => {}
        }
    }

    /// Writes what is left, within `longest`.
    pub(super) async fn end(self, longest: Duration) {
        let ledger = self.ledger.clone();
        let closed = tokio::task::spawn_blocking(move || ledger.close());
        if timeout(longest, closed).await.is_err() {
            warn!("the usage ledger could not be written in time");
        }
        let Health { dropped, .. } = self.ledger.health();
        if dropped > 0 {
            warn!(dropped, "rows of the usage ledger are lost");
        }
    }
}

fn open(usage: &Usage, clock: Clock) -> Result<Ledger, Failure> {
    let Usage { file, retention, on_failure, .. } = usage;
    let options = Options { path: file.clone(), retention: *retention, on_failure: *on_failure };
    Ledger::open(options, clock).map_err(Failure::usage)
}
