//! The ground truth: one line for each call, as the provider saw it.
//!
//! Written when the call ends, flushed line by line, so that a test that kills everything still reads whole lines. Keys
//! and bodies are only ever there as hashes.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// How many calls are kept in memory; the oldest go first.
pub const MAX_KEPT: usize = 20_000;

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The whole answer was handed over.
    Completed,
    /// A limit refused it.
    Refused,
    /// It was no valid request, or had no valid key.
    Rejected,
    /// A rule of the script did something to it; see [`Record::fault`].
    Fault,
    /// The caller left before the end.
    ClientGone,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its number, from 1, in order of arrival.
    pub call: u64,
    /// When its body was there, in the provider's seconds since the start.
    pub at: f64,
    /// When it ended.
    pub end: f64,
    /// The `request-id` it was answered with.
    pub id: String,
    /// A hash of the key; empty without one.
    pub key: String,
    /// Whom it was counted for.
    pub organization: String,
    /// The part of the organisation with a limit of its own.
    pub project: Option<String>,
    /// The path.
    pub path: String,
    /// The model.
    pub model: String,
    /// [`fingerprint`] of the body.
    pub marker: String,
    /// How often this body has come, this time included.
    pub attempt: u32,
    /// It asked for a stream.
    pub stream: bool,
    /// Input tokens charged when it was admitted.
    pub input_tokens: u64,
    /// Input tokens as the answer's usage tells them: what the provider bills.
    pub prompt_tokens: u64,
    /// Output tokens produced.
    pub output_tokens: u64,
    /// The status of the answer; 0 when there was none.
    pub status: u16,
    /// The limit that refused it: `requests`, `input_tokens`, `output_tokens`, `tokens`, or `in_flight`.
    pub refused: Option<String>,
    /// What the script did to it.
    pub fault: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// A short hash that tells bodies (or keys) apart without showing them.
pub fn fingerprint(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

/// Where calls are written.
#[derive(Debug, Default)]
pub struct CallLog {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    kept: VecDeque<Record>,
    total: u64,
    file: Option<File>,
    failed: bool,
}

impl CallLog {
    /// A log in memory, and in the file if a path is given; lines are added to what is there.
    pub fn open(path: Option<&Path>) -> io::Result<CallLog> {
        let file = path.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
        Ok(CallLog { inner: Mutex::new(Inner { file, ..Inner::default() }) })
    }

    /// Adds a call. After a write that failed the file is left alone, and [`CallLog::is_whole`] says so.
    pub fn add(&self, record: Record) {
        let mut inner = self.lock();
        if let (Some(file), Ok(mut line)) = (&mut inner.file, serde_json::to_vec(&record)) {
            line.push(b'\n');
            if file.write_all(&line).is_err() {
                inner.file = None;
                inner.failed = true;
            }
        }
        if inner.kept.len() == MAX_KEPT {
            inner.kept.pop_front();
        }
        inner.kept.push_back(record);
        inner.total += 1;
    }

    /// The calls that are still in memory, in the order they ended.
    pub fn calls(&self) -> Vec<Record> {
        self.lock().kept.iter().cloned().collect()
    }

    /// How many calls have ended.
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// Every line could be written.
    pub fn is_whole(&self) -> bool {
        !self.lock().failed
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
