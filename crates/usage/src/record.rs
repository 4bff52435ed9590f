//! One request on its way, as the ledger sees it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::ledger::Shared;
use crate::row::{Ended, Finish, Row};

/// A disk that takes longer than this for a commit counts as failing for whoever waits for it.
const LONGEST_COMMIT: Duration = Duration::from_secs(2);

/// A request that has not ended. Dropped, its caller has left.
pub struct Record {
    entry: Arc<Entry>,
    shared: Arc<Shared>,
    begun: Instant,
    over: bool,
}

/// Asks for a request whether an attempt may go out. Cheap to clone.
#[derive(Clone)]
pub struct Leave {
    entry: Arc<Entry>,
    shared: Arc<Shared>,
}

/// What is known of a request, for those who know it and for the writer.
pub(crate) struct Entry(Mutex<State>);

pub(crate) struct State {
    pub(crate) row: Row,
    /// It waits to be written.
    pub(crate) queued: bool,
    /// Who is to be told once it is written.
    pub(crate) waiters: Vec<oneshot::Sender<()>>,
    /// An attempt has gone out.
    sent: bool,
}

impl Entry {
    pub(crate) fn new(row: Row) -> Self {
        Self(Mutex::new(State { row, queued: false, waiters: Vec::new(), sent: false }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    pub(crate) fn new(entry: Arc<Entry>, shared: Arc<Shared>) -> Self {
        Self { entry, shared, begun: Instant::now(), over: false }
    }

    /// What attempts are to ask.
    pub fn leave(&self) -> Leave {
        Leave { entry: self.entry.clone(), shared: self.shared.clone() }
    }

    /// It has ended.
    pub fn end(mut self, ended: Ended) {
        self.close(ended);
    }

    fn close(&mut self, ended: Ended) {
        self.over = true;
        let queued = {
            let mut state = self.entry.lock();
            // What has not gone out took nothing.
            state.row.ended = Ended { in_doubt: ended.in_doubt && state.sent, ..ended };
            state.row.total = Some(self.begun.elapsed());
            std::mem::replace(&mut state.queued, true)
        };
        // One that waits already is written as it is when its turn comes.
        if !queued && self.shared.queue.push(self.entry.clone(), false).is_err() {
            self.entry.lock().queued = false;
            self.shared.counts.add_dropped(1);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.over {
            self.close(Ended { in_doubt: true, ..Ended::of(Finish::Canceled) });
        }
    }
}

impl Leave {
    /// Right before an attempt: takes down that the request has gone out, and waits until that is on disk where that is
    /// asked for. False when nothing may go out that is not on record.
    pub async fn goes_out(self) -> bool {
        let Some(committed) = self.take_down() else { return true };
        let is_on_record = match committed {
            Ok(committed) => match timeout(LONGEST_COMMIT, committed).await {
                Ok(told) => told.is_ok(),
                Err(_) => {
                    self.shared.counts.set_failing("a commit takes too long".to_owned());
                    false
                }
            },
            Err(()) => false,
        };
        is_on_record || self.without_record()
    }

    /// `None` when there is nothing to wait for.
    fn take_down(&self) -> Option<Result<oneshot::Receiver<()>, ()>> {
        let ahead = self.shared.is_ahead();
        let mut waits_for = None;
        let queued = {
            let mut state = self.entry.lock();
            if state.sent {
                return None; // It is on record since its first attempt.
            }
            state.sent = true;
            state.row.ended.in_doubt = true;
            if ahead {
                let (told, committed) = oneshot::channel();
                state.waiters.push(told);
                waits_for = Some(committed);
            }
            std::mem::replace(&mut state.queued, true)
        };
        let pushed = queued || self.shared.queue.push(self.entry.clone(), ahead).is_ok();
        if !pushed {
            // Nothing is lost yet: its end will be recorded, if there is room then.
            self.entry.lock().queued = false;
        }
        let waits = pushed && !self.shared.counts.is_failing();
        waits_for.map(|committed| if waits { Ok(committed) } else { Err(()) })
    }

    fn without_record(&self) -> bool {
        if self.shared.refuses() {
            self.entry.lock().sent = false;
            return false;
        }
        self.shared.counts.unrecorded.fetch_add(1, Ordering::Relaxed);
        true
    }
}
