//! `paceline run`: its flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use paceline_wire::price::MicroUsd;

use super::OrNone;
use crate::units;

#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    /// JSONL files of requests or prompts, `.txt` files with a prompt a line, also `.gz` and `.zst`; `-` is stdin
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Where results go, a line each, with OUT.errors.jsonl, OUT.journal and OUT.limits.json beside it; without it to
    /// stdout, and then a second run starts from the beginning
    #[arg(short, long, value_name = "OUT.jsonl")]
    pub(crate) output: Option<PathBuf>,

    /// The usage ledger to record each job in, which `paceline usage` sums up; or `none` [default: that of the
    /// configuration, if it names one]
    #[arg(long, value_name = "FILE")]
    pub(crate) usage: Option<OrNone<PathBuf>>,

    /// How to show what happens, on stderr
    #[arg(long, value_enum, value_name = "STYLE", default_value_t)]
    pub(crate) progress: ProgressStyle,

    /// The socket by which `paceline ctl` and `paceline top` reach this run; or `none` [default: one in your runtime folder]
    #[arg(long, value_name = "SOCKET")]
    pub(crate) control: Option<OrNone<PathBuf>>,

    #[command(flatten, next_help_heading = "Where to send")]
    pub(crate) target: Target,

    #[command(flatten, next_help_heading = "For lines that lack them")]
    pub(crate) defaults: Defaults,

    #[command(
        flatten,
        next_help_heading = "Ceilings for each account and model (without them: learned, and kept for a day)"
    )]
    pub(crate) ceilings: Ceilings,

    #[command(flatten, next_help_heading = "When to stop")]
    pub(crate) bounds: Bounds,

    #[command(flatten, next_help_heading = "What to run")]
    pub(crate) scope: Scope,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// Send to a mock provider inside this process: nothing leaves the machine, no key is needed
    #[arg(long, conflicts_with_all = ["upstream", "base_url"])]
    pub(crate) mock: bool,

    /// The upstream of the configuration to send to
    #[arg(long, value_name = "NAME", requires = "config", conflicts_with = "provider")]
    pub(crate) upstream: Option<String>,

    /// The provider to send to, with the key from its environment variable
    #[arg(long, value_name = "PROVIDER")]
    pub(crate) provider: Option<String>,

    /// Send here instead of to the provider's own address
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,

    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Defaults {
    /// The model
    #[arg(long, value_name = "M")]
    pub(crate) model: Option<String>,

    /// The most tokens an answer may have
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) max_tokens: Option<u64>,

    /// Any other field of the request, such as `temperature=0.2`
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Ceilings {
    /// Requests per minute
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) rpm: Option<u64>,

    /// Tokens per minute, input and output together
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) tpm: Option<u64>,

    /// Input tokens per minute
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) itpm: Option<u64>,

    /// Output tokens per minute
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) otpm: Option<u64>,

    /// Requests per day
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) rpd: Option<u64>,

    /// Requests in flight at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) in_flight: Option<u32>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Bounds {
    /// Send nothing more once this much is spent
    #[arg(long, value_name = "USD", value_parser = units::money)]
    pub(crate) budget: Option<MicroUsd>,

    /// Send nothing more after this long, such as `2h`
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub(crate) deadline: Option<Duration>,

    /// Give a job up after so many attempts; refusals by a rate limit do not count
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) max_attempts: u32,

    /// The longest one attempt may take
    #[arg(long, value_name = "TIME", default_value = "600s", value_parser = units::duration)]
    pub(crate) timeout: Duration,

    /// Send nothing more once so many jobs have failed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) max_failures: Option<u64>,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Scope {
    /// Only the first N jobs
    #[arg(long, value_name = "N", conflicts_with = "sample", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) first: Option<u64>,

    /// Only N jobs spread over the whole input; the same ones every time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) sample: Option<u64>,

    /// Read and check everything, send nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Start from the beginning: earlier results are set aside
    #[arg(long, requires = "output")]
    pub(crate) fresh: bool,

    /// Run lines again whose content has changed since they were done
    #[arg(long, requires = "output", conflicts_with = "fresh")]
    pub(crate) accept_changes: bool,

    /// Put the finished file in the order of the input
    #[arg(long, requires = "output")]
    pub(crate) ordered: bool,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressStyle {
    /// A bar on a terminal, else a line every 10 seconds
    #[default]
    Auto,
    /// A line every 10 seconds
    Plain,
    /// A JSON object every second, for programs
    Json,
    /// Nothing but errors
    None,
}
