//! Appends lines to a results file. A write that fails leaves no torn line behind.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk;

/// A results file that is open for appending.
#[derive(Debug)]
pub(crate) struct Appender {
    path: PathBuf,
    file: Arc<File>,
    end: u64,
    unsynced: bool,
}

impl Appender {
    /// Opens the file, or creates it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut file = match disk::create_new(path) {
            Ok(file) => {
                file.sync_all()?;
                disk::sync_parent(path)?;
                file
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                OpenOptions::new().read(true).write(true).open(path)?
            }
            Err(error) => return Err(error),
        };
        let end = file.seek(SeekFrom::End(0))?;
        Ok(Self { path: path.to_owned(), file: Arc::new(file), end, unsynced: false })
    }

    /// Appends whole lines. Not to be called again after it failed.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.unsynced = true;
        if let Err(error) = (&*self.file).write_all(lines) {
            // The next run would find what is torn and take it out, but who knows when that is.
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += lines.len() as u64;
        Ok(())
    }

    /// The file, if anything was appended since this was last asked.
    pub(crate) fn take_unsynced(&mut self) -> Option<(PathBuf, Arc<File>)> {
        std::mem::take(&mut self.unsynced).then(|| (self.path.clone(), self.file.clone()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}
