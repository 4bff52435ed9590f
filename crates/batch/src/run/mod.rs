//! The run: feeds jobs to the sender, and brings what comes back to the disk.
//!
//! Thousands of jobs wait in the sender at once, so that it can choose the one that fits the limits best; a job's room is
//! given back when its line is on disk. One loop owns everything that changes; jobs are tasks beside it.

mod errand;
mod feed;
mod files;
mod health;
mod job;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::check::{Checked, Report};
use crate::commit::{Committed, Committer, Finished, Unwritten};
use crate::control::{Control, Level};
use crate::error::CheckError;
use crate::options::RunOptions;
use crate::output::OutputPaths;
use crate::progress::{Progress, View};
use crate::sender::Sender;
use crate::standing::Standing;
use crate::stop::StopReason;
pub(crate) use errand::Errand;
use errand::Office;
pub(crate) use feed::read_job;
use feed::{Chunk, Feed, Prepared};
use files::Open;
use health::Health;
use job::{Desk, Ended, Fate};

/// Jobs under way at once: sent, waiting to be sent, or waiting to be written.
pub const LOOK_AHEAD: usize = 4096;
/// What their bodies may weigh together; a heavier one goes alone.
pub const LOOK_AHEAD_BYTES: usize = 16 << 20;
/// How long jobs in flight may take to end when nothing new is sent any more.
const DRAIN_GRACE: Duration = Duration::from_secs(30);

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The last numbers.
    pub view: View,
    /// What was found at the start.
    pub report: Report,
    /// Why it stopped early, if it did. Jobs that are neither done nor failed are left for the next run.
    pub stop: Option<StopReason>,
    /// Where the results are.
    pub paths: Option<OutputPaths>,
}

/// Runs a batch to its end, or to where it must stop. Where results go to a stream, it is `stream`.
///
/// An error means that nothing was sent.
pub async fn run<S: Sender>(
    checked: Checked,
    sender: S,
    control: Control,
    progress: Progress,
    stream: Box<dyn std::io::Write + Send>,
) -> Result<Summary, CheckError> {
    let report = checked.report();
    let open = blocking(move || Open::files(checked, stream)).await?;
    progress.begin(report.chosen, report.done);
    let paths = open.paths.clone();
    let index = open.index.clone();
    let (mut run, feed) = Loop::new(open, sender, &control, &progress)?;
    run.until_over(feed).await;
    let Loop { options, committer, mut standing, tasks, .. } = run;
    drop(tasks);
    let rest = blocking(move || committer.finish()).await;
    settle_rest(rest, &mut standing, &progress);
    let all = progress.view().left() == 0;
    if let (Some(paths), true) = (paths.clone(), control.level() < Level::Stopped) {
        let ordered = options.ordered && all;
        if let Err(reason) = blocking(move || files::tidy(&paths, index, standing, ordered, report)).await {
            control.end(Level::Stopped, reason);
        }
    }
    let stop = control.reason().filter(|reason| !all || matches!(reason, StopReason::Disk { .. }));
    Ok(Summary { view: progress.view(), report, stop, paths })
}

/// Runs what takes its time with files off the threads that everything else needs.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is being torn down cancels such work, and then nobody polls this either.
            Err(_) => std::future::pending().await,
        },
    }
}

fn settle_rest(mut rest: UnboundedReceiver<Vec<Committed>>, standing: &mut Standing, progress: &Progress) {
    while let Ok(group) = rest.try_recv() {
        for committed in group {
            standing.settle(committed.number, committed.line, committed.ok);
            progress.committed(committed.ok);
        }
    }
}

/// Room for jobs under way.
#[derive(Debug, Default)]
struct Room {
    jobs: usize,
    bytes: usize,
}

impl Room {
    fn is_left(&self) -> bool {
        self.jobs < LOOK_AHEAD && self.bytes < LOOK_AHEAD_BYTES
    }

    fn take(&mut self, bytes: usize) {
        self.jobs += 1;
        self.bytes += bytes;
    }

    fn give_back(&mut self, bytes: usize) {
        self.jobs -= 1;
        self.bytes -= bytes;
    }
}

struct Loop<S: Sender> {
    options: RunOptions,
    desk: Arc<Desk<S>>,
    control: Control,
    progress: Progress,
    committer: Committer,
    standing: Standing,
    tasks: JoinSet<Ended>,
    room: Room,
    /// Results handed to the committer and not yet announced.
    unwritten: usize,
    /// What each of them takes of the room.
    weights: HashMap<u32, usize>,
    deadline: Option<Instant>,
}

impl<S: Sender> Loop<S> {
    fn new(
        open: Open,
        sender: S,
        control: &Control,
        progress: &Progress,
    ) -> Result<(Self, Feed), CheckError> {
        let Open { options, inputs, index, standing, paths, journal, sink, todo } = open;
        let committer = Committer::start(sink, control.clone()).map_err(|source| {
            let path = paths.map_or_else(|| "standard output".into(), |paths| paths.output);
            CheckError::File { path, source }
        })?;
        let feed = Feed::start(inputs, index, todo, options.defaults.clone(), control.clone());
        let health = Health::new(options.max_outage);
        let unwritten = Unwritten::default();
        let office = Office { journal, control: control.clone(), progress: progress.clone(), unwritten };
        let desk = Desk { sender, office, health };
        let run = Self {
            deadline: options.deadline.map(|after| Instant::now() + after),
            options,
            desk: Arc::new(desk),
            control: control.clone(),
            progress: progress.clone(),
            committer,
            standing,
            tasks: JoinSet::new(),
            room: Room::default(),
            unwritten: 0,
            weights: HashMap::new(),
        };
        Ok((run, feed))
    }

    /// Until nothing is left to do, or nothing more may be done.
    async fn until_over(&mut self, mut feed: Feed) {
        let deadline = self.deadline;
        let far = Instant::now() + Duration::from_secs(60 * 60 * 24 * 365);
        let mut grace: Option<Instant> = None;
        let mut chunk: Option<Chunk> = None;
        let control = self.control.clone();
        let draining = control.reached(Level::Draining);
        let stopped = control.reached(Level::Stopped);
        tokio::pin!(draining, stopped);
        let (mut is_draining, mut is_stopped, mut fed) = (false, false, false);
        loop {
            if !is_draining {
                self.hand_over(&mut chunk);
            }
            let nothing_comes = is_draining || (fed && chunk.is_none());
            if nothing_comes && self.tasks.is_empty() && self.unwritten == 0 {
                return;
            }
            tokio::select! {
                group = self.committer.committed.recv(), if self.unwritten > 0 => match group {
                    Some(group) => self.committed(group),
                    // The committer has given up, and said why unless it panicked: nothing will be written any more.
                    None => {
                        let message = "the thread that writes has ended".to_owned();
                        control.end(Level::Stopped, StopReason::Internal { message });
                        self.unwritten = 0;
                    }
                },
                Some(ended) = self.tasks.join_next(), if !self.tasks.is_empty() => self.ended(ended),
                next = feed.chunks.recv(), if !fed && !is_draining && chunk.is_none() && self.room.is_left() => {
                    fed = next.is_none();
                    chunk = next;
                }
                () = &mut draining, if !is_draining => {
                    is_draining = true;
                    grace = Some(Instant::now() + DRAIN_GRACE);
                    feed.chunks.close();
                }
                () = &mut stopped, if !is_stopped => is_stopped = true,
                () = sleep_until(grace.unwrap_or(far)), if is_draining && !is_stopped => {
                    control.end(Level::Stopped, StopReason::Interrupted);
                }
                () = sleep_until(deadline.unwrap_or(far)), if deadline.is_some() && !is_draining => {
                    control.end(Level::Draining, StopReason::Deadline);
                }
            }
        }
    }

    /// Hands over what there is room for.
    fn hand_over(&mut self, chunk: &mut Option<Chunk>) {
        let Some(jobs) = chunk else { return };
        while self.room.is_left() && self.control.level() == Level::Running {
            let Some(job) = jobs.pop_front() else {
                *chunk = None;
                return;
            };
            self.begin(job);
        }
    }

    fn begin(&mut self, job: Prepared) {
        self.room.take(job.weight());
        let line = match &job.task {
            Ok(line) => line,
            Err(_) => {
                let finished = job.refused();
                return self.write(finished, job.weight());
            }
        };
        if self.options.budget.is_some()
            && let Some(model) = self.desk.sender.unpriced(line)
        {
            self.room.give_back(job.weight());
            return self.control.end(Level::Draining, StopReason::PriceUnknown { model });
        }
        self.progress.handed_over();
        self.tasks.spawn(job::work(self.desk.clone(), job));
    }

    fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) {
        let Ended { fate, weight } = match ended {
            Ok(ended) => ended,
            Err(error) => {
                let reason = StopReason::Internal { message: error.to_string() };
                return self.control.end(Level::Draining, reason);
            }
        };
        match fate {
            Fate::Finished(finished) => self.write(finished, weight),
            Fate::Left => self.room.give_back(weight),
        }
        self.watch_budget();
    }

    fn write(&mut self, finished: Finished, weight: usize) {
        self.weights.insert(finished.number, weight);
        self.unwritten += 1;
        self.committer.results.send(finished);
    }

    fn committed(&mut self, group: Vec<Committed>) {
        for committed in group {
            self.unwritten = self.unwritten.saturating_sub(1);
            if let Some(weight) = self.weights.remove(&committed.number) {
                self.room.give_back(weight);
            }
            self.standing.settle(committed.number, committed.line, committed.ok);
            self.progress.committed(committed.ok);
        }
        let failures = self.progress.view().failed;
        if self.options.max_failures.is_some_and(|most| failures >= most) {
            self.control.end(Level::Draining, StopReason::Failures { failures });
        }
    }

    /// Stops before what is in flight could overrun the budget, if it costs what the answers so far did.
    fn watch_budget(&self) {
        let Some(budget) = self.options.budget else { return };
        let view = self.progress.view();
        let priced = view.attempts.saturating_sub(view.throttled).max(1);
        let expected = view.spent.micros().saturating_mul(view.in_flight) / priced;
        let spent = view.spent;
        if spent.micros().saturating_add(expected) >= budget.micros() {
            self.control.end(Level::Draining, StopReason::Budget { budget, spent });
        }
    }
}
