//! Makes results durable, many at once.
//!
//! One thread writes: the records of whatever results have come in to the journal, then their lines to the results files,
//! at once, so that a killed process loses none of them. Another one syncs, each file once for all that was written while
//! it was busy: an `fsync` for each result would allow a few hundred a second. A result is announced only after that.
//! Whatever fails ends the run at once, and nothing is written or synced again: after a failed `fsync` a second one may
//! lie.

mod files;
mod sync;
mod unwritten;

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::control::{Control, Level};
use crate::journal::{ContentHash, IdHash, LineSum};
use crate::shown::shown_path;
use crate::stop::StopReason;
pub(crate) use files::Files;
use sync::Syncer;
pub use unwritten::MOST_UNWRITTEN;
pub(crate) use unwritten::{Held, Unwritten};

/// The longest that anything written waits for its sync.
const GROUP_WINDOW: Duration = Duration::from_millis(20);
/// A group is closed when its lines weigh this much.
const GROUP_BYTES: usize = 8 << 20;

/// A job that has its final line.
#[derive(Debug)]
pub(crate) struct Finished {
    /// The job's number.
    pub(crate) number: u32,
    pub(crate) id: IdHash,
    pub(crate) content: ContentHash,
    /// It succeeded.
    pub(crate) ok: bool,
    /// The line, with its end.
    pub(crate) line: Vec<u8>,
    /// Counts it among the answers that are not written.
    #[expect(dead_code, reason = "what counts is when it is dropped")]
    pub(crate) held: Option<Held>,
}

/// A job whose line is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) number: u32,
    pub(crate) ok: bool,
    pub(crate) line: LineSum,
}

/// Where results go.
pub(crate) enum Sink {
    /// Files, durably.
    Files(Files),
    /// A stream, such as standard output. Nothing is durable there.
    Stream(Box<dyn io::Write + Send>),
}

/// What the writing thread hears.
enum Message {
    /// A job has its final line.
    Finished(Finished),
    /// A round of syncs is over.
    Synced(Result<(), Broken>),
    /// No more results come.
    End,
}

/// Takes results. Their number is bounded by the jobs that are under way.
pub(crate) struct Results(Sender<Message>);

impl Results {
    /// Hands a result over. A committer that has given up has ended the run, too.
    pub(crate) fn send(&self, finished: Finished) {
        let _ = self.0.send(Message::Finished(finished));
    }
}

impl Drop for Results {
    fn drop(&mut self) {
        let _ = self.0.send(Message::End); // One that has given up needs no telling.
    }
}

/// The threads that commit.
pub(crate) struct Committer {
    pub(crate) results: Results,
    /// Announces groups that are durable.
    pub(crate) committed: UnboundedReceiver<Vec<Committed>>,
    thread: JoinHandle<()>,
}

impl Committer {
    /// Starts the threads.
    pub(crate) fn start(sink: Sink, control: Control) -> io::Result<Self> {
        let (results, inbox) = channel();
        let (outbox, committed) = unbounded_channel();
        let syncer = Syncer::start(results.clone())?;
        let thread = std::thread::Builder::new().name("paceline-commit".to_owned()).spawn(move || {
            let until_said = outbox.clone(); // The end of announcements is not to be seen before its reason.
            let mut worker = Worker { sink, inbox, outbox, syncer, open: true };
            if let Err(broken) = worker.work(&control) {
                broken.end(&control);
            }
            worker.syncer.finish();
            drop(until_said);
        })?;
        Ok(Self { results: Results(results), committed, thread })
    }

    /// Takes no more results, and returns when the last ones are durable, or will never be.
    pub(crate) fn finish(self) -> UnboundedReceiver<Vec<Committed>> {
        drop(self.results);
        // A panic there has closed the announcements, which is all there is to know.
        let _ = self.thread.join();
        self.committed
    }
}

struct Broken {
    reason: StopReason,
}

impl Broken {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = shown_path(path);
        move |error| Self { reason: StopReason::Disk { path, error: error.to_string() } }
    }

    fn end(&self, control: &Control) {
        control.end(Level::Stopped, self.reason.clone());
    }
}

struct Worker {
    sink: Sink,
    inbox: Receiver<Message>,
    outbox: UnboundedSender<Vec<Committed>>,
    syncer: Syncer,
    /// More results may come.
    open: bool,
}

impl Worker {
    fn work(&mut self, control: &Control) -> Result<(), Broken> {
        while self.open || self.is_behind() {
            let (group, idle) = match self.inbox.recv_timeout(GROUP_WINDOW) {
                Ok(first) => (self.gather(first)?, false),
                Err(RecvTimeoutError::Timeout) => (Vec::new(), true),
                Err(RecvTimeoutError::Disconnected) => return Ok(()), // The syncer is gone: it has panicked.
            };
            let written = match &mut self.sink {
                Sink::Files(files) => files.write(&group),
                Sink::Stream(stream) => print(stream, &group),
            };
            // Said while the group still counts as unwritten: nothing more is to go out in its place.
            written.inspect_err(|broken| broken.end(control))?;
            match &mut self.sink {
                Sink::Files(files) => files.sync_written(&self.syncer, idle),
                Sink::Stream(_) => self.announce(group.iter().map(Committed::of).collect()),
            }
        }
        // Leaves the journal saying that everything is on disk, unless something has broken meanwhile.
        let broken = matches!(control.reason(), Some(StopReason::Disk { .. }));
        match &mut self.sink {
            Sink::Files(files) if !broken => files.settle(),
            _ => Ok(()),
        }
    }

    fn is_behind(&self) -> bool {
        matches!(&self.sink, Sink::Files(files) if files.is_behind())
    }

    /// Everything that has come in meanwhile.
    fn gather(&mut self, first: Message) -> Result<Vec<Finished>, Broken> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Finished(finished) => {
                    bytes += finished.line.len();
                    group.push(finished);
                }
                Message::Synced(result) => {
                    result?;
                    if let Sink::Files(files) = &mut self.sink {
                        let durable = files.synced();
                        self.announce(durable);
                    }
                }
                Message::End => self.open = false,
            }
            next = if bytes < GROUP_BYTES { self.inbox.try_recv().ok() } else { None };
        }
        Ok(group)
    }

    fn announce(&self, durable: Vec<Committed>) {
        if !durable.is_empty() {
            // Nobody listens any more when the run was dropped.
            let _ = self.outbox.send(durable);
        }
    }
}

impl Committed {
    fn of(finished: &Finished) -> Self {
        let line = finished.line.strip_suffix(b"\n").unwrap_or(&finished.line);
        Self { number: finished.number, ok: finished.ok, line: LineSum::of(line) }
    }
}

fn print(stream: &mut Box<dyn io::Write + Send>, group: &[Finished]) -> Result<(), Broken> {
    let lines: Vec<u8> = group.iter().flat_map(|finished| finished.line.iter().copied()).collect();
    match stream.write_all(&lines).and_then(|()| stream.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(Broken { reason: StopReason::PipeClosed })
        }
        Err(error) => Err(Broken::at(Path::new("standard output"))(error)),
    }
}
