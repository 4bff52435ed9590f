//! What people read on stderr. Losing stderr (a closed terminal, a full disk) never stops the work.

use std::io::Write;

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use paceline_batch::Report;
use paceline_wire::terminal;
use serde_json::Value;

use crate::args::Cli;
use crate::config::closest;
use crate::exit::{Exit, Failure};
use crate::progress::count;

/// Says something on stderr.
pub(crate) fn say(text: &str) {
    let _ = writeln!(anstream::stderr(), "{}", terminal::lines(text));
}

/// Says something to a program, on stderr.
pub(crate) fn say_json(value: &Value) {
    let _ = writeln!(anstream::stderr(), "{}", terminal::json(value));
}

/// Says what failed and what helps.
pub(crate) fn failure(failure: &Failure) {
    error(&format!("{:#}", failure.error));
    if let Some(text) = &failure.hint {
        hint(text);
    }
}

/// What was found before a run began, as far as it is worth knowing.
pub(crate) fn findings(report: &Report) {
    let Report {
        chosen, done, retried, edited, in_flight, missing, strangers, foreign, journal_damage, ..
    } = *report;
    if report.earlier_runs == 0 {
        return;
    }
    let again = if retried > 0 { format!("; {retried} that failed are tried again") } else { String::new() };
    say(&format!("resuming: {done} of {} done already{again}", count(chosen, "job")));
    let notes = [
        (in_flight, "job", "in flight when the last run ended: may have been billed, and runs again"),
        (edited, "job", "edited since it was done: runs again"),
        (missing, "result", "missing from the output: its job runs again"),
        (strangers, "result", "of a job that is no longer in the input: kept"),
        (foreign, "line", "of the output that belongs to no job: taken out"),
        (journal_damage, "place", "of the journal is damaged: the good records around it are kept"),
    ];
    for (number, what, fate) in notes.into_iter().filter(|(number, ..)| *number > 0) {
        warning(&format!("{} {fate}", count(number, what)));
    }
}

/// The answer to a first Ctrl-C.
pub(crate) fn draining(in_flight: u64) {
    match in_flight {
        0 => say("stopping: nothing is in flight"),
        _ => say(&format!(
            "stopping: waiting for {} in flight; once more to stop at once",
            count(in_flight, "job")
        )),
    }
}

/// `error: …`, in red where colors are wanted.
pub(crate) fn error(text: &str) {
    labeled("\x1b[1;31m", "error", text);
}

/// `warning: …`, in yellow where colors are wanted.
pub(crate) fn warning(text: &str) {
    labeled("\x1b[1;33m", "warning", text);
}

/// `hint: …`, in cyan where colors are wanted.
pub(crate) fn hint(text: &str) {
    labeled("\x1b[1;36m", "hint", text);
}

fn labeled(color: &str, label: &str, text: &str) {
    // anstream drops the color where it is not wanted: NO_COLOR, a pipe, a dumb terminal.
    let _ = writeln!(anstream::stderr(), "{color}{label}:\x1b[0m {}", terminal::line(text));
}

/// Says what is wrong with the command line, or shows the help that was asked for.
pub(crate) fn usage(error: &clap::Error) -> Exit {
    if !error.use_stderr() {
        // A reader who has seen enough and closed the pipe is no failure.
        let _ = error.print();
        return Exit::Done;
    }
    if let (ErrorKind::UnknownArgument, Some(ContextValue::String(flag))) =
        (error.kind(), error.get(ContextKind::InvalidArg))
        && let Some(near) = near_flag(flag)
    {
        self::error(&format!("unknown flag `{flag}`"));
        hint(&format!("did you mean `--{near}`?"));
        return Exit::Usage;
    }
    // Without clap's own colors: the text repeats the user's words, whose control bytes must not act.
    let _ = write!(anstream::stderr(), "{}", terminal::lines(&error.render().to_string()));
    Exit::Usage
}

/// The flag of the command as typed that `flag` was probably meant to be.
fn near_flag(flag: &str) -> Option<String> {
    let command = Cli::command();
    let command = command.find_subcommand(std::env::args_os().nth(1)?)?;
    let flags: Vec<&str> = command.get_arguments().filter_map(|arg| arg.get_long()).collect();
    closest(flag.trim_start_matches('-'), &flags).map(str::to_owned)
}
