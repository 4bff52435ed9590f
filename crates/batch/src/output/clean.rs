//! Finds the lines that don't belong into a results file, and takes them out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::paths::with_suffix;
use super::read::Results;
use crate::disk;
use crate::input::Index;
use crate::journal::Keys;
use crate::standing::{Place, Standing};

const BLOCK: usize = 1 << 18; // Bytes written at once.

/// What has to be done to a results file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cleaning {
    /// Lines that belong there.
    pub(crate) kept: u64,
    /// Lines, or pieces of lines, that don't.
    pub(crate) dropped: u64,
    /// Up to here there is nothing to take out.
    clean_until: u64,
    /// Lines that belong there come after something that doesn't.
    scattered: bool,
    /// From here on it isn't known whether the disk has what can be read.
    unsettled_from: Option<u64>,
    length: u64,
}

/// Reads a results file and marks the jobs whose lines are found. `unsettled` are the keys of jobs whose lines may not
/// have reached the disk.
pub(crate) fn examine(
    path: &Path,
    place: Place,
    index: &Index,
    standing: &mut Standing,
    unsettled: &Keys,
) -> io::Result<Cleaning> {
    let mut found = Cleaning::default();
    let Some(mut results) = Results::open(path)? else { return Ok(found) };
    while let Some(line) = results.next()? {
        let (start, end) = line.span;
        found.length = end;
        if !line.key.is_some_and(|key| standing.claim(index, key, line.sum, place)) {
            found.dropped += 1;
            continue;
        }
        found.kept += 1;
        if found.clean_until == start && line.ended {
            found.clean_until = end;
        } else {
            found.scattered = true;
        }
        if found.unsettled_from.is_none() && line.key.is_some_and(|key| unsettled.contains(&key)) {
            found.unsettled_from = Some(start);
        }
    }
    Ok(found)
}

/// Takes out what does not belong there. Afterwards the disk has what can be read.
pub(crate) fn repair(
    path: &Path,
    place: Place,
    index: &Index,
    standing: &mut Standing,
    found: Cleaning,
) -> io::Result<()> {
    if found.scattered {
        return rewrite(path, place, index, standing);
    }
    let cut = found.clean_until < found.length;
    if !cut && found.unsettled_from.is_none() {
        return Ok(());
    }
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    file.set_len(found.clean_until)?;
    if let Some(from) = found.unsettled_from {
        disk::write_again(&mut file, from, found.clean_until)?;
    }
    file.sync_all()
}

/// Puts a file in the place of this one that has only the lines which belong there.
fn rewrite(path: &Path, place: Place, index: &Index, standing: &mut Standing) -> io::Result<()> {
    standing.forget_seen(place);
    let Some(mut results) = Results::open(path)? else { return Ok(()) };
    let (new, mut writer) = beside(path)?;
    while let Some(line) = results.next()? {
        if line.key.is_some_and(|key| standing.claim(index, key, line.sum, place)) {
            writer.write_all(line.bytes)?;
            writer.write_all(b"\n")?;
        }
    }
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    disk::replace(&file, &new, path)
}

/// A new file beside this one, to take its place later. One that a crash left behind is removed.
pub(super) fn beside(path: &Path) -> io::Result<(std::path::PathBuf, BufWriter<File>)> {
    let new = with_suffix(path, ".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk::create_new(&new)?;
    Ok((new, BufWriter::with_capacity(BLOCK, file)))
}
