//! The handle that requests are recorded through.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use paceline::Priority;
use paceline_wire::price::MicroUsd;

use crate::clock::Clock;
use crate::health::{Counts, Health};
use crate::queue::Queue;
use crate::record::Record;
use crate::row::{Ended, Finish, Row, shortened};
use crate::schema::{self, FileError};
use crate::spent::{self, Spent};
use crate::writer::Writer;

/// How long rows are kept unless told otherwise.
pub const RETENTION: Duration = Duration::from_secs(90 * 86_400);

/// What becomes of requests while nothing can be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// They go out all the same.
    #[default]
    Serve,
    /// They don't: none goes out that is not on record.
    Refuse,
}

/// How a ledger is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where.
    pub path: PathBuf,
    /// How long rows are kept.
    pub retention: Duration,
    /// What becomes of requests while nothing can be written.
    pub on_failure: OnFailure,
}

/// What is known of a request from its beginning.
#[derive(Clone, Debug)]
pub struct Begun {
    /// What its caller knows it by.
    pub name: String,
    /// The model that it asks for.
    pub model: String,
    /// Who asks.
    pub caller: Arc<str>,
    /// Its class.
    pub priority: Priority,
    /// The most that it is expected to cost; `None` when nobody knows the price.
    pub reserved: Option<MicroUsd>,
}

/// The usage ledger. Cheap to clone.
#[derive(Clone)]
pub struct Ledger(Arc<Shared>);

/// What clones, records and the writer share.
pub(crate) struct Shared {
    pub(crate) queue: Queue,
    pub(crate) counts: Counts,
    pub(crate) options: Options,
    clock: Clock,
    last: AtomicI64,
    ahead: AtomicBool,
    writer: Mutex<Option<JoinHandle<()>>>,
    _lock: File,
}

impl Shared {
    /// Whether requests wait until they are on record.
    pub(crate) fn is_ahead(&self) -> bool {
        self.ahead.load(Ordering::Relaxed) || self.refuses()
    }

    pub(crate) fn now(&self) -> Duration {
        self.clock.now()
    }

    /// The id of a request that began at `begun`: that time, or the one behind the last id where that is later. So the rows
    /// of a time are found by their ids, see [`schema::first_id`].
    fn id(&self, begun: Duration) -> i64 {
        let earliest = i64::try_from(begun.as_micros()).unwrap_or(i64::MAX);
        let after = |last: i64| last.saturating_add(1).max(earliest);
        let (Ok(last) | Err(last)) =
            self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(after(last)));
        after(last)
    }

    /// Whether nothing goes out that is not on record.
    pub(crate) fn refuses(&self) -> bool {
        self.options.on_failure == OnFailure::Refuse
    }
}

impl Ledger {
    /// Takes the file, which is made if need be, and begins to write. Requests that were open when an earlier process was
    /// killed are marked as such.
    pub fn open(options: Options, clock: Clock) -> Result<Self, FileError> {
        let path = options.path.clone();
        let lock = lock(&path)?;
        let connection = schema::open(&path)?;
        let fault = |source| FileError::Sqlite { path: path.clone(), source };
        connection
            .execute("UPDATE request SET finish = 'unknown' WHERE finish = 'open'", [])
            .map_err(fault)?;
        let last = "SELECT coalesce(max(id), 0) FROM request";
        let last: i64 = connection.query_row(last, [], |row| row.get(0)).map_err(fault)?;
        let shared = Arc::new(Shared {
            queue: Queue::default(),
            counts: Counts::default(),
            options,
            clock,
            last: AtomicI64::new(last),
            ahead: AtomicBool::new(false),
            writer: Mutex::new(None),
            _lock: lock,
        });
        let writer = Writer::new(shared.clone(), connection);
        let thread = std::thread::Builder::new().name("usage ledger".to_owned()).spawn(move || writer.run());
        let thread = thread.map_err(|source| FileError::Open { path: path.clone(), source })?;
        *shared.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(Self(shared))
    }

    /// A request has been taken. Nothing is written of it until it goes out or ends.
    pub fn begin(&self, begun: Begun) -> Record {
        let Begun { name, model, caller, priority, reserved } = begun;
        let priority = match priority {
            Priority::Interactive => "interactive",
            Priority::Normal => "normal",
            Priority::Batch => "batch",
        };
        let now = Instant::now();
        let begun = self.0.clock.at(now);
        let row = Row {
            id: self.0.id(begun),
            name: shortened(name),
            begun,
            model: shortened(model),
            caller,
            priority,
            reserved,
            total: None,
            ended: Ended::of(Finish::Open),
        };
        Record::new(row, now, self.0.clone())
    }

    /// Whether requests wait until they are on record before they go out, as budgets need it that outlast a kill. Always so
    /// where those are refused that cannot be recorded.
    pub fn set_ahead(&self, ahead: bool) {
        self.0.ahead.store(ahead, Ordering::Relaxed);
    }

    /// Whether a request may be taken: not while nothing can be written, where they are refused then.
    pub fn takes(&self) -> bool {
        !(self.0.refuses() && self.0.counts.is_failing())
    }

    /// How it does.
    pub fn health(&self) -> Health {
        self.0.counts.health(self.0.queue.len())
    }

    /// What budgets count since `since` (unix time), as it stands in the file.
    pub fn spent(&self, since: Duration) -> Result<Vec<Spent>, FileError> {
        spent::since(&self.0.options.path, since)
    }

    /// The time by which it is kept.
    pub fn clock(&self) -> Clock {
        self.0.clock
    }

    /// Writes what is left, and ends. Blocks until that is done. What is recorded later is lost, and counted.
    pub fn close(&self) {
        self.0.queue.end();
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // A writer that has panicked has nothing left to write with.
            drop(writer.join());
        }
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").field("path", &self.0.options.path).finish_non_exhaustive()
    }
}

/// Holds the ledger for this process alone: budgets are kept in memory, and two would each spend the whole.
fn lock(path: &Path) -> Result<File, FileError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let fault = |source: io::Error| FileError::Open { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(name).map_err(fault)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(FileError::Held { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(fault(error)),
    }
}
