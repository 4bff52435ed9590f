//! How the ledger does, for whoever watches over it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How the ledger does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Why nothing can be written right now, in one line.
    pub failing: Option<String>,
    /// Rows that were committed since the start: a request that was open for a while counts twice.
    pub written: u64,
    /// Rows that are lost: there was no more room to keep them.
    pub dropped: u64,
    /// Attempts that went out without being on record, though they should have been.
    pub unrecorded: u64,
    /// Requests that wait to be written.
    pub queued: usize,
}

/// What is counted. The ledger's own.
#[derive(Default)]
pub(crate) struct Counts {
    is_failing: AtomicBool,
    why: Mutex<String>,
    written: AtomicU64,
    dropped: AtomicU64,
    pub(crate) unrecorded: AtomicU64,
}

impl Counts {
    /// Nothing can be written, because of `why`.
    pub(crate) fn set_failing(&self, why: String) {
        *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.is_failing.store(true, Ordering::Release);
    }

    /// So many rows have been committed.
    pub(crate) fn add_written(&self, rows: usize) {
        self.written.fetch_add(rows as u64, Ordering::Relaxed);
        self.is_failing.store(false, Ordering::Release);
    }

    /// So many rows are lost.
    pub(crate) fn add_dropped(&self, rows: usize) {
        self.dropped.fetch_add(rows as u64, Ordering::Relaxed);
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Acquire)
    }

    pub(crate) fn health(&self, queued: usize) -> Health {
        let why = || self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Health {
            failing: self.is_failing().then(why),
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            unrecorded: self.unrecorded.load(Ordering::Relaxed),
            queued,
        }
    }
}
