//! One job on its way, as its attempts see it: whether they may go out, whether one is under way, and
//! whether it may have been billed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

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
    state: watch::Sender<State>,
    /// Counts its answer among those that are not written.
    held: Mutex<Option<Held>>,
}

/// What is known of its attempts.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// One is under way, or its answer is on its way here.
    under_way: bool,
    /// It is written down that the job may be billed.
    sent: bool,
    /// An attempt of the present call may have been billed; one of an earlier call may have been.
    maybe_billed: bool,
    maybe_billed_before: bool,
    /// Whatever is still heard of it concerns nobody.
    over: bool,
}

impl Errand {
    pub(super) fn new(office: &Office, job: &Prepared) -> Self {
        Self {
            office: office.clone(),
            id: IdHash::of(&job.id),
            content: job.content,
            state: watch::Sender::new(State::default()),
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
        // It counts as under way before the level is looked at: a run that drains either vetoes it or waits for it.
        if !self.set_under_way(true) {
            return false;
        }
        let goes = self.office.control.level() == Level::Running && self.write_down();
        match goes {
            true => self.state.send_modify(|state| state.maybe_billed = true),
            false => self.rest(),
        }
        goes
    }

    fn write_down(&self) -> bool {
        let Office { journal, control, .. } = &self.office;
        let Some(journal) = journal else { return true };
        if self.state.borrow().sent {
            return true;
        }
        let written = journal.append(&Record::Sent { id: self.id, content: self.content }.encode());
        match &written {
            Ok(_) => self.state.send_modify(|state| state.sent = true),
            Err(error) => {
                let reason = StopReason::Disk { path: shown_path(journal.path()), error: error.to_string() };
                control.end(Level::Stopped, reason);
            }
        }
        written.is_ok()
    }

    /// Notes whether an attempt is under way; false when the job is over.
    fn set_under_way(&self, under_way: bool) -> bool {
        self.state.send_if_modified(|state| {
            let changes = !state.over && state.under_way != under_way;
            if changes {
                state.under_way = under_way;
                match under_way {
                    true => self.office.progress.sent(),
                    false => self.office.progress.waits(),
                }
            }
            changes
        });
        !self.state.borrow().over
    }

    /// The answer is here, and is not written from now on.
    pub(crate) fn answered(&self) {
        self.held().get_or_insert_with(|| self.office.unwritten.add());
    }

    /// An attempt has failed; so far this is known of the attempts of this call.
    pub(crate) fn failed(&self, maybe_billed: bool) {
        self.state.send_modify(|state| state.maybe_billed = maybe_billed);
        self.rest();
    }

    /// No attempt is under way.
    fn rest(&self) {
        self.set_under_way(false);
    }

    /// The call is over without a result: another one may follow.
    pub(super) fn call_again(&self) {
        self.state.send_modify(|state| {
            state.maybe_billed_before |= state.maybe_billed;
            state.maybe_billed = false;
        });
        self.rest();
    }

    /// Returns once no attempt is under way.
    pub(super) async fn rests(&self) {
        // The sender lives in this value: waiting can't fail.
        let _ = self.state.subscribe().wait_for(|state| !state.under_way).await;
    }

    /// What counts the job's result among those that are not written, to go with it until it is.
    pub(super) fn take_held(&self) -> Held {
        self.held().take().unwrap_or_else(|| self.office.unwritten.add())
    }

    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The job is over. One that is left for the next run is written down as never billed, if that is certain.
    pub(super) fn end(&self, left: bool) {
        let mut state = State::default();
        self.state.send_modify(|known| {
            known.over = true;
            state = *known;
            self.office.progress.over(state.under_way);
        });
        let in_doubt = state.under_way || state.maybe_billed || state.maybe_billed_before;
        if let (Some(journal), true) = (&self.office.journal, left && state.sent && !in_doubt) {
            // Should this fail, the next run says that the job may have been billed, which is on the safe side.
            let _ = journal.append(&Record::Returned { id: self.id, content: self.content }.encode());
        }
    }
}
