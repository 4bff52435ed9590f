//! The one thread that writes: what has queued up, in one transaction; again and again while the disk fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Statement};
use tokio::sync::oneshot;

use crate::insert::Insert;
use crate::ledger::Shared;
use crate::queue::MOST_QUEUED;
use crate::record::Entry;
use crate::schema;

/// Rows are on disk this long after the fact, and what a commit takes: a kill loses no more. Commits that are four times as far
/// apart would cost a row a quarter less, and lose three times as many. Who waits for a row does not wait for this.
pub const WINDOW: Duration = Duration::from_millis(50);
/// Between two tries while nothing can be written.
const TRY_EVERY: Duration = Duration::from_secs(1);
/// Between two looks at what has become too old.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// Rows that are taken out at once; more follow with the next commits.
const PRUNE_STEP: i64 = 500;

/// By their ids, so that a clock that was set back keeps rows for longer and never for less.
const PRUNE: &str = "
    DELETE FROM request WHERE id IN (SELECT id FROM request WHERE id < ?1 ORDER BY id LIMIT ?2)";

/// Writes until the queue ends.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    connection: Option<Connection>,
    /// Taken from the queue and not yet on disk.
    backlog: Vec<Arc<Entry>>,
    prune_at: Instant,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, connection: Connection) -> Self {
        Self { shared, connection: Some(connection), backlog: Vec::new(), prune_at: Instant::now() }
    }

    pub(crate) fn run(mut self) {
        let mut is_last_try = false;
        loop {
            // After a failure a connection is not trusted any more.
            let path = &self.shared.options.path;
            let served = match self.connection.take().map_or_else(|| schema::open(path), Ok) {
                Ok(connection) => self.serve(&connection).map_err(|error| error.to_string()),
                Err(error) => Err(chain(&error)),
            };
            let Err(why) = served else { return };
            self.shared.counts.set_failing(why.replace('\n', " "));
            self.give_up_waiting();
            if is_last_try {
                self.shared.counts.add_dropped(self.backlog.len());
                return;
            }
            is_last_try = self.shared.queue.rest(TRY_EVERY);
        }
    }

    /// Writes to `connection` until the queue ends, or writing fails.
    fn serve(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let mut insert = Insert::prepare(connection)?;
        let mut prune = connection.prepare(PRUNE)?;
        loop {
            if self.backlog.is_empty() {
                let taken = self.shared.queue.take(PRUNE_EVERY, WINDOW);
                if taken.ended && taken.entries.is_empty() {
                    return Ok(());
                }
                self.backlog = taken.entries;
                // Requests end in any order; pages fill up as they should, and are found quickly, in the order of ids.
                self.backlog.sort_unstable_by_key(|entry| entry.id);
            }
            self.commit(connection, &mut insert, &mut prune)?;
        }
    }

    /// Writes the backlog, and takes out a little of what is too old.
    fn commit(
        &mut self,
        connection: &Connection,
        insert: &mut Insert<'_>,
        prune: &mut Statement<'_>,
    ) -> rusqlite::Result<()> {
        let now = Instant::now();
        let prunes = self.prune_at <= now;
        if self.backlog.is_empty() && !prunes {
            return Ok(());
        }
        let transaction = connection.unchecked_transaction()?;
        let mut waiters = Vec::new();
        insert.write(&self.backlog, |state| {
            state.queued = false;
            waiters.extend(state.waiter.take());
        })?;
        let mut removed = 0;
        if prunes {
            let oldest = self.shared.now().saturating_sub(self.shared.options.retention);
            removed = prune.execute([schema::first_id(connection, oldest)?, PRUNE_STEP])?;
        }
        transaction.commit()?;
        if prunes && removed < PRUNE_STEP as usize {
            self.prune_at = now + PRUNE_EVERY;
        }
        self.shared.counts.add_written(self.backlog.len());
        self.backlog.clear();
        for waiter in waiters {
            // Whoever has gone away meanwhile need not be told.
            let _ = waiter.send(());
        }
        Ok(())
    }

    /// Nobody waits for a disk that fails. What has queued up is kept as far as there is room.
    fn give_up_waiting(&mut self) {
        self.backlog.append(&mut self.shared.queue.take(Duration::ZERO, Duration::ZERO).entries);
        let lost = self.backlog.len().saturating_sub(MOST_QUEUED);
        self.backlog.truncate(MOST_QUEUED);
        self.shared.counts.add_dropped(lost);
        for entry in &self.backlog {
            drop::<Option<oneshot::Sender<()>>>(entry.lock().waiter.take());
        }
    }
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
