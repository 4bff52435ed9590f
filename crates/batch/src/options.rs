//! What a user may choose about a run.

use std::path::PathBuf;
use std::time::Duration;

use paceline_wire::line::Defaults;
use paceline_wire::price::MicroUsd;

/// The longest outage that is waited for, unless chosen otherwise.
pub const LONGEST_OUTAGE: Duration = Duration::from_secs(15 * 60);

/// A run, as the user wants it.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where the jobs are; `-` is standard input.
    pub inputs: Vec<PathBuf>,
    /// Where results go; without it to standard output, and nothing can be resumed.
    pub output: Option<PathBuf>,
    /// What lines get that they lack.
    pub defaults: Defaults,
    /// Which of the jobs.
    pub selection: Selection,
    /// Overwrite what an earlier run left.
    pub fresh: bool,
    /// Put the finished files in the order of the input.
    pub ordered: bool,
    /// Run jobs again that are done and were edited since.
    pub accept_changes: bool,
    /// Look only: create and change nothing.
    pub dry_run: bool,
    /// Spend no more than this in this run.
    pub budget: Option<MicroUsd>,
    /// Send nothing after this long.
    pub deadline: Option<Duration>,
    /// Stop when so many jobs have failed.
    pub max_failures: Option<u64>,
    /// Stop when the provider has been out of reach for so long.
    pub max_outage: Duration,
}

/// Which jobs of the input to run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    #[default]
    All,
    /// The first so many.
    First(u32),
    /// So many, drawn by chance; the same ones each time, whatever their order in the input.
    Sample(u32),
}

impl RunOptions {
    /// All jobs of the inputs, and everything else as it serves most.
    pub fn new(inputs: Vec<PathBuf>, output: Option<PathBuf>, defaults: Defaults) -> Self {
        Self {
            inputs,
            output,
            defaults,
            selection: Selection::All,
            fresh: false,
            ordered: false,
            accept_changes: false,
            dry_run: false,
            budget: None,
            deadline: None,
            max_failures: None,
            max_outage: LONGEST_OUTAGE,
        }
    }
}
