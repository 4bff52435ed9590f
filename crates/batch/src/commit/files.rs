//! The files of a run, and how far each of them is: written, being synced, on disk.

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;

use super::sync::{Round, Syncer};
use super::{Broken, Committed, Finished};
use crate::journal::{Journal, Record};
use crate::output::Appender;

/// The files of a run.
pub(crate) struct Files {
    journal: Arc<Journal>,
    output: Appender,
    errors_path: PathBuf,
    /// Opened when the first job fails.
    errors: Option<Appender>,
    /// Written since the last sync began, and where the journal ended then.
    written: Vec<Committed>,
    end: u64,
    /// What is being synced, if anything is.
    syncing: Option<(Vec<Committed>, u64)>,
    /// Synced since the last record that said so: up to here.
    settled: Option<u64>,
}

impl Files {
    pub(crate) fn new(journal: Arc<Journal>, output: Appender, errors_path: PathBuf) -> Self {
        let (written, end, syncing, settled) = (Vec::new(), 0, None, None);
        Self { journal, output, errors_path, errors: None, written, end, syncing, settled }
    }

    pub(crate) fn journal(&self) -> &Arc<Journal> {
        &self.journal
    }

    /// Something is not yet known to be on disk.
    pub(super) fn is_behind(&self) -> bool {
        !self.written.is_empty() || self.syncing.is_some()
    }

    /// Appends the results to the files.
    pub(super) fn write(&mut self, group: &[Finished]) -> Result<(), Broken> {
        if group.is_empty() {
            return Ok(());
        }
        let mut records = Vec::new();
        if let Some(until) = self.settled.take() {
            records.extend(Record::Settled { until }.encode());
        }
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for finished in group {
            let Finished { id, content, ok, .. } = *finished;
            let committed = Committed::of(finished);
            records.extend(Record::Done { id, content, line: committed.line, ok }.encode());
            (if ok { &mut good } else { &mut bad }).extend_from_slice(&finished.line);
            self.written.push(committed);
        }
        // Records first: lines that no record speaks of would be taken out again.
        self.end = self.journal.append(&records).map_err(Broken::at(self.journal.path()))?;
        append(&mut self.output, &good)?;
        if !bad.is_empty() {
            append(self.errors()?, &bad)?;
        }
        Ok(())
    }

    fn errors(&mut self) -> Result<&mut Appender, Broken> {
        let appender = match self.errors.take() {
            Some(appender) => appender,
            None => Appender::open(&self.errors_path).map_err(Broken::at(&self.errors_path))?,
        };
        Ok(self.errors.insert(appender))
    }

    /// Has everything written synced, unless a sync is under way. Jobs that were merely sent can wait until nothing else
    /// happens: they are to be known, should the power fail.
    pub(super) fn sync_written(&mut self, syncer: &Syncer, idle: bool) {
        let wanted = !self.written.is_empty() || (idle && self.journal.is_unsynced());
        if self.syncing.is_some() || !wanted {
            return;
        }
        let results = [Some(&mut self.output), self.errors.as_mut()].into_iter().flatten();
        let results = results.filter_map(Appender::take_unsynced).collect();
        syncer.begin(Round { results, journal: self.journal.clone() });
        self.syncing = Some((mem::take(&mut self.written), self.end));
    }

    /// The sync is over: what is durable now.
    pub(super) fn synced(&mut self) -> Vec<Committed> {
        let (durable, end) = self.syncing.take().unwrap_or_default();
        if !durable.is_empty() {
            self.settled = Some(end);
        }
        durable
    }

    /// Writes down that everything is on disk.
    pub(super) fn settle(&mut self) -> Result<(), Broken> {
        let journal = &self.journal;
        if let Some(until) = self.settled.take() {
            journal.append(&Record::Settled { until }.encode()).map_err(Broken::at(journal.path()))?;
        }
        match journal.is_unsynced() {
            true => journal.sync().map_err(Broken::at(journal.path())),
            false => Ok(()),
        }
    }
}

fn append(file: &mut Appender, lines: &[u8]) -> Result<(), Broken> {
    match lines.is_empty() {
        true => Ok(()),
        false => file.append(lines).map_err(Broken::at(file.path())),
    }
}
