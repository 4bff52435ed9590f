//! Finds the control sockets of a user, and clears away those that nobody stands behind any more.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use paceline_status::Kind;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

use crate::folder::{Folder, FolderError};
use crate::place::{AskError, Place};
use crate::socket::is_socket;
use crate::words::{Who, name};

/// Sockets that are looked at.
const MOST_SOCKETS: usize = 512;

/// A process that answers.
#[derive(Clone, Debug)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// Who it is.
    pub who: Who,
}

/// The processes that answer in `folder`, by number.
pub async fn find(folder: &Folder) -> Result<Vec<Found>, FolderError> {
    if !folder.check()? {
        return Ok(Vec::new());
    }
    let listed = fs::read_dir(folder.path())
        .map_err(|source| FolderError::Io { path: folder.path().display().to_string(), source })?;
    let sockets: Vec<(PathBuf, u32)> =
        listed.filter_map(|entry| named(&entry.ok()?.path())).take(MOST_SOCKETS).collect();
    let mut found = Vec::new();
    for (path, pid) in sockets {
        let place = Place::Socket(path.clone());
        match place.get::<Who>("/v1/who").await {
            Ok(who) => found.push(Found { place, who }),
            Err(AskError::Unreachable { source, .. }) => clear(&path, pid, &source),
            // It is there, and does not answer as one of ours: not ours to judge.
            Err(_) => {}
        }
    }
    found.sort_by_key(|found| found.who.pid);
    Ok(found)
}

/// A socket by its name, with the number of its process.
fn named(path: &Path) -> Option<(PathBuf, u32)> {
    let (kind, pid) = path.file_name()?.to_str()?.strip_suffix(".sock")?.rsplit_once('-')?;
    let is_ours = [Kind::Run, Kind::Serve].into_iter().any(|known| name(known) == kind);
    (is_ours && is_socket(path)).then_some((path.to_owned(), pid.parse().ok()?))
}

/// Takes away what a process that is gone has left. Between binding and listening a living one refuses, too.
fn clear(path: &Path, pid: u32, error: &io::Error) {
    if error.kind() == io::ErrorKind::ConnectionRefused && is_gone(pid) {
        // Another look may have taken it away already.
        let _ = fs::remove_file(path);
    }
}

fn is_gone(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_none_or(|pid| test_kill_process(pid) == Err(Errno::SRCH))
}
