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
    begun: Instant,
    over: bool,
}

/// Asks for a request whether an attempt may go out. Cheap to clone.
#[derive(Clone)]
pub struct Leave(Arc<Entry>);

/// What is known of a request, for those who know it and for the writer.
pub(crate) struct Entry {
    /// Its row's.
    pub(crate) id: i64,
    state: Mutex<State>,
    shared: Arc<Shared>,
}

pub(crate) struct State {
    pub(crate) row: Row,
    /// It waits to be written.
    pub(crate) queued: bool,
    /// Who is to be told once it is written: one, as one attempt goes out first.
    pub(crate) waiter: Option<oneshot::Sender<()>>,
    /// An attempt has gone out.
    sent: bool,
}

impl Entry {
    fn new(row: Row, shared: Arc<Shared>) -> Self {
        Self {
            id: row.id,
            state: Mutex::new(State { row, queued: false, waiter: None, sent: false }),
            shared,
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // Every change is complete before anything in it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    /// Of a request that began at `begun`.
    pub(crate) fn new(row: Row, begun: Instant, shared: Arc<Shared>) -> Self {
        Self { entry: Arc::new(Entry::new(row, shared)), begun, over: false }
    }

    /// What attempts are to ask.
    pub fn leave(&self) -> Leave {
        Leave(self.entry.clone())
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
        let shared = &self.entry.shared;
        if !queued && shared.queue.push(self.entry.clone(), false).is_err() {
            self.entry.lock().queued = false;
            shared.counts.add_dropped(1);
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
                    self.0.shared.counts.set_failing("a commit takes too long".to_owned());
                    false
                }
            },
            Err(()) => false,
        };
        is_on_record || self.without_record()
    }

    /// `None` when there is nothing to wait for.
    fn take_down(&self) -> Option<Result<oneshot::Receiver<()>, ()>> {
        let Self(entry) = self;
        let ahead = entry.shared.is_ahead();
        let mut waits_for = None;
        let queued = {
            let mut state = entry.lock();
            if state.sent {
                return None; // It is on record since its first attempt.
            }
            state.sent = true;
            state.row.ended.in_doubt = true;
            if ahead {
                let (told, committed) = oneshot::channel();
                state.waiter = Some(told);
                waits_for = Some(committed);
            }
            std::mem::replace(&mut state.queued, true)
        };
        let pushed = queued || entry.shared.queue.push(entry.clone(), ahead).is_ok();
        if !pushed {
            // Nothing is lost yet: its end will be recorded, if there is room then.
            entry.lock().queued = false;
        }
        let waits = pushed && !entry.shared.counts.is_failing();
        waits_for.map(|committed| if waits { Ok(committed) } else { Err(()) })
    }

    fn without_record(&self) -> bool {
        let Self(entry) = self;
        if entry.shared.refuses() {
            entry.lock().sent = false;
            return false;
        }
        entry.shared.counts.unrecorded.fetch_add(1, Ordering::Relaxed);
        true
    }
}
