//! Reads the lines of a results file: whose they are, and their checksums.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use paceline_wire::line;

use crate::input::{Line, Lines};
use crate::journal::{IdHash, LineSum};

/// The longest line of a result that is looked at. What providers answer is far shorter.
pub(crate) const LONGEST_RESULT: usize = 128 << 20;

/// One line of a results file.
#[derive(Debug)]
pub(crate) struct ResultLine<'a> {
    /// Its bytes, without the line end.
    pub(crate) bytes: &'a [u8],
    /// Its checksum.
    pub(crate) sum: LineSum,
    /// The key of the job's id, when the line has one.
    pub(crate) key: Option<u64>,
    /// Where it starts, and where the next one does.
    pub(crate) span: (u64, u64),
    /// It has an end of its own.
    pub(crate) ended: bool,
}

/// The lines of a results file.
pub(crate) struct Results<R> {
    lines: Lines<R>,
}

impl Results<File> {
    /// Opens a results file; `None` if there is none.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        match File::open(path) {
            Ok(file) => Ok(Some(Self::new(file))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl<R: Read> Results<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { lines: Lines::new(source, LONGEST_RESULT) }
    }

    /// The next line. Blank ones are lines, too: they belong to no job.
    pub(crate) fn next(&mut self) -> io::Result<Option<ResultLine<'_>>> {
        let Some(Line { bytes, cut, span, ended, .. }) = self.lines.next()? else { return Ok(None) };
        if cut {
            return Ok(Some(ResultLine { bytes, sum: LineSum::of(b""), key: None, span, ended }));
        }
        // The rest of the line is vouched for by its checksum.
        let key = line::id(bytes).map(|id| IdHash::of(&id).key());
        Ok(Some(ResultLine { bytes, sum: LineSum::of(bytes), key, span, ended }))
    }
}
