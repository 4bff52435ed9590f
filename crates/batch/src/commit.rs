//! Makes results durable, many at once.
//!
//! One thread does nothing else. It takes whatever results have come in while it was busy, appends their records to the
//! journal and their lines to the results files, and syncs each file once: an `fsync` for each result would allow a few
//! hundred a second. A result is announced only after that. Whatever fails ends the run at once, and nothing is written or
//! synced again: after a failed `fsync` a second one may lie.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::control::{Control, Level};
use crate::journal::{ContentHash, IdHash, Journal, LineSum, Record};
use crate::output::Appender;
use crate::shown::shown_path;
use crate::stop::StopReason;

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

/// The files of a run.
pub(crate) struct Files {
    pub(crate) journal: Arc<Journal>,
    pub(crate) output: Appender,
    pub(crate) errors_path: PathBuf,
    /// Opened when the first job fails.
    pub(crate) errors: Option<Appender>,
}

/// The thread that commits.
pub(crate) struct Committer {
    /// Takes results. Their number is bounded by the jobs that are under way.
    pub(crate) results: Sender<Finished>,
    /// Announces groups that are durable.
    pub(crate) committed: UnboundedReceiver<Vec<Committed>>,
    thread: JoinHandle<()>,
}

impl Committer {
    /// Starts the thread.
    pub(crate) fn start(sink: Sink, control: Control) -> io::Result<Self> {
        let (results, inbox) = channel();
        let (outbox, committed) = unbounded_channel();
        let thread = std::thread::Builder::new().name("paceline-commit".to_owned()).spawn(move || {
            let until_said = outbox.clone(); // The end of announcements is not to be seen before its reason.
            if let Err(Broken { reason }) = (Worker { sink, inbox, outbox, unsettled: false }).work(&control)
            {
                control.end(Level::Stopped, reason);
            }
            drop(until_said);
        })?;
        Ok(Self { results, committed, thread })
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
}

struct Worker {
    sink: Sink,
    inbox: Receiver<Finished>,
    outbox: UnboundedSender<Vec<Committed>>,
    unsettled: bool, // A group was synced that no record calls settled yet.
}

impl Worker {
    fn work(mut self, control: &Control) -> Result<(), Broken> {
        loop {
            let group = match self.inbox.recv_timeout(GROUP_WINDOW) {
                Ok(first) => self.gather(first),
                Err(RecvTimeoutError::Timeout) => Vec::new(),
                Err(RecvTimeoutError::Disconnected) => return self.close(control),
            };
            match &mut self.sink {
                Sink::Files(files) => files.commit(&group, &mut self.unsettled)?,
                Sink::Stream(stream) => print(stream, &group)?,
            }
            if !group.is_empty() {
                // Nobody listens any more when the run was dropped.
                let _ = self.outbox.send(group.iter().map(Committed::of).collect());
            }
        }
    }

    fn gather(&self, first: Finished) -> Vec<Finished> {
        let mut bytes = first.line.len();
        let mut group = vec![first];
        while bytes < GROUP_BYTES {
            let Ok(next) = self.inbox.try_recv() else { break };
            bytes += next.line.len();
            group.push(next);
        }
        group
    }

    /// Leaves the journal saying that everything is on disk, unless something has broken meanwhile.
    fn close(mut self, control: &Control) -> Result<(), Broken> {
        let broken = matches!(control.reason(), Some(StopReason::Disk { .. }));
        match &mut self.sink {
            Sink::Files(files) if !broken => files.settle(self.unsettled),
            _ => Ok(()),
        }
    }
}

impl Committed {
    fn of(finished: &Finished) -> Self {
        let line = finished.line.strip_suffix(b"\n").unwrap_or(&finished.line);
        Self { number: finished.number, ok: finished.ok, line: LineSum::of(line) }
    }
}

impl Files {
    fn commit(&mut self, group: &[Finished], unsettled: &mut bool) -> Result<(), Broken> {
        let journal = self.journal.clone();
        let journal_broken = || Broken::at(journal.path());
        if group.is_empty() {
            // Only jobs that were sent: they are to be known, should the power fail.
            return if journal.is_unsynced() { journal.sync().map_err(journal_broken()) } else { Ok(()) };
        }
        let mut records = Vec::new();
        if *unsettled {
            records.extend(Record::Settled.encode());
        }
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        for finished in group {
            let Finished { id, content, ok, .. } = *finished;
            let line = Committed::of(finished).line;
            records.extend(Record::Done { id, content, line, ok }.encode());
            (if ok { &mut good } else { &mut bad }).extend_from_slice(&finished.line);
        }
        // Records first: lines that no record speaks of would be taken out again.
        journal.append(&records).map_err(journal_broken())?;
        append(&mut self.output, &good)?;
        if !bad.is_empty() {
            append(self.errors()?, &bad)?;
        }
        journal.sync().map_err(journal_broken())?;
        *unsettled = true;
        Ok(())
    }

    fn errors(&mut self) -> Result<&mut Appender, Broken> {
        let appender = match self.errors.take() {
            Some(appender) => appender,
            None => Appender::open(&self.errors_path).map_err(Broken::at(&self.errors_path))?,
        };
        Ok(self.errors.insert(appender))
    }

    fn settle(&self, unsettled: bool) -> Result<(), Broken> {
        if unsettled {
            self.journal.append(&Record::Settled.encode()).map_err(Broken::at(self.journal.path()))?;
        }
        match self.journal.is_unsynced() {
            true => self.journal.sync().map_err(Broken::at(self.journal.path())),
            false => Ok(()),
        }
    }
}

/// Appends lines and brings them to the disk.
fn append(file: &mut Appender, lines: &[u8]) -> Result<(), Broken> {
    if lines.is_empty() {
        return Ok(());
    }
    let written = file.append(lines).and_then(|()| file.sync());
    written.map_err(Broken::at(file.path()))
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
