//! Sums over the ledger.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use paceline_wire::price::MicroUsd;
use rusqlite::Row;

use crate::row::millis;
use crate::schema::{self, FileError};
use crate::spent::positive;

/// What requests are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The day they began, in UTC.
    Day,
    /// The model as upstreams know it; as it was asked for where none has served.
    Model,
    /// Who asked.
    Caller,
    /// Who served.
    Upstream,
    /// Whose limits were used.
    Account,
    /// Their class.
    Priority,
    /// How they ended.
    Finish,
}

impl By {
    /// All of them.
    pub const ALL: [By; 7] =
        [By::Day, By::Model, By::Caller, By::Upstream, By::Account, By::Priority, By::Finish];

    /// The name in flags and reports.
    pub fn name(self) -> &'static str {
        match self {
            By::Day => "day",
            By::Model => "model",
            By::Caller => "caller",
            By::Upstream => "upstream",
            By::Account => "account",
            By::Priority => "priority",
            By::Finish => "finish",
        }
    }

    fn column(self) -> &'static str {
        match self {
            By::Day => "strftime('%Y-%m-%d', begun_ms / 1000, 'unixepoch')",
            By::Model => "coalesce(sent_as, model)",
            By::Caller => "caller",
            By::Upstream => "coalesce(upstream, '')",
            By::Account => "coalesce(account, '')",
            By::Priority => "priority",
            By::Finish => "finish",
        }
    }
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        By::ALL.into_iter().find(|by| by.name() == text).ok_or_else(|| {
            let known = By::ALL.map(By::name).join(", ");
            format!("`{text}` is nothing to tell requests apart by; known: {known}")
        })
    }
}

/// The sums of some requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub requests: u64,
    /// Those that have their answer.
    pub done: u64,
    /// Those that an upstream failed.
    pub failed: u64,
    /// Those that we refused.
    pub refused: u64,
    /// Those whose caller left.
    pub canceled: u64,
    /// Those that are under way.
    pub open: u64,
    /// Those that were under way when a process was killed.
    pub unknown: u64,
    /// Input that no cache had to do with.
    pub input_tokens: u64,
    /// Input read from the cache.
    pub cache_read_tokens: u64,
    /// Input written to the cache.
    pub cache_write_tokens: u64,
    /// Output.
    pub output_tokens: u64,
    /// What it costs as far as prices and usage are known, in millionths of a US dollar.
    pub cost_micros: u64,
    /// What budgets count: as `cost_micros`, and what was reserved for those in doubt.
    pub charged_micros: u64,
    /// Those whose usage is known and whose price is not.
    pub unpriced: u64,
    /// Those that may have used more than was told.
    pub in_doubt: u64,
    /// Attempts that were sent.
    pub attempts: u64,
    /// Attempts that were throttled.
    pub throttled: u64,
    /// How long they waited, all together, in milliseconds.
    pub waited_ms: u64,
}

/// Requests that have something in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What, in the order that was asked for; empty where there is none.
    pub keys: Vec<String>,
    /// Their sums.
    pub totals: Totals,
}

/// What a ledger says of a span of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The groups, sorted by their keys.
    pub groups: Vec<Group>,
    /// All of them together.
    pub totals: Totals,
}

const SUMS: &str = "
    count(*), sum(finish = 'done'), sum(finish = 'failed'), sum(finish = 'refused'), sum(finish = 'canceled'),
    sum(finish = 'open'), sum(finish = 'unknown'), sum(input_tokens), sum(cache_read_tokens),
    sum(cache_write_tokens), sum(output_tokens), sum(cost_micros), sum(charged_micros),
    sum(input_tokens IS NOT NULL AND cost_micros IS NULL), sum(in_doubt), sum(attempts), sum(throttled),
    sum(waited_ms)";

const SINCE: &str = "id >= ?1 AND begun_ms >= ?2";

impl Report {
    /// Sums up the requests of the ledger at `path` that began at or after `since` (unix time).
    pub fn read(path: &Path, since: Duration, by: &[By]) -> Result<Self, FileError> {
        let connection = schema::open_to_read(path)?;
        let read = || {
            // One transaction, so that groups and totals speak of the same rows.
            let transaction = connection.unchecked_transaction()?;
            let from = [schema::first_id(&transaction, since)?, millis(since)];
            let columns: Vec<&str> = by.iter().map(|by| by.column()).collect();
            let places: Vec<String> = (1..=by.len()).map(|place| place.to_string()).collect();
            let places = places.join(", ");
            let keys: String = columns.iter().map(|column| format!("{column}, ")).collect();
            let grouped =
                format!("SELECT {keys}{SUMS} FROM request WHERE {SINCE} GROUP BY {places} ORDER BY {places}");
            let groups = match by {
                [] => Vec::new(),
                _ => transaction
                    .prepare(&grouped)?
                    .query_map(from, |row| group(row, by.len()))?
                    .collect::<rusqlite::Result<_>>()?,
            };
            let all = format!("SELECT {SUMS} FROM request WHERE {SINCE}");
            let totals = transaction.query_row(&all, from, |row| totals(row, 0))?;
            Ok(Self { groups, totals })
        };
        read().map_err(|source| FileError::Sqlite { path: path.to_owned(), source })
    }
}

fn group(row: &Row<'_>, keys: usize) -> rusqlite::Result<Group> {
    Ok(Group {
        keys: (0..keys).map(|key| row.get(key)).collect::<rusqlite::Result<_>>()?,
        totals: totals(row, keys)?,
    })
}

fn totals(row: &Row<'_>, first: usize) -> rusqlite::Result<Totals> {
    let mut column = first..;
    let mut next = || -> rusqlite::Result<u64> {
        let number: Option<i64> = row.get(column.next().unwrap_or_default())?;
        Ok(positive(number.unwrap_or(0)))
    };
    Ok(Totals {
        requests: next()?,
        done: next()?,
        failed: next()?,
        refused: next()?,
        canceled: next()?,
        open: next()?,
        unknown: next()?,
        input_tokens: next()?,
        cache_read_tokens: next()?,
        cache_write_tokens: next()?,
        output_tokens: next()?,
        cost_micros: next()?,
        charged_micros: next()?,
        unpriced: next()?,
        in_doubt: next()?,
        attempts: next()?,
        throttled: next()?,
        waited_ms: next()?,
    })
}

impl Totals {
    /// What it costs, as far as that is known.
    pub fn cost(&self) -> MicroUsd {
        MicroUsd::new(self.cost_micros)
    }

    /// All of them, by name, in the order in which programs read them.
    pub fn fields(&self) -> [(&'static str, u64); 18] {
        [
            ("requests", self.requests),
            ("done", self.done),
            ("failed", self.failed),
            ("refused", self.refused),
            ("canceled", self.canceled),
            ("open", self.open),
            ("unknown", self.unknown),
            ("input_tokens", self.input_tokens),
            ("cache_read_tokens", self.cache_read_tokens),
            ("cache_write_tokens", self.cache_write_tokens),
            ("output_tokens", self.output_tokens),
            ("cost_micros", self.cost_micros),
            ("charged_micros", self.charged_micros),
            ("unpriced", self.unpriced),
            ("in_doubt", self.in_doubt),
            ("attempts", self.attempts),
            ("throttled", self.throttled),
            ("waited_ms", self.waited_ms),
        ]
    }

    /// What budgets count beyond that.
    pub fn in_doubt_cost(&self) -> MicroUsd {
        MicroUsd::new(self.charged_micros.saturating_sub(self.cost_micros))
    }
}
