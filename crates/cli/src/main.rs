//! The `paceline` command.

mod args;
mod ceilings;
mod check;
mod config;
mod ctl;
mod desk;
mod exit;
mod keys;
mod ledger;
mod limits;
mod messages;
mod mock;
mod otel;
mod plan;
mod prices;
mod progress;
mod run;
mod sending;
mod serve;
mod signals;
mod sim;
mod summary;
#[cfg(feature = "top")]
mod top;
mod units;
mod upstream;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return messages::usage(&error).into(),
    };
    let ended = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Plan(args) => plan::plan(args),
        Command::Serve(args) => serve::serve(args),
        #[cfg(feature = "top")]
        Command::Top(args) => top::top(args),
        Command::Ctl(args) => ctl::ctl(args),
        Command::Keys(args) => keys::keys(args),
        Command::Mock(args) => mock::mock(args),
        Command::Sim(args) => sim::sim(args),
        Command::Usage(args) => usage::usage(args),
        Command::Prices(args) => prices::prices(args),
        Command::Check(args) => check::check(args),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            messages::failure(&failure);
            failure.exit.into()
        }
    }
}
