//! `paceline plan`: its flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use paceline_mock::profile::Enforcement;

use super::run::{Ceilings, Defaults, Target};
use super::usage::Since;
use crate::plan::OutputTokens;
use crate::units;

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// JSONL files of requests or prompts, `.txt` files with a prompt a line, also `.gz` and `.zst`; `-` is stdin
    #[arg(required_unless_present = "replay", conflicts_with = "replay", value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// The output of the run: what is done there is left out and tells how long answers are, and the limits that were
    /// learned beside it are used
    #[arg(short, long, value_name = "OUT.jsonl")]
    pub(crate) output: Option<PathBuf>,

    /// Print the plan as JSON
    #[arg(long)]
    pub(crate) json: bool,

    /// Draw how each limit is used over time, and the queue, into this file
    #[arg(long, value_name = "OUT.svg")]
    pub(crate) plot: Option<PathBuf>,

    /// Compare the provider's tiers
    #[arg(long, conflicts_with = "mock")]
    pub(crate) compare: bool,

    #[command(flatten, next_help_heading = "Instead of files: requests that were recorded, as they came")]
    pub(crate) recorded: RecordedRequests,

    #[command(flatten, next_help_heading = "Where it would be sent (no key is needed)")]
    pub(crate) target: Target,

    #[command(flatten, next_help_heading = "For lines that lack them")]
    pub(crate) defaults: Defaults,

    #[command(
        flatten,
        next_help_heading = "Limits of each account and model (without them: those learned, or of the tier)"
    )]
    pub(crate) ceilings: Ceilings,

    #[command(flatten, next_help_heading = "What to assume")]
    pub(crate) assumptions: Assumptions,
}

#[derive(Debug, Args)]
pub(crate) struct RecordedRequests {
    /// Say how the requests of this usage ledger would have fared under these limits: who would have waited, for how long,
    /// and for which limit
    #[arg(
        long,
        value_name = "LEDGER",
        conflicts_with_all = ["output", "plot", "compare", "model", "max_tokens", "set", "output_tokens", "tokens_per_second", "first_token", "seeds"]
    )]
    pub(crate) replay: Option<PathBuf>,

    /// Only requests that began then or later: `24h` ago, or `2026-11-20`, `2026-11-20T14:30` (UTC) [default: all]
    #[arg(long, value_name = "TIME", requires = "replay", conflicts_with = "inputs")]
    pub(crate) from: Option<Since>,

    /// Only requests that began before then
    #[arg(long, value_name = "TIME", requires = "replay", conflicts_with = "inputs")]
    pub(crate) to: Option<Since>,
}

#[derive(Debug, Args)]
pub(crate) struct Assumptions {
    /// The account's tier at its provider, such as `start`: its published limits are assumed
    #[arg(long, value_name = "NAME", conflicts_with = "mock")]
    pub(crate) tier: Option<String>,

    /// As many accounts, each with these limits
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) accounts: u32,

    /// Tokens of an answer: `p50=300,p90=900`, or their mean, `400`
    #[arg(long, value_name = "TOKENS", value_parser = OutputTokens::parse)]
    pub(crate) output_tokens: Option<OutputTokens>,

    /// How fast the model writes [default: as the provider's models usually do]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) tokens_per_second: Option<u32>,

    /// How long a request takes until the first token of its answer is here, such as `250ms` [default: 600ms]
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    pub(crate) first_token: Option<Duration>,

    /// How the provider enforces a minute's limit: minute-bucket, second-bucket, ten-second-bucket, fixed-minute,
    /// fixed-ten-seconds, sliding-log, sliding-counter [default: minute-bucket; of --mock, ten-second-bucket]
    #[arg(long, value_name = "WINDOW")]
    pub(crate) window: Option<Enforcement>,

    /// How many runs to simulate [default: 10; of fewer than 1,000 jobs more, up to 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) seeds: Option<u64>,
}
