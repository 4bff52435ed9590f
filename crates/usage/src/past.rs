//! Requests of the past, one by one: for whoever wants to know how they would have fared otherwise.

use std::path::Path;
use std::time::Duration;

use paceline::Priority;
use paceline_wire::FullUsage;
use rusqlite::Row;

use crate::row::{Finish, millis};
use crate::schema::{self, FileError};
use crate::spent::positive;

/// A request that was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When it came, unix time.
    pub begun: Duration,
    /// The model that it asked for.
    pub model: String,
    /// The model's name where it was sent; `None` when it was not.
    pub sent_as: Option<String>,
    /// Who served it, or failed it last.
    pub upstream: Option<String>,
    /// Who asked.
    pub caller: String,
    /// Its class.
    pub priority: Priority,
    /// How it ended.
    pub finish: Finish,
    /// What the failure or refusal meant.
    pub class: Option<String>,
    /// What it used, as far as that was told.
    pub usage: Option<FullUsage>,
    /// It may have used more than was told.
    pub in_doubt: bool,
    /// Time until its last attempt went out.
    pub waited: Option<Duration>,
    /// Time from there to the head of its answer.
    pub first_byte: Option<Duration>,
    /// Time until its end; `None` for those that have none.
    pub total: Option<Duration>,
}

/// Reads the requests of the ledger at `path` that began from `since` on and before `until` (unix time), in the order in which
/// they came, until `each` says that it is enough.
pub fn past(
    path: &Path,
    since: Duration,
    until: Duration,
    mut each: impl FnMut(Past) -> bool,
) -> Result<(), FileError> {
    let connection = schema::open_to_read(path)?;
    let query = "
        SELECT begun_ms, model, sent_as, upstream, caller, priority, finish, class, input_tokens, cache_read_tokens,
            cache_write_tokens, output_tokens, in_doubt, waited_ms, first_byte_ms, total_ms
        FROM request WHERE id >= ?1 AND begun_ms >= ?2 AND begun_ms < ?3 ORDER BY begun_ms, id";
    let mut read = || {
        let mut query = connection.prepare(query)?;
        let mut rows = query.query([schema::first_id(&connection, since)?, millis(since), millis(until)])?;
        while let Some(row) = rows.next()? {
            if !each(of_row(row)?) {
                break;
            }
        }
        Ok(())
    };
    read().map_err(|source| FileError::Sqlite { path: path.to_owned(), source })
}

fn of_row(row: &Row<'_>) -> rusqlite::Result<Past> {
    let time = |name: &str| -> rusqlite::Result<Option<Duration>> {
        let time: Option<i64> = row.get(name)?;
        Ok(time.map(positive).map(Duration::from_millis))
    };
    Ok(Past {
        begun: time("begun_ms")?.unwrap_or_default(),
        model: row.get("model")?,
        sent_as: row.get("sent_as")?,
        upstream: row.get("upstream")?,
        caller: row.get("caller")?,
        priority: priority(&row.get::<_, String>("priority")?),
        finish: finish(&row.get::<_, String>("finish")?),
        class: row.get("class")?,
        usage: usage(row)?,
        in_doubt: row.get("in_doubt")?,
        waited: time("waited_ms")?,
        first_byte: time("first_byte_ms")?,
        total: time("total_ms")?,
    })
}

fn usage(row: &Row<'_>) -> rusqlite::Result<Option<FullUsage>> {
    let tokens =
        |name: &str| -> rusqlite::Result<Option<u64>> { Ok(row.get::<_, Option<i64>>(name)?.map(positive)) };
    let Some(input_tokens) = tokens("input_tokens")? else { return Ok(None) };
    Ok(Some(FullUsage {
        input_tokens,
        cache_read_tokens: tokens("cache_read_tokens")?.unwrap_or(0),
        cache_write_tokens: tokens("cache_write_tokens")?.unwrap_or(0),
        output_tokens: tokens("output_tokens")?.unwrap_or(0),
        ..FullUsage::default()
    }))
}

fn priority(name: &str) -> Priority {
    match name {
        "interactive" => Priority::Interactive,
        "batch" => Priority::Batch,
        _ => Priority::Normal,
    }
}

/// What others have written counts as what nobody knows.
fn finish(name: &str) -> Finish {
    Finish::ALL.into_iter().find(|finish| finish.name() == name).unwrap_or(Finish::Unknown)
}
