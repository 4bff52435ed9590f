//! The program as its users meet it: run as a process, judged by its exit code and by what it prints.

#![allow(clippy::unwrap_used)] // A test that cannot go on may panic, in its helpers too.

mod config;
mod control;
mod gateway;
mod grafana;
mod nagle;
#[cfg(feature = "otel")]
mod otel;
mod plan;
mod recorded;
mod replay;
mod run;
mod serve;
mod usage;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// How a run of the program ended, and what it said.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the program in `folder`, with no key in its environment and nothing on its stdin.
fn paceline(folder: &Path, args: &[&str]) -> Ended {
    ended(command(folder, args).output().unwrap())
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_paceline"));
    command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
    command
}

fn ended(output: Output) -> Ended {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}
