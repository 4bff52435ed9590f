//! The file: what is in it, and whether a file is one.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use crate::row::millis;

/// The schema that this program writes. A file of a later one is left alone.
pub const SCHEMA_VERSION: i64 = 2;
/// Marks the file as ours among all SQLite files.
const APPLICATION_ID: i64 = 0x5061_634c;
/// How long a reader may hold up a write, and the other way round.
const PATIENCE: Duration = Duration::from_secs(5);

/// Times are milliseconds, unix time for `begun_ms`; money is millionths of a US dollar. Ids rise in the order in which
/// requests came, and none is less than its `begun_ms` in microseconds, however the clock was set. So no index is needed to find
/// the rows of a time.
const TABLE: &str = "
    CREATE TABLE request (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        begun_ms INTEGER NOT NULL,
        finish TEXT NOT NULL,
        class TEXT,
        model TEXT NOT NULL,
        sent_as TEXT,
        upstream TEXT,
        account TEXT,
        caller TEXT NOT NULL,
        priority TEXT NOT NULL,
        input_tokens INTEGER,
        cache_read_tokens INTEGER,
        cache_write_tokens INTEGER,
        output_tokens INTEGER,
        in_doubt INTEGER NOT NULL,
        cost_micros INTEGER,
        charged_micros INTEGER,
        waited_ms INTEGER,
        first_byte_ms INTEGER,
        total_ms INTEGER,
        attempts INTEGER NOT NULL,
        throttled INTEGER NOT NULL,
        exchange TEXT
    ) STRICT;
    CREATE INDEX request_open ON request (id) WHERE finish = 'open';
";

/// Version 1 counted its rows, and found those of a time by an index.
const FROM_1: &str = "
    BEGIN;
    DROP INDEX request_begun;
    UPDATE request SET id = later.id FROM (
        SELECT id AS counted, max(begun_ms) OVER before * 1000 + row_number() OVER before AS id
        FROM request WINDOW before AS (ORDER BY id)
    ) AS later WHERE request.id = later.counted;
    PRAGMA user_version = 2;
    COMMIT;
";

/// Why a file cannot serve as the ledger.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be opened or made.
    #[error("the usage ledger `{}` cannot be opened", .path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite says no.
    #[error("the usage ledger `{}` cannot be used", .path.display())]
    Sqlite {
        /// Which.
        path: PathBuf,
        /// What it says.
        source: rusqlite::Error,
    },
    /// It is something else.
    #[error("`{}` is no usage ledger; name another file", .path.display())]
    Foreign {
        /// Which.
        path: PathBuf,
    },
    /// A later program wrote it.
    #[error(
        "the usage ledger `{}` has version {version}, and this program knows {SCHEMA_VERSION} at most; use the newer program, or name another file",
        .path.display()
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// The version that it has.
        version: i64,
    },
    /// Another process has it.
    #[error("another process writes to the usage ledger `{}`; give each its own file", .path.display())]
    Held {
        /// Which.
        path: PathBuf,
    },
}

/// Opens the ledger to write to it; what is not there yet is made, for its owner only.
pub(crate) fn open(path: &Path) -> Result<Connection, FileError> {
    let made = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map_err(|source| FileError::Open { path: path.to_owned(), source })?;
    let fault = |source| FileError::Sqlite { path: path.to_owned(), source };
    let connection = Connection::open(path).map_err(fault)?;
    connection.busy_timeout(PATIENCE).map_err(fault)?;
    let is_new = check(&connection, path)?;
    // Readers see the last commit meanwhile; a commit that has returned outlasts a power cut.
    connection.pragma_update(None, "journal_mode", "wal").map_err(fault)?;
    connection.pragma_update(None, "synchronous", "full").map_err(fault)?;
    if is_new {
        let version =
            format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION};");
        connection.execute_batch(&format!("BEGIN; {TABLE} {version} COMMIT;")).map_err(fault)?;
    }
    if version(&connection).map_err(fault)? == 1 {
        connection.execute_batch(FROM_1).map_err(fault)?;
    }
    Ok(connection)
}

/// Opens the ledger to read it, whoever writes to it meanwhile.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, FileError> {
    let fault = |source| FileError::Sqlite { path: path.to_owned(), source };
    if let Err(source) = std::fs::metadata(path) {
        return Err(FileError::Open { path: path.to_owned(), source });
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(fault)?;
    connection.pragma_update(None, "query_only", true).map_err(fault)?;
    connection.busy_timeout(PATIENCE).map_err(fault)?;
    match check(&connection, path)? {
        true => Err(FileError::Foreign { path: path.to_owned() }),
        false => Ok(connection),
    }
}

/// The least id that a request may have that began at or after `since` (unix time). Others may have greater ones: those that
/// came after the clock had been set back.
pub(crate) fn first_id(connection: &Connection, since: Duration) -> rusqlite::Result<i64> {
    let is_by_time = 2 <= version(connection)?;
    Ok(if is_by_time { millis(since).saturating_mul(1_000) } else { i64::MIN })
}

fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Whether the file is still empty; an error when it is not ours, or newer than we are.
fn check(connection: &Connection, path: &Path) -> Result<bool, FileError> {
    let path = path.to_owned();
    let look = || {
        let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok::<_, rusqlite::Error>((application, version(connection)?, tables))
    };
    match look() {
        Ok((0, 0, 0)) => Ok(true),
        Ok((APPLICATION_ID, 1..=SCHEMA_VERSION, _)) => Ok(false),
        Ok((APPLICATION_ID, version, _)) => Err(FileError::Newer { path, version }),
        Ok(_) => Err(FileError::Foreign { path }),
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
            Err(FileError::Foreign { path })
        }
        Err(source) => Err(FileError::Sqlite { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn a_new_file_is_made_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        assert!(matches!(open_to_read(&path), Err(FileError::Open { .. })));
        let connection = open(&path).unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            assert_eq!(entry.unwrap().metadata().unwrap().mode() & 0o777, 0o600);
        }
        assert!(open_to_read(&path).is_ok());
        drop(connection);
        assert!(open(&path).is_ok());
    }

    #[test]
    fn other_files_are_left_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text");
        fs::write(&text, "not a database at all, but quite some text".repeat(100)).unwrap();
        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x);").unwrap();
        for path in [text, other] {
            let before = fs::read(&path).unwrap();
            assert!(matches!(open(&path), Err(FileError::Foreign { .. })), "{path:?}");
            assert!(matches!(open_to_read(&path), Err(FileError::Foreign { .. })), "{path:?}");
            assert_eq!(fs::read(&path).unwrap(), before);
        }
    }

    /// Version 1 of a file, in which the clock was set back before the third request.
    fn of_version_1(path: &Path) {
        let connection = open(path).unwrap();
        let rows = [(1, 5_000), (2, 7_000), (7, 6_000), (9, 8_000)].map(|(id, begun)| {
            format!(
                "INSERT INTO request (id, name, begun_ms, finish, model, caller, priority, in_doubt, attempts, throttled)
                VALUES ({id}, 'r{id}', {begun}, 'done', 'm', 'ci', 'normal', 0, 1, 0);"
            )
        });
        let sql = format!(
            "{} CREATE INDEX request_begun ON request (begun_ms); PRAGMA user_version = 1;",
            rows.concat()
        );
        connection.execute_batch(&sql).unwrap();
    }

    #[test]
    fn a_file_of_version_1_is_read_as_it_is_and_brought_up_to_date_when_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        of_version_1(&path);
        let since = |connection: &Connection| -> Vec<(i64, String)> {
            let first = first_id(connection, Duration::from_secs(6)).unwrap();
            let query = "SELECT id, name FROM request WHERE id >= ?1 AND begun_ms >= 6000 ORDER BY id";
            let mut query = connection.prepare(query).unwrap();
            let rows = query.query_map([first], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.map(Result::unwrap).collect()
        };
        let named = |names: [(i64, &str); 3]| names.map(|(id, name)| (id, name.to_owned())).to_vec();
        let reader = open_to_read(&path).unwrap();
        assert_eq!(since(&reader), named([(2, "r2"), (7, "r7"), (9, "r9")]));
        for _ in 0..2 {
            let connection = open(&path).unwrap();
            assert_eq!(version(&connection).unwrap(), SCHEMA_VERSION);
            let ids = [(7_000_002, "r2"), (7_000_003, "r7"), (8_000_004, "r9")];
            assert_eq!(since(&connection), named(ids));
            assert_eq!(since(&reader), named(ids));
        }
    }

    #[test]
    fn a_newer_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usage.db");
        open(&path).unwrap().pragma_update(None, "user_version", SCHEMA_VERSION + 1).unwrap();
        for error in [open(&path).err().unwrap(), open_to_read(&path).err().unwrap()] {
            let said = error.to_string();
            assert!(said.contains("has version 3, and this program knows 2 at most"), "{said}");
        }
    }
}
