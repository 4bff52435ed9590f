//! The journal's file: one process holds it, many threads append to it, one syncs it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::record::{RECORD_SIZE, Record, VERSION};
use super::scan::{Scan, scan};
use crate::disk;
use crate::error::CheckError;

const PREAMBLE: usize = 2 * RECORD_SIZE; // The header and the holder's slot.
const LOCK_ATTEMPTS: usize = 10; // Each one lost to a process that just then removed the file it held.
const HOLDER_GRACE: Duration = Duration::from_millis(100); // Within which a new holder has written its number.

/// A journal that this process alone may use, until this value is dropped.
#[derive(Debug)]
pub(crate) struct JournalLock {
    file: File,
    path: PathBuf,
    created: bool,
    repaired: bool,
}

impl JournalLock {
    /// Locks the journal at `path`, creating it if there is none.
    pub(crate) fn take(path: &Path, jsonl: bool) -> Result<Self, CheckError> {
        for _ in 0..LOCK_ATTEMPTS {
            let (file, created) = open_or_create(path).map_err(|source| CheckError::journal(path, source))?;
            let mut lock = Self { file, path: path.to_owned(), created, repaired: false };
            if lock.is_held_here()? {
                lock.write_preamble(jsonl)?;
                return Ok(lock);
            }
        }
        Err(CheckError::journal(path, io::Error::other("it keeps disappearing")))
    }

    /// Locks the journal at `path` without changing anything; `None` if there is none.
    pub(crate) fn take_existing(path: &Path) -> Result<Option<Self>, CheckError> {
        match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => {
                let mut lock = Self { file, path: path.to_owned(), created: false, repaired: false };
                if !lock.is_held_here()? {
                    return Ok(None);
                }
                let found = lock.preamble().map_err(|source| CheckError::journal(path, source))?;
                lock.check_version(found)?;
                Ok(Some(lock))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CheckError::journal(path, source)),
        }
    }

    /// Takes the lock; false if the file at the path is no longer the one that was opened.
    fn is_held_here(&mut self) -> Result<bool, CheckError> {
        match self.file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(HOLDER_GRACE);
                return Err(CheckError::Held { journal: self.path.clone(), pid: holder_of(&mut self.file) });
            }
            Err(TryLockError::Error(source)) => return Err(CheckError::journal(&self.path, source)),
        }
        Ok(disk::same_file(&self.file, &self.path))
    }

    /// Makes sure that the file is a journal of ours, and names this process as its holder.
    fn write_preamble(&mut self, jsonl: bool) -> Result<(), CheckError> {
        let path = self.path.clone();
        let broken = |source| CheckError::journal(&path, source);
        let header = Record::Header { version: VERSION, run: run_id(), jsonl };
        let holder = Record::Holder { pid: std::process::id() };
        let length = self.file.metadata().map_err(broken)?.len();
        let found = self.preamble().map_err(broken)?;
        self.check_version(found)?;
        match found {
            Some(Record::Header { jsonl: theirs, .. }) if theirs != jsonl => {
                return Err(CheckError::JournalOfAnother { journal: self.path.clone() });
            }
            Some(_) => {
                self.repaired |= length >= PREAMBLE as u64 && holder_of(&mut self.file).is_none();
                self.put(RECORD_SIZE as u64, &holder.encode()).map_err(broken)?;
            }
            // A file that never got its preamble, or lost it: begun again only if nothing else is in it.
            None if self.is_torn_preamble(length).map_err(broken)?
                || self.any_record().map_err(broken)? =>
            {
                self.repaired |= length >= PREAMBLE as u64;
                self.put(0, &[header.encode(), holder.encode()].concat()).map_err(broken)?;
                self.file.sync_all().map_err(broken)?;
                disk::sync_parent(&self.path).map_err(broken)?;
            }
            None => return Err(CheckError::NotAJournal { journal: self.path.clone() }),
        }
        Ok(())
    }

    fn preamble(&mut self) -> io::Result<Option<Record>> {
        let mut bytes = [0; RECORD_SIZE];
        self.file.seek(SeekFrom::Start(0))?;
        match self.file.read_exact(&mut bytes) {
            Ok(()) => Ok(Record::decode(&bytes).filter(|record| matches!(record, Record::Header { .. }))),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A journal of another format is refused, not misread.
    fn check_version(&self, header: Option<Record>) -> Result<(), CheckError> {
        match header {
            Some(Record::Header { version, .. }) if version != VERSION => {
                Err(CheckError::JournalVersion { journal: self.path.clone(), version })
            }
            _ => Ok(()),
        }
    }

    fn is_torn_preamble(&mut self, length: u64) -> io::Result<bool> {
        if length >= PREAMBLE as u64 {
            return Ok(false);
        }
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(PREAMBLE as u64).read_to_end(&mut bytes)?;
        let start = Record::Header { version: VERSION, run: [0; 16], jsonl: false }.encode();
        Ok(bytes.iter().all(|byte| *byte == 0) || bytes.first() == start.first())
    }

    fn any_record(&mut self) -> io::Result<bool> {
        Ok(self.read(|_, _| {})?.records > 0)
    }

    fn put(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(at))?;
        self.file.write_all(bytes)
    }

    /// Hands every good record to `visit`.
    pub(crate) fn read(&self, visit: impl FnMut(u64, Record)) -> io::Result<Scan> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0))?;
        scan(file, visit)
    }

    /// The preamble was damaged, and is whole again.
    pub(crate) fn was_repaired(&self) -> bool {
        self.repaired
    }

    /// Forgets everything: the batch begins anew.
    pub(crate) fn clear(&mut self, jsonl: bool) -> Result<(), CheckError> {
        let cleared = self.file.set_len(0);
        cleared.map_err(|source| CheckError::journal(&self.path, source))?;
        self.write_preamble(jsonl)
    }

    /// The file's length.
    pub(crate) fn length(&self) -> Result<u64, CheckError> {
        let metadata = self.file.metadata();
        metadata.map(|found| found.len()).map_err(|source| CheckError::journal(&self.path, source))
    }

    /// Removes a journal that was created for a run which never began.
    pub(crate) fn abandon(self) {
        if self.created {
            let _ = fs::remove_file(&self.path); // Nothing is lost if an empty journal stays.
        }
    }

    /// Repairs the end and begins a session. What lies between `settled` and the end may never have reached the disk
    /// although it can be read: a sync that failed leaves such bytes behind. It is written again, so that the next sync
    /// is about these bytes too.
    pub(crate) fn begin(mut self, settled: u64, end: u64) -> io::Result<Journal> {
        self.file.set_len(end)?;
        disk::write_again(&mut self.file, settled, end)?;
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let session = Record::Session { pid: std::process::id(), at };
        self.file.seek(SeekFrom::Start(end))?;
        self.file.write_all(&session.encode())?;
        self.file.sync_all()?;
        disk::sync_parent(&self.path)?;
        let for_sync = self.file.try_clone()?;
        let end = end + RECORD_SIZE as u64;
        let tail = Tail { file: self.file, end, broken: None };
        Ok(Journal { path: self.path, tail: Mutex::new(tail), for_sync, unsynced: AtomicBool::new(false) })
    }
}

/// The journal of a run that is under way. Any thread may append; only the committing one syncs.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    tail: Mutex<Tail>,
    for_sync: File,
    unsynced: AtomicBool,
}

#[derive(Debug)]
struct Tail {
    file: File,
    end: u64,
    /// What the first write that failed was told.
    broken: Option<io::Error>,
}

impl Journal {
    /// Appends records, and says where they end. After a failure every later call fails alike: the end is not known.
    pub(crate) fn append(&self, records: &[u8]) -> io::Result<u64> {
        let mut tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = &tail.broken {
            return Err(again(error));
        }
        let written = tail.file.write_all(records);
        match &written {
            Ok(()) => tail.end += records.len() as u64,
            Err(error) => {
                tail.broken = Some(again(error));
                let _ = tail.file.set_len(tail.end); // A torn record would be found and skipped anyway.
            }
        }
        self.unsynced.store(true, Ordering::Release);
        written.map(|()| tail.end)
    }

    /// Something was appended since the last sync began.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.unsynced.load(Ordering::Acquire)
    }

    /// Brings everything appended so far to the disk. Not to be called again after it failed.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.unsynced.store(false, Ordering::Release);
        self.for_sync.sync_data()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The process that holds the journal, as it wrote itself down; `None` when that cannot be read.
fn holder_of(file: &mut File) -> Option<u32> {
    let mut bytes = [0; RECORD_SIZE];
    file.seek(SeekFrom::Start(RECORD_SIZE as u64)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    match Record::decode(&bytes) {
        Some(Record::Holder { pid }) => Some(pid),
        _ => None,
    }
}

/// The same error once more: whoever is the first to tell of it tells the cause.
fn again(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

fn open_or_create(path: &Path) -> io::Result<(File, bool)> {
    match disk::create_new(path) {
        Ok(file) => Ok((file, true)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok((OpenOptions::new().read(true).write(true).open(path)?, false))
        }
        Err(error) => Err(error),
    }
}

/// A number for this batch that no other has: time and process, hashed.
fn run_id() -> [u8; 16] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let hash = blake3::hash(format!("{now} {}", std::process::id()).as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(&hash.as_bytes()[..16]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(dir: &tempfile::TempDir) -> PathBuf {
        dir.path().join("out.journal")
    }

    #[test]
    fn a_second_holder_is_refused_and_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = JournalLock::take(&path(&dir), true).unwrap();
        match JournalLock::take(&path(&dir), true) {
            Err(CheckError::Held { pid, .. }) => assert_eq!(pid, Some(std::process::id())),
            other => panic!("{other:?}"),
        }
        drop(first);
        JournalLock::take(&path(&dir), true).unwrap();
    }

    #[test]
    fn a_file_of_somebody_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["my diary\n".to_owned(), "my diary\n".repeat(20)] {
            fs::write(path(&dir), &text).unwrap();
            assert!(matches!(JournalLock::take(&path(&dir), true), Err(CheckError::NotAJournal { .. })));
            assert_eq!(fs::read_to_string(path(&dir)).unwrap(), text);
        }
    }

    #[test]
    fn a_preamble_cut_anywhere_is_begun_again() {
        let dir = tempfile::tempdir().unwrap();
        JournalLock::take(&path(&dir), true).unwrap();
        let good = fs::read(path(&dir)).unwrap();
        for cut in 0..good.len() {
            fs::write(path(&dir), &good[..cut]).unwrap();
            let lock =
                JournalLock::take(&path(&dir), true).unwrap_or_else(|error| panic!("cut {cut}: {error}"));
            assert_eq!(lock.read(|_, _| {}).unwrap().records, 2, "cut {cut}");
        }
    }

    #[test]
    fn names_that_share_a_journal_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        JournalLock::take(&path(&dir), true).unwrap();
        let other = JournalLock::take(&path(&dir), false);
        assert!(matches!(other, Err(CheckError::JournalOfAnother { .. })));
    }

    #[test]
    fn a_journal_of_another_format_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        JournalLock::take(&path(&dir), true).unwrap();
        let mut other = fs::read(path(&dir)).unwrap();
        for version in [0, VERSION - 1, VERSION + 1, u32::MAX] {
            let header = Record::Header { version, run: [7; 16], jsonl: true }.encode();
            other[..RECORD_SIZE].copy_from_slice(&header);
            fs::write(path(&dir), &other).unwrap();
            let refusals = [
                JournalLock::take(&path(&dir), true).map(|_| ()),
                JournalLock::take_existing(&path(&dir)).map(|_| ()),
            ];
            for refusal in refusals {
                let text = refusal.unwrap_err().to_string();
                assert!(text.contains(&format!("has format {version}, and")), "{text}");
            }
            assert_eq!(fs::read(path(&dir)).unwrap(), other);
        }
    }

    #[test]
    fn a_journal_made_in_vain_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        JournalLock::take(&path(&dir), true).unwrap().abandon();
        assert!(!path(&dir).exists());
        JournalLock::take(&path(&dir), true).unwrap();
        JournalLock::take(&path(&dir), true).unwrap().abandon();
        assert!(path(&dir).exists(), "it was there before");
    }
}
