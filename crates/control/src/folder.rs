//! The folder of the sockets: one a user, which nobody else can enter.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

/// What the group and others may do in a folder of ours: nothing.
const OPEN_TO_OTHERS: u32 = 0o077;

/// Where the control sockets of one user are.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Why a folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It could not be made or looked at.
    #[error("cannot use the folder `{path}`")]
    Io {
        /// The folder.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody else could put something there, or listen in.
    #[error("the folder `{path}` {why}; remove it, or set XDG_RUNTIME_DIR to a folder of your own")]
    Unsafe {
        /// The folder.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Folder {
    /// The folder of whoever runs this process: below `runtime` (`$XDG_RUNTIME_DIR`) where that is theirs, else below `temp`.
    pub fn of_user(runtime: Option<&Path>, temp: &Path) -> Self {
        // After `su` the variable may still name another user's folder. What we made there would only be in their way.
        let is_ours = |path: &&Path| {
            path.is_absolute() && fs::metadata(path).is_ok_and(|it| it.is_dir() && it.uid() == own_id())
        };
        let path = match runtime.filter(is_ours) {
            Some(runtime) => runtime.join("paceline"),
            None => temp.join(format!("paceline-{}", own_id())),
        };
        Self { path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it, if it is missing, and makes sure that it is safe.
    pub(crate) fn make(&self) -> Result<(), FolderError> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(self.failed(error)),
            _ => self.check().map(drop),
        }
    }

    /// Makes sure that it is safe; false when it is not there.
    pub(crate) fn check(&self) -> Result<bool, FolderError> {
        // Of the name itself: a link could be turned elsewhere later.
        let seen = match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            seen => seen.map_err(|error| self.failed(error))?,
        };
        let why = match seen {
            _ if !seen.is_dir() => "is none",
            _ if seen.uid() != own_id() => "belongs to somebody else",
            _ if seen.mode() & OPEN_TO_OTHERS != 0 => "is open to others",
            _ => return Ok(true),
        };
        Err(FolderError::Unsafe { path: self.shown(), why })
    }

    fn failed(&self, source: io::Error) -> FolderError {
        FolderError::Io { path: self.shown(), source }
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }
}

/// The user that this process acts as.
pub(crate) fn own_id() -> u32 {
    geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn the_runtime_folder_serves_if_it_is_there_and_ours() {
        let (runtime, temp) = (tempfile::tempdir().unwrap(), Path::new("/tmp"));
        let below = Folder::of_user(Some(runtime.path()), temp);
        assert_eq!(below.path(), runtime.path().join("paceline"));
        for useless in [None, Some(Path::new("run")), Some(Path::new("/nowhere/at/all"))] {
            let other = Folder::of_user(useless, temp);
            assert_eq!(other.path(), temp.join(format!("paceline-{}", own_id())));
        }
    }

    #[test]
    fn a_folder_that_is_open_or_a_link_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let folder = Folder::of_user(None, temp.path());
        assert!(!folder.check().unwrap());
        folder.make().unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o777, 0o700);
        folder.make().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o750)).unwrap();
        let refused = folder.make().unwrap_err().to_string();
        assert!(refused.contains("is open to others; remove it, or set XDG_RUNTIME_DIR"), "{refused}");

        fs::remove_dir(folder.path()).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        symlink(elsewhere.path(), folder.path()).unwrap();
        assert!(folder.make().unwrap_err().to_string().contains("is none"));
    }

    #[test]
    fn a_folder_that_cannot_be_made_says_why() {
        let folder = Folder::of_user(None, Path::new("/nowhere/at/all"));
        assert!(matches!(folder.make(), Err(FolderError::Io { .. })));
    }
}
