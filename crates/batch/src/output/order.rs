//! Puts a finished results file in the order of its input, without holding it in memory: eight bytes a job.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use super::clean::beside;
use super::read::Results;
use crate::disk;
use crate::input::Index;

const NOWHERE: u64 = u64::MAX;
const WINDOW: usize = 1 << 16; // Bytes read around a line: its neighbours are often the next ones asked for.

/// Sorts the lines by their jobs' places in the input. Lines of jobs that are no longer there come last, as they were.
pub(crate) fn put_in_order(path: &Path, index: &Index) -> io::Result<()> {
    let Some(places) = places(path, index)? else { return Ok(()) };
    let (new, mut writer) = beside(path)?;
    let mut source = BufReader::with_capacity(WINDOW, File::open(path)?);
    let (mut at, mut line) = (0_u64, Vec::new());
    for place in places.into_iter().filter(|place| *place != NOWHERE) {
        source.seek_relative(place.wrapping_sub(at) as i64)?;
        line.clear();
        at = place + source.read_until(b'\n', &mut line)? as u64;
        writer.write_all(&line)?;
    }
    let mut results = Results::new(File::open(path)?);
    while let Some(line) = results.next()? {
        if line.key.and_then(|key| index.find(key)).is_none() {
            writer.write_all(line.bytes)?;
            writer.write_all(b"\n")?;
        }
    }
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    disk::replace(&file, &new, path)
}

/// Where each job's line starts; `None` if the file is in order already, or not there.
fn places(path: &Path, index: &Index) -> io::Result<Option<Vec<u64>>> {
    let Some(mut results) = Results::open(path)? else { return Ok(None) };
    let mut places = vec![NOWHERE; index.len() as usize];
    let (mut sorted, mut last) = (true, 0);
    while let Some(line) = results.next()? {
        let number = line.key.and_then(|key| index.find(key));
        let rank = number.map_or(u64::MAX, u64::from);
        sorted &= last <= rank;
        last = rank;
        if let Some(number) = number {
            places[number as usize] = line.span.0;
        }
    }
    Ok((!sorted).then_some(places))
}
