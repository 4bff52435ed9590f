//! Opens the files of a run, and leaves them tidy.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::check::{Checked, Existing, Report};
use crate::commit::{Files, Sink};
use crate::disk;
use crate::error::CheckError;
use crate::input::{Index, Inputs};
use crate::journal::Journal;
use crate::options::RunOptions;
use crate::output::{Appender, OutputPaths, examine, put_in_order, repair};
use crate::shown::shown_path;
use crate::standing::{Place, Standing, State};
use crate::stop::StopReason;

/// Everything a run needs, opened.
pub(super) struct Open {
    pub(super) options: RunOptions,
    pub(super) inputs: Inputs,
    pub(super) index: Arc<Index>,
    pub(super) standing: Standing,
    pub(super) paths: Option<OutputPaths>,
    pub(super) journal: Option<Arc<Journal>>,
    pub(super) sink: Sink,
    /// A bit for each job that is to be run.
    pub(super) todo: Vec<u64>,
}

impl Open {
    /// Repairs what the last run left, and opens what this one appends to.
    pub(super) fn files(checked: Checked, stream: Box<dyn io::Write + Send>) -> Result<Self, CheckError> {
        let Checked { options, inputs, index, mut standing, files, .. } = checked;
        let (paths, journal, sink) = match files {
            None => (None, None, Sink::Stream(stream)),
            Some(files) => {
                let paths = files.paths.clone();
                let files = open(files, &options, &index, &mut standing)?;
                (Some(paths), Some(files.journal().clone()), Sink::Files(files))
            }
        };
        let todo = todo(&standing, index.len());
        let index = Arc::new(index);
        Ok(Self { options, inputs, index, standing, paths, journal, sink, todo })
    }
}

fn todo(standing: &Standing, jobs: u32) -> Vec<u64> {
    let mut todo = vec![0_u64; (jobs as usize).div_ceil(64)];
    let wanted = |number: &u32| standing.is_chosen(*number) && standing.state(*number) != State::Done;
    for number in (0..jobs).filter(wanted) {
        todo[number as usize / 64] |= 1 << (number % 64);
    }
    todo
}

fn open(
    files: Existing,
    options: &RunOptions,
    index: &Index,
    standing: &mut Standing,
) -> Result<Files, CheckError> {
    let Existing { paths, lock, mut past, output, errors } = files;
    let mut lock =
        lock.ok_or_else(|| CheckError::journal(&paths.journal, io::Error::other("it is a dry run")))?;
    if options.fresh {
        // The journal first: results without a journal are taken out, a journal without results is repeated.
        lock.clear(paths.jsonl)?;
        for path in [&paths.output, &paths.errors] {
            remove(path).map_err(|source| CheckError::file(path, source))?;
        }
        (past.settled, past.end) = (0, lock.length()?);
    }
    for (path, place, found) in
        [(&paths.output, Place::Output, output), (&paths.errors, Place::Errors, errors)]
    {
        repair(path, place, index, standing, found).map_err(|source| CheckError::file(path, source))?;
    }
    let output = Appender::open(&paths.output).map_err(|source| CheckError::file(&paths.output, source))?;
    let journal = lock.begin(past.settled, past.end);
    let journal = Arc::new(journal.map_err(|source| CheckError::journal(&paths.journal, source))?);
    Ok(Files::new(journal, output, paths.errors))
}

/// Takes out lines that were superseded in this run, and puts the files in the input's order if that is wanted.
pub(super) fn tidy(
    paths: &OutputPaths,
    index: Arc<Index>,
    mut standing: Standing,
    ordered: bool,
    report: Report,
) -> Result<(), StopReason> {
    let broken = |path: &Path| {
        let path = shown_path(path);
        move |error: io::Error| StopReason::Disk { path, error: error.to_string() }
    };
    if report.retried > 0 {
        clean_errors(&paths.errors, &index, &mut standing).map_err(broken(&paths.errors))?;
    }
    drop(standing); // Makes room for what ordering needs.
    if ordered {
        for path in [&paths.output, &paths.errors] {
            put_in_order(path, &index).map_err(broken(path))?;
        }
    }
    Ok(())
}

fn clean_errors(path: &Path, index: &Index, standing: &mut Standing) -> io::Result<()> {
    standing.forget_seen(Place::Errors);
    let found = examine(path, Place::Errors, index, standing, &Default::default())?;
    if found.kept == 0 {
        return remove(path);
    }
    repair(path, Place::Errors, index, standing, found)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => disk::sync_parent(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
