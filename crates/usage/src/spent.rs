//! What budgets count, read back from the file after a restart.

use std::path::Path;
use std::time::Duration;

use paceline_wire::price::MicroUsd;

use crate::row::millis;
use crate::schema::{self, FileError};

/// What one caller was charged within one second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spent {
    /// Who.
    pub caller: String,
    /// When the last of these requests began, unix time.
    pub at: Duration,
    /// How much.
    pub amount: MicroUsd,
}

/// What was charged since `since`, by caller and second.
pub(crate) fn since(path: &Path, since: Duration) -> Result<Vec<Spent>, FileError> {
    let connection = schema::open_to_read(path)?;
    let query = "
        SELECT caller, max(begun_ms), sum(charged_micros) FROM request
        WHERE id >= ?1 AND begun_ms >= ?2 AND charged_micros > 0 GROUP BY caller, begun_ms / 1000 ORDER BY 2";
    let read = || {
        let mut query = connection.prepare(query)?;
        let rows = query.query_map([schema::first_id(&connection, since)?, millis(since)], |row| {
            Ok(Spent {
                caller: row.get(0)?,
                at: Duration::from_millis(positive(row.get(1)?)),
                amount: MicroUsd::new(positive(row.get(2)?)),
            })
        })?;
        rows.collect::<rusqlite::Result<_>>()
    };
    read().map_err(|source| FileError::Sqlite { path: path.to_owned(), source })
}

/// What we have written is never negative; what others have written counts as nothing then.
pub(crate) fn positive(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
