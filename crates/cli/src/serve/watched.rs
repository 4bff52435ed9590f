//! Notices that a file has changed, by looking at what the file system says about it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A file that is looked at now and then.
pub(super) struct Watched {
    path: PathBuf,
    seen: Option<Mark>,
    settled: bool, // Looked the same twice in a row: whoever writes it in pieces has finished.
}

/// What changes when a file does: an editor may replace it or write into it.
type Mark = (u64, u64, u64, i64, i64);

impl Watched {
    /// Watches `path`, as it is now.
    pub(super) fn new(path: PathBuf) -> Self {
        let seen = mark(&path);
        Self { path, seen, settled: true }
    }

    /// Whether the file has changed since it last had, and has come to rest. A file that is gone has not changed: it may be
    /// about to be replaced.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = mark(&self.path);
        if now.is_none() {
            return false;
        }
        if now != self.seen {
            self.seen = now;
            self.settled = false;
            return false;
        }
        !std::mem::replace(&mut self.settled, true)
    }
}

fn mark(path: &PathBuf) -> Option<Mark> {
    let it = fs::metadata(path).ok()?;
    Some((it.dev(), it.ino(), it.size(), it.mtime(), it.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_once_and_when_they_are_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.toml");
        fs::write(&path, "a").unwrap();
        let mut watched = Watched::new(path.clone());
        assert!(!watched.has_changed());
        fs::write(&path, "ab").unwrap();
        assert!(!watched.has_changed());
        fs::write(&path, "abc").unwrap();
        assert!(!watched.has_changed());
        assert!(watched.has_changed());
        assert!(!watched.has_changed());
        fs::remove_file(&path).unwrap();
        assert!(!watched.has_changed());
        fs::write(&path, "replaced").unwrap();
        assert!(!watched.has_changed());
        assert!(watched.has_changed());
    }
}
