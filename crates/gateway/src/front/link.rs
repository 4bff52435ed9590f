//! What the two ends of one connection tell each other around hyper: the socket's side and the answering side.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use paceline_wire::Dialect;

use super::Refusal;

/// Both ends run in one task, one after the other, so the order of these needs no care.
#[derive(Debug, Default)]
pub(super) struct Link {
    answered: AtomicBool,
    ending: AtomicBool,
    refused: OnceLock<(Refusal, Dialect)>,
}

impl Link {
    /// The answer's last byte is with hyper.
    pub(super) fn tell_answered(&self) {
        self.answered.store(true, Relaxed);
    }

    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Relaxed)
    }

    /// The next request begins.
    pub(super) fn forget_answered(&self) {
        self.answered.store(false, Relaxed);
    }

    /// The answer that is due is the connection's last, because bytes that came are lost.
    pub(super) fn tell_ending(&self) {
        self.ending.store(true, Relaxed);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending.load(Relaxed)
    }

    /// What hyper sees as a request is to be answered with this. The first one stays: nothing is read after it.
    pub(super) fn refuse(&self, refusal: Refusal, dialect: Dialect) {
        let _ = self.refused.set((refusal, dialect));
    }

    pub(super) fn refused(&self) -> Option<(Refusal, Dialect)> {
        self.refused.get().copied()
    }
}
