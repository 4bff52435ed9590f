//! One job on its way: sent, perhaps sent again later, and put into its final line.

use std::sync::Arc;

use paceline_wire::line::{self, Outcome};

use super::errand::{Errand, Office};
use super::feed::Prepared;
use super::health::{Advice, Health};
use crate::commit::Finished;
use crate::control::{Control, Level};
use crate::sender::{Answer, End, Reply, Sender, Start};
use crate::stop::StopReason;

/// How often a job is handed over again after failing for a passing reason, while others succeed.
const SECOND_CHANCES: u32 = 3;

/// What all jobs share.
pub(super) struct Desk<S> {
    pub(super) sender: S,
    pub(super) office: Office,
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
    let errand = Arc::new(Errand::new(&desk.office, &job));
    let weight = job.weight();
    let fate = tokio::select! {
        biased; // An answer that is here is not thrown away.
        fate = through(&desk, &job, &errand) => fate,
        () = withdrawn(&desk.office.control, &errand) => Fate::Left,
    };
    errand.end(matches!(fate, Fate::Left));
    Ended { fate, weight }
}

/// Returns when the job is to be given up: as soon as no attempt is under way, or when nothing is waited for.
async fn withdrawn(control: &Control, errand: &Errand) {
    control.reached(Level::Draining).await;
    tokio::select! {
        () = errand.rests() => {}
        () = control.reached(Level::Stopped) => {}
    }
}

async fn through<S: Sender>(desk: &Desk<S>, job: &Prepared, errand: &Arc<Errand>) -> Fate {
    let Ok(line) = &job.task else { return Fate::Finished(job.refused()) };
    let mut chances = SECOND_CHANCES;
    loop {
        let seen = desk.health.successes();
        let reply = desk.sender.send(line.clone(), Start::new(errand.clone())).await;
        desk.office.progress.took(&reply);
        let message = match &reply.end {
            End::Failed { passing: true, message, .. } if chances > 0 => message.clone(),
            _ => return conclude(desk, job, errand, &reply),
        };
        errand.call_again();
        if desk.office.control.level() > Level::Running {
            return Fate::Left;
        }
        match desk.health.advice(seen, job.number).await {
            Advice::TryAgain => chances -= 1,
            Advice::Probe => {}
            Advice::GiveUp(lasted) => {
                desk.office.control.end(Level::Draining, StopReason::Outage { lasted, message });
                return Fate::Left;
            }
        }
    }
}

fn conclude<S: Sender>(desk: &Desk<S>, job: &Prepared, errand: &Errand, reply: &Reply) -> Fate {
    let outcome = match &reply.end {
        End::Answered(answer) => {
            desk.health.succeeded();
            Outcome::Succeeded(borrowed(answer))
        }
        End::Failed { class, message, answer, .. } => Outcome::Failed {
            answer: answer.as_ref().map(borrowed),
            code: class.map_or("invalid_request", |class| class.name()),
            message,
        },
        End::Expired => Outcome::Expired,
        End::NoUpstream { class, message } => {
            let reason = StopReason::Credential { class: *class, message: message.clone() };
            desk.office.control.end(Level::Draining, reason);
            return Fate::Left;
        }
        End::Withdrawn => return Fate::Left,
    };
    Fate::Finished(Finished { held: Some(errand.take_held()), ..job.finished(&outcome) })
}

fn borrowed(answer: &Answer) -> line::Answer<'_> {
    line::Answer { status: answer.status, request_id: answer.request_id.as_deref(), body: &answer.body }
}
