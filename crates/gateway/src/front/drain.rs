//! The end of serving: no new connections, the requests under way finish, then nothing is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Tells everything that serves to come to its end. Clones are one and the same.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: AtomicU8,
    changed: Notify,
    working: AtomicUsize,
    ended: Notify,
}

/// How far the end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    Draining,
    Stopped,
}

impl Drain {
    /// Stops accepting. Requests under way finish; connections end with them.
    pub fn begin(&self) {
        self.advance(Phase::Draining);
    }

    /// Cuts everything.
    pub fn stop(&self) {
        self.advance(Phase::Stopped);
    }

    /// Whether the end has begun.
    pub fn is_draining(&self) -> bool {
        self.phase() > Phase::Serving
    }

    /// Returns when the end has begun and nothing is under way any more.
    pub async fn finished(&self) {
        self.begun().await;
        loop {
            let ended = self.0.ended.notified();
            if self.0.working.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// Returns when the end has begun.
    pub async fn begun(&self) {
        loop {
            let changed = self.changed();
            if self.is_draining() {
                return;
            }
            changed.await;
        }
    }

    pub(super) fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Acquire) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Stopped,
        }
    }

    /// Returns at the next change after this call.
    pub(super) fn changed(&self) -> impl Future<Output = ()> {
        self.0.changed.notified()
    }

    /// Something is under way, which [`Drain::finished`] waits for.
    pub(super) fn enter(&self) -> Working {
        self.0.working.fetch_add(1, Ordering::AcqRel);
        Working(self.clone())
    }

    fn advance(&self, phase: Phase) {
        self.0.phase.fetch_max(phase as u8, Ordering::AcqRel);
        self.0.changed.notify_waiters();
    }
}

/// Under way until it is dropped.
#[derive(Debug)]
pub(super) struct Working(Drain);

impl Drop for Working {
    fn drop(&mut self) {
        if self.0.0.working.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.0.ended.notify_waiters();
        }
    }
}
