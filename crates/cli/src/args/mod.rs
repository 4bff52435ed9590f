//! The command line.

mod control;
mod mock;
mod plan;
mod run;
mod serve;
mod sim;
mod usage;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use control::{CtlArgs, CtlCommand, TypedLimit, Whom};
#[cfg(feature = "top")]
pub(crate) use control::{Size, TopArgs};
pub(crate) use mock::MockArgs;
pub(crate) use plan::PlanArgs;
pub(crate) use run::{Ceilings, Defaults, ProgressStyle, RunArgs, Target};
pub(crate) use serve::{KeysArgs, KeysCommand, LogForm, LogLevel, OrNone, ProviderUrl, ServeArgs};
pub(crate) use sim::SimArgs;
pub(crate) use usage::{PricesArgs, Since, UsageArgs};

/// Sends work to AI providers at the full speed of their rate limits, and loses nothing.
#[derive(Debug, Parser)]
#[command(name = "paceline", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs a file of prompts: JSONL in, JSONL out; the same command resumes
    Run(Box<RunArgs>),
    /// Says how long a file of prompts takes, what it costs and which limit binds; sends nothing
    Plan(Box<PlanArgs>),
    /// Serves a gateway: set a base URL, and requests wait their turn instead of failing
    Serve(Box<ServeArgs>),
    /// Shows a run or a gateway while it works: limits, queue, upstreams, money
    #[cfg(feature = "top")]
    Top(TopArgs),
    /// Asks a run or a gateway how it stands, pauses and resumes it, and changes its ceilings
    Ctl(CtlArgs),
    /// Makes keys for callers of the gateway
    Keys(KeysArgs),
    /// Plays an AI provider on this machine: real limits, headers, errors, streams, scripted faults
    Mock(Box<MockArgs>),
    /// Runs the pacing engine against models of providers, in virtual time, and prints the figures
    Sim(SimArgs),
    /// Sums up what requests used and cost, from the usage ledger
    Usage(UsageArgs),
    /// Shows the prices that costs are counted by
    Prices(PricesArgs),
    /// Checks a configuration file and says what it means
    Check(CheckArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// The file to check
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_do_not_contradict_each_other() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_of_the_readme_is_one() {
        let readme = include_str!("../../../../README.md");
        let commands: Vec<&str> = readme
            .lines()
            .filter_map(|line| {
                line.strip_prefix("cargo run --release -- ").or_else(|| line.strip_prefix("paceline "))
            })
            .collect();
        assert!(commands.len() > 5, "{commands:?}");
        for command in commands {
            let words = std::iter::once("paceline").chain(command.split_whitespace());
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{command}: {error}");
            }
        }
    }
}
