//! Ends a run early: first it drains, then it stops.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::stop::StopReason;

/// How much of a run still goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Everything.
    Running,
    /// Nothing new is sent; what is in flight may end.
    Draining,
    /// Nothing.
    Stopped,
}

/// The handle by which a run is ended early. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    level: Arc<watch::Sender<Level>>,
    reason: Arc<Mutex<Option<StopReason>>>,
}

impl Default for Control {
    fn default() -> Self {
        Self { level: Arc::new(watch::Sender::new(Level::Running)), reason: Arc::default() }
    }
}

impl Control {
    /// A handle for one run.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends nothing new and waits for what is in flight: the first Ctrl-C.
    pub fn drain(&self) {
        self.end(Level::Draining, StopReason::Interrupted);
    }

    /// Waits for nothing: the second Ctrl-C. What has been answered is still written.
    pub fn stop(&self) {
        self.end(Level::Stopped, StopReason::Interrupted);
    }

    /// How much still goes on.
    pub fn level(&self) -> Level {
        *self.level.borrow()
    }

    /// Ends the run for a reason. The first reason stays; a level is never taken back.
    pub(crate) fn end(&self, level: Level, reason: StopReason) {
        let mut first = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(reason);
        drop(first);
        self.level.send_if_modified(|current| {
            let higher = *current < level;
            *current = level.max(*current);
            higher
        });
    }

    /// Why the run ends early, if it does.
    pub(crate) fn reason(&self) -> Option<StopReason> {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns once the run has come to this level.
    pub(crate) async fn reached(&self, level: Level) {
        // The sender lives as long as this handle, so waiting can't fail.
        let _ = self.level.subscribe().wait_for(|current| *current >= level).await;
    }
}
