//! One job on its way, as its attempts see it: whether they may go out, and whether the answer is here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::feed::Prepared;
use crate::commit::{Held, Unwritten};
use crate::control::{Control, Level};
use crate::journal::{ContentHash, IdHash, Journal, Record};
use crate::progress::Progress;
use crate::shown::shown_path;
use crate::stop::StopReason;

/// What the attempts of all jobs share.
#[derive(Clone)]
pub(crate) struct Office {
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) control: Control,
    pub(super) progress: Progress,
    pub(super) unwritten: Unwritten,
}

/// One job on its way.
pub(crate) struct Errand {
    office: Office,
    id: IdHash,
    content: ContentHash,
    sent: AtomicBool,
    idle: AtomicBool, // It was sent and failed, and waits to be sent again.
    /// Counts its answer among those that are not written.
    held: Mutex<Option<Held>>,
}

impl Errand {
    pub(super) fn new(office: &Office, job: &Prepared) -> Self {
        Self {
            office: office.clone(),
            id: IdHash::of(&job.id),
            content: job.content,
            sent: AtomicBool::new(false),
            idle: AtomicBool::new(false),
            held: Mutex::default(),
        }
    }

    /// Whether an attempt may go out, once there is room for its answer. Writes the job down as sent the first time.
    pub(crate) async fn may_go(&self) -> bool {
        tokio::select! {
            biased; // A run that ends waits for no room.
            () = self.office.control.reached(Level::Draining) => {}
            () = self.office.unwritten.are_few() => {}
        }
        self.office.control.level() == Level::Running && self.write_down()
    }

    fn write_down(&self) -> bool {
        let Office { journal, control, progress, .. } = &self.office;
        if self.sent.swap(true, Ordering::AcqRel) {
            return true;
        }
        progress.sent();
        let Some(journal) = journal else { return true };
        let written = journal.append(&Record::Sent { id: self.id, content: self.content }.encode());
        if let Err(error) = &written {
            let reason = StopReason::Disk { path: shown_path(journal.path()), error: error.to_string() };
            control.end(Level::Stopped, reason);
        }
        written.is_ok()
    }

    /// The answer is here, and is not written from now on.
    pub(crate) fn answered(&self) {
        self.held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert_with(|| self.office.unwritten.add());
    }

    /// What counts the job's result among those that are not written, to go with it until it is.
    pub(super) fn take_held(&self) -> Held {
        let told = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        told.unwrap_or_else(|| self.office.unwritten.add())
    }

    pub(super) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::Release);
    }

    /// It may have been billed.
    pub(super) fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Acquire)
    }
}
