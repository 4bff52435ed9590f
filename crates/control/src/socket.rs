//! Opens a socket, lets its owner in and nobody else, and takes it away at the end.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::answer::{self, Desk};
use crate::folder::{Folder, FolderError, own_id};
use crate::words::name;

/// Callers at once; the next ones wait to be accepted.
const MOST_CALLERS: usize = 16;
/// One call, from its connection to the last byte of its answer.
const LONGEST_CALL: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted: for want of descriptors, mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// An open control socket. It is closed and taken away when this is dropped.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    mark: Option<(u64, u64)>, // The socket that is ours: its path may be another's by the end.
    serving: JoinHandle<()>,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// For want of a safe folder.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The socket could not be made.
    #[error("cannot listen at `{path}`")]
    Socket {
        /// Where.
        path: String,
        /// Why.
        source: io::Error,
    },
}

impl Socket {
    /// Opens the control socket of this process in `folder`, on the current tokio runtime.
    pub fn open(folder: &Folder, desk: impl Desk) -> Result<Self, SocketError> {
        folder.make()?;
        let who = desk.who();
        Self::open_at(&folder.path().join(format!("{}-{}.sock", name(who.kind), who.pid)), desk)
    }

    /// Opens a control socket at `path`. One that a dead process has left there is replaced.
    pub fn open_at(path: &Path, desk: impl Desk) -> Result<Self, SocketError> {
        let listener = listen(path).map_err(|source| {
            let path = path.display().to_string();
            SocketError::Socket { path, source }
        })?;
        let mark = fs::symlink_metadata(path).ok().map(|it| (it.dev(), it.ino()));
        Ok(Self { path: path.to_owned(), mark, serving: tokio::spawn(serve(listener, desk)) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.serving.abort();
        let now = fs::symlink_metadata(&self.path).ok().map(|it| (it.dev(), it.ino()));
        if now.is_some() && now == self.mark {
            // What is left behind does no harm: whoever finds it takes it away.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn listen(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::net::UnixStream;
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_socket(path) => {
            if UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(error.kind(), "another process answers there"));
            }
            fs::remove_file(path)?;
            UnixListener::bind(path)?
        }
        bound => bound?,
    };
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Whether it is a socket: a file that somebody needs is never taken for one that was left behind.
pub(crate) fn is_socket(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt;
    fs::symlink_metadata(path).is_ok_and(|it| it.file_type().is_socket())
}

async fn serve(listener: UnixListener, desk: impl Desk) {
    let room = Arc::new(Semaphore::new(MOST_CALLERS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = room.clone().acquire_owned().await else { return };
        let Ok((caller, _)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        if !is_owner(&caller) {
            continue;
        }
        let desk = desk.clone();
        tokio::spawn(async move {
            // Whoever is slower, or does not speak HTTP, is let go.
            let _ = timeout(LONGEST_CALL, answer::serve(caller, desk)).await;
            drop(place);
        });
    }
}

/// Whether the caller runs as the user that we run as.
fn is_owner(caller: &UnixStream) -> bool {
    caller.peer_cred().is_ok_and(|caller| caller.uid() == own_id())
}
