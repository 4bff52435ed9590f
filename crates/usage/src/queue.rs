//! The requests whose rows are to be written: bounded, and looked at by the one writer.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::record::Entry;

/// Requests that wait to be written at most. Those beyond go unrecorded, and are counted.
pub(crate) const MOST_QUEUED: usize = 32_768;

/// Where requests wait to be written. Each is written as it is then, so one that ends at once is written once.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    entries: Vec<Arc<Entry>>,
    /// Somebody waits for the commit.
    urgent: bool,
    /// No more will come.
    ended: bool,
    /// The writer waits for the first.
    idle: bool,
}

/// There was no room, or no writer any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// What the writer finds.
pub(crate) struct Taken {
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) ended: bool,
}

impl Queue {
    /// Puts a request in line.
    pub(crate) fn push(&self, entry: Arc<Entry>, urgent: bool) -> Result<(), Full> {
        let mut waiting = self.lock();
        if waiting.ended || waiting.entries.len() >= MOST_QUEUED {
            return Err(Full);
        }
        waiting.entries.push(entry);
        // To wake is a system call, and once is enough.
        let is_first = std::mem::replace(&mut waiting.idle, false);
        let presses = urgent && !std::mem::replace(&mut waiting.urgent, true);
        if is_first || presses || waiting.entries.len() == MOST_QUEUED / 2 {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// No more will come.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.wake.notify_all();
    }

    /// Waits for a request, at most for `idle`; then for a `window`, as more may come; but not when somebody waits for it.
    pub(crate) fn take(&self, idle: Duration, window: Duration) -> Taken {
        let mut waiting = self.lock();
        waiting.idle = true;
        waiting = self.until(waiting, idle, |waiting| !waiting.entries.is_empty());
        waiting.idle = false;
        if !waiting.entries.is_empty() {
            waiting = self.until(waiting, window, |_| false);
        }
        waiting.urgent = false;
        Taken { entries: std::mem::take(&mut waiting.entries), ended: waiting.ended }
    }

    /// Waits for `pause`, or for the end: true then.
    pub(crate) fn rest(&self, pause: Duration) -> bool {
        let waiting = self.lock();
        let (waiting, _) = self
            .wake
            .wait_timeout_while(waiting, pause, |waiting| !waiting.ended)
            .unwrap_or_else(PoisonError::into_inner);
        waiting.ended
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().entries.len()
    }

    fn until<'a>(
        &self,
        mut waiting: MutexGuard<'a, Waiting>,
        longest: Duration,
        enough: impl Fn(&Waiting) -> bool,
    ) -> MutexGuard<'a, Waiting> {
        let until = Instant::now() + longest;
        loop {
            let pressing = waiting.urgent || waiting.ended || MOST_QUEUED / 2 <= waiting.entries.len();
            let left = until.saturating_duration_since(Instant::now());
            if pressing || enough(&waiting) || left.is_zero() {
                return waiting;
            }
            waiting = self.wake.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is complete before anything in it can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
