//! Rows into the table: many by one statement, and of each only what differs from the one before in its place.

use std::sync::Arc;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Statement};

use crate::record::{Entry, State};
use crate::row::{COLUMNS, Row};

/// Rows of one statement, as far as there are so many: it sets out and ends once for all of them.
const MANY: usize = 8;

/// Writes rows, whether they are there already or not.
pub(crate) struct Insert<'c> {
    many: Bound<'c>,
    one: Bound<'c>,
}

/// A statement, and what its parameters stand for. They keep that when it has run, so that it is enough to bind what differs:
/// most requests have their caller, model, upstream and kind of end in common with the one before.
struct Bound<'c> {
    statement: Statement<'c>,
    values: Vec<Value>,
}

enum Value {
    Null,
    Integer(i64),
    Text(Vec<u8>),
}

impl<'c> Insert<'c> {
    pub(crate) fn prepare(connection: &'c Connection) -> rusqlite::Result<Self> {
        Ok(Self { many: Bound::prepare(connection, MANY)?, one: Bound::prepare(connection, 1)? })
    }

    /// Writes `entries` as they are now, and tells `taken` of each before it can change again.
    pub(crate) fn write(
        &mut self,
        entries: &[Arc<Entry>],
        mut taken: impl FnMut(&mut State),
    ) -> rusqlite::Result<()> {
        for entries in entries.chunks(MANY) {
            if entries.len() == MANY {
                self.many.write(entries, &mut taken)?;
            } else {
                entries.chunks(1).try_for_each(|entry| self.one.write(entry, &mut taken))?;
            }
        }
        Ok(())
    }
}

impl<'c> Bound<'c> {
    fn prepare(connection: &'c Connection, rows: usize) -> rusqlite::Result<Self> {
        let row = format!("({})", ["?"; COLUMNS].join(", "));
        let all = vec![row; rows].join(", ");
        // One that was written when it went out is replaced whole. So writing twice does no harm, as it happens after a commit
        // that failed.
        let statement = connection.prepare(&format!("INSERT OR REPLACE INTO request VALUES {all}"))?;
        let values = std::iter::repeat_with(|| Value::Null).take(rows * COLUMNS).collect();
        Ok(Self { statement, values })
    }

    /// As many as there are places.
    fn write(&mut self, entries: &[Arc<Entry>], taken: &mut impl FnMut(&mut State)) -> rusqlite::Result<()> {
        for (place, entry) in entries.iter().enumerate() {
            let mut state = entry.lock();
            self.bind(place * COLUMNS, &state.row)?;
            taken(&mut state);
        }
        self.statement.raw_execute()?;
        Ok(())
    }

    fn bind(&mut self, first: usize, row: &Row) -> rusqlite::Result<()> {
        let values = &mut self.values[first..first + COLUMNS];
        // SQLite counts from 1.
        for (place, (old, new)) in (first + 1..).zip(values.iter_mut().zip(&row.values())) {
            if !old.is(new) {
                self.statement.raw_bind_parameter(place, ToSqlOutput::Borrowed(*new))?;
                old.set(new);
            }
        }
        Ok(())
    }
}

impl Value {
    fn is(&self, new: &ValueRef<'_>) -> bool {
        match (self, new) {
            (Value::Null, ValueRef::Null) => true,
            (Value::Integer(old), ValueRef::Integer(new)) => old == new,
            (Value::Text(old), ValueRef::Text(new)) => old == new,
            _ => false,
        }
    }

    fn set(&mut self, new: &ValueRef<'_>) {
        match (&mut *self, new) {
            (Value::Integer(old), ValueRef::Integer(new)) => *old = *new,
            (Value::Text(old), ValueRef::Text(new)) => {
                old.clear();
                old.extend_from_slice(new);
            }
            (_, ValueRef::Integer(new)) => *self = Value::Integer(*new),
            (_, ValueRef::Text(new)) => *self = Value::Text(new.to_vec()),
            _ => *self = Value::Null, // Rows have nothing else.
        }
    }
}
