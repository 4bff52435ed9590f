//! Looks at everything before anything is sent: the input, the output, and what an earlier run left.

use std::collections::VecDeque;
use std::fs;
use std::path::Path;

use crate::disk;
use crate::error::CheckError;
use crate::input::{Index, Inputs};
use crate::journal::{JournalLock, Keys, Record};
use crate::options::{RunOptions, Selection};
use crate::output::{Cleaning, OutputPaths, examine};
use crate::standing::{Place, Standing};

/// A run that can begin. The journal is locked from here on.
#[derive(Debug)]
pub struct Checked {
    pub(crate) options: RunOptions,
    pub(crate) inputs: Inputs,
    pub(crate) index: Index,
    pub(crate) standing: Standing,
    pub(crate) files: Option<Existing>,
    report: Report,
}

/// What is there of the output.
#[derive(Debug)]
pub(crate) struct Existing {
    pub(crate) paths: OutputPaths,
    /// None only when nothing may be created.
    pub(crate) lock: Option<JournalLock>,
    pub(crate) past: Past,
    pub(crate) output: Cleaning,
    pub(crate) errors: Cleaning,
}

/// What the journal tells of the runs before.
#[derive(Debug, Default)]
pub(crate) struct Past {
    /// Where it is no longer known whether the disk has what can be read.
    pub(crate) settled: u64,
    /// Where the last good record ends.
    pub(crate) end: u64,
    sessions: u64,
    damaged: u64,
    torn: u64,
    in_flight: u64,
    /// Jobs whose lines may not have reached the disk, and how many of these lines are not there.
    unsettled: Keys,
    lost: u64,
    /// The same of earlier runs.
    doubtful: Keys,
}

/// What was found, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Jobs in the input.
    pub jobs: u64,
    /// Jobs chosen from them.
    pub chosen: u64,
    /// Chosen jobs that are done already.
    pub done: u64,
    /// Chosen jobs that failed in an earlier run and are tried again.
    pub retried: u64,
    /// Chosen jobs that are done but were edited since, and run again because that was accepted.
    pub edited: u64,
    /// Jobs that were in flight when a run ended: they may have been billed, and run again.
    pub in_flight: u64,
    /// Jobs whose results the journal knows but that are missing or changed in the output; they run again.
    pub missing: u64,
    /// Results of jobs that are no longer in the input; they are kept.
    pub strangers: u64,
    /// Lines of the output, or pieces of lines, that no job owns; they are taken out.
    pub foreign: u64,
    /// Places where the journal was damaged; the good records around them are kept.
    pub journal_damage: u64,
    /// Runs before this one.
    pub earlier_runs: u64,
}

impl Checked {
    /// Checks everything that concerns the whole run. Nothing is sent; unless it is a dry run, the journal is created and
    /// locked.
    pub fn new(options: RunOptions) -> Result<Self, CheckError> {
        let spool_dir = match &options.output {
            Some(output) => disk::parent(output),
            None => std::env::temp_dir(),
        };
        let paths = options.output.as_deref().map(OutputPaths::beside);
        if let Some(paths) = &paths {
            paths.check(&options.inputs)?;
        }
        let mut lock = paths.as_ref().map(|paths| take_lock(paths, &options)).transpose()?.flatten();
        match Self::look(options, paths, &spool_dir, &mut lock) {
            Ok(checked) => Ok(checked),
            Err(error) => {
                if let Some(lock) = lock {
                    lock.abandon();
                }
                Err(error)
            }
        }
    }

    fn look(
        options: RunOptions,
        paths: Option<OutputPaths>,
        spool_dir: &Path,
        lock: &mut Option<JournalLock>,
    ) -> Result<Self, CheckError> {
        let inputs = Inputs::open(&options.inputs, &options.defaults, spool_dir)?;
        let index = inputs.index()?;
        let mut standing = Standing::new(index.len(), options.accept_changes);
        choose(options.selection, &index, &mut standing);
        let files = match paths {
            Some(paths) if options.fresh => {
                let clean = Cleaning::default();
                Some(Existing { paths, lock: None, past: Past::default(), output: clean, errors: clean })
            }
            Some(paths) => Some(look_at_files(paths, lock.as_ref(), &index, &mut standing)?),
            None => None,
        };
        let report = report(&index, &standing, files.as_ref());
        if standing.edited() > 0 {
            let (id, place) = inputs.name(standing.first_edited().unwrap_or_default())?;
            return Err(CheckError::Edited { count: standing.edited(), id, place });
        }
        let files = files.map(|files| Existing { lock: lock.take(), ..files });
        Ok(Self { options, inputs, index, standing, files, report })
    }

    /// What was found.
    pub fn report(&self) -> Report {
        self.report
    }

    /// The files that the run writes, if it writes files.
    pub fn paths(&self) -> Option<&OutputPaths> {
        self.files.as_ref().map(|files| &files.paths)
    }

    /// Ends it here: a journal that was created for this run goes away again.
    pub fn abandon(self) {
        if let Some(lock) = self.files.and_then(|files| files.lock) {
            lock.abandon();
        }
    }
}

fn take_lock(paths: &OutputPaths, options: &RunOptions) -> Result<Option<JournalLock>, CheckError> {
    let lock = match options.dry_run {
        true => JournalLock::take_existing(&paths.journal)?,
        false if !options.fresh && !paths.journal.exists() => {
            if let Some(output) =
                [&paths.output, &paths.errors].into_iter().find(|path| holds_something(path))
            {
                return Err(CheckError::OutputExists { output: output.clone() });
            }
            Some(JournalLock::take(&paths.journal, paths.jsonl)?)
        }
        false => Some(JournalLock::take(&paths.journal, paths.jsonl)?),
    };
    Ok(lock)
}

fn holds_something(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.len() > 0)
}

fn choose(selection: Selection, index: &Index, standing: &mut Standing) {
    match selection {
        Selection::All => (0..index.len()).for_each(|number| standing.choose(number)),
        Selection::First(most) => (0..index.len().min(most)).for_each(|number| standing.choose(number)),
        Selection::Sample(most) => {
            index.shuffled().take(most as usize).for_each(|number| standing.choose(number));
        }
    }
}

fn look_at_files(
    paths: OutputPaths,
    lock: Option<&JournalLock>,
    index: &Index,
    standing: &mut Standing,
) -> Result<Existing, CheckError> {
    let mut past = Past::default();
    if let Some(lock) = lock {
        let read = read_journal(lock, index, standing, &mut past);
        read.map_err(|source| CheckError::journal(&paths.journal, source))?;
    }
    let mut look = |path: &Path, place| {
        let found = examine(path, place, index, standing, &past.unsettled);
        found.map_err(|source| CheckError::file(path, source))
    };
    let output = look(&paths.output, Place::Output)?;
    let errors = look(&paths.errors, Place::Errors)?;
    let in_doubt = past.doubtful.union(&past.unsettled);
    past.lost = in_doubt.filter(|key| !standing.is_seen(index, **key)).count() as u64;
    Ok(Existing { paths, lock: None, past, output, errors })
}

fn read_journal(
    lock: &JournalLock,
    index: &Index,
    standing: &mut Standing,
    past: &mut Past,
) -> std::io::Result<()> {
    let mut sent = Keys::default();
    let mut unsettled = VecDeque::new(); // Where each record is, and whose.
    let scan = lock.read(|offset, record| match record {
        Record::Header { .. } | Record::Holder { .. } => {}
        Record::Session { .. } => {
            // A session begins only after everything before it is on disk, or is gone.
            past.doubtful.extend(unsettled.drain(..).map(|(_, key): (u64, u64)| key));
            past.settled = offset;
            past.sessions += 1;
        }
        Record::Sent { id, .. } => {
            sent.insert(id.key());
        }
        Record::Returned { id, .. } => {
            sent.remove(&id.key());
        }
        Record::Done { id, content, line, ok } => {
            sent.remove(&id.key());
            unsettled.push_back((offset, id.key()));
            standing.note(index, id, content, line, ok);
        }
        Record::Settled { until } => {
            while unsettled.front().is_some_and(|(at, _)| *at < until) {
                unsettled.pop_front();
            }
            past.settled = past.settled.max(until.min(offset));
        }
    })?;
    past.unsettled = unsettled.into_iter().map(|(_, key)| key).collect();
    past.in_flight = sent.len() as u64;
    let repaired = u64::from(lock.was_repaired());
    (past.end, past.damaged, past.torn) = (scan.end, scan.damaged + repaired, scan.torn);
    Ok(())
}

fn report(index: &Index, standing: &Standing, files: Option<&Existing>) -> Report {
    let count = standing.count();
    let mut report = Report {
        jobs: u64::from(index.len()),
        chosen: count.jobs,
        done: count.done,
        retried: count.failed,
        edited: count.edited,
        missing: count.missing,
        strangers: standing.strangers(),
        ..Report::default()
    };
    if let Some(Existing { past, output, errors, .. }) = files {
        // What was lost on the way to the disk was in flight; what got there and is gone is missing.
        report.in_flight = past.in_flight + past.lost;
        report.missing = report.missing.saturating_sub(past.lost);
        report.foreign = output.dropped + errors.dropped;
        report.journal_damage = past.damaged + u64::from(past.torn > 0);
        report.earlier_runs = past.sessions;
    }
    report
}
