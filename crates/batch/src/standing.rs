//! How every job stands: what the journal says of it, and whether its line was found.
//!
//! A byte for each job, and four more for the checksum of its line once there are results of an earlier run.

use std::collections::HashMap;

use crate::input::Index;
use crate::journal::{ContentHash, IdHash, LineSum};

const RECORDED: u8 = 1; // The journal has a final record of the job.
const OK: u8 = 2; // The last one says it succeeded.
const SAME: u8 = 4; // The job's content is what it was then.
const SEEN: u8 = 8; // The line that the record speaks of is where it belongs.
const CHOSEN: u8 = 16; // The job is to be run, if it isn't done.

/// One of the two files that hold results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Output,
    Errors,
}

impl Place {
    fn holds(self, ok: bool) -> bool {
        ok == (self == Place::Output)
    }
}

/// How one job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It has no line.
    Pending,
    /// It succeeded.
    Done,
    /// It succeeded, and was edited since.
    Edited,
    /// It failed.
    Failed,
}

/// A job that is no longer in the input. What it got is kept.
#[derive(Debug)]
struct Stranger {
    line: u32,
    ok: bool,
    seen: bool,
}

/// How all jobs stand.
#[derive(Debug)]
pub(crate) struct Standing {
    flags: Vec<u8>,
    lines: Vec<u32>, // Empty until there is a line to remember.
    strangers: HashMap<u64, Stranger>,
    accept_changes: bool,
}

/// The jobs, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) jobs: u64,
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) pending: u64,
    /// Among the pending: they succeeded once, and were edited since.
    pub(crate) edited: u64,
    /// Among the pending: the journal has a record, but the line is not there.
    pub(crate) missing: u64,
}

impl Standing {
    /// Jobs that nothing is known of. With `accept_changes`, lines of jobs that were edited since don't count.
    pub(crate) fn new(jobs: u32, accept_changes: bool) -> Self {
        let strangers = HashMap::new();
        Self { flags: vec![0; jobs as usize], lines: Vec::new(), strangers, accept_changes }
    }

    /// Takes note of a record of the journal.
    pub(crate) fn note(&mut self, index: &Index, id: IdHash, content: ContentHash, line: LineSum, ok: bool) {
        let Some(number) = index.find(id.key()) else {
            self.strangers.insert(id.key(), Stranger { line: line.short(), ok, seen: false });
            return;
        };
        let same = index.is_content(number, content);
        self.write(number, line, ok, same, false);
    }

    /// A job of this run has got its line.
    pub(crate) fn settle(&mut self, number: u32, line: LineSum, ok: bool) {
        // Only where lines may have to be taken out again is there anything to compare them with.
        match self.lines.is_empty() {
            true => self.flag(number, ok, true, true),
            false => self.write(number, line, ok, true, true),
        }
    }

    fn write(&mut self, number: u32, line: LineSum, ok: bool, same: bool, seen: bool) {
        if self.lines.is_empty() {
            self.lines = vec![0; self.flags.len()];
        }
        self.lines[number as usize] = line.short();
        self.flag(number, ok, same, seen);
    }

    fn flag(&mut self, number: u32, ok: bool, same: bool, seen: bool) {
        let flags = &mut self.flags[number as usize];
        *flags = *flags & CHOSEN | RECORDED;
        for (set, flag) in [(ok, OK), (same, SAME), (seen, SEEN)] {
            if set {
                *flags |= flag;
            }
        }
    }

    /// The line belongs where it is; of several equal ones only the first.
    pub(crate) fn claim(&mut self, index: &Index, key: u64, line: LineSum, place: Place) -> bool {
        let Some(number) = index.find(key) else {
            let Some(stranger) = self.strangers.get_mut(&key) else { return false };
            let fits = stranger.line == line.short() && place.holds(stranger.ok) && !stranger.seen;
            stranger.seen |= fits;
            return fits;
        };
        let flags = &mut self.flags[number as usize];
        let known = *flags & RECORDED != 0 && self.lines.get(number as usize) == Some(&line.short());
        let stale = *flags & (OK | SAME) == OK && self.accept_changes;
        if !known || stale || !place.holds(*flags & OK != 0) || *flags & SEEN != 0 {
            return false;
        }
        *flags |= SEEN;
        true
    }

    /// The file is about to be read again.
    pub(crate) fn forget_seen(&mut self, place: Place) {
        for flags in self.flags.iter_mut().filter(|flags| place.holds(**flags & OK != 0)) {
            *flags &= !SEEN;
        }
        for stranger in self.strangers.values_mut().filter(|stranger| place.holds(stranger.ok)) {
            stranger.seen = false;
        }
    }

    /// The line of the job with this key has been found.
    pub(crate) fn is_seen(&self, index: &Index, key: u64) -> bool {
        match index.find(key) {
            Some(number) => self.flags[number as usize] & SEEN != 0,
            None => self.strangers.get(&key).is_some_and(|stranger| stranger.seen),
        }
    }

    /// How a job stands.
    pub(crate) fn state(&self, number: u32) -> State {
        match self.flags[number as usize] & (RECORDED | SEEN | OK | SAME) {
            flags if flags & (RECORDED | SEEN) != RECORDED | SEEN => State::Pending,
            flags if flags & OK == 0 => State::Failed,
            flags if flags & SAME == 0 => State::Edited,
            _ => State::Done,
        }
    }

    /// Chooses a job to be run, if it isn't done.
    pub(crate) fn choose(&mut self, number: u32) {
        self.flags[number as usize] |= CHOSEN;
    }

    /// The job was chosen.
    pub(crate) fn is_chosen(&self, number: u32) -> bool {
        self.flags[number as usize] & CHOSEN != 0
    }

    /// The chosen jobs, counted.
    pub(crate) fn count(&self) -> Count {
        let mut count = Count::default();
        for number in (0..self.flags.len() as u32).filter(|number| self.is_chosen(*number)) {
            count.jobs += 1;
            match self.state(number) {
                State::Done => count.done += 1,
                State::Failed => count.failed += 1,
                State::Edited | State::Pending => {
                    count.pending += 1;
                    match self.flags[number as usize] & (RECORDED | OK | SAME) {
                        flags if flags == RECORDED | OK => count.edited += 1,
                        flags if flags & RECORDED != 0 => count.missing += 1,
                        _ => {}
                    }
                }
            }
        }
        count
    }

    /// The first job that is done and was edited since.
    pub(crate) fn first_edited(&self) -> Option<u32> {
        (0..self.flags.len() as u32).find(|number| self.state(*number) == State::Edited)
    }

    /// All jobs edited since, chosen or not.
    pub(crate) fn edited(&self) -> u64 {
        (0..self.flags.len() as u32).filter(|number| self.state(*number) == State::Edited).count() as u64
    }

    /// Jobs that are no longer in the input.
    pub(crate) fn strangers(&self) -> u64 {
        self.strangers.len() as u64
    }
}
