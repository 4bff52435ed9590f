//! What can be wrong before anything is sent, and why a run stopped early.

use std::io;
use std::path::{Path, PathBuf};

use crate::journal::VERSION;
use crate::shown::{shown, shown_path};

/// Why a batch cannot begin. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// No input was named.
    #[error("no input; name a file of prompts, or `-` for standard input")]
    NoInput,
    /// An input cannot be read.
    #[error("cannot read `{input}`")]
    Input {
        /// Which.
        input: String,
        /// Why.
        source: io::Error,
    },
    /// An input breaks off or is damaged.
    #[error("cannot read `{input}` past line {line}")]
    InputBroken {
        /// Which.
        input: String,
        /// The last good line.
        line: u64,
        /// Why.
        source: io::Error,
    },
    /// An input is a directory.
    #[error("`{input}` is a directory; name the files in it")]
    InputIsDirectory {
        /// Which.
        input: String,
    },
    /// An input is encoded in a way that JSON lines never are.
    #[error("`{input}` is UTF-16; convert it to UTF-8")]
    Utf16 {
        /// Which.
        input: String,
    },
    /// Standard input can only be read once.
    #[error("`-` is named twice; standard input can be read once")]
    StdinTwice,
    /// More jobs than can be numbered.
    #[error("more than {most} jobs; split the input")]
    TooManyJobs {
        /// The most.
        most: u32,
    },
    /// The input holds no job at all.
    #[error("no jobs in {inputs}")]
    NoJobs {
        /// Where they were sought.
        inputs: String,
    },
    /// Ids that occur more than once.
    #[error("{}", duplicates_text(.pairs, *.count))]
    Duplicates {
        /// The first few.
        pairs: Vec<Duplicate>,
        /// How many there are.
        count: u64,
    },
    /// The output cannot be used.
    #[error("cannot write to `{}`: {reason}", shown_path(.output))]
    Output {
        /// Which.
        output: PathBuf,
        /// Why not, and what helps.
        reason: &'static str,
    },
    /// A file of the output cannot be opened, read or changed.
    #[error("cannot use `{}`", shown_path(.path))]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process works on this output.
    #[error("`{}` is in use by {}", shown_path(.journal), holder_text(*.pid))]
    Held {
        /// The journal.
        journal: PathBuf,
        /// The process, when it is known.
        pid: Option<u32>,
    },
    /// The journal's name is taken by another kind of file.
    #[error("`{}` is no journal of a batch; move it, or name another output", shown_path(.journal))]
    NotAJournal {
        /// The file.
        journal: PathBuf,
    },
    /// The journal is of another version.
    #[error(
        "`{}` has format {version}, and this program knows only {VERSION}; \
         finish the batch with the program that began it, or name another output", shown_path(.journal)
    )]
    JournalVersion {
        /// The journal.
        journal: PathBuf,
        /// Its version.
        version: u32,
    },
    /// The journal belongs to an output whose name differs in `.jsonl` only.
    #[error("`{}` belongs to another output of almost the same name; name another output", shown_path(.journal))]
    JournalOfAnother {
        /// The journal.
        journal: PathBuf,
    },
    /// The output exists, and nothing tells what is in it.
    #[error("`{}` exists and has no journal; name another output, or use `--fresh` to overwrite it", shown_path(.output))]
    OutputExists {
        /// The output.
        output: PathBuf,
    },
    /// Jobs that are done were edited since.
    #[error(
        "{count} jobs that are done have been edited since, such as `{}` ({place}); \
         use `--accept-changes` to run them again, or `--fresh` to begin anew", shown(.id)
    )]
    Edited {
        /// How many.
        count: u64,
        /// One of them.
        id: String,
        /// Where it is.
        place: String,
    },
}

/// An id that two lines have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// The id.
    pub id: String,
    /// Where it comes first.
    pub first: String,
    /// Where it comes again.
    pub second: String,
}

impl CheckError {
    pub(crate) fn journal(path: &Path, source: io::Error) -> Self {
        Self::file(path, source)
    }

    pub(crate) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}

fn duplicates_text(pairs: &[Duplicate], count: u64) -> String {
    let mut text = String::from("ids must be unique: ");
    for (at, Duplicate { id, first, second }) in pairs.iter().enumerate() {
        let gap = if at == 0 { "" } else { "; " };
        text.push_str(&format!("{gap}`{}` is at {first} and again at {second}", shown(id)));
    }
    let more = count.saturating_sub(pairs.len() as u64);
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

fn holder_text(pid: Option<u32>) -> String {
    match pid {
        Some(pid) => format!("another run (process {pid}); wait for it to end, or stop it"),
        None => "another run; wait for it to end, or stop it".to_owned(),
    }
}
