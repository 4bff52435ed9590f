//! How the program ends: every exit code in one place.

use std::process::ExitCode;

/// Why the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All that was asked for is done.
    Done,
    /// Some jobs failed; the others are done.
    SomeFailed,
    /// Bad usage, configuration or input: nothing was sent.
    Usage,
    /// Stopped before the end (disk, budget, deadline, money, outage); the same command resumes.
    Stopped,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Exit {
    /// The number the shell sees.
    pub(crate) fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::SomeFailed => 1,
            Exit::Usage => 2,
            Exit::Stopped => 3,
            Exit::Interrupted => 130,
            Exit::Terminated => 143,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

/// A command that could not do what was asked: what people read, and how the program ends.
#[derive(Debug)]
pub(crate) struct Failure {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What went wrong; its chain of causes is shown on one line, outermost first.
    pub(crate) error: anyhow::Error,
    /// What helps.
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Nothing was sent, because what was asked cannot be done.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: error.into(), hint: None }
    }

    /// The work stopped before its end.
    pub(crate) fn stopped(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Stopped, error: error.into(), hint: None }
    }

    /// The same, saying what helps.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
