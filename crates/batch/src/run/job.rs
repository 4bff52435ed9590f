//! One job on its way: sent, perhaps sent again later, and put into its final line.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use paceline_wire::line::{self, Outcome};

use super::feed::Prepared;
use super::health::{Advice, Health};
use crate::commit::Finished;
use crate::control::{Control, Level};
use crate::journal::{IdHash, Journal, Record};
use crate::progress::Progress;
use crate::sender::{Answer, End, Reply, Sender, Start};
use crate::shown::shown_path;
use crate::stop::StopReason;

/// How often a job is handed over again after failing for a passing reason, while others succeed.
const SECOND_CHANCES: u32 = 3;

/// What all jobs share.
pub(super) struct Desk<S> {
    pub(super) sender: S,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) control: Control,
    pub(super) progress: Progress,
    pub(super) health: Health,
}

/// A job that is no longer under way.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) fate: Fate,
    /// What it took of the room.
    pub(super) weight: usize,
}

/// What became of a job.
#[derive(Debug)]
pub(super) enum Fate {
    /// It has its final line.
    Finished(Finished),
    /// It is left for the next run.
    Left,
}

/// Takes a job to its end.
pub(super) async fn work<S: Sender>(desk: Arc<Desk<S>>, job: Prepared) -> Ended {
    let mark = Arc::new(Mark::default());
    let weight = job.weight();
    let fate = tokio::select! {
        biased; // An answer that is here is not thrown away.
        fate = through(&desk, &job, &mark) => fate,
        () = withdrawn(&desk.control, &mark) => Fate::Left,
    };
    desk.progress.over(mark.is_sent());
    Ended { fate, weight }
}

/// Returns when the job is to be given up: at once when it was never sent, else when nothing is waited for.
async fn withdrawn(control: &Control, mark: &Mark) {
    control.reached(Level::Draining).await;
    if mark.is_sent() && !mark.is_idle() {
        control.reached(Level::Stopped).await;
    }
}

/// Whether the job may have been billed.
#[derive(Debug, Default)]
struct Mark {
    sent: AtomicBool,
    idle: AtomicBool, // It was sent and failed, and waits to be sent again.
    vetoed: AtomicBool,
}

impl Mark {
    fn is_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire)
    }

    fn is_idle(&self) -> bool {
        self.idle.load(Ordering::Acquire)
    }
}

async fn through<S: Sender>(desk: &Arc<Desk<S>>, job: &Prepared, mark: &Arc<Mark>) -> Fate {
    let Ok(line) = &job.task else { return Fate::Finished(job.refused()) };
    let mut chances = SECOND_CHANCES;
    loop {
        let seen = desk.health.successes();
        let reply = desk.sender.send(line.clone(), start(desk.clone(), job, mark.clone())).await;
        desk.progress.took(&reply);
        let message = match &reply.end {
            End::Failed { passing: true, message, .. } if chances > 0 => message.clone(),
            _ => return conclude(desk, job, mark, &reply),
        };
        mark.idle.store(true, Ordering::Release);
        if desk.control.level() > Level::Running {
            return Fate::Left;
        }
        match desk.health.advice(seen, job.number).await {
            Advice::TryAgain => chances -= 1,
            Advice::Probe => {}
            Advice::GiveUp(lasted) => {
                desk.control.end(Level::Draining, StopReason::Outage { lasted, message });
                return Fate::Left;
            }
        }
        mark.idle.store(false, Ordering::Release);
    }
}

/// What is asked before each attempt: writes the job down as sent the first time.
fn start<S: Sender>(desk: Arc<Desk<S>>, job: &Prepared, mark: Arc<Mark>) -> Start {
    let record = Record::Sent { id: IdHash::of(&job.id), content: job.content }.encode();
    Start::new(move || {
        if desk.control.level() > Level::Running {
            mark.vetoed.store(true, Ordering::Release);
            return false;
        }
        if mark.sent.swap(true, Ordering::AcqRel) {
            return true;
        }
        desk.progress.sent();
        let Some(journal) = &desk.journal else { return true };
        let written = journal.append(&record);
        if let Err(error) = &written {
            mark.vetoed.store(true, Ordering::Release);
            let reason = StopReason::Disk { path: shown_path(journal.path()), error: error.to_string() };
            desk.control.end(Level::Stopped, reason);
        }
        written.is_ok()
    })
}

fn conclude<S: Sender>(desk: &Desk<S>, job: &Prepared, mark: &Mark, reply: &Reply) -> Fate {
    let outcome = match &reply.end {
        End::Answered(answer) => {
            desk.health.succeeded();
            Outcome::Succeeded(borrowed(answer))
        }
        // What was not allowed to go out has not failed.
        _ if mark.vetoed.load(Ordering::Acquire) => return Fate::Left,
        End::Failed { class, message, answer, .. } => Outcome::Failed {
            answer: answer.as_ref().map(borrowed),
            code: class.map_or("invalid_request", |class| class.name()),
            message,
        },
        End::Expired => Outcome::Expired,
        End::NoUpstream { class, message } => {
            let reason = StopReason::Credential { class: *class, message: message.clone() };
            desk.control.end(Level::Draining, reason);
            return Fate::Left;
        }
        End::Withdrawn => return Fate::Left,
    };
    Fate::Finished(job.finished(&outcome))
}

fn borrowed(answer: &Answer) -> line::Answer<'_> {
    line::Answer { status: answer.status, request_id: answer.request_id.as_deref(), body: &answer.body }
}
