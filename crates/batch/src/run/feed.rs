//! The second pass over the input: reads the lines of jobs that are still to be done, as fast as they are wanted.

use std::collections::VecDeque;
use std::sync::Arc;

use paceline_wire::line::{self, Defaults, Family, Line, Outcome, result_line};
use tokio::sync::mpsc;

use crate::commit::Finished;
use crate::control::{Control, Level};
use crate::input::{Index, Inputs, LONGEST_LINE, RawJob};
use crate::journal::{ContentHash, IdHash};
use crate::shown::shown;
use crate::stop::StopReason;

/// Jobs handed on at once.
const CHUNK_JOBS: usize = 64;
/// A chunk is handed on when it weighs this much.
const CHUNK_BYTES: usize = 1 << 20;
/// Chunks that wait for the run.
const CHUNKS_AHEAD: usize = 2;

/// Some jobs, in the order of the input.
pub(super) type Chunk = VecDeque<Prepared>;

/// A job that has been read.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    pub(super) number: u32,
    pub(super) id: String,
    pub(super) content: ContentHash,
    /// What to send, or why the line can't be.
    pub(super) task: Result<Arc<Line>, String>,
}

impl Prepared {
    /// What it takes of the room for jobs under way.
    pub(super) fn weight(&self) -> usize {
        self.task.as_ref().map_or(0, |line| line.body.len())
    }

    /// The final line of a job whose line can't be sent.
    pub(super) fn refused(&self) -> Finished {
        let message = self.task.as_ref().err().map_or("", String::as_str);
        self.finished(&Outcome::Failed { answer: None, code: "invalid_line", message })
    }

    /// The final line of a job.
    pub(super) fn finished(&self, outcome: &Outcome<'_>) -> Finished {
        let family = self.task.as_ref().map_or(Family::OpenAiBatch, |line| line.family);
        Finished {
            number: self.number,
            id: IdHash::of(&self.id),
            content: self.content,
            ok: matches!(outcome, Outcome::Succeeded(_)),
            line: result_line(family, &self.id, outcome),
            held: None,
        }
    }
}

/// Jobs to come.
pub(super) struct Feed {
    pub(super) chunks: mpsc::Receiver<Chunk>,
}

impl Feed {
    /// Starts reading. `todo` tells the numbers of the jobs that are wanted.
    pub(super) fn start(
        inputs: Inputs,
        index: Arc<Index>,
        todo: Vec<u64>,
        defaults: Defaults,
        control: Control,
    ) -> Self {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD);
        let reader = Reader { inputs, index, todo, defaults, sender, chunk: Chunk::new(), bytes: 0 };
        let failed = control.clone();
        // A thread of its own, which ends when the receiver is closed: reading may block for long.
        let spawned = std::thread::Builder::new().name("paceline-input".to_owned()).spawn(move || {
            if let Err(reason) = reader.read() {
                control.end(Level::Draining, reason);
            }
        });
        if let Err(error) = spawned {
            failed.end(Level::Draining, StopReason::Internal { message: error.to_string() });
        }
        Self { chunks }
    }
}

struct Reader {
    inputs: Inputs,
    index: Arc<Index>,
    todo: Vec<u64>,
    defaults: Defaults,
    sender: mpsc::Sender<Chunk>,
    chunk: Chunk,
    bytes: usize,
}

impl Reader {
    fn read(mut self) -> Result<(), StopReason> {
        let inputs = self.inputs.clone();
        let mut jobs = inputs.jobs();
        let mut number = 0;
        let input = |error: crate::error::CheckError| StopReason::Input { message: chain(&error) };
        while let Some(raw) = jobs.next().map_err(input)? {
            if self.is_wanted(number) {
                let place = inputs.place(&raw);
                let job = self.prepare(number, &raw, &place)?;
                self.bytes += job.weight();
                self.chunk.push_back(job);
                let full = self.chunk.len() >= CHUNK_JOBS || self.bytes >= CHUNK_BYTES;
                if full && !self.hand_on() {
                    return Ok(());
                }
            }
            number += 1;
        }
        if number < self.index.len() {
            return Err(StopReason::InputChanged { place: "the input".to_owned() });
        }
        self.hand_on();
        Ok(())
    }

    fn is_wanted(&self, number: u32) -> bool {
        self.todo.get(number as usize / 64).is_some_and(|bits| bits >> (number % 64) & 1 == 1)
    }

    /// Hands the chunk on; false when nobody wants it any more.
    fn hand_on(&mut self) -> bool {
        self.bytes = 0;
        self.sender.blocking_send(std::mem::take(&mut self.chunk)).is_ok()
    }

    fn prepare(&self, number: u32, raw: &RawJob<'_>, place: &str) -> Result<Prepared, StopReason> {
        let id = raw.id().into_owned();
        let content = raw.content();
        // What was found to have no duplicates, and not to be done yet, must still be what is there.
        let same =
            self.index.find(IdHash::of(&id).key()) == Some(number) && self.index.is_content(number, content);
        if !same {
            return Err(StopReason::InputChanged { place: place.to_owned() });
        }
        let task = read_job(raw, &id, &self.defaults).map(Arc::new);
        let task = task.map_err(|reason| format!("{place}: {reason}"));
        Ok(Prepared { number, id, content, task })
    }
}

/// The line of the job `id`, ready to be sent, or why it can't be.
pub(crate) fn read_job(raw: &RawJob<'_>, id: &str, defaults: &Defaults) -> Result<Line, String> {
    if raw.cut {
        return Err(format!("the line is longer than {} MiB", LONGEST_LINE >> 20));
    }
    let read = if raw.text { line::from_text } else { line::read };
    let line = read(raw.bytes, raw.number, defaults).map_err(|error| chain(&error))?;
    let line = line.ok_or_else(|| "the line is blank".to_owned())?;
    match line.id == id {
        true => Ok(line),
        false => Err(format!("the id is not clear: `{}` or `{}`", shown(id), shown(&line.id))),
    }
}

/// An error with its causes, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}
