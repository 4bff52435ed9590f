//! The input: jobs, a line each, read as a stream and as often as needed.
//!
//! The first pass takes no more of a line than its id and a hash, and finds ids that occur twice before anything is sent.
//! The second reads the lines whole, one at a time, as they are needed.

mod content;
mod index;
mod lines;
mod source;

pub use content::ContentHasher;
pub(crate) use index::{Index, IndexBuilder};
pub(crate) use lines::{Line, Lines};
use source::Source;

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use paceline_wire::line::{self, Defaults};

use crate::error::{CheckError, Duplicate};
use crate::journal::{ContentHash, IdHash};

/// The longest line: what no provider takes any more.
pub const LONGEST_LINE: usize = 32 << 20;
/// Duplicate ids that a message names.
const DUPLICATES_NAMED: usize = 10;

/// The inputs of a batch, opened.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    sources: Vec<Source>,
    hasher: ContentHasher,
}

/// One line that is a job, or would like to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawJob<'a> {
    /// The line's bytes.
    pub(crate) bytes: &'a [u8],
    /// The line is too long; its bytes are only the beginning.
    pub(crate) cut: bool,
    /// The line is a prompt, not JSON.
    pub(crate) text: bool,
    /// The line's number, counted from 1 through all inputs.
    pub(crate) number: u64,
    /// The input, and the line's number in it.
    at: (usize, u64),
    hasher: &'a ContentHasher,
}

impl<'a> RawJob<'a> {
    /// The job's id: its own, or its line's number.
    pub(crate) fn id(&self) -> Cow<'a, str> {
        let own = if self.text { None } else { line::id(self.bytes) };
        own.unwrap_or_else(|| Cow::Owned(line::default_id(self.number)))
    }

    /// What it asks for.
    pub(crate) fn content(&self) -> ContentHash {
        self.hasher.hash(self.bytes, self.text)
    }
}

impl Inputs {
    /// Opens the inputs. `spool_dir` is for what can be read only once.
    pub(crate) fn open(paths: &[PathBuf], defaults: &Defaults, spool_dir: &Path) -> Result<Self, CheckError> {
        if paths.is_empty() {
            return Err(CheckError::NoInput);
        }
        if paths.iter().filter(|path| path.as_os_str() == "-").count() > 1 {
            return Err(CheckError::StdinTwice);
        }
        let sources: Result<_, _> = paths.iter().map(|path| Source::open(path, spool_dir)).collect();
        Ok(Self { sources: sources?, hasher: ContentHasher::new(defaults) })
    }

    /// Their names, for a message.
    fn names(&self) -> String {
        self.sources.iter().map(|source| format!("`{}`", source.name)).collect::<Vec<_>>().join(", ")
    }

    /// Reads the jobs from the beginning.
    pub(crate) fn jobs(&self) -> Jobs<'_> {
        Jobs { inputs: self, source: 0, lines: None, before: 0 }
    }

    /// Where a line is, in words.
    pub(crate) fn place(&self, job: &RawJob<'_>) -> String {
        let (source, line) = job.at;
        format!("{}:{line}", self.sources[source].name)
    }

    /// The first pass: every job's id and content, and no id twice.
    pub(crate) fn index(&self) -> Result<Index, CheckError> {
        let mut builder = IndexBuilder::default();
        let mut jobs = self.jobs();
        while let Some(job) = jobs.next()? {
            if !builder.push(IdHash::of(&job.id()).key(), job.content()) {
                return Err(CheckError::TooManyJobs { most: u32::MAX });
            }
        }
        let index = builder.build();
        if index.len() == 0 {
            return Err(CheckError::NoJobs { inputs: self.names() });
        }
        let same: Vec<_> = index.same_keys().take(DUPLICATES_NAMED).collect();
        if same.is_empty() {
            return Ok(index);
        }
        let count = index.same_keys().count() as u64;
        Err(CheckError::Duplicates { pairs: self.look_again(&same)?, count })
    }

    /// Names the ids and places of jobs whose ids have one hash. Two different ids with one hash of 64 bits are refused
    /// like equal ones, but shown as what they are: nobody meets them by chance.
    fn look_again(&self, same: &[(u32, u32)]) -> Result<Vec<Duplicate>, CheckError> {
        let mut found: HashMap<u32, (String, String)> = HashMap::new();
        let mut jobs = self.jobs();
        let mut number = 0;
        while let Some(job) = jobs.next()? {
            if same.iter().any(|(first, second)| *first == number || *second == number) {
                found.insert(number, (job.id().into_owned(), self.place(&job)));
            }
            number += 1;
        }
        let pair = |(first, second): &(u32, u32)| {
            let (first_id, first_place) = found.get(first)?.clone();
            let (second_id, second_place) = found.get(second)?.clone();
            let id = if first_id == second_id { first_id } else { format!("{first_id}` = `{second_id}") };
            Some(Duplicate { id, first: first_place, second: second_place })
        };
        let mut pairs: Vec<_> = same.iter().collect();
        pairs.sort_unstable();
        Ok(pairs.into_iter().filter_map(pair).collect())
    }

    /// The id and place of a job, by its number.
    pub(crate) fn name(&self, wanted: u32) -> Result<(String, String), CheckError> {
        let mut jobs = self.jobs();
        let mut number = 0;
        while let Some(job) = jobs.next()? {
            if number == wanted {
                return Ok((job.id().into_owned(), self.place(&job)));
            }
            number += 1;
        }
        Ok((String::new(), String::new()))
    }
}

/// The jobs of all inputs, one after the other. Blank lines are none.
pub(crate) struct Jobs<'a> {
    inputs: &'a Inputs,
    source: usize,
    lines: Option<Lines<Box<dyn Read + Send>>>,
    before: u64, // Lines of the inputs before this one.
}

impl Jobs<'_> {
    /// The next one.
    pub(crate) fn next(&mut self) -> Result<Option<RawJob<'_>>, CheckError> {
        // In two steps, because a line borrowed from the reader can't be returned from inside the loop.
        if !self.advance()? {
            return Ok(None);
        }
        let source = &self.inputs.sources[self.source];
        let Some(line) = self.lines.as_ref().and_then(Lines::current) else { return Ok(None) };
        let number = self.before + line.number;
        let at = (self.source, line.number);
        let hasher = &self.inputs.hasher;
        Ok(Some(RawJob { bytes: line.bytes, cut: line.cut, text: source.text, number, at, hasher }))
    }

    /// Goes to the next line that isn't blank; false at the end.
    fn advance(&mut self) -> Result<bool, CheckError> {
        while let Some(source) = self.inputs.sources.get(self.source) {
            let broken = |line, source_error| CheckError::InputBroken {
                input: source.name.clone(),
                line,
                source: source_error,
            };
            if self.lines.is_none() {
                self.lines = Some(Lines::new(source.read().map_err(|error| broken(0, error))?, LONGEST_LINE));
            }
            let Some(lines) = &mut self.lines else { continue };
            loop {
                let read = lines.next().map(|line| line.map(|line| line.bytes.trim_ascii().is_empty()));
                match read {
                    Ok(Some(true)) => {}
                    Ok(Some(false)) => return Ok(true),
                    Ok(None) => break,
                    Err(error) => return Err(broken(lines.number(), error)),
                }
            }
            self.before += lines.number();
            self.lines = None;
            self.source += 1;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paceline_wire::provider::Catalog;

    /// A change here makes every journal there is call its jobs edited: it takes a new version of the journal.
    #[test]
    fn what_a_job_asks_for_is_told_alike_by_every_version() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in.jsonl");
        std::fs::write(&path, "{\"id\":\"a\",\"prompt\":\"p\"}\r\n").unwrap();
        let mut defaults = Defaults::new(Catalog::embedded().provider("openai").unwrap());
        defaults.model = Some("m".to_owned());
        let inputs = Inputs::open(&[path], &defaults, dir.path()).unwrap();
        let content = inputs.jobs().next().unwrap().unwrap().content();
        assert_eq!(content, ContentHash(0xec91_a8a4_1614_bbfb));
    }
}
