//! The few things about files that durability depends on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const BLOCK: usize = 1 << 18; // Bytes written again at once.

/// Creates a file that only its owner can read; fails if anything is there, a dangling link included.
pub(crate) fn create_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The directory a path lies in.
pub(crate) fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Makes a new or changed name in the path's directory survive a power cut.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match File::open(parent(path))?.sync_all() {
        // Some network file systems have no such thing: names are as safe there as they can be.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        other => other,
    }
}

/// The path still names this open file.
pub(crate) fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => same(&open, &named),
        _ => false,
    }
}

/// Both describe one file.
#[cfg(unix)]
pub(crate) fn same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Both describe one file; nothing tells on this system.
#[cfg(not(unix))]
pub(crate) fn same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

/// Writes the bytes between `from` and `to` over themselves, so that the next sync has to bring them to the disk.
pub(crate) fn write_again(file: &mut File, from: u64, to: u64) -> io::Result<()> {
    let mut buffer = vec![0; BLOCK];
    let mut at = from;
    while at < to {
        let size = (to - at).min(BLOCK as u64) as usize;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut buffer[..size])?;
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&buffer[..size])?;
        at += size as u64;
    }
    Ok(())
}

/// Puts a finished file in another's place, whatever happens meanwhile: the place holds the old or the new one, whole.
pub(crate) fn replace(finished: &File, from: &Path, to: &Path) -> io::Result<()> {
    finished.sync_all()?;
    fs::rename(from, to)?;
    sync_parent(to)
}

/// Reads a file from its beginning, independently of all other readers of the same open file.
#[derive(Clone, Debug)]
pub(crate) struct Reread {
    file: std::sync::Arc<File>,
    at: u64,
}

impl Reread {
    pub(crate) fn new(file: std::sync::Arc<File>) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Reread {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = read_at(&self.file, into, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Reads at an offset.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

/// Reads at an offset.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, into, at)
}
