//! Small files that hold a state: read with a bound, replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The most a state file may hold; a bigger one is something else.
pub const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// Reads the file at `path`, if it can be one of ours.
pub fn read(path: &Path) -> io::Result<String> {
    // Opening a pipe would wait for its other end.
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 {
        0..=MOST_BYTES => Ok(text),
        _ => Err(io::Error::other(format!("it is over {} MiB", MOST_BYTES >> 20))),
    }
}

/// Replaces the file at `path`, for its owner only. Whoever reads meanwhile, or after a crash, finds the old or the new
/// text, whole. `durable` outlasts a power cut as well, and takes as long as the disk does.
pub fn replace(path: &Path, text: &[u8], durable: bool) -> io::Result<()> {
    let fresh = path.with_extension("json.new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {} // Left by a process that was killed just here.
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(text)?;
    if durable {
        file.sync_all()?;
    }
    fs::rename(&fresh, path)
}
